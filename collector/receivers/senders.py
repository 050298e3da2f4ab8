"""Who may send, and for whom: bearer tokens, which may change while the service runs, and tenants.

A tenant is whoever shares the service with others: its spans never join another's trace, and it has a fair share of the
room. It is named by a header, as in Loki, Mimir and Tempo, or by the token.
"""

import logging
import os
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hmac import compare_digest
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from collector.core.errors import Rejected
from collector.core.settings import Settings

UNAUTHORIZED = "unauthorized"
NO_TENANT = "no_tenant"
BAD_TENANT = "bad_tenant"
FORBIDDEN_TENANT = "forbidden_tenant"

_LOOK_SECONDS = 1.0  # between two looks at whether a file of tokens changed
# As Grafana Mimir and Loki take them, so that the header that is sent to those is fit for here.
_TENANT = re.compile(r"[A-Za-z0-9!_.*'()-]{1,150}")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TokenSource:
    """Where tokens are: a variable of the environment, or a file with one token a line, which may change."""

    env: str | None = None
    file: Path | None = None

    def read(self) -> list[bytes]:
        """The tokens as they are now; blanks around them and empty lines do not count.

        Raises:
            OSError, UnicodeDecodeError: the file cannot be read.
        """
        text = self.file.read_text(encoding="utf-8") if self.file is not None else os.environ.get(self.env or "", "")
        return [line.strip().encode() for line in text.splitlines() if line.strip()]

    def stamp(self) -> tuple[int, int, int] | None:
        """Changes whenever the file does, also when it is replaced as Kubernetes does with what it mounts."""
        try:
            found = self.file.stat() if self.file is not None else None
        except OSError:
            return None
        return None if found is None else (found.st_ino, found.st_mtime_ns, found.st_size)


def _parse_sources(value: Any) -> Any:
    if value is None or (isinstance(value, tuple) and all(isinstance(one, TokenSource) for one in value)):
        return value
    listed = value if isinstance(value, list | tuple) else [value]
    if not listed:
        raise ValueError("there is no token in an empty list; to ask for none, leave it out")
    return tuple(_parse_source(one) for one in listed)


def _parse_source(value: Any) -> TokenSource:
    if not isinstance(value, Mapping) or set(value) not in ({"env"}, {"file"}):
        raise ValueError("a secret is given as {env: NAME} or {file: PATH}, never as plain text")
    source = TokenSource(str(value["env"])) if "env" in value else TokenSource(file=Path(str(value["file"])))
    try:
        if source.read():
            return source
    except OSError as error:
        raise ValueError(f"the secret file {source.file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"the secret file {source.file} is not UTF-8 text") from None
    if source.file is not None:
        raise ValueError(f"the secret file {source.file} is empty")
    raise ValueError(f"the environment variable {source.env} is not set")


def _check_tenant(name: str) -> str:
    if not _TENANT.fullmatch(name):
        raise ValueError(f"{name!r} is no name of a tenant: 1 to 150 letters, digits and !-_.*'()")
    return name


TokenSources = Annotated[
    tuple[TokenSource, ...],
    BeforeValidator(_parse_sources, json_schema_input_type=dict[str, str] | list[dict[str, str]]),
]
"""`{env: NAME}`, `{file: PATH}`, or a list of those; never the tokens themselves."""

TenantName = Annotated[str, AfterValidator(_check_tenant)]


class TenantNames(Settings):
    """Who shares the service: how a request says for which tenant it is."""

    header: str = Field(
        default="X-Scope-OrgID", pattern=r"^[A-Za-z0-9._-]{1,64}$", description="header that has the name, in any case"
    )
    allow: Sequence[TenantName] | None = Field(default=None, description="the only tenants there are; null: any name")
    default: TenantName | None = Field(default=None, description="tenant of requests that name none; null: refused")
    max_labels: int = Field(default=100, ge=1, description="tenants with metrics of their own; the rest are `other`")

    def names(self) -> Sequence[str]:
        """The tenants that are known beforehand."""
        return self.allow or ()


class TenantsConfig(TenantNames):
    """The same for OTLP listeners, where a token may say it too."""

    tokens: Mapping[TenantName, TokenSources] = Field(
        default={}, description="bearer tokens of each tenant: who sends one can be that tenant only"
    )

    def names(self) -> Sequence[str]:
        return [*self.tokens, *(self.allow or ())]


class _Tokens:
    """The tokens of some sources, never older than `_LOOK_SECONDS`."""

    def __init__(self, sources: Sequence[TokenSource]) -> None:
        self._sources = [(source, source.read(), source.stamp()) for source in sources]
        self._look_at = time.monotonic() + _LOOK_SECONDS

    def include(self, token: bytes) -> bool:
        if time.monotonic() >= self._look_at:
            self._look()
        # all of them, so that the time it takes tells nothing
        return sum(compare_digest(token, known) for _, tokens, _ in self._sources for known in tokens) > 0

    def _look(self) -> None:
        self._look_at = time.monotonic() + _LOOK_SECONDS
        for number, (source, _, stamp) in enumerate(self._sources):
            if (now := source.stamp()) == stamp:
                continue
            try:
                tokens = source.read()
            except (OSError, UnicodeDecodeError) as error:
                _log.warning("%s cannot be read, its tokens stay as they are: %s", source.file, error)
                continue
            if tokens:  # an empty file is one that is being written
                self._sources[number] = source, tokens, now
                _log.warning("%s was read again: %d tokens", source.file, len(tokens))


class Senders:
    """Decides of each request whether it may come in, and whose it is."""

    def __init__(self, token: Sequence[TokenSource] | None, tenants: TenantNames | None) -> None:
        bound = tenants.tokens if isinstance(tenants, TenantsConfig) else {}
        self._open = token is None and not bound
        self._tokens = _Tokens(token or ())
        self._tenants = tenants
        self._bound = {name: _Tokens(sources) for name, sources in bound.items()}
        self.header = tenants.header.lower().encode() if tenants is not None else b""

    def admit(self, authorization: bytes, named: bytes) -> str:
        """The tenant of a request; empty where there are no tenants.

        Args:
            authorization: the header of that name, as sent.
            named: the value of the tenants' header, as sent.

        Raises:
            Rejected: `unauthorized`, `no_tenant`, `bad_tenant` or `forbidden_tenant`.
        """
        bound = self._authorize(authorization)
        if self._tenants is None:
            return ""
        name = named.strip().decode("latin-1")
        if name and not _TENANT.fullmatch(name):
            raise Rejected(BAD_TENANT, f"{self._tenants.header}: {name[:150]!r} is no name of a tenant")
        if bound:
            if name and name != bound:
                raise Rejected(FORBIDDEN_TENANT, f"{self._tenants.header}: the token is of another tenant")
            return bound
        name = name or self._tenants.default or ""
        if not name:
            raise Rejected(NO_TENANT, f"say whose the data is: send {self._tenants.header}")
        if self._tenants.allow is not None and name not in self._tenants.allow and name != self._tenants.default:
            raise Rejected(FORBIDDEN_TENANT, f"{self._tenants.header}: {name!r} is no tenant here")
        return name

    def _authorize(self, authorization: bytes) -> str:
        """The tenant that the token is bound to, if any. Raises Rejected."""
        if self._open:
            return ""
        scheme, _, token = authorization.strip().partition(b" ")
        token = token.strip()
        if scheme.lower() == b"bearer":
            found = [name for name, tokens in self._bound.items() if tokens.include(token)]
            if found:
                return found[0]
            if self._tokens.include(token):
                return ""
        raise Rejected(UNAUTHORIZED, "send authorization: Bearer TOKEN")
