"""Who may come in at a listener: by token and role, not too often, and without trying one token after the other.

One for all listeners of a service, so that a client has one allowance and a guesser no second chance; used on the one
thread that serves them.
"""

import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator

from collector.core import audit
from collector.core.errors import Overloaded, Rejected
from collector.core.frequency import Frequency, parse_frequency
from collector.core.telemetry import Telemetry
from collector.receivers.throttle import Guesses, Throttle, network_of
from collector.receivers.tokens import KnownTokens, Role, TokenConfig

UNAUTHORIZED = "unauthorized"
FORBIDDEN_ROLE = "forbidden_role"
RATE_LIMITED = "rate_limited"
GUESSING = "guessing"

_SAME_SECONDS = 60.0  # for so long a refusal that is like one before is counted, not told again
_MOST_TOLD = 1000
_MOST_LINES = Frequency(60, 60)  # of the audit log


def parse_rate(value: Any) -> Frequency:
    """
    >>> parse_rate("600 per minute")
    Frequency(count=600.0, seconds=60)

    Raises:
        ValueError: not so many per minute or hour.
    """
    return (
        value
        if isinstance(value, Frequency)
        else parse_frequency(value, "requests", ("minute", "hour"), "600 per minute")
    )


def parse_guesses(value: Any) -> Frequency:
    """A limit of wrong tokens, of which each is remembered.

    Raises:
        ValueError: not a whole number of tokens, from 1 to 100, per minute or hour.
    """
    if isinstance(value, Frequency):
        return value
    limit = parse_frequency(value, "tokens", ("minute", "hour"), "10 per minute")
    if not limit.count.is_integer() or limit.count > 100:
        raise ValueError(f"{value!r:.80} is not a whole number of tokens from 1 to 100 per period")
    return limit


RequestRate = Annotated[Frequency, BeforeValidator(parse_rate, json_schema_input_type=str)]
GuessLimit = Annotated[Frequency, BeforeValidator(parse_guesses, json_schema_input_type=str)]


@dataclass(frozen=True, slots=True)
class Client:
    """Who asks: the name of its token and the tenant that is bound to it, both empty where no token is asked for."""

    name: str = ""
    tenant: str = ""


_ANYBODY = Client()


class Access:
    """Decides of each request whether it may come in.

    Args:
        tokens: all there are; a role that no token has is not asked for.
        rate: requests of each client, by token or else by address; None: any number.
        guesses: different wrong tokens from one address.
    """

    def __init__(
        self,
        tokens: Sequence[TokenConfig],
        telemetry: Telemetry,
        rate: Frequency | None = None,
        guesses: Frequency | None = None,
    ) -> None:
        self._refusals = telemetry.counter(
            "driftline_refused_access", "Requests that were not let in, by listener and reason.", ["listener", "reason"]
        )
        self._throttle = Throttle(rate) if rate is not None else None
        self._guesses = Guesses(guesses) if guesses is not None else None
        self._told: OrderedDict[tuple[str, str, str], tuple[float, int]] = OrderedDict()
        self._telling, self._untold = Throttle(_MOST_LINES), 0
        self.replace(tokens)

    def replace(self, tokens: Sequence[TokenConfig]) -> None:
        """From now on, these are the tokens; their files are read anew. Raises nothing that loading them did not."""
        self._tokens = KnownTokens(tokens)
        self._asked_for = {
            role for one in tokens for role in (("ingest", "read") if one.role == "admin" else (one.role,))
        }

    def asks(self, role: Role) -> bool:
        """Whether a token is needed for what that role may do."""
        return role in self._asked_for

    def refused(self, listener: str, reason: str) -> None:
        """Count a connection that a listener cut off by itself."""
        self._refusals.add(1, listener, reason)

    def admit(self, listener: str, role: Role, token: bytes | None, address: str) -> Client:
        """Who it is.

        Args:
            listener: of the service, for counts and the audit log.
            role: what the request needs.
            token: as sent; None if none was.
            address: IP address that the request came from.

        Raises:
            Rejected: `unauthorized` or `forbidden_role`.
            Overloaded: `rate_limited`, or `guessing`: too many wrong tokens came from there.
        """
        asks = role in self._asked_for
        if not asks and self._throttle is None:
            return _ANYBODY
        now, client, network = time.monotonic(), _ANYBODY, network_of(address)
        if asks:
            client = self._identify(listener, role, token, address, network, now)
        if self._throttle is not None:
            # a token and an address are never the same name
            wait = self._throttle.wait_seconds(f"token {client.name}" if client.name else network, now)
            if wait > 0:
                self._refusals.add(1, listener, RATE_LIMITED)
                raise Overloaded(RATE_LIMITED, "more requests than listen.rate_limit allows", wait)
        return client

    def _identify(
        self, listener: str, role: Role, token: bytes | None, address: str, network: str, now: float
    ) -> Client:
        wait = self._guesses.wait_seconds(network, now) if self._guesses is not None else 0.0
        if wait > 0:
            self._refuse(listener, GUESSING, address, now)
            raise Overloaded(GUESSING, "too many wrong tokens came from this address", wait)
        found = self._tokens.find(token) if token else None
        if found is None:
            if token and self._guesses is not None:
                self._guesses.wrong(network, token, now)
            self._refuse(listener, UNAUTHORIZED, address, now)
            raise Rejected(UNAUTHORIZED, "send authorization: Bearer TOKEN")
        if found.role not in (role, "admin"):
            self._refuse(listener, FORBIDDEN_ROLE, address, now, found.name)
            raise Rejected(FORBIDDEN_ROLE, f"the token has the role {found.role}; this needs {role}")
        return Client(found.name, found.tenant or "")

    def _refuse(self, listener: str, reason: str, address: str, now: float, name: str = "") -> None:
        """Count it, and tell the audit log: what is like one before is told once a minute, with its number."""
        self._refusals.add(1, listener, reason)
        key = (listener, reason, name or address)
        at, times = self._told.pop(key, (-_SAME_SECONDS, 0))
        if now - at < _SAME_SECONDS:
            self._told[key] = at, times + 1
            return
        self._told[key] = now, 0
        if len(self._told) > _MOST_TOLD:
            _, (_, forgotten) = self._told.popitem(last=False)
            self._untold += forgotten
        # or a flood from many addresses would push out older lines; what a known token does it cannot hide
        if self._telling.wait_seconds("known" if name else "unknown", now) > 0:
            self._untold += 1 + times
            return
        before = {"not_told_before": times} if times else {}
        if self._untold:
            before["of_others_not_told"], self._untold = self._untold, 0
        who = {"token": name} if name else {}
        audit.record("access.refused", listener=listener, reason=reason, address=address, **who, **before)


def bearer(authorization: bytes) -> bytes | None:
    """The token of an `Authorization: Bearer` header (RFC 6750); None if there is none.

    >>> bearer(b"bearer   abc "), bearer(b"Basic abc"), bearer(b"")
    (b'abc', None, None)
    """
    scheme, _, token = authorization.strip().partition(b" ")
    return token.strip() or None if scheme.lower() == b"bearer" else None
