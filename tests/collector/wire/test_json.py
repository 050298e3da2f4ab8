"""OTLP/JSON becomes the protobuf that means the same, and a value of the wrong type costs its span alone."""

import base64
import contextlib
import random
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from collector.core.errors import Rejected
from collector.wire.json import logs_from_json, traces_from_json
from collector.wire.split import MAX_ITEMS, split_logs, split_traces

Bodies = Callable[[str], dict[str, bytes]]

_IDS = {"traceId", "spanId", "parentSpanId", "trace_id", "span_id", "parent_span_id"}
TRACE_ID, SPAN_ID = "5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b174"


def _otlp_json(message: Message, snake_case: bool = False) -> bytes:
    """What a sender of OTLP/JSON makes of a request: the protobuf library's JSON, but with hexadecimal ids."""

    def with_hex(value: Any) -> Any:
        if isinstance(value, list):
            return [with_hex(item) for item in value]
        if not isinstance(value, dict):
            return value
        return {k: base64.b64decode(v).hex() if k in _IDS else with_hex(v) for k, v in value.items()}

    plain = MessageToDict(message, use_integers_for_enums=True, preserving_proto_field_name=snake_case)
    return orjson.dumps(with_hex(plain))


def _request(**fields: Any) -> bytes:
    span = {"traceId": TRACE_ID, "spanId": SPAN_ID, **fields}
    return orjson.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]})


def _span(body: bytes) -> Span:
    converted = traces_from_json(body)
    assert not converted.rejected, [str(error) for error in converted.rejected]
    return ExportTraceServiceRequest.FromString(converted.body).resource_spans[0].scope_spans[0].spans[0]


def _value(value: Any) -> Any:
    return _span(_request(attributes=[{"key": "k", "value": value}])).attributes[0].value


@pytest.mark.parametrize("snake_case", [False, True])
def test_every_recorded_request_survives_the_way_over_json(recorded: Bodies, snake_case: bool) -> None:
    for name, body in recorded("*.otlp.pb").items():
        request = ExportTraceServiceRequest.FromString(body)
        converted = traces_from_json(_otlp_json(request, snake_case))
        assert converted.rejected == []
        assert ExportTraceServiceRequest.FromString(converted.body) == request, name
    for name, body in recorded("*.otlp-logs.pb").items():
        logs = ExportLogsServiceRequest.FromString(body)
        assert ExportLogsServiceRequest.FromString(logs_from_json(_otlp_json(logs, snake_case)).body) == logs, name


def test_recorded_json_requests_are_read_whole(recorded: Bodies) -> None:
    counts = {}
    for name, body in recorded("*.otlp.json").items():
        converted = traces_from_json(body)
        assert converted.rejected == []
        counts[name] = len(split_traces(converted.body).slices)
    assert counts == {"vercel_agent_travel.otlp.json": 7, "vercel_chat_support.otlp.json": 2}


def test_ids_are_hexadecimal_in_either_case() -> None:
    span = _span(_request(traceId=TRACE_ID.upper(), parentSpanId=SPAN_ID, links=[{"traceId": TRACE_ID}]))
    assert span.trace_id == span.links[0].trace_id == bytes.fromhex(TRACE_ID)
    assert span.parent_span_id == bytes.fromhex(SPAN_ID)


@pytest.mark.parametrize("written", ["1718000000123456789", 1718000000123456789])
def test_times_are_numbers_or_text(written: Any) -> None:
    assert _span(_request(startTimeUnixNano=written)).start_time_unix_nano == 1718000000123456789


@pytest.mark.parametrize("written", [3, "3", "SPAN_KIND_CLIENT"])
def test_enums_are_numbers_or_names(written: Any) -> None:
    assert _span(_request(kind=written, status={"code": "STATUS_CODE_ERROR"})).kind == 3
    assert _span(_request(status={"code": "STATUS_CODE_ERROR"})).status.code == 2


@pytest.mark.parametrize(
    ("written", "kind", "expected"),
    [
        ({"stringValue": "a"}, "string_value", "a"),
        ({"stringValue": ""}, "string_value", ""),
        ({"string_value": "a"}, "string_value", "a"),
        ({"boolValue": False}, "bool_value", False),
        ({"intValue": "-9223372036854775808"}, "int_value", -(2**63)),
        ({"intValue": 0}, "int_value", 0),
        ({"intValue": 3.0}, "int_value", 3),
        ({"doubleValue": 1}, "double_value", 1.0),
        ({"doubleValue": "1.5e3"}, "double_value", 1500.0),
        ({"doubleValue": "-Infinity"}, "double_value", float("-inf")),
        ({"bytesValue": "AP8="}, "bytes_value", b"\x00\xff"),
        ({"bytesValue": "_w"}, "bytes_value", b"\xff"),
    ],
)
def test_attribute_values_of_each_kind(written: Any, kind: str, expected: Any) -> None:
    value = _value(written)
    assert value.WhichOneof("value") == kind
    assert getattr(value, kind) == expected


def test_nan_is_a_double() -> None:
    assert str(_value({"doubleValue": "NaN"}).double_value) == "nan"


def test_empty_lists_and_maps_are_there_and_nothing_is_nothing() -> None:
    assert _value({"arrayValue": {}}).WhichOneof("value") == "array_value"
    assert _value({"kvlistValue": {"values": []}}).WhichOneof("value") == "kvlist_value"
    assert _value({}).WhichOneof("value") is None
    assert _value(None).WhichOneof("value") is None


def test_unknown_keys_and_nulls_are_read_past() -> None:
    assert _span(_request(name=None, events=None, someday={"new": [1]})).name == ""
    assert traces_from_json(b'{"resourceSpans": null, "partial": 1}').body == b""
    assert traces_from_json(b"{}").body == b""


@pytest.mark.parametrize(
    ("fields", "reason", "message"),
    [
        ({"name": 5}, "bad_span", "spans[1].name: a number is not text"),
        ({"traceId": "xyz"}, "bad_trace_id", "spans[1].traceId: 'xyz' is not hexadecimal"),
        ({"traceId": 5}, "bad_trace_id", "spans[1].traceId: a number is not hexadecimal"),
        ({"spanId": "abc"}, "bad_span_id", "spans[1].spanId: 'abc' is not hexadecimal"),
        ({"kind": "CLIENT"}, "bad_span", "spans[1].kind: 'CLIENT' is not one of SPAN_KIND_UNSPECIFIED"),
        ({"startTimeUnixNano": -1}, "bad_span", "startTimeUnixNano: -1 is not between 0 and 18446744073709551615"),
        ({"startTimeUnixNano": True}, "bad_span", "startTimeUnixNano: a boolean is not a whole number"),
        ({"startTimeUnixNano": 1.5}, "bad_span", "startTimeUnixNano: a number is not a whole number"),
        ({"attributes": {}}, "bad_span", "attributes: an object is not a list"),
        ({"attributes": [{"key": "a"}, 7]}, "bad_span", "attributes[1]: a number is not an object"),
        ({"attributes": [{"value": {"stringValue": []}}]}, "bad_span", "[0].value.stringValue: a list is not text"),
        ({"attributes": [{"value": {"boolValue": 1}}]}, "bad_span", "boolValue: a number is not true or false"),
        ({"attributes": [{"value": {"doubleValue": "1_0"}}]}, "bad_span", "doubleValue: text is not a number"),
        ({"attributes": [{"value": {"bytesValue": "*"}}]}, "bad_span", "bytesValue: text is not base64"),
        ({"attributes": [{"value": {"intValue": "9" * 20}}]}, "bad_span", "is not between"),
        ({"attributes": [{"value": {"intValue": "9" * 5000}}]}, "bad_span", "text is not a whole number"),
    ],
)
def test_a_bad_span_is_left_out_alone_and_named_by_its_path(fields: Any, reason: str, message: str) -> None:
    good = {"traceId": TRACE_ID, "spanId": SPAN_ID}
    spans = [good, {**good, **fields}, good]
    converted = traces_from_json(orjson.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}))
    assert len(split_traces(converted.body).slices) == 2
    (error,) = converted.rejected
    assert error.reason == reason
    assert str(error).startswith("resourceSpans[0].scopeSpans[0].spans[1].")
    assert message in str(error)


def test_a_message_about_content_does_not_quote_it() -> None:
    body = _request(attributes=[{"key": "k", "value": {"intValue": "my secret"}}])
    assert "secret" not in str(traces_from_json(body).rejected[0])


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"[]", "the request: a list is not an object"),
        (b"7", "the request: a number is not an object"),
        (b'{"resourceSpans": {}}', "resourceSpans: an object is not a list"),
        (b'{"resourceSpans": [7]}', r"resourceSpans\[0\]: a number is not an object"),
        (b'{"resource_spans": [{"scope_spans": 1}]}', r"resource_spans\[0\].scope_spans: a number is not a list"),
        (b'{"resourceSpans": [{"scopeSpans": [{"spans": ""}]}]}', r"scopeSpans\[0\].spans: text is not a list"),
        (b'{"resourceSpans": [{"resource": {"attributes": [{"key": 1}]}}]}', r"attributes\[0\].key: a number"),
        (b'{"resourceSpans": [{"resource": []}]}', "resource: a list is not an object"),
        (b'{"resourceSpans": [{"scopeSpans": [{"scope": {"name": 1}}]}]}', "scope.name: a number is not text"),
        (b"[" * 100_000, "not JSON"),
        (b'{"a": "\\ud800", "b": ' + b"[" * 100_000, "not JSON"),
        (b'{"a": NaN}', "not JSON"),
        (b'{"a": "\\ud800", "b": NaN}', "not JSON"),
    ],
)
def test_what_is_wrong_around_the_spans_makes_the_request_malformed(body: bytes, message: str) -> None:
    with pytest.raises(Rejected, match=message) as raised:
        traces_from_json(body)
    assert raised.value.reason == "malformed"


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (b"cut \\ud83d", "cut �"),
        (b"cut \\ud83d\\ude00 whole", "cut \N{GRINNING FACE} whole"),
        (b"\\ude00 first \\ud83d\\ude00", "� first \N{GRINNING FACE}"),
        (b"caf\xe9", "caf�"),
        (b"nul \\u0000", "nul \0"),
    ],
)
def test_text_that_is_no_unicode_costs_a_character_and_not_the_request(written: bytes, expected: str) -> None:
    assert _span(_request(name="HERE").replace(b"HERE", written)).name == expected


def _nested(levels: int) -> Any:
    value: Any = {"stringValue": "core"}
    for _ in range(levels):
        value = {"kvlistValue": {"values": [{"key": "k", "value": value}]}}
    return value


def test_deep_values_are_taken_as_long_as_readers_of_protobuf_take_them() -> None:
    assert _value(_nested(29)).WhichOneof("value") == "kvlist_value"
    converted = traces_from_json(_request(attributes=[{"key": "k", "value": _nested(30)}]))
    assert [error.reason for error in converted.rejected] == ["bad_span"]
    assert "nested more than" in str(converted.rejected[0])


def test_a_request_of_very_many_spans_is_refused() -> None:
    body = b'{"resourceSpans": [{"scopeSpans": [{"spans": [' + b"0," * MAX_ITEMS + b"0]}]}]}"
    with pytest.raises(Rejected) as raised:
        traces_from_json(body)
    assert raised.value.reason == "too_large"


def test_log_records_are_converted_with_body_and_event_name() -> None:
    record = {
        "traceId": TRACE_ID,
        "observedTimeUnixNano": "5",
        "eventName": "gen_ai.choice",
        "severityNumber": "SEVERITY_NUMBER_INFO",
        "body": {"kvlistValue": {"values": [{"key": "index", "value": {"intValue": 0}}]}},
    }
    body = orjson.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [record, {"body": 3}]}]}]})
    converted = logs_from_json(body)
    (part,) = split_logs(converted.body).slices
    assert part.time_ns == 5
    assert [error.reason for error in converted.rejected] == ["bad_record"]


_json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["resourceSpans", "scopeSpans", "spans", "attributes", "value", "arrayValue", "values", "key"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=25,
)


@settings(max_examples=300, deadline=None)
@given(_json_values)
def test_any_json_gives_a_result_or_a_rejection(value: Any) -> None:
    for document in (value, {"resourceSpans": [{"scopeSpans": [{"spans": [value, {"attributes": value}]}]}]}):
        try:
            body = orjson.dumps(document)
        except TypeError:
            continue  # an integer past 64 bits, which orjson does not write
        with contextlib.suppress(Rejected):
            ExportTraceServiceRequest.FromString(traces_from_json(body).body)


def test_mutated_requests_give_a_result_or_a_rejection(recorded: Bodies) -> None:
    rng = random.Random(11)
    body = recorded("vercel_chat*.json").popitem()[1]
    rejected = 0
    for _ in range(800):
        changed = bytearray(body)
        for _ in range(rng.randint(1, 3)):
            changed[rng.randrange(len(changed))] = rng.randrange(256)
        try:
            ExportTraceServiceRequest.FromString(traces_from_json(bytes(changed)).body)
        except Rejected:
            rejected += 1
    assert 100 < rejected < 700
