"""Bearer tokens: who has one, what it lets them do, and the files they are in, which may change while the service runs.

Only hashes are kept. A file or a variable holds a token a line, in the clear or as `sha256:` and 64 hexadecimal digits,
so that whoever reads the file need not learn the tokens. Their hash is without salt: a token is long and random.
"""

import hashlib
import logging
import os
import re
import time
from collections import Counter
from collections.abc import Sequence
from hmac import compare_digest
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from collector.core import audit
from collector.core.settings import Settings

Role: TypeAlias = Literal["ingest", "read", "admin"]
"""`ingest` sends spans and logs, `read` sees pages, API and metrics, `admin` may do all of it."""

MOST_TOKENS = 10_000
"""Of one entry, and of all together: each request is compared with every token."""

_LOOK_SECONDS = 1.0  # between two looks at whether a file of tokens changed
_HASHED = re.compile(r"sha256:([0-9a-fA-F]{64})")
_PLAIN = "a token is given as {name: NAME, role: ROLE, env: VARIABLE}, or with file: PATH, never as plain text"

# As Grafana Mimir and Loki take them, so that the header that is sent to those is fit for here.
_TENANT = re.compile(r"[A-Za-z0-9!_.*'()-]{1,150}")

_log = logging.getLogger(__name__)


def is_tenant(name: str) -> bool:
    """Whether a text may be the name of a tenant."""
    return _TENANT.fullmatch(name) is not None


def _check_tenant(name: str) -> str:
    if not is_tenant(name):
        raise ValueError(f"{name!r} is no name of a tenant: 1 to 150 letters, digits and !-_.*'()")
    return name


TenantName = Annotated[str, AfterValidator(_check_tenant)]


class TokenConfig(Settings):
    """Somebody who may come in: what they are called, what they may do, and where their tokens are."""

    name: str = Field(
        pattern=r"^[A-Za-z0-9_.-]{1,64}$", description="what the audit log and the metrics call its bearer"
    )
    role: Role = Field(description="`ingest`: send; `read`: pages, API, metrics; `admin`: all of it")
    env: str | None = Field(None, description="environment variable with the token, or several, one a line")
    file: Path | None = Field(
        None, description="file with the token, or several, one a line; read again when it changes"
    )
    tenant: TenantName | None = Field(None, description="the only tenant its bearer can be; null: any")

    @model_validator(mode="after")
    def _has_a_token(self) -> "TokenConfig":
        if (self.env is None) == (self.file is None):
            raise ValueError("say either env: VARIABLE or file: PATH")
        if self.tenant is not None and self.role == "read":
            raise ValueError("tenant: pages, API and metrics show all tenants; only role: ingest or admin has one")
        try:
            found = self.digests()
        except OSError as error:
            raise ValueError(f"the secret file {self.file} cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise ValueError(f"the secret file {self.file} is not UTF-8 text") from None
        if not found:
            told = (
                f"the secret file {self.file} is empty"
                if self.file
                else f"the environment variable {self.env} is not set"
            )
            raise ValueError(told)
        return self

    def digests(self) -> list[bytes]:
        """SHA-256 of the tokens as they are now; blanks around them and empty lines do not count.

        Raises:
            OSError, UnicodeDecodeError: the file cannot be read.
            ValueError: a line begins as a hash and is none, or there are too many.
        """
        text = self.file.read_text(encoding="utf-8") if self.file is not None else os.environ.get(self.env or "", "")
        found = [_digest(line.strip()) for line in text.splitlines() if line.strip()]
        if len(found) > MOST_TOKENS:
            raise ValueError(f"{len(found)} tokens are too many; allowed: {MOST_TOKENS}")
        return found

    def stamp(self) -> tuple[int, int, int] | None:
        """Changes whenever the file does, also when it is replaced as Kubernetes does with what it mounts."""
        try:
            found = self.file.stat() if self.file is not None else None
        except OSError:
            return None
        return None if found is None else (found.st_ino, found.st_mtime_ns, found.st_size)


def _digest(line: str) -> bytes:
    if not line.startswith("sha256:"):
        return hashlib.sha256(line.encode()).digest()
    if (hashed := _HASHED.fullmatch(line)) is None:
        raise ValueError("a line that begins with sha256: must go on with 64 hexadecimal digits")
    return bytes.fromhex(hashed[1])


def _listed(value: Any) -> Any:
    if not isinstance(value, list | tuple) or not all(isinstance(one, dict | TokenConfig) for one in value):
        raise ValueError(f"must be a list; {_PLAIN}")
    return value


def _unlike(tokens: Sequence[TokenConfig]) -> Sequence[TokenConfig]:
    for name, times in Counter(one.name for one in tokens).items():
        if times > 1:
            raise ValueError(f"{name!r} is the name of two; put both tokens, one a line, into one file")
    owner: dict[bytes, str] = {}
    for one in tokens:
        for digest in set(one.digests()):
            if digest in owner:
                raise ValueError(f"{owner[digest]!r} and {one.name!r} have the same token")
            owner[digest] = one.name
        if len(owner) > MOST_TOKENS:
            raise ValueError(f"more than {MOST_TOKENS} tokens in all")
    return tuple(tokens)


TokenList = Annotated[
    Sequence[TokenConfig],
    BeforeValidator(_listed, json_schema_input_type=list[TokenConfig]),
    AfterValidator(_unlike),
]


class KnownTokens:
    """The tokens as they are in force, never older than `_LOOK_SECONDS`."""

    def __init__(self, tokens: Sequence[TokenConfig]) -> None:
        self._known = [(one, one.digests(), one.stamp()) for one in tokens]
        self._look_at = time.monotonic() + _LOOK_SECONDS

    def find(self, token: bytes) -> TokenConfig | None:
        """Whose token that is; None if nobody's."""
        if time.monotonic() >= self._look_at:
            self._look()
        digest = hashlib.sha256(token).digest()
        found: TokenConfig | None = None
        for one, digests, _ in self._known:  # all of them, so that the time it takes tells nothing
            for known in digests:
                if compare_digest(digest, known) and found is None:
                    found = one
        return found

    def _look(self) -> None:
        self._look_at = time.monotonic() + _LOOK_SECONDS
        for number, (one, _, stamp) in enumerate(self._known):
            if (now := one.stamp()) == stamp:
                continue
            try:
                digests = one.digests()
            except (OSError, ValueError) as error:  # a UnicodeDecodeError is one, and holds what the file holds
                told = error.strerror if isinstance(error, OSError) else "it is not a list of tokens"
                _log.warning("%s cannot be read, its tokens stay as they are: %s", one.file, told)
                continue
            if digests:  # an empty file is one that is being written
                self._known[number] = one, digests, now
                _log.warning("%s was read again: %d tokens", one.file, len(digests))
                audit.record("tokens.changed", name=one.name, tokens=len(digests))
