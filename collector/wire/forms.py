"""What other producers put into a message: not a whole OTLP request, but one piece of it, which is put into a request.

For traces (and likewise for logs, with ResourceLogs and LogRecord):

- a request: `ExportTraceServiceRequest` or `TracesData`; in JSON `{"resourceSpans": [...]}`;
- one `ResourceSpans`; in JSON `{"resource": ..., "scopeSpans": [...]}`;
- one `Span`; in JSON its fields, perhaps beside `"resource"` and `"scope"`, as OTLP has them;
- in JSON also a list of these.

In protobuf they are told apart by what can be no other: a request has no field 2; a span has a trace id of 16 bytes and
a span id of 8 as fields 1 and 2; a log record has a time as field 1 or 11, or a trace id as field 9, and no other form
has those. Source: opentelemetry-proto 1.x.
"""

from collections.abc import Iterator
from typing import Any

from google.protobuf.message import DecodeError

from collector.core.engine import TRACES_KIND
from collector.wire.schema import Group, LogHead, Request, SpanHead

_GROUPS = {True: ("resourceSpans", "resource_spans"), False: ("resourceLogs", "resource_logs")}
_SCOPES = {True: ("scopeSpans", "scope_spans"), False: ("scopeLogs", "scope_logs")}
_ITEMS = {True: "spans", False: "logRecords"}
_IDS = ("traceId", "trace_id")


def request_from_protobuf(kind: str, body: bytes) -> bytes:
    """The request in a message of any of the forms; as it came if it is none of them.

    >>> one = SpanHead(trace_id=bytes(16), span_id=bytes(8)).SerializeToString()
    >>> request_from_protobuf(TRACES_KIND, one) == Request(
    ...     groups=[Group(items=[Group(items=[one]).SerializeToString()]).SerializeToString()]
    ... ).SerializeToString()
    True
    """
    if _is_item(kind, body):
        return _request(Group(items=[Group(items=[body]).SerializeToString()]).SerializeToString())
    try:
        group = Group.FromString(body)
    except DecodeError:
        return body
    return _request(body) if group.items else body


def _request(group: bytes) -> bytes:
    encoded: bytes = Request(groups=[group]).SerializeToString()
    return encoded


def _is_item(kind: str, body: bytes) -> bool:
    try:
        if kind == TRACES_KIND:
            span = SpanHead.FromString(body)
            return len(span.trace_id) == 16 and len(span.span_id) == 8
        record = LogHead.FromString(body)
        return len(record.trace_id) == 16 or bool(record.time_ns or record.observed_ns)
    except DecodeError:
        return False


def request_from_json(kind: str, document: Any) -> Any:
    """The same for a JSON value that was loaded: the request, or the value as it is.

    >>> request_from_json(TRACES_KIND, {"traceId": "07", "resource": {}})
    {'resourceSpans': [{'resource': {}, 'scopeSpans': [{'scope': None, 'spans': [{'traceId': '07'}]}]}]}
    """
    traces = kind == TRACES_KIND
    if type(document) is list:
        return {_GROUPS[traces][0]: [group for one in document for group in _groups(traces, one)]}
    if type(document) is not dict or not document or any(key in document for key in _GROUPS[traces]):
        return document
    groups = list(_groups(traces, document))
    return {_GROUPS[traces][0]: groups} if groups != [document] or _has(document, _SCOPES[traces]) else document


def _groups(traces: bool, document: Any) -> Iterator[Any]:
    """The ResourceSpans, or ResourceLogs, in a value; itself if it is none of the forms, to be found wrong later."""
    if type(document) is dict and (name := next((key for key in _GROUPS[traces] if key in document), None)):
        yield from document[name] if type(document[name]) is list else [document[name]]
    elif type(document) is dict and not _has(document, _SCOPES[traces]) and _has(document, _item_keys(traces)):
        item = {key: value for key, value in document.items() if key not in ("resource", "scope")}
        yield {
            "resource": document.get("resource"),
            _SCOPES[traces][0]: [{"scope": document.get("scope"), _ITEMS[traces]: [item]}],
        }
    else:
        yield document


def _item_keys(traces: bool) -> tuple[str, ...]:
    return _IDS if traces else (*_IDS, "timeUnixNano", "time_unix_nano", "observedTimeUnixNano", "body")


def _has(document: dict[str, Any], keys: tuple[str, ...]) -> bool:
    return any(key in document for key in keys)
