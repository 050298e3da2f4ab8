"""Pieces of OTLP are put into requests, and requests stay what they are."""

import contextlib
from typing import Any

import pytest
from google.protobuf import json_format
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.core.engine import EVENTS_KIND, TRACES_KIND
from collector.core.errors import Rejected
from collector.wire.forms import request_from_json, request_from_protobuf
from collector.wire.json import convert
from collector.wire.split import split_logs, split_traces

RESOURCE = {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]}
SPAN = {"traceId": "07" * 16, "spanId": "01" * 8, "name": "chat", "endTimeUnixNano": "9"}
RECORD = {"timeUnixNano": "5", "traceId": "07" * 16, "spanId": "01" * 8, "body": {"stringValue": "hello"}}
TRACES_GROUP = {"resource": RESOURCE, "scopeSpans": [{"scope": {"name": "x"}, "spans": [SPAN]}]}
LOGS_GROUP = {"resource": RESOURCE, "scopeLogs": [{"scope": {"name": "x"}, "logRecords": [RECORD]}]}


def traces() -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.add(key="service.name").value.string_value = "shop"
    scope = group.scope_spans.add()
    scope.scope.name = "x"
    scope.spans.add(trace_id=bytes([7] * 16), span_id=bytes([1] * 8), name="chat", end_time_unix_nano=9)
    return request


def logs() -> ExportLogsServiceRequest:
    request = ExportLogsServiceRequest()
    group = request.resource_logs.add()
    group.resource.attributes.add(key="service.name").value.string_value = "shop"
    record = group.scope_logs.add().log_records.add(time_unix_nano=5, trace_id=bytes([7] * 16), span_id=bytes([1] * 8))
    record.body.string_value = "hello"
    return request


def test_a_request_in_protobuf_stays_byte_for_byte_what_it_is() -> None:
    for kind, request in ((TRACES_KIND, traces()), (EVENTS_KIND, logs())):
        both = request.SerializeToString() * 2
        assert request_from_protobuf(kind, both) == both
        assert request_from_protobuf(kind, b"") == b""


def test_resource_spans_and_resource_logs_in_protobuf_are_put_into_a_request() -> None:
    assert request_from_protobuf(TRACES_KIND, traces().resource_spans[0].SerializeToString()) == (
        traces().SerializeToString()
    )
    assert request_from_protobuf(EVENTS_KIND, logs().resource_logs[0].SerializeToString()) == logs().SerializeToString()


def test_a_single_span_or_record_in_protobuf_is_put_into_a_request() -> None:
    span = traces().resource_spans[0].scope_spans[0].spans[0]
    (slice_,) = split_traces(request_from_protobuf(TRACES_KIND, span.SerializeToString())).slices
    assert slice_.raw == span.SerializeToString()
    for fields in ({}, {"time_unix_nano": 0}, {"time_unix_nano": 0, "observed_time_unix_nano": 3}):
        record = logs().resource_logs[0].scope_logs[0].log_records[0]
        for name, value in fields.items():
            setattr(record, name, value)
        (log,) = split_logs(request_from_protobuf(EVENTS_KIND, record.SerializeToString())).slices
        assert log.raw == record.SerializeToString()


@pytest.mark.parametrize(
    ("kind", "document", "items"),
    [
        (TRACES_KIND, {"resourceSpans": [TRACES_GROUP]}, 1),
        (TRACES_KIND, TRACES_GROUP, 1),
        (TRACES_KIND, SPAN, 1),
        (TRACES_KIND, {**SPAN, "resource": RESOURCE, "scope": {"name": "x"}}, 1),
        (TRACES_KIND, [SPAN, TRACES_GROUP, {"resourceSpans": [TRACES_GROUP, TRACES_GROUP]}], 4),
        (TRACES_KIND, [], 0),
        (TRACES_KIND, {}, 0),
        (EVENTS_KIND, {"resourceLogs": [LOGS_GROUP]}, 1),
        (EVENTS_KIND, LOGS_GROUP, 1),
        (EVENTS_KIND, RECORD, 1),
        (EVENTS_KIND, [RECORD, {**RECORD, "resource": RESOURCE}], 2),
    ],
)
def test_every_form_of_json_is_taken(kind: str, document: Any, items: int) -> None:
    body = convert(request_from_json(kind, document), kind == EVENTS_KIND).body
    split: Any = split_traces(body) if kind == TRACES_KIND else split_logs(body)
    assert (len(split.slices), split.rejected) == (items, [])


def test_the_resource_and_the_scope_beside_the_fields_of_a_span_are_its_own() -> None:
    document = request_from_json(TRACES_KIND, {**SPAN, "resource": RESOURCE, "scope": {"name": "x"}})
    assert ExportTraceServiceRequest.FromString(convert(document, False).body) == traces()


@pytest.mark.parametrize("document", [{"name": "x"}, {"resource": {}}, [1], [[SPAN]], "x", None, 7, {"spans": [SPAN]}])
def test_what_is_none_of_the_forms_is_found_wrong_or_empty(document: Any) -> None:
    with contextlib.suppress(Rejected):
        assert split_traces(convert(request_from_json(TRACES_KIND, document), False).body).slices == []


_KEYS = [*SPAN, *TRACES_GROUP, "resourceSpans", "resource", "body"]
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_KEYS), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(_VALUES, st.sampled_from([TRACES_KIND, EVENTS_KIND]))
def test_any_json_gives_a_request_or_a_rejection(document: Any, kind: str) -> None:
    with contextlib.suppress(Rejected):
        convert(request_from_json(kind, document), kind == EVENTS_KIND)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60), st.sampled_from([TRACES_KIND, EVENTS_KIND]))
def test_any_bytes_give_bytes(body: bytes, kind: str) -> None:
    assert isinstance(request_from_protobuf(kind, body), bytes)


def test_the_examples_are_what_protobuf_itself_makes_of_them() -> None:
    assert json_format.MessageToDict(traces())["resourceSpans"][0]["resource"] == RESOURCE
