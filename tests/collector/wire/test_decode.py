"""Slices to spans: values, limits, and bytes that are not what they should be."""

import base64
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanMessage

from collector.core.errors import Rejected
from collector.core.model import JSON, LogSlice, Origin, Span, SpanSlice
from collector.wire.decode import Budget, DecodeLimits, decode_log, decode_span

ORIGIN = Origin(
    Resource(attributes=[KeyValue(key="service.name", value=AnyValue(string_value="shop"))]).SerializeToString(),
    InstrumentationScope(name="ai", version="6").SerializeToString(),
)


def any_value(value: JSON) -> AnyValue:
    message = AnyValue()
    if isinstance(value, bool):
        message.bool_value = value
    elif isinstance(value, int):
        message.int_value = value
    elif isinstance(value, float):
        message.double_value = value
    elif isinstance(value, str):
        message.string_value = value
    elif isinstance(value, list):
        message.array_value.SetInParent()
        message.array_value.values.extend(any_value(item) for item in value)
    elif isinstance(value, dict):
        message.kvlist_value.SetInParent()
        message.kvlist_value.values.extend(KeyValue(key=key, value=any_value(item)) for key, item in value.items())
    return message


def slice_of(raw: bytes, origin: Origin = ORIGIN) -> SpanSlice:
    return SpanSlice(b"t" * 16, b"s" * 8, b"", 5, 9, 2, "", raw, origin)


def decoded(attributes: dict[str, Any], limits: DecodeLimits | None = None) -> Span:
    message = SpanMessage(
        name="chat", kind=3, attributes=[KeyValue(key=k, value=any_value(v)) for k, v in attributes.items()]
    )
    part = slice_of(message.SerializeToString())
    return decode_span(part) if limits is None else decode_span(part, limits)


def test_a_span_is_decoded_whole() -> None:
    message = SpanMessage(name="chat", kind=3)
    message.attributes.add(key="model", value=AnyValue(string_value="gpt-4o"))
    event = message.events.add(name="exception", time_unix_nano=7)
    event.attributes.add(key="exception.type", value=AnyValue(string_value="Timeout"))
    message.links.add(trace_id=b"l" * 16, span_id=b"k" * 8)
    message.status.message = "late"
    span = decode_span(slice_of(message.SerializeToString()))
    assert (span.trace_id, span.span_id, span.parent_id) == ("74" * 16, "73" * 8, None)
    assert (span.name, span.kind, span.start_ns, span.end_ns, span.failed) == ("chat", 3, 5, 9, True)
    assert span.attributes == {"model": "gpt-4o"}
    assert [(event.name, event.time_ns, event.attributes) for event in span.events] == [
        ("exception", 7, {"exception.type": "Timeout"})
    ]
    assert span.links == [("6c" * 16, "6b" * 8)]
    assert (span.status_message, span.scope_name, span.scope_version) == ("late", "ai", "6")
    assert span.resource == {"service.name": "shop"}
    assert not span.truncated


json_values = st.recursive(
    st.text(max_size=20) | st.integers(-(2**63), 2**63 - 1) | st.booleans() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.text(max_size=10), json_values, max_size=8))
def test_every_kind_of_value_comes_back_as_it_was(attributes: dict[str, JSON]) -> None:
    span = decoded(attributes)
    assert span.attributes == attributes
    assert not span.truncated


def test_an_unset_value_is_none_and_bytes_are_base64() -> None:
    message = SpanMessage()
    message.attributes.add(key="nothing")
    message.attributes.add(key="blob", value=AnyValue(bytes_value=b"\xff\x00"))
    span = decode_span(slice_of(message.SerializeToString()))
    assert span.attributes == {"nothing": None, "blob": base64.b64encode(b"\xff\x00").decode()}


@pytest.mark.parametrize(("text", "kept"), [("abcd", "abcd"), ("abcde", "abcd"), ("aéé", "aé"), ("ééé", "éé")])
def test_a_long_text_is_cut_at_whole_characters_and_marked(text: str, kept: str) -> None:
    span = decoded({"text": text}, DecodeLimits(value_bytes=4))
    assert span.attributes == {"text": kept}
    assert span.truncated == (text != kept)


def test_attributes_over_the_limit_are_left_out_and_marked() -> None:
    span = decoded({str(number): number for number in range(20)}, DecodeLimits(attributes=5))
    assert list(span.attributes) == ["0", "1", "2", "3", "4"]
    assert span.truncated


def test_an_attribute_with_a_key_of_a_megabyte_is_left_out_and_marked() -> None:
    span = decoded({"k" * 2**20: 1, "model": "m"})
    assert span.attributes == {"model": "m"}
    assert span.truncated


def test_what_a_sender_dropped_marks_its_span_and_so_do_events_over_the_limit() -> None:
    assert decode_span(slice_of(SpanMessage(dropped_attributes_count=1).SerializeToString())).truncated
    many = SpanMessage()
    for _ in range(3):
        many.events.add(name="e")
    span = decode_span(slice_of(many.SerializeToString()), DecodeLimits(events=2))
    assert (len(span.events), span.truncated) == (2, True)


def test_the_spans_of_a_trace_share_a_budget_of_values_nested_ones_too() -> None:
    message = SpanMessage(attributes=[KeyValue(key=str(n), value=any_value([1, 2, 3])) for n in range(4)])
    part, budget = slice_of(message.SerializeToString()), Budget(25)
    first, second, third = (decode_span(part, budget=budget) for _ in range(3))
    assert (first.attributes, first.truncated) == ({str(n): [1, 2, 3] for n in range(4)}, False)
    assert (second.attributes, second.truncated) == ({"0": [1, 2, 3], "1": [1, 2], "2": [], "3": []}, True)
    assert (third.attributes, third.truncated) == ({}, True)


def test_deep_values_end_in_none_and_are_marked() -> None:
    value: JSON = "bottom"
    for _ in range(5):
        value = [value]
    span = decoded({"deep": value}, DecodeLimits(depth=3))
    assert span.attributes == {"deep": [[[None]]]}
    assert span.truncated


def test_text_that_is_not_utf8_is_repaired_and_the_rest_unharmed() -> None:
    good = SpanMessage(name="chat", attributes=[KeyValue(key="model", value=AnyValue(string_value="XX"))])
    span = decode_span(slice_of(good.SerializeToString().replace(b"XX", b"\xffX")))
    assert (span.name, span.attributes) == ("chat", {"model": "\ufffdX"})


def test_a_value_nested_too_deep_for_protobuf_costs_itself_and_not_its_span() -> None:
    deep = any_value("bottom").SerializeToString()
    for _ in range(500):
        deep = field(5, field(1, deep))  # AnyValue.array_value, ArrayValue.values
    raw = SpanMessage(name="chat", attributes=[KeyValue(key="good", value=any_value(1))]).SerializeToString()
    span = decode_span(slice_of(raw + field(9, field(1, b"deep") + field(2, deep))))
    assert (span.name, span.attributes["good"]) == ("chat", 1)


def field(number: int, content: bytes) -> bytes:
    """A length-delimited protobuf field."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def varint(number: int) -> bytes:
    found = b""
    while number > 127:
        found += bytes([number & 127 | 128])
        number >>= 7
    return found + bytes([number])


@pytest.mark.parametrize("raw", [b"\xff", b"\x0a\xff", b"not a span at all"])
def test_bytes_that_are_no_span_are_rejected_by_reason(raw: bytes) -> None:
    with pytest.raises(Rejected) as caught:
        decode_span(slice_of(raw))
    assert caught.value.reason == "bad_span"


@settings(max_examples=300)
@given(st.binary(max_size=200))
def test_any_bytes_are_a_span_or_rejected(raw: bytes) -> None:
    reasons = {reason_to_refuse(lambda: decode_span(slice_of(raw)))}
    reasons.add(reason_to_refuse(lambda: decode_log(LogSlice(b"", b"", 0, raw, ORIGIN))))
    assert reasons <= {None, "bad_span", "bad_log"}


def reason_to_refuse(decode: Callable[[], object]) -> str | None:
    try:
        decode()
    except Rejected as error:
        return error.reason
    return None


@settings(max_examples=200)
@given(st.data())
def test_a_flipped_byte_never_escapes_as_another_exception(data: st.DataObject) -> None:
    message = SpanMessage(name="chat", attributes=[KeyValue(key="a", value=any_value({"b": ["c", 1.5, True]}))])
    raw = bytearray(message.SerializeToString())
    raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    assert reason_to_refuse(lambda: decode_span(slice_of(bytes(raw)))) in (None, "bad_span")


def test_a_bad_resource_or_scope_does_not_cost_the_span() -> None:
    span = decode_span(slice_of(SpanMessage(name="chat").SerializeToString(), Origin(b"\xff", b"\xff")))
    assert (span.name, span.resource, span.scope_name) == ("chat", {}, "")


def test_spans_of_one_origin_share_the_decoded_resource() -> None:
    raw = SpanMessage(name="chat").SerializeToString()
    assert decode_span(slice_of(raw)).resource is decode_span(slice_of(raw)).resource


def test_a_log_record_is_decoded_with_its_body() -> None:
    record = LogRecord(event_name="gen_ai.choice", body=any_value({"index": 0, "message": {"content": "hi"}}))
    event = decode_log(LogSlice(b"t" * 16, b"s" * 8, 4, record.SerializeToString(), ORIGIN))
    assert (event.event_name, event.body, event.span_id) == (
        "gen_ai.choice",
        {"index": 0, "message": {"content": "hi"}},
        "73" * 8,
    )


def test_the_older_attribute_names_a_log_event_too() -> None:
    record = LogRecord(attributes=[KeyValue(key="event.name", value=any_value("gen_ai.user.message"))])
    event = decode_log(LogSlice(b"t" * 16, b"", 4, record.SerializeToString(), ORIGIN))
    assert (event.event_name, event.span_id) == ("gen_ai.user.message", None)
