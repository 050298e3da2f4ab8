"""The way into an inbox with partitions: all of a trace in one of them."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import Future

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.core.engine import SPANS, TRACES_KIND, Record
from collector.core.telemetry import Telemetry
from collector.wire.route import partition_of
from collector.wire.split import split_traces
from driftline.config import ListenConfig
from driftline.network import Network


class Inbox:
    """An engine that only remembers what was appended."""

    def __init__(self, partitions: int) -> None:
        self._partitions = partitions
        self.records: list[Record] = []

    def partitions(self, log: str) -> int:
        return self._partitions

    def append(self, log: str, records: Sequence[Record]) -> "Future[None]":
        assert log == SPANS
        self.records += records
        done: Future[None] = Future()
        done.set_result(None)
        return done


def request(traces: int) -> bytes:
    made = ExportTraceServiceRequest()
    spans = made.resource_spans.add().scope_spans.add().spans
    for number in range(1, 2 * traces + 1):
        trace_id = (number // 2 + 1).to_bytes(16, "big")
        spans.add(trace_id=trace_id, span_id=number.to_bytes(8, "big"), start_time_unix_nano=1, end_time_unix_nano=2)
    return made.SerializeToString()


@pytest.mark.parametrize("partitions", [1, 4])
def test_a_request_becomes_records_that_keep_each_trace_in_one_partition(partitions: int) -> None:
    inbox = Inbox(partitions)
    listen = ListenConfig(otlp_http=None, otlp_grpc=None, web=None)
    network = Network(listen, None, inbox, Telemetry())  # type: ignore[arg-type]
    asyncio.run(network.inbox(TRACES_KIND, request(20), "acme"))
    network.inbox_batch([(TRACES_KIND, request(3), ""), (TRACES_KIND, request(5), "globex")])
    found = [(record.partition, item) for record in inbox.records for item in split_traces(record.value).slices]
    assert len(found) == 2 * (20 + 3 + 5)
    assert all(partition == partition_of(item.trace_id, partitions) for partition, item in found)
    assert {record.partition for record in inbox.records} == set(range(partitions))
    assert {record.key for record in inbox.records} == {b"acme", b"", b"globex"}


def test_what_may_not_be_kept_as_it_came_is_redacted_first_also_where_it_takes_long() -> None:
    inbox = Inbox(1)
    listen = ListenConfig(otlp_http=None, otlp_grpc=None, web=None)
    network = Network(listen, None, inbox, Telemetry(), redact=lambda kind, body: request(1))  # type: ignore[arg-type]
    asyncio.run(network.inbox(TRACES_KIND, request(2), ""))
    asyncio.run(network.inbox(TRACES_KIND, request(500), ""))
    network.inbox_batch([(TRACES_KIND, request(3), "acme")])
    assert [record.value for record in inbox.records] == [request(1)] * 3
    assert [record.key for record in inbox.records] == [b"", b"", b"acme"]
