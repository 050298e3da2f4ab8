"""Requests redacted on arrival: every text of them, and nothing else of them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.core.engine import EVENTS_KIND, TRACES_KIND
from collector.core.errors import Rejected
from collector.core.telemetry import Telemetry
from collector.redaction.attributes import AttributeLists
from collector.redaction.redactor import Redactor
from collector.redaction.requests import RequestRedactor
from collector.wire.split import split_logs, split_traces
from tests.driftline.planted import NEEDLES, scenarios

KEY = b"a key of sixteen or more"


def a_redactor(allow: tuple[str, ...] = (), deny: tuple[str, ...] = (), **options: object) -> RequestRedactor:
    return RequestRedactor(Redactor(KEY, **options), AttributeLists(allow, deny), Telemetry())  # type: ignore[arg-type]


def a_request() -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add(schema_url="https://schema.example/1")
    group.resource.attributes.add(key="service.name").value.string_value = "shop"
    scope = group.scope_spans.add()
    scope.scope.name = "lib"
    scope.spans.add(trace_id=b"t" * 16, span_id=b"s" * 8, name="chat", start_time_unix_nano=5, end_time_unix_nano=7)
    return request


def redacted(request: ExportTraceServiceRequest, clean: RequestRedactor) -> ExportTraceServiceRequest:
    return ExportTraceServiceRequest.FromString(clean(TRACES_KIND, request.SerializeToString()))


def test_a_request_with_nothing_in_it_to_replace_stays_as_it_is() -> None:
    request = a_request()
    span = request.resource_spans[0].scope_spans[0].spans[0]
    span.attributes.add(key="n").value.int_value = 1_700_000_000_000_000_000
    span.attributes.add(key="d").value.double_value = 4111111111111111.0
    span.attributes.add(key="b").value.bool_value = True
    span.attributes.add(key="e")
    span.attributes.add(key="image").value.bytes_value = b"\x89PNG\xff\x00"
    span.attributes.add(key="json").value.string_value = '{"spaced" :  [1, 2.50, "x"]}'
    assert redacted(request, a_redactor()) == request


def test_every_dialect_is_read_as_before() -> None:
    """Ids, times and the number of spans and records are those of the request."""
    clean = a_redactor(
        (),
        ("app.denied",),
        names=lambda text: [(at, at + 20)] if (at := text.find("Wilhelmina Zweistein")) >= 0 else [],
    )
    for requests in scenarios():
        for kind, body in requests:
            after = clean(kind, body)
            split = split_traces if kind == TRACES_KIND else split_logs
            heads = [
                [(one.trace_id, one.span_id, getattr(one, "end_ns", 0)) for one in split(content).slices]
                for content in (body, after)
            ]
            assert heads[0] == heads[1]
            assert clean(kind, after) == after
            assert [needle for needle in NEEDLES if needle.encode() in after and "EMP" not in needle] == []


def test_attributes_that_are_allowed_or_denied() -> None:
    request = a_request()
    request.resource_spans[0].resource.attributes.add(key="host").value.string_value = "203.0.113.9"
    span = request.resource_spans[0].scope_spans[0].spans[0]
    span.attributes.add(key="ok").value.string_value = "jo@example.org"
    span.attributes.add(key="private").value.array_value.values.add().string_value = "anything"
    clean = redacted(request, a_redactor(("ok", "resource.host"), ("private",)))
    after = clean.resource_spans[0].scope_spans[0].spans[0]
    values = {pair.key: pair.value.string_value for pair in after.attributes}
    assert values["ok"] == "jo@example.org"
    assert values["private"].startswith("<denied:")
    assert clean.resource_spans[0].resource.attributes[1].value.string_value == "203.0.113.9"
    dropped = redacted(request, a_redactor((), ("private",), actions={"denied": "drop"}))
    assert [pair.key for pair in dropped.resource_spans[0].scope_spans[0].spans[0].attributes] == ["ok"]


def test_the_body_of_a_log_record_may_be_denied() -> None:
    request = ExportLogsServiceRequest()
    record = request.resource_logs.add().scope_logs.add().log_records.add(trace_id=b"t" * 16)
    record.body.kvlist_value.values.add(key="content").value.string_value = "anything"
    body = a_redactor((), ("body",))(EVENTS_KIND, request.SerializeToString())
    after = ExportLogsServiceRequest.FromString(body).resource_logs[0].scope_logs[0].log_records[0]
    assert after.body.string_value.startswith("<denied:")


def test_what_the_schema_does_not_know_is_left_out() -> None:
    request = a_request()
    raw = request.resource_spans[0].scope_spans[0].spans[0].SerializeToString()
    unknown = b"\xfa\x07\x0ejo@example.org"  # field 127, text
    parsed = type(request.resource_spans[0].scope_spans[0].spans[0]).FromString(raw + unknown)
    request.resource_spans[0].scope_spans[0].spans[0].CopyFrom(parsed)
    body = request.SerializeToString()
    assert b"jo@example.org" in body
    assert b"jo@example.org" not in a_redactor()(TRACES_KIND, body)


def test_text_that_is_no_utf8_costs_itself_and_not_its_span() -> None:
    request = a_request()
    span = request.resource_spans[0].scope_spans[0].spans[0]
    span.attributes.add(key="bad").value.string_value = "AAAA"
    span.attributes.add(key="good").value.string_value = "jo@example.org"
    body = request.SerializeToString().replace(b"AAAA", b"A\xff\xfeA")
    after = a_redactor()(TRACES_KIND, body)
    assert len(split_traces(after).slices) == 1
    assert b"jo@example.org" not in after
    assert b"<email:" in after


def test_an_item_that_nobody_can_read_is_left_out_and_counted() -> None:
    telemetry = Telemetry()
    clean = RequestRedactor(Redactor(KEY), AttributeLists(), telemetry)
    body = a_request().SerializeToString()
    broken = b"\x0a\x06\x12\x04\x12\x02\xff\xff"  # a span of two bytes that are none
    after = clean(TRACES_KIND, body + broken)
    assert len(split_traces(after).slices) == 1
    assert telemetry.counter("driftline_undecodable_spans", "", ["reason"]).values() == {("bad_span",): 1}


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_bytes_of_any_kind_are_redacted_or_refused(body: bytes) -> None:
    clean = a_redactor()
    for kind in (TRACES_KIND, EVENTS_KIND):
        try:
            after = clean(kind, body)
        except Rejected:
            continue
        assert clean(kind, after) == after


@pytest.mark.parametrize("kind", [TRACES_KIND, EVENTS_KIND])
def test_an_empty_request(kind: str) -> None:
    assert a_redactor()(kind, b"") == b""
