"""What no library would send: strategies for hypothesis.

Values of every kind where another is expected, alone, nested, and as JSON text within text; and edits that put them
into recorded requests, so that everything around them is as a real library writes it.
"""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from collector.core.engine import TRACES_KIND
from collector.core.model import JSON
from collector.wire.read import read_body

_RECORDED = Path(__file__).parents[1] / "data" / "traces"
_WORDS = (
    *("role", "content", "parts", "type", "text", "tool_calls", "function", "name", "arguments", "id", "messages"),
    *("kwargs", "args", "data", "choices", "message", "metadata", "score", "documents", "node", "input", "output"),
    *("user", "assistant", "tool", "system", "constructor", "tool_call", "json_schema", "schema", "query", "value"),
)
_NUMBERS = (0, -1, 1, 2**31, 2**53, 2**63 - 1, -(2**63), 10**9)
_FLOATS = (0.0, -0.0, float("nan"), float("inf"), float("-inf"), 1e308, 5e-324)
_TEXTS = (
    *("", " ", "null", "[]", "{}", '""', '{"', "[1, null]", '{"a": 1} trailing', "'{\"a\": 1}'", "{'a': 1}", "nan"),
    *('"\\ud800"', '{"\\ud800": ["\\udfff"]}', "\x00", "\u202e", "9" * 400, "1e999", "-1", "[" * 300, '{"a":' * 300),
    *("[" * 300 + "]" * 300, '["user"]', '["user", 1]', '[["user", "hi"]]', "<class 'x'>", "True", "٣", "x" * 3000),
)  # fmt: skip
INDICES = ("0", "1", "7", "00", "-1", "x", "", "٣", "1.2", "999999", "1000000000", "99999999999999999999")

Request: TypeAlias = ExportTraceServiceRequest | ExportLogsServiceRequest

scalars = (
    st.none()
    | st.booleans()
    | st.sampled_from(_NUMBERS)
    | st.sampled_from(_FLOATS)
    | st.sampled_from(_TEXTS)
    | st.sampled_from(_WORDS)
    | st.text(max_size=12)
    | st.integers(-(2**63), 2**63 - 1)
)
values: st.SearchStrategy[JSON] = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(_WORDS), inner, max_size=5),
    max_leaves=12,
)
as_text = st.sampled_from((json.dumps, lambda value: json.dumps(json.dumps(value)), repr, str))
attribute_values = values | st.builds(lambda value, form: form(value), values, as_text)


def any_value(value: JSON | bytes) -> AnyValue:
    """A value as a sender would put it into an attribute; None is a value that is not set."""
    message = AnyValue()
    match value:
        case bool():
            message.bool_value = value
        case int():
            message.int_value = value
        case float():
            message.double_value = value
        case str():
            message.string_value = value.encode(errors="replace").decode()
        case bytes():
            message.bytes_value = value
        case list():
            message.array_value.SetInParent()
            message.array_value.values.extend(any_value(item) for item in value)
        case dict():
            message.kvlist_value.SetInParent()
            message.kvlist_value.values.extend(KeyValue(key=k, value=any_value(v)) for k, v in value.items())
    return message


@cache
def recorded() -> tuple[tuple[str, str, bytes], ...]:
    """What real libraries sent: name, kind of the inbox, body in protobuf."""
    found = [(path, *read_body(path.read_bytes(), path.name)) for path in sorted(_RECORDED.rglob("*.otlp*"))]
    return tuple((f"{path.parent.name}/{path.name}", kind, body) for path, kind, body in found)


@cache
def recorded_keys() -> tuple[str, ...]:
    """All attributes that any of them uses."""
    keys: set[str] = set()
    for _, kind, body in recorded():
        for item in items(parse(kind, body)):
            keys |= {pair.key for pair in item.attributes}
    return tuple(sorted(keys))


def parse(kind: str, body: bytes) -> Request:
    return (ExportTraceServiceRequest if kind == TRACES_KIND else ExportLogsServiceRequest).FromString(body)


def items(request: Request) -> list[Any]:
    """All spans or log records of a request."""
    if isinstance(request, ExportTraceServiceRequest):
        return [span for group in request.resource_spans for scope in group.scope_spans for span in scope.spans]
    return [record for group in request.resource_logs for scope in group.scope_logs for record in scope.log_records]


# --- edits ---


def _attribute_lists(item: Any) -> list[Any]:
    return [item.attributes, *(event.attributes for event in getattr(item, "events", ()))]


def _replace(item: Any, draw: Callable[..., Any]) -> None:
    pairs = [pair for pairs in _attribute_lists(item) for pair in pairs]
    if pairs:
        draw(st.sampled_from(pairs)).value.CopyFrom(any_value(draw(attribute_values)))


def _replace_within(item: Any, draw: Callable[..., Any]) -> None:
    """Another value somewhere within the JSON text of an attribute."""
    pairs = [pair for pair in item.attributes if pair.value.string_value[:1] in ("[", "{")]
    if not pairs:
        return
    value = draw(st.sampled_from(pairs)).value
    try:
        document = json.loads(value.string_value)
    except ValueError:
        return
    found = list(places(document))
    if found:
        container, key = draw(st.sampled_from(found))
        container[key] = draw(values)
    value.string_value = json.dumps(document)


def places(document: Any) -> Any:
    pairs = enumerate(document) if isinstance(document, list) else document.items()
    for key, inner in list(pairs):
        yield document, key
        if isinstance(inner, list | dict):
            yield from places(inner)


def _cut(item: Any, draw: Callable[..., Any]) -> None:
    """A text that ends too early."""
    pairs = [pair for pair in item.attributes if pair.value.string_value]
    if pairs:
        value = draw(st.sampled_from(pairs)).value
        value.string_value = value.string_value[: draw(st.integers(0, len(value.string_value)))]


def _add(item: Any, draw: Callable[..., Any]) -> None:
    """An attribute of any dialect."""
    item.attributes.add(key=draw(st.sampled_from(recorded_keys())), value=any_value(draw(attribute_values)))


def _renumber(item: Any, draw: Callable[..., Any]) -> None:
    """Another number in a flat key such as `gen_ai.prompt.0.content`."""
    pairs = [pair for pair in item.attributes if any(part.isdecimal() for part in pair.key.split("."))]
    for pair in pairs[: draw(st.integers(1, 4))]:
        index = draw(st.sampled_from(INDICES))
        pair.key = ".".join(index if part.isdecimal() else part for part in pair.key.split("."))


def _drop(item: Any, draw: Callable[..., Any]) -> None:
    if item.attributes:
        del item.attributes[draw(st.integers(0, len(item.attributes) - 1))]


def _repeat(item: Any, draw: Callable[..., Any]) -> None:
    """A key that is there twice."""
    if item.attributes:
        pair = draw(st.sampled_from(list(item.attributes)))
        item.attributes.add(key=pair.key, value=any_value(draw(attribute_values)))


def _identity(item: Any, draw: Callable[..., Any]) -> None:
    ids = st.sampled_from((b"", bytes(8), bytes(16), b"short", b"p" * 8, item.span_id, item.span_id + b"x"))
    field = draw(st.sampled_from(("span_id", "trace_id", "parent_span_id")))
    if hasattr(item, field):
        setattr(item, field, draw(ids))


def _time(item: Any, draw: Callable[..., Any]) -> None:
    field = draw(st.sampled_from(("start_time_unix_nano", "end_time_unix_nano", "time_unix_nano")))
    if hasattr(item, field):
        setattr(item, field, draw(st.sampled_from((0, 1, 2**63 - 1, 2**63, 2**64 - 1, 4_102_444_800 * 10**9))))


def _bytes_for_text(item: Any, draw: Callable[..., Any]) -> None:
    if item.attributes:
        draw(st.sampled_from(list(item.attributes))).value.bytes_value = draw(st.binary(max_size=20))


def _body(item: Any, draw: Callable[..., Any]) -> None:
    if hasattr(item, "body"):
        item.body.CopyFrom(any_value(draw(attribute_values)))
    else:
        event = item.events.add(name=draw(st.sampled_from(("gen_ai.choice", "gen_ai.user.message", "exception", ""))))
        event.attributes.add(key="gen_ai.event.content", value=any_value(draw(attribute_values)))
        event.attributes.add(key="exception.message", value=any_value(draw(attribute_values)))


EDITS = (*(_replace, _replace_within, _cut, _add, _renumber, _drop, _repeat, _identity, _time, _bytes_for_text, _body),)


@st.composite
def requests(draw: Any) -> tuple[str, bytes]:
    """A recorded request after a few edits: its kind and its bytes."""
    _, kind, body = draw(st.sampled_from(recorded()))
    request = parse(kind, body)
    found = items(request)
    for _ in range(draw(st.integers(1, 6)) if found else 0):
        draw(st.sampled_from(EDITS))(draw(st.sampled_from(found)), draw)
    return kind, request.SerializeToString()


@st.composite
def damaged(draw: Any) -> tuple[str, bytes]:
    """A recorded request with some of its bytes changed, taken out, doubled or cut off."""
    _, kind, body = draw(st.sampled_from(recorded()))
    broken = bytearray(body)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(broken) - 1)))
        length = draw(st.integers(1, 16))
        match draw(st.sampled_from(("change", "remove", "double", "cut", "insert"))):
            case "change":
                broken[at : at + 1] = bytes([draw(st.integers(0, 255))])
            case "remove":
                del broken[at : at + length]
            case "double":
                broken[at:at] = broken[at : at + length]
            case "cut":
                del broken[at:]
            case "insert":
                broken[at:at] = draw(st.binary(max_size=16))
    return kind, bytes(broken)
