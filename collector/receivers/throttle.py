"""How fast one client may ask, and how many wrong tokens it may try; both in memory that is bounded.

Time is handed in, in seconds of a clock that never goes back.
"""

import ipaddress
from collections import OrderedDict
from functools import lru_cache
from hashlib import blake2b
from os import urandom
from typing import Any

from collector.core.frequency import Frequency

MOST_CLIENTS = 10_000
"""Of each kind that are remembered; past that, those that asked longest ago are forgotten."""


class Throttle:
    """So many requests per period of each client, at most that many at once.

    Each client has one number, when its bucket is full again: the generic cell rate algorithm
    (ITU-T I.371, annex A), which is a leaky bucket without a leak to run.
    """

    def __init__(self, limit: Frequency, most_clients: int = MOST_CLIENTS) -> None:
        self._step_seconds = limit.seconds / limit.count
        self._burst_seconds = max(limit.seconds, self._step_seconds)
        self._most_clients = most_clients
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def wait_seconds(self, client: str, now_seconds: float) -> float:
        """0 if the client may ask now, which then counts; else how long it must wait."""
        full_at = max(self._full_at.pop(client, 0.0), now_seconds) + self._step_seconds
        wait = full_at - now_seconds - self._burst_seconds
        refused = wait > 1e-9
        self._full_at[client] = full_at - self._step_seconds if refused else full_at
        _forget_oldest(self._full_at, self._most_clients)
        return wait if refused else 0.0


class Guesses:
    """Whoever tries too many different wrong tokens is not listened to for the rest of the period.

    The same wrong token again is no guess but a sender that was not told of the new one: it must not shut out others
    that come from its address, such as all that are behind one proxy.
    """

    def __init__(self, limit: Frequency, most_clients: int = MOST_CLIENTS) -> None:
        self._most_guesses = max(1, int(limit.count))
        self._period_seconds = limit.seconds
        self._most_clients = most_clients
        self._salt = urandom(16)  # what is kept is of no use to who reads this memory
        self._tried: OrderedDict[str, dict[bytes, float]] = OrderedDict()  # when each was first tried

    def wait_seconds(self, client: str, now_seconds: float) -> float:
        """How long nothing that the client says counts; 0 if it is listened to."""
        tried = self._tried.get(client)
        if tried is None or len(tried) < self._most_guesses:
            return 0.0
        return max(0.0, min(tried.values()) + self._period_seconds - now_seconds)

    def wrong(self, client: str, token: bytes, now_seconds: float) -> None:
        """A token was sent that nobody has."""
        tried = self._tried.pop(client, {})
        recent = {guess: at for guess, at in tried.items() if at > now_seconds - self._period_seconds}
        guess = blake2b(token, digest_size=8, key=self._salt).digest()
        if len(recent) < self._most_guesses:
            recent.setdefault(guess, now_seconds)
        self._tried[client] = recent
        _forget_oldest(self._tried, self._most_clients)


@lru_cache(maxsize=1024)
def network_of(address: str) -> str:
    """What counts as one client: an IPv4 address, or the /64 of an IPv6 address, of which one machine has all.

    >>> network_of("192.0.2.7"), network_of("2001:db8::1:2"), network_of("::ffff:192.0.2.7"), network_of("")
    ('192.0.2.7', '2001:db8::/64', '192.0.2.7', 'unknown')
    """
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, 64), strict=False))


def _forget_oldest(known: "OrderedDict[str, Any]", most: int) -> None:
    while len(known) > most:
        known.popitem(last=False)
