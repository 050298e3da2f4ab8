"""Recorded OTLP bodies from files: what they are is found from their bytes, not their name.

Known are the body of one request in protobuf or JSON, and JSON Lines with one request a line (as the OpenTelemetry
Collector's file exporter writes), each as it is or gzipped.
"""

from typing import Any

from collector.core.engine import EVENTS_KIND, TRACES_KIND
from collector.core.errors import Rejected
from collector.wire.compress import decompress
from collector.wire.json import convert, load
from collector.wire.split import tally_logs, tally_traces

MAX_FILE_BYTES = 2**30
"""The longest file, after decompression."""

_GZIP_MAGIC = b"\x1f\x8b"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_JSON_STARTS = b"{[ \t\r\n"
_KEYS = {
    TRACES_KIND: ("resourceSpans", "resource_spans"),
    EVENTS_KIND: ("resourceLogs", "resource_logs"),
}
_OTHER_KEYS = ("resourceMetrics", "resource_metrics", "resourceProfiles", "resource_profiles")


def read_body(content: bytes, name: str | None = None, limit_bytes: int = MAX_FILE_BYTES) -> tuple[str, bytes]:
    """The kind of a recorded body (`TRACES_KIND` or `EVENTS_KIND`) and the protobuf request it holds.

    Lines of one kind become one request.

    Args:
        content: the file's bytes.
        name: its name, which decides only where the bytes fit both kinds, as an empty file does.
        limit_bytes: the most that may come out of decompression.

    Raises:
        Rejected: `malformed`, `bad_gzip`, `too_large`; `mixed`: lines of both kinds, for which there is `read_bodies`.

    >>> read_body(b'{"resourceLogs": []}')
    ('logs', b'')
    """
    bodies = read_bodies(content, name, limit_bytes)
    kinds = {kind for kind, _ in bodies}
    if len(kinds) > 1:
        raise Rejected("mixed", f"{name or 'the file'} holds traces and logs; one of them was expected")
    # Protobuf messages one after the other are one message with the lists of all.
    return bodies[0][0], b"".join(body for _, body in bodies)


def read_bodies(content: bytes, name: str | None = None, limit_bytes: int = MAX_FILE_BYTES) -> list[tuple[str, bytes]]:
    """All requests of a recorded file, in order, each with its kind. There is at least one.

    Raises:
        Rejected: `malformed`, `bad_gzip`, `too_large`.
    """
    if content.startswith(_GZIP_MAGIC):
        content = decompress(content, "gzip", limit_bytes)
    content = content.removeprefix(_BYTE_ORDER_MARK)
    # 0x0A opens both a protobuf request and a file that begins with an empty line: protobuf is the one that parses.
    if content[:1] and content[:1] in _JSON_STARTS and content.strip():
        if content[:1] != b"\n":
            return _from_json(content)
        kind = _protobuf_kind(content, name)
        return _from_json(content) if kind is None and content.lstrip()[:1] == b"{" else _as_protobuf(content, kind)
    return _as_protobuf(content, _protobuf_kind(content, name))


def _as_protobuf(content: bytes, kind: str | None) -> list[tuple[str, bytes]]:
    if kind is None:
        raise Rejected("malformed", "neither an OTLP request in protobuf nor in JSON, for traces or for logs")
    return [(kind, content)]


def _protobuf_kind(content: bytes, name: str | None) -> str | None:
    """Traces and logs look alike from outside: it is the kind whose spans or records are usable."""
    try:
        traces, logs = tally_traces(content), tally_logs(content)
    except Rejected:
        return None
    if traces.accepted:
        return TRACES_KIND
    if logs.accepted:
        return EVENTS_KIND
    if not traces.rejected:
        return EVENTS_KIND if "logs" in (name or "").lower() else TRACES_KIND
    return EVENTS_KIND if logs.without_trace else None


def _from_json(content: bytes) -> list[tuple[str, bytes]]:
    try:
        return _documents(load(content), "the request")
    except Rejected:
        lines = [(number, line) for number, line in enumerate(content.split(b"\n"), 1) if line.strip()]
        if len(lines) < 2:
            raise
    bodies: list[tuple[str, bytes]] = []
    for number, line in lines:
        try:
            bodies += _documents(load(line), "the request")
        except Rejected as error:
            raise Rejected(error.reason, f"line {number}: {error}") from None
    return bodies


def _documents(document: Any, what: str) -> list[tuple[str, bytes]]:
    """The requests in one JSON value: traces, logs, or both at once."""
    if not isinstance(document, dict):
        raise Rejected("malformed", f"{what} is JSON, but not an object with resourceSpans or resourceLogs")
    kinds = [kind for kind, keys in _KEYS.items() if any(key in document for key in keys)]
    if not kinds and document and not any(key in document for key in _OTHER_KEYS):
        raise Rejected("malformed", f"{what} is JSON, but has neither resourceSpans nor resourceLogs")
    if not kinds:
        return [(TRACES_KIND, b"")]  # {} or metrics: nothing for us
    return [(kind, convert(document, kind == EVENTS_KIND).body) for kind in kinds]
