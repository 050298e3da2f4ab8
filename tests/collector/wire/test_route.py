"""Requests by partition: nothing lost, nothing twice, a trace in one place, what spans share kept with them."""

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.core.engine import EVENTS_KIND, TRACES_KIND
from collector.core.model import LogSlice, SpanSlice
from collector.wire.read import read_body
from collector.wire.route import MAX_PART_BYTES, partition_of, route
from collector.wire.split import split_logs, split_traces

RECORDINGS = Path(__file__).parents[2] / "data" / "otlp"


def request(traces: int, spans_each: int, seed: int, padding: int = 0) -> bytes:
    rng = random.Random(seed)
    made = ExportTraceServiceRequest()
    ids = [rng.randbytes(16) for _ in range(traces)]
    for number in range(2):
        group = made.resource_spans.add(schema_url=f"r{number}")
        name = group.resource.attributes.add(key="service.name")
        name.value.string_value = f"service{number}"
        for scope_number in range(2):
            scope = group.scope_spans.add(schema_url=f"s{scope_number}")
            scope.scope.name = f"scope{scope_number}"
            for trace_id in ids:
                for _ in range(spans_each):
                    span = scope.spans.add(trace_id=trace_id, span_id=rng.randbytes(8), name="x" * padding)
                    span.start_time_unix_nano, span.end_time_unix_nano = 1, 2
    return made.SerializeToString()


@given(st.integers(0, 12), st.integers(1, 3), st.integers(1, 7), st.integers(0, 5))
def test_every_span_goes_with_its_origin_to_the_one_partition_of_its_trace(
    traces: int, spans_each: int, partitions: int, seed: int
) -> None:
    body = request(traces, spans_each, seed)
    found: list[SpanSlice] = []
    for number, part in route(TRACES_KIND, body, partitions):
        slices = split_traces(part).slices
        assert {partition_of(item.trace_id, partitions) for item in slices} <= {number}
        found += slices
    everything = split_traces(body).slices
    assert sorted(found, key=lambda item: item.span_id) == sorted(everything, key=lambda item: item.span_id)


def test_one_partition_gets_the_request_as_it_is() -> None:
    body = request(3, 1, 1)
    assert route(TRACES_KIND, body, 1) == [(0, body)]


def test_long_requests_become_several_parts_in_order() -> None:
    body = request(4, 40, 1, padding=10_000)
    routed = route(TRACES_KIND, body, 2)
    assert max(len(part) for _, part in routed) < MAX_PART_BYTES + 20_000
    for number in (0, 1):
        mine = [item.span_id for place, part in routed if place == number for item in split_traces(part).slices]
        wanted = [item.span_id for item in split_traces(body).slices if partition_of(item.trace_id, 2) == number]
        assert mine == wanted


def test_a_span_that_is_none_is_left_out_alone() -> None:
    made = ExportTraceServiceRequest.FromString(request(2, 1, 1))
    broken = made.resource_spans[0].scope_spans[0].SerializeToString() + b"\x12\x03\xff\xff\xff"
    group = b"\x12" + _length(broken) + broken
    body = b"\x0a" + _length(group) + group
    found = [item for _, part in route(TRACES_KIND, body, 3) for item in split_traces(part).slices]
    assert len(found) == len(split_traces(body).slices) == 2


def _length(data: bytes) -> bytes:
    size, encoded = len(data), b""
    while size > 127:
        encoded += bytes([size & 127 | 128])
        size >>= 7
    return encoded + bytes([size])


@pytest.mark.parametrize("partitions", [2, 5])
def test_recorded_requests_come_out_whole(partitions: int) -> None:
    seen = 0
    for path in sorted(RECORDINGS.iterdir()):
        kind, body = read_body(path.read_bytes(), path.name)
        split = split_logs if kind == EVENTS_KIND else split_traces
        parts: list[SpanSlice | LogSlice] = []
        for _, part in route(kind, body, partitions):
            parts += split(part).slices
        whole: list[SpanSlice | LogSlice] = [*split(body).slices]
        assert sorted(map(repr, parts)) == sorted(map(repr, whole))
        seen += len(whole)
    assert seen > 40
