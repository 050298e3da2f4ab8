"""OTLP/JSON requests into the protobuf requests that mean the same: behind the receivers there is only protobuf.

A span with a value of the wrong type is left out alone, as a broken one in protobuf is; what is wrong around the spans
makes the whole request malformed.

Source: OpenTelemetry protocol specification 1.x, "JSON Protobuf Encoding".
"""

import json
from typing import Any, NamedTuple

import orjson
from google.protobuf.message import EncodeError
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from collector.core.errors import Rejected
from collector.wire.json_values import Fill, Wrong, as_list, filler, kind_of
from collector.wire.schema import Group, Request
from collector.wire.split import MAX_ITEMS


class Converted(NamedTuple):
    """An OTLP protobuf request, and what of the JSON is not in it: one entry per span or record left out.

    Entries of one reason may be one and the same object, which then names the first of them.
    """

    body: bytes
    rejected: list[Rejected]


class _Signal(NamedTuple):
    """What differs between traces and logs: the keys of the three levels, and the message of an item."""

    groups: tuple[str, str]
    scopes: tuple[str, str]
    items: tuple[str, str]
    message: Any
    fill: Fill
    reason: str


_TRACES = _Signal(
    ("resourceSpans", "resource_spans"),
    ("scopeSpans", "scope_spans"),
    ("spans", "spans"),
    Span,
    filler(Span.DESCRIPTOR),
    "bad_span",
)
_LOGS = _Signal(
    ("resourceLogs", "resource_logs"),
    ("scopeLogs", "scope_logs"),
    ("logRecords", "log_records"),
    LogRecord,
    filler(LogRecord.DESCRIPTOR),
    "bad_record",
)
_FILL_RESOURCE = filler(Resource.DESCRIPTOR)
_FILL_SCOPE = filler(InstrumentationScope.DESCRIPTOR)


def traces_from_json(body: bytes) -> Converted:
    """An ExportTraceServiceRequest in JSON as protobuf.

    Raises:
        Rejected: `malformed`: not JSON, or not of that shape, with the path of what is wrong; `too_large`: more than
            `MAX_ITEMS` spans.

    >>> traces_from_json(b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"name": "chat"}]}]}]}').body.hex()
    '0a0a120812062a0463686174'
    """
    return _Conversion(_TRACES).request(load(body))


def logs_from_json(body: bytes) -> Converted:
    """An ExportLogsServiceRequest in JSON as protobuf.

    Raises:
        Rejected: as `traces_from_json`.
    """
    return _Conversion(_LOGS).request(load(body))


def convert(document: Any, is_logs: bool) -> Converted:
    """The same for JSON that has been loaded."""
    return _Conversion(_LOGS if is_logs else _TRACES).request(document)


def load(body: bytes) -> Any:
    """The JSON value in `body`.

    A lone surrogate (an emoji that was cut in half) or a byte that is no UTF-8 becomes U+FFFD.

    Raises:
        Rejected: `malformed`.
    """
    try:
        return orjson.loads(body)
    except ValueError as error:
        problem = str(error)
    if b"\\u" not in body and _is_utf8(body):
        raise Rejected("malformed", f"the request is not JSON: {problem}")
    try:
        # Only Python's own parser lets surrogates pass; a round trip over UTF-16 replaces those without a partner.
        loaded = json.dumps(json.loads(body.decode("utf-8", "replace")), ensure_ascii=False)
        return orjson.loads(loaded.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))
    except (ValueError, RecursionError):
        raise Rejected("malformed", f"the request is not JSON: {problem}") from None


def _is_utf8(body: bytes) -> bool:
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


class _Conversion:
    """One request on its way."""

    def __init__(self, signal: _Signal) -> None:
        self._signal = signal
        self._rejected: list[Rejected] = []
        self._reasons: dict[str, Rejected] = {}
        self._seen = 0

    def request(self, document: Any) -> Converted:
        try:
            if type(document) is not dict:
                raise Wrong(f"{kind_of(document)} is not an object")
            groups, name = _pick(document, self._signal.groups)
            body = Request(groups=[self._group(item, f"{name}[{number}]") for number, item in enumerate(groups)])
        except Wrong as wrong:
            raise Rejected("malformed", f"{wrong.path or 'the request'}: {wrong.problem}") from None
        return Converted(body.SerializeToString(), self._rejected)

    def _group(self, value: Any, path: str) -> bytes:
        scopes, name = _within(path, _pick, value, self._signal.scopes)
        items = [self._scope(item, f"{path}.{name}[{number}]") for number, item in enumerate(scopes)]
        return _encode(value, "resource", Resource, _FILL_RESOURCE, items, path)

    def _scope(self, value: Any, path: str) -> bytes:
        listed, name = _within(path, _pick, value, self._signal.items)
        self._seen += 1 + len(listed)
        if self._seen > MAX_ITEMS:
            raise Rejected("too_large", f"the request has more than {MAX_ITEMS} scopes and {name}")
        items = []
        for number, item in enumerate(listed):
            raw = self._item(item, path, name, number)
            if raw is not None:
                items.append(raw)
        return _encode(value, "scope", InstrumentationScope, _FILL_SCOPE, items, path)

    def _item(self, value: Any, path: str, name: str, number: int) -> bytes | None:
        """One span or record as protobuf; None if it is to be left out."""
        message = self._signal.message()
        try:
            self._signal.fill(message, value, 0)
            raw: bytes = message.SerializeToString()
            return raw
        except Wrong as wrong:
            problem = wrong.under(f"{path}.{name}[{number}]")
        except EncodeError:
            problem = Wrong("cannot be encoded").under(f"{path}.{name}[{number}]")
        reason = problem.reason or self._signal.reason
        if reason not in self._reasons:
            self._reasons[reason] = Rejected(reason, f"{problem.path}: {problem.problem}")
        self._rejected.append(self._reasons[reason])
        return None


def _pick(value: Any, names: tuple[str, str]) -> tuple[list[Any], str]:
    """The list under one of two spellings of a key, and the spelling; nothing there means an empty list."""
    if type(value) is not dict:
        raise Wrong(f"{kind_of(value)} is not an object")
    name = names[0] if names[0] in value else names[1]
    found = value.get(name)
    if found is None:
        return [], name
    try:
        return as_list(found), name
    except Wrong as wrong:
        raise wrong.under(name) from None


def _within(path: str, read: Any, *arguments: Any) -> Any:
    try:
        return read(*arguments)
    except Wrong as wrong:
        raise wrong.under(path) from None


def _encode(value: dict[str, Any], head: str, message_type: Any, fill: Fill, items: list[bytes], path: str) -> bytes:
    """A Resource{Spans,Logs} or Scope{Spans,Logs} around items that are encoded already."""
    group = Group(items=items)
    if value.get(head) is not None:
        message = message_type()
        _within(f"{path}.{head}", fill, message, value[head], 0)
        group.head.append(message.SerializeToString())
    url = value.get("schemaUrl", value.get("schema_url"))
    if isinstance(url, str):
        group.schema_url = url.encode("utf-8")
    encoded: bytes = group.SerializeToString()
    return encoded
