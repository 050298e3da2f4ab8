"""Requests and responses of HTTP/1.1 as the OTLP receiver needs them.

Source: RFC 9110 (semantics), RFC 9112 (HTTP/1.1).
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus

KEPT_HEADERS = frozenset(
    {
        *(b"authorization", b"content-encoding", b"content-length", b"content-type"),
        *(b"expect", b"transfer-encoding", b"host", b"origin"),
    }
)
"""The others are read past, but for the one that names the tenant."""

PROTOBUF_TYPE = "application/x-protobuf"
JSON_TYPE = "application/json"
TEXT_TYPE = "text/plain; charset=utf-8"


@dataclass(slots=True)
class Request:
    """A request as it comes in; the body is whole once the connection hands it on."""

    target: bytes = b""
    method: str = ""
    headers: dict[bytes, bytes] = field(default_factory=dict)  # those that are kept, names in lower case
    keep_alive: bool = False
    tenant: str = ""
    address: str = ""  # IP address that it came from
    chunks: list[bytes] = field(default_factory=list)
    size_bytes: int = 0

    def head(self, version: str) -> bytes:
        """Request line and headers, less those that are not kept."""
        headers = [*self.headers.items(), (b"connection", b"keep-alive" if self.keep_alive else b"close")]
        lines = b"".join(b"%b: %b\r\n" % header for header in headers)
        return b"%b %b HTTP/%b\r\n%b\r\n" % (self.method.encode(), self.target, version.encode(), lines)

    @property
    def path(self) -> str:
        """The target without its query.

        >>> Request(target=b"/v1/traces?x=1").path
        '/v1/traces'
        """
        return self.target.partition(b"?")[0].decode("latin-1")

    @property
    def body(self) -> bytes:
        return self.chunks[0] if len(self.chunks) == 1 else b"".join(self.chunks)

    @property
    def content_type(self) -> str:
        """The media type without parameters, in lower case."""
        return self.headers.get(b"content-type", b"").partition(b";")[0].strip().lower().decode("latin-1")

    @property
    def content_length(self) -> int | None:
        """None if unknown: the body is chunked, or there is none."""
        text = self.headers.get(b"content-length", b"")
        return int(text) if text.isdigit() else None

    @property
    def expects_continue(self) -> bool:
        return self.headers.get(b"expect", b"").lower() == b"100-continue"


@dataclass(frozen=True, slots=True)
class Reply:
    """A response to send; `last` closes the connection after it."""

    status: int
    content_type: str = TEXT_TYPE
    body: bytes = b""
    headers: Sequence[tuple[str, str]] = ()
    last: bool = False

    def encode(self, keep_alive: bool = True, without_body: bool = False) -> bytes:
        """The bytes to send; `without_body` is for HEAD."""
        lines = [
            f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}",
            f"date: {_date(int(time.time()))}",
            f"content-type: {self.content_type}",
            f"content-length: {len(self.body)}",
            *(f"{name}: {value}" for name, value in self.headers),
        ]
        if self.last or not keep_alive:
            lines.append("connection: close")
        head = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
        return head if without_body else head + self.body


_dates: dict[int, str] = {}


def _date(second: int) -> str:
    """The Date header of a second; kept, since a thousand responses may share it."""
    if second not in _dates:
        _dates.clear()
        _dates[second] = formatdate(second, usegmt=True)
    return _dates[second]
