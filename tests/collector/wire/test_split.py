"""Requests into slices: what is read agrees with the full schema, and a bad span costs itself alone."""

import contextlib
import random
from collections.abc import Callable

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from collector.core.errors import Rejected
from collector.wire import split
from collector.wire.split import split_logs, split_traces, tally_logs, tally_traces

Bodies = Callable[[str], dict[str, bytes]]
Build = Callable[..., bytes]

ID = bytes([1] * 16)


def _field(number: int, content: bytes) -> bytes:
    """A length-delimited protobuf field, written by hand so that it may be wrong."""
    size, length = len(content), b""
    while size > 127:
        length += bytes([size & 127 | 128])
        size >>= 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + content


def _request_of(*spans: bytes) -> bytes:
    return _field(1, _field(2, b"".join(_field(2, span) for span in spans)))


def test_every_recorded_span_is_read_as_the_full_schema_reads_it(recorded: Bodies) -> None:
    for name, body in recorded("*.otlp.pb").items():
        request = ExportTraceServiceRequest.FromString(body)
        expected = [
            (group.resource, scope.scope, span)
            for group in request.resource_spans
            for scope in group.scope_spans
            for span in scope.spans
        ]
        found = split_traces(body)
        assert not found.rejected
        assert len(found.slices) == len(expected) > 0, name
        for part, (resource, scope, span) in zip(found.slices, expected, strict=True):
            assert (part.trace_id, part.span_id, part.parent_id) == (span.trace_id, span.span_id, span.parent_span_id)
            assert (part.start_ns, part.end_ns) == (span.start_time_unix_nano, span.end_time_unix_nano)
            assert (part.status_code, part.trace_state) == (span.status.code, span.trace_state)
            assert Span.FromString(part.raw) == span
            assert Resource.FromString(part.origin.resource) == resource
            assert InstrumentationScope.FromString(part.origin.scope) == scope


def test_every_recorded_log_record_is_read_as_the_full_schema_reads_it(recorded: Bodies) -> None:
    for body in recorded("*.otlp-logs.pb").values():
        request = ExportLogsServiceRequest.FromString(body)
        expected = [r for group in request.resource_logs for scope in group.scope_logs for r in scope.log_records]
        found = split_logs(body)
        assert len(found.slices) + found.without_trace == len(expected) > 0
        by_trace = [record for record in expected if record.trace_id]
        for part, record in zip(found.slices, by_trace, strict=True):
            assert (part.trace_id, part.span_id) == (record.trace_id, record.span_id)
            assert part.time_ns == (record.time_unix_nano or record.observed_time_unix_nano)


def test_spans_of_one_scope_share_one_origin_also_over_requests(traces_body: Build) -> None:
    first, second = split_traces(traces_body({}, {})).slices
    again = split_traces(traces_body()).slices[0]
    assert first.origin is second.origin is again.origin


def test_a_large_resource_is_not_kept_for_later(traces_body: Build) -> None:
    request = ExportTraceServiceRequest.FromString(traces_body())
    request.resource_spans[0].resource.attributes.add(key="blob").value.string_value = "x" * 20_000
    body = request.SerializeToString()
    one, other = split_traces(body).slices[0].origin, split_traces(body).slices[0].origin
    assert one == other
    assert one is not other


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"trace_id": b""}, "bad_trace_id"),
        ({"trace_id": bytes(16)}, "bad_trace_id"),
        ({"trace_id": b"x" * 15}, "bad_trace_id"),
        ({"trace_id": b"x" * 17}, "bad_trace_id"),
        ({"span_id": b""}, "bad_span_id"),
        ({"span_id": bytes(8)}, "bad_span_id"),
        ({"span_id": b"x" * 9}, "bad_span_id"),
        ({"parent_span_id": b"x"}, "bad_span_id"),
        ({"start_time_unix_nano": 2**63}, "bad_time"),
        ({"end_time_unix_nano": 2**64 - 1}, "bad_time"),
    ],
)
def test_a_bad_span_is_left_out_alone(traces_body: Build, fields: dict[str, object], reason: str) -> None:
    body = traces_body({}, fields, {})
    found = split_traces(body)
    assert [part.span_id[0] for part in found.slices] == [1, 3]
    assert [error.reason for error in found.rejected] == [reason]
    assert "span" in str(found.rejected[0])


def test_times_up_to_the_bound_are_taken(traces_body: Build) -> None:
    last = 2**63 - 1
    (part,) = split_traces(traces_body({"start_time_unix_nano": last, "end_time_unix_nano": last})).slices
    assert part.end_ns == last


def test_a_span_that_is_no_message_is_left_out_alone(traces_body: Build) -> None:
    good = split_traces(traces_body()).slices[0].raw
    found = split_traces(_request_of(good, b"\xff\xff\xff", good))
    assert len(found.slices) == 2
    assert [error.reason for error in found.rejected] == ["bad_span"]


def test_a_span_over_the_size_limit_is_shortened_and_one_at_it_is_not(traces_body: Build) -> None:
    body = traces_body({}, {"name": "n" * 50_000})
    size = len(split_traces(body).slices[1].raw)
    assert len(split_traces(body, max_span_bytes=size).slices[1].raw) == size
    found = split_traces(body, max_span_bytes=size - 1)
    assert (found.rejected, len(found.slices)) == ([], 2)
    assert len(found.slices[1].raw) < 2000
    assert tally_traces(body).accepted == 2


def test_a_parent_of_zeros_is_no_parent(traces_body: Build) -> None:
    assert split_traces(traces_body({"parent_span_id": bytes(8)})).slices[0].parent_id == b""


def test_a_span_that_ends_before_it_starts_ends_when_it_starts(traces_body: Build) -> None:
    (part,) = split_traces(traces_body({"start_time_unix_nano": 100, "end_time_unix_nano": 7})).slices
    assert (part.start_ns, part.end_ns) == (100, 100)


def test_trace_state_that_is_no_utf8_costs_nothing_but_itself(traces_body: Build) -> None:
    body = traces_body({"trace_state": "ot=th:8"}).replace(b"ot=th:8", b"ot=\xffh:8")
    assert split_traces(body).slices[0].trace_state == "ot=�h:8"


def test_a_field_sent_twice_counts_as_protobuf_says() -> None:
    """The last id wins, and messages sent in parts are merged: also in odd encodings we read what others read."""
    twice = _field(1, bytes([7] * 16)) + _field(1, ID) + _field(2, bytes([2] * 8))
    status = _field(15, b"\x18\x02") + _field(15, _field(2, b"boom"))
    (part,) = split_traces(_request_of(twice + status)).slices
    assert (part.trace_id, part.status_code) == (ID, 2)


def test_a_resource_sent_in_two_parts_is_one() -> None:
    span = _field(1, ID) + _field(2, bytes([2] * 8))
    body = _field(1, _field(1, b"one") + _field(2, _field(2, span)) + _field(1, b"two"))
    assert split_traces(body).slices[0].origin.resource == b"onetwo"


@pytest.mark.parametrize("body", [b"hello", b"\x0a\xff", b"{}", b"\x0a\x02\x12\x7f", b"\x0a\x04\x12\x02\x12\x7f"])
def test_what_is_no_otlp_is_malformed(body: bytes) -> None:
    for read in (split_traces, split_logs, tally_traces, tally_logs):
        with pytest.raises(Rejected, match="is not OTLP protobuf") as raised:
            read(body)
        assert raised.value.reason == "malformed"


def test_an_empty_request_is_valid() -> None:
    assert split_traces(b"").slices == []
    assert split_logs(b"").slices == []


def test_a_request_of_very_many_tiny_parts_is_refused_before_it_costs_memory() -> None:
    many = _field(1, _field(2, b"\x12\x00" * (split.MAX_ITEMS + 1)))
    groups = b"\x0a\x00" * (split.MAX_ITEMS + 1)
    for body in (many, groups):
        for read in (split_traces, split_logs, tally_traces):
            with pytest.raises(Rejected) as raised:
                read(body)
            assert raised.value.reason == "too_large"


def test_faults_of_one_reason_share_one_object() -> None:
    found = split_traces(_field(1, _field(2, b"\x12\x00" * 1000)))
    assert len(found.rejected) == 1000
    assert len({id(error) for error in found.rejected}) == 1


def test_records_without_a_trace_are_no_fault(logs_body: Build) -> None:
    found = split_logs(logs_body({"trace_id": b""}, {"trace_id": bytes(16)}, {}))
    assert (len(found.slices), found.rejected, found.without_trace) == (1, [], 2)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"trace_id": b"x"}, "bad_trace_id"),
        ({"span_id": b"x"}, "bad_span_id"),
        ({"time_unix_nano": 2**63}, "bad_time"),
    ],
)
def test_a_bad_record_is_left_out_alone(logs_body: Build, fields: dict[str, object], reason: str) -> None:
    found = split_logs(logs_body({}, fields))
    assert (len(found.slices), [error.reason for error in found.rejected]) == (1, [reason])


def test_the_time_of_a_record_is_when_it_happened_or_else_when_it_was_observed(logs_body: Build) -> None:
    found = split_logs(logs_body({"observed_time_unix_nano": 8}, {"time_unix_nano": 0, "observed_time_unix_nano": 8}))
    assert [part.time_ns for part in found.slices] == [5, 8]


def _mutated(body: bytes, rng: random.Random) -> bytes:
    changed = bytearray(body)
    for _ in range(rng.randint(1, 4)):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed[: rng.randrange(len(changed))] if rng.random() < 0.3 else changed)


def _full_reading(body: bytes) -> "list[tuple[bytes, bytes]] | None":
    """Ids by the full schema; None if it cannot read the body, since it looks deeper and checks text."""
    try:
        request = ExportTraceServiceRequest.FromString(body)
    except DecodeError:
        return None
    spans = [span for group in request.resource_spans for scope in group.scope_spans for span in scope.spans]
    return [(span.trace_id, span.span_id) for span in spans]


def test_mutated_bodies_give_a_result_or_a_rejection_and_what_is_read_agrees(recorded: Bodies) -> None:
    rng = random.Random(7)
    bodies = [body for body in recorded("*.otlp.pb").values() if len(body) < 20_000]
    outcomes = {"agreed": 0, "rejected": 0, "looser": 0}
    for _ in range(1500):
        body = _mutated(rng.choice(bodies), rng)
        try:
            found = split_traces(body)
        except Rejected:
            assert _full_reading(body) is None
            outcomes["rejected"] += 1
            continue
        tally = tally_traces(body)
        assert (tally.accepted, len(tally.rejected)) == (len(found.slices), len(found.rejected))
        full = _full_reading(body)
        if full is None:
            outcomes["looser"] += 1
        else:
            assert len(full) == len(found.slices) + len(found.rejected)
            assert {(part.trace_id, part.span_id) for part in found.slices} <= set(full)
            outcomes["agreed"] += 1
    assert min(outcomes.values()) > 20, outcomes


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_give_a_result_or_a_rejection(body: bytes) -> None:
    for read in (split_traces, split_logs, tally_traces, tally_logs):
        with contextlib.suppress(Rejected):
            read(body)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.binary(max_size=60), max_size=5))
def test_any_bytes_in_place_of_spans_cost_only_themselves(spans: list[bytes]) -> None:
    good = _field(1, ID) + _field(2, bytes([2] * 8))
    found = split_traces(_request_of(*spans, good))
    assert found.slices[-1].span_id == bytes([2] * 8)
    assert len(found.slices) + len(found.rejected) == len(spans) + 1
