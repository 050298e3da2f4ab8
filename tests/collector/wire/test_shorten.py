"""Spans that are too long lose what is long in them, and say so."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from collector.core.model import LogSlice, Origin, SpanSlice
from collector.wire.decode import decode_log, decode_span
from collector.wire.shorten import shorten_record, shorten_span

MAX_BYTES = 64 * 1024
LONG = "é" * 100_000


def text(key: str, value: str) -> KeyValue:
    return KeyValue(key=key, value=AnyValue(string_value=value))


def shortened(**fields: Any) -> Span:
    whole = Span(trace_id=b"t" * 16, span_id=b"s" * 8, start_time_unix_nano=5, end_time_unix_nano=9, **fields)
    raw = shorten_span(whole.SerializeToString(), MAX_BYTES)
    assert len(raw) <= MAX_BYTES
    short = Span.FromString(raw)
    assert (short.trace_id, short.span_id) == (b"t" * 16, b"s" * 8)
    assert (short.start_time_unix_nano, short.end_time_unix_nano) == (5, 9)
    return short


def test_a_long_text_is_cut_at_a_whole_character_and_what_comes_after_it_is_kept() -> None:
    short = shortened(attributes=[text("prompt", LONG), text("gen_ai.request.model", "m")])
    assert [pair.key for pair in short.attributes] == ["prompt", "gen_ai.request.model"]
    kept = short.attributes[0].value.string_value
    assert set(kept) == {"é"}
    assert 7_000 < len(kept) <= MAX_BYTES // 8
    assert short.dropped_attributes_count == 1


def test_what_there_is_no_room_for_is_left_out_from_the_end_and_counted_with_what_the_sender_dropped() -> None:
    short = shortened(attributes=[text(str(number), "x" * 1000) for number in range(200)], dropped_attributes_count=3)
    kept = [int(pair.key) for pair in short.attributes]
    assert kept == list(range(len(kept)))
    assert 40 < len(kept) < 64
    assert short.dropped_attributes_count == 3 + 200 - len(kept)


def test_name_and_status_and_events_are_cut_too() -> None:
    event = Span.Event(name="gen_ai.choice", time_unix_nano=7, attributes=[text("a", "b"), text("content", LONG)])
    short = shortened(name=LONG, status=Status(code=Status.STATUS_CODE_ERROR, message=LONG), events=[event])
    assert len(short.name.encode()) <= 1024
    assert (short.status.code, len(short.status.message.encode())) == (Status.STATUS_CODE_ERROR, 1024)
    assert (short.events[0].name, short.events[0].time_unix_nano) == ("gen_ai.choice", 7)
    assert short.events[0].attributes[0] == text("a", "b")
    assert short.dropped_events_count == 1


@pytest.mark.parametrize("body", [AnyValue(string_value=LONG), AnyValue(bytes_value=LONG.encode())])
def test_the_body_of_a_log_record_is_cut(body: AnyValue) -> None:
    raw = shorten_record(LogRecord(body=body, attributes=[text("a", "b")]).SerializeToString(), MAX_BYTES)
    short = LogRecord.FromString(raw)
    assert len(raw) <= MAX_BYTES // 2
    assert short.body.WhichOneof("value") == body.WhichOneof("value")
    assert list(short.attributes) == [text("a", "b")]
    assert decode_log(LogSlice(b"t" * 16, b"", 1, raw, Origin(b"", b""))).truncated


def test_a_shortened_span_is_marked_as_truncated() -> None:
    raw = shorten_span(Span(attributes=[text("prompt", LONG)]).SerializeToString(), MAX_BYTES)
    assert decode_span(SpanSlice(b"t" * 16, b"s" * 8, b"", 1, 2, 0, "", raw, Origin(b"", b""))).truncated


def test_a_list_that_is_too_long_is_left_out() -> None:
    many = AnyValue()
    many.array_value.values.extend(AnyValue(string_value="x" * 1000) for _ in range(100))
    short = shortened(attributes=[KeyValue(key="list", value=many), text("a", "b")])
    assert list(short.attributes) == [text("a", "b")]
    assert short.dropped_attributes_count == 1


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300), st.sampled_from([shorten_span, shorten_record]), st.integers(0, 3))
def test_any_bytes_are_shortened_or_left_as_they_are(raw: bytes, shorten: Any, times: int) -> None:
    grown = raw * 10**times
    short = shorten(grown, 16 * 1024)
    assert short == grown or len(short) <= 16 * 1024
