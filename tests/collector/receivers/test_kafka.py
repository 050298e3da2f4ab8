"""The Kafka receiver against a consumer that does what the test says: nothing is committed before it is safe."""

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from kafka import OffsetAndMetadata, TopicPartition
from kafka.errors import CommitFailedError, KafkaConnectionError, KafkaTimeoutError
from kafka.structs import ConsumerGroupMetadata, MemberState
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.core.engine import EVENTS_KIND, TRACES_KIND
from collector.core.errors import Overloaded, Rejected, StoreError
from collector.core.telemetry import Telemetry
from collector.receivers import kafka as kafka_module
from collector.receivers.kafka import KafkaConfig, KafkaReceiver

Build = Callable[..., bytes]
Count = Callable[..., float]

SPANS, LOGS = TopicPartition("otlp_spans", 0), TopicPartition("otlp_logs", 3)
SPAN_JSON = orjson.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "07" * 16, "spanId": "01" * 8}]}]}]})
PATIENCE_SECONDS = 10


class FakeConsumer:
    """A kafka-python consumer whose polls are what a test puts into `polls`; an exception there is raised."""

    def __init__(self) -> None:
        self.polls: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.commits: queue.SimpleQueue[dict[TopicPartition, int]] = queue.SimpleQueue()
        self.commit_error: Exception | None = None
        self.ends: dict[TopicPartition, int] | Exception = {SPANS: 100, LOGS: 10}
        self.assigned = {SPANS, LOGS}
        self.was_paused: set[TopicPartition] = set()
        self.now_paused: set[TopicPartition] = set()
        self.closed: dict[str, Any] | None = None
        self.state = MemberState.STABLE
        self.asked_to_rejoin = False
        self._coordinator = self

    def group_metadata(self) -> ConsumerGroupMetadata:
        return ConsumerGroupMetadata("group", state=self.state)

    def request_rejoin(self) -> None:
        self.asked_to_rejoin = True

    def put(
        self, partition: TopicPartition, offset: int, *values: bytes | None, headers: Sequence[tuple[str, bytes]] = ()
    ) -> None:
        place = {"topic": partition.topic, "partition": partition.partition, "headers": headers}
        records = [SimpleNamespace(**place, offset=offset + at, value=value) for at, value in enumerate(values)]
        self.polls.put({partition: records})

    def poll(self, timeout_ms: int) -> Any:
        if self.state == MemberState.REBALANCING and (not self.asked_to_rejoin or timeout_ms < 1000):
            return {}  # kafka-python has forgotten that it joins, or forgets the outcome
        try:
            found = (
                self.polls.get(timeout=min(timeout_ms, 10) / 1000 or None) if timeout_ms else self.polls.get_nowait()
            )
        except queue.Empty:
            return {}
        if isinstance(found, Exception):
            raise found
        return found

    def assignment(self) -> set[TopicPartition]:
        return set(self.assigned)

    def pause(self, *partitions: TopicPartition) -> None:
        self.was_paused |= set(partitions)
        self.now_paused |= set(partitions)

    def paused(self) -> set[TopicPartition]:
        return set(self.now_paused)

    def resume(self, *partitions: TopicPartition) -> None:
        self.now_paused -= set(partitions)

    def commit(self, offsets: dict[TopicPartition, OffsetAndMetadata], timeout_ms: int) -> None:
        if self.commit_error is not None:
            raise self.commit_error
        self.commits.put({partition: committed.offset for partition, committed in offsets.items()})

    def end_offsets(self, partitions: list[TopicPartition], timeout_ms: int) -> dict[TopicPartition, int]:
        if isinstance(self.ends, Exception):
            raise self.ends
        return {partition: self.ends[partition] for partition in partitions}

    def position(self, partition: TopicPartition, timeout_ms: int) -> int:
        return 4

    def close(self, **options: Any) -> None:
        self.closed = options

    def committed(self) -> dict[TopicPartition, int]:
        return self.commits.get(timeout=PATIENCE_SECONDS)


class Sink:
    """An inbox and a dead-letter box in one; each takes the next error from its list first."""

    def __init__(self) -> None:
        self.batches: list[list[tuple[str, bytes]]] = []
        self.tenants: list[str] = []
        self.dead: list[tuple[str, int, int, str, bytes]] = []
        self.inbox_errors: list[Exception] = []
        self.dead_errors: list[Exception] = []

    def inbox(self, batch: list[tuple[str, bytes, str]]) -> None:
        if self.inbox_errors:
            raise self.inbox_errors.pop(0)
        self.batches.append([(kind, body) for kind, body, _ in batch])
        self.tenants += [tenant for _, _, tenant in batch]

    def bury(self, *message: Any) -> None:
        if self.dead_errors:
            raise self.dead_errors.pop(0)
        self.dead.append(message)


def _eventually(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < deadline
        threading.Event().wait(0.002)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_module, "_BACKOFF_SECONDS", (0.01, 0.05))
    monkeypatch.setattr(kafka_module, "_CHECK_SECONDS", 0.01)
    monkeypatch.setattr(kafka_module, "_POLL_SECONDS", 0.01)


@pytest.fixture
def consumer() -> FakeConsumer:
    return FakeConsumer()


@pytest.fixture
def sink() -> Sink:
    return Sink()


@pytest.fixture
def reading(consumer: FakeConsumer, sink: Sink, telemetry: Telemetry) -> Iterator[Callable[..., KafkaReceiver]]:
    """`reading(**config)`: a receiver that reads until the end of the test."""
    running: list[KafkaReceiver] = []

    def start(connect: Callable[[KafkaConfig], Any] | None = None, **config: Any) -> KafkaReceiver:
        settings = KafkaConfig(**{"brokers": ["kafka:9092"], **config})
        running.append(
            KafkaReceiver(settings, sink.inbox, telemetry, sink.bury, connect or (lambda _: consumer), 100_000)
        )
        running[-1].start()
        return running[-1]

    yield start
    for receiver in running:
        receiver.stop()


def test_offsets_are_committed_after_the_inbox_has_taken_the_batch(
    reading: Any, consumer: FakeConsumer, sink: Sink, traces_body: Build, logs_body: Build, count: Count
) -> None:
    consumer.put(SPANS, 5, traces_body(2), traces_body(3))
    consumer.put(LOGS, 8, logs_body(1, without_trace=1))
    reading()
    assert consumer.committed() == {SPANS: 7}
    assert consumer.committed() == {LOGS: 9}
    assert sink.batches == [
        [(TRACES_KIND, traces_body(2)), (TRACES_KIND, traces_body(3))],
        [(EVENTS_KIND, logs_body(1, without_trace=1))],
    ]
    assert count("driftline_received_spans", "kafka", "protobuf") == 5
    assert count("driftline_received_log_records", "kafka", "protobuf") == 1


def test_nothing_is_committed_while_the_inbox_refuses_and_all_of_it_once_it_takes(
    reading: Any, consumer: FakeConsumer, sink: Sink, traces_body: Build, count: Count
) -> None:
    sink.inbox_errors = [Overloaded("queue", "full", 0.01), StoreError("disk full"), TimeoutError()]
    consumer.put(SPANS, 5, traces_body(2))
    reading()
    assert consumer.committed() == {SPANS: 6}
    assert sink.batches == [[(TRACES_KIND, traces_body(2))]]
    assert consumer.was_paused == {SPANS, LOGS}
    assert consumer.now_paused == set()
    assert count("driftline_received_spans", "kafka", "protobuf") == 2
    assert count("driftline_rejected_requests", "kafka", "queue") == 1
    assert count("driftline_rejected_requests", "kafka", "store") == 2


def test_a_batch_that_the_inbox_never_took_is_not_committed_when_stopped(
    reading: Any, consumer: FakeConsumer, sink: Sink, traces_body: Build
) -> None:
    sink.inbox_errors = [StoreError("disk full")] * 1000
    consumer.put(SPANS, 5, traces_body())
    receiver = reading()
    _eventually(lambda: consumer.was_paused != set())
    assert not receiver.healthy
    assert "full" in receiver.problem
    began = time.monotonic()
    receiver.stop()
    assert time.monotonic() - began < 5
    assert consumer.commits.empty()
    assert consumer.closed is not None
    assert consumer.closed["autocommit"] is False


def test_an_inbox_without_room_is_asked_again_soon_and_is_no_trouble_even_before_anything_was_read(
    reading: Any, consumer: FakeConsumer, sink: Sink, traces_body: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    pause = KafkaReceiver._pause
    monkeypatch.setattr(
        KafkaReceiver,
        "_pause",
        lambda self, consumer, seconds, batch: pauses.append(seconds) or pause(self, consumer, 0, batch),
    )
    sink.inbox_errors = [Overloaded("backlog", "much waits", 5.0)] * 50
    consumer.put(SPANS, 5, traces_body())
    receiver = reading()
    assert consumer.committed() == {SPANS: 6}
    assert pauses == [kafka_module._ROOM_SECONDS] * 50, "however often it was refused"
    assert receiver.healthy


def test_while_the_inbox_has_no_room_the_service_is_ready_and_says_that_it_waits(
    reading: Any, consumer: FakeConsumer, sink: Sink, telemetry: Telemetry, traces_body: Build
) -> None:
    sink.inbox_errors = [Overloaded("backlog", "much waits", 0.001)] * 10**6
    consumer.put(SPANS, 5, traces_body())
    receiver = reading()
    paused = telemetry.gauge("driftline_kafka_paused", "")
    _eventually(lambda: paused.values() == {(): 1})
    assert receiver.healthy
    sink.inbox_errors = []
    assert consumer.committed() == {SPANS: 6}
    _eventually(lambda: paused.values() == {(): 0})


def test_a_partition_that_becomes_ours_while_the_inbox_refuses_is_not_lost(
    reading: Any, consumer: FakeConsumer, sink: Sink, traces_body: Build, logs_body: Build
) -> None:
    sink.inbox_errors = [Overloaded("queue", "full", 0.05)]
    consumer.put(SPANS, 5, traces_body())
    consumer.put(LOGS, 8, logs_body())
    reading()
    assert consumer.committed() == {SPANS: 6, LOGS: 9}
    assert [kind for kind, _ in sink.batches[0]] == [TRACES_KIND, EVENTS_KIND]


def test_a_message_that_cannot_be_read_is_buried_and_the_stream_goes_on(
    reading: Any, consumer: FakeConsumer, sink: Sink, traces_body: Build, count: Count
) -> None:
    huge = traces_body(1, text="x" * 200_000)
    consumer.put(SPANS, 5, b"hello", traces_body(), huge, None)
    reading()
    assert consumer.committed() == {SPANS: 9}
    assert sink.batches == [[(TRACES_KIND, traces_body())]]
    assert sink.dead == [("otlp_spans", 0, 5, "malformed", b"hello"), ("otlp_spans", 0, 7, "too_large", huge)]
    assert count("driftline_rejected_requests", "kafka", "malformed") == 1
    assert count("driftline_rejected_requests", "kafka", "too_large") == 1


def test_a_message_that_the_inbox_never_takes_is_buried_and_the_others_are_stored(
    reading: Any, consumer: FakeConsumer, sink: Sink, traces_body: Build, count: Count
) -> None:
    bodies = [traces_body(text=text) for text in ("one", "two", "three")]
    too_large = Rejected("too_large", "a record of the inbox has a limit")

    def inbox(batch: list[tuple[str, bytes, str]]) -> None:
        if (TRACES_KIND, bodies[1], "") in batch:
            raise too_large
        sink.batches.append([(kind, body) for kind, body, _ in batch])

    sink.inbox = inbox  # type: ignore[method-assign]
    consumer.put(SPANS, 5, *bodies)
    reading()
    assert consumer.committed() == {SPANS: 8}
    assert sink.batches == [[(TRACES_KIND, bodies[0])], [(TRACES_KIND, bodies[2])]]
    assert sink.dead == [("otlp_spans", 0, 6, "too_large", bodies[1])]
    assert count("driftline_rejected_requests", "kafka", "too_large") == 1


def test_what_was_stored_is_not_stored_again_when_burying_fails(
    reading: Any, consumer: FakeConsumer, sink: Sink, traces_body: Build, count: Count
) -> None:
    sink.dead_errors = [StoreError("disk full")]
    consumer.put(SPANS, 5, b"hello", traces_body())
    reading()
    assert consumer.committed() == {SPANS: 7}
    assert (len(sink.batches), len(sink.dead)) == (1, 1)
    assert count("driftline_received_spans", "kafka", "protobuf") == 1


def test_a_message_of_bad_spans_is_counted_and_committed_but_not_stored(
    reading: Any, consumer: FakeConsumer, sink: Sink, traces_body: Build, count: Count
) -> None:
    consumer.put(SPANS, 5, traces_body(0, bad=2))
    reading()
    assert consumer.committed() == {SPANS: 6}
    assert (sink.batches, sink.dead) == ([], [])
    assert count("driftline_rejected_spans", "kafka", "bad_trace_id") == 2


def test_json_messages_are_converted(reading: Any, consumer: FakeConsumer, sink: Sink, count: Count) -> None:
    consumer.put(SPANS, 5, SPAN_JSON)
    reading(encoding="otlp_json")
    assert consumer.committed() == {SPANS: 6}
    assert sink.batches[0][0][1] != SPAN_JSON
    assert count("driftline_received_spans", "kafka", "json") == 1


def test_one_span_a_message_is_taken_as_well_as_requests(
    reading: Any, consumer: FakeConsumer, sink: Sink, traces_body: Build, count: Count
) -> None:
    request = ExportTraceServiceRequest.FromString(traces_body())
    group = request.resource_spans[0]
    span = group.scope_spans[0].spans[0]
    consumer.put(SPANS, 5, *(one.SerializeToString() for one in (request, group, span)))
    reading()
    assert consumer.committed() == {SPANS: 8}
    assert sink.batches == [[(TRACES_KIND, traces_body())] * 3]
    assert count("driftline_received_spans", "kafka", "protobuf") == 3


def test_several_topics_are_read_of_each_kind(
    reading: Any, consumer: FakeConsumer, sink: Sink, traces_body: Build, logs_body: Build
) -> None:
    more = TopicPartition("more_spans", 0)
    consumer.assigned = {SPANS, more, LOGS}
    consumer.ends = {SPANS: 1, more: 1, LOGS: 1}
    consumer.put(more, 0, traces_body())
    consumer.put(LOGS, 0, logs_body())
    reading(traces=["otlp_spans", "more_spans"])
    assert [consumer.committed(), consumer.committed()] == [{more: 1}, {LOGS: 1}]
    assert sink.batches == [[(TRACES_KIND, traces_body())], [(EVENTS_KIND, logs_body())]]


def test_a_header_of_the_message_names_its_tenant_and_who_names_none_is_set_aside(
    reading: Any, consumer: FakeConsumer, sink: Sink, traces_body: Build, count: Count
) -> None:
    consumer.put(SPANS, 5, traces_body(), headers=[("x-scope-orgid", b"old"), ("X-Scope-OrgID", b"acme")])
    consumer.put(SPANS, 6, traces_body(), headers=[("other", b"x")])
    consumer.put(SPANS, 7, traces_body(), headers=[("X-Scope-OrgID", b"globex")])
    reading(tenants={"allow": ["acme"]})
    assert [consumer.committed() for _ in range(3)] == [{SPANS: 6}, {SPANS: 7}, {SPANS: 8}]
    assert sink.tenants == ["acme"]
    assert [(offset, reason) for _, _, offset, reason, _ in sink.dead] == [(6, "no_tenant"), (7, "forbidden_tenant")]
    assert count("driftline_tenant_received_items", "acme") == 1


@pytest.mark.parametrize("refusing", [False, True])
def test_a_rebalance_that_did_not_end_within_a_poll_is_gone_on_with(
    reading: Any, consumer: FakeConsumer, sink: Sink, traces_body: Build, refusing: bool
) -> None:
    if refusing:
        sink.inbox_errors = [StoreError("disk full")] * 3
        consumer.put(SPANS, 4, traces_body(1))
        reading()
        _eventually(lambda: bool(consumer.was_paused))
    consumer.state = MemberState.REBALANCING
    consumer.put(SPANS, 5, traces_body(2))
    if not refusing:
        reading()
    _eventually(lambda: (TRACES_KIND, traces_body(2)) in [one for batch in sink.batches for one in batch])


def test_only_partitions_that_are_still_ours_are_committed(
    reading: Any, consumer: FakeConsumer, sink: Sink, traces_body: Build, logs_body: Build
) -> None:
    consumer.assigned = {LOGS}
    consumer.put(SPANS, 5, traces_body())
    consumer.put(LOGS, 8, logs_body())
    reading()
    assert consumer.committed() == {LOGS: 9}
    assert len(sink.batches) == 2


def test_a_commit_that_fails_stops_nothing(
    reading: Any, consumer: FakeConsumer, sink: Sink, traces_body: Build, caplog: pytest.LogCaptureFixture
) -> None:
    consumer.commit_error = CommitFailedError("rebalanced")
    consumer.put(SPANS, 5, traces_body())
    receiver = reading()
    _eventually(lambda: len(sink.batches) == 1 and "read twice" in caplog.text)
    consumer.commit_error = None
    consumer.put(SPANS, 6, traces_body())
    assert consumer.committed() == {SPANS: 7}
    assert receiver.healthy


def test_a_lost_broker_is_tried_again_and_said_once(
    reading: Any, consumer: FakeConsumer, sink: Sink, traces_body: Build, caplog: pytest.LogCaptureFixture
) -> None:
    attempts = []

    def connect(config: KafkaConfig) -> FakeConsumer:
        attempts.append(config)
        if len(attempts) < 5:
            raise KafkaConnectionError("nobody there")
        return consumer

    with caplog.at_level(logging.WARNING, "collector"):
        receiver = reading(connect)
        assert not receiver.healthy
        consumer.put(SPANS, 5, traces_body())
        assert consumer.committed() == {SPANS: 6}
        _eventually(lambda: receiver.healthy)
    assert len(attempts) == 5
    assert len([record for record in caplog.records if "nobody there" in record.getMessage()]) == 1
    assert receiver.problem == ""


@pytest.mark.parametrize("error", [KafkaConnectionError("gone"), OSError("gone"), RuntimeError("a fault of ours")])
def test_an_error_while_reading_starts_afresh_with_what_is_not_committed(
    reading: Any, consumer: FakeConsumer, sink: Sink, traces_body: Build, error: Exception
) -> None:
    consumer.polls.put(error)
    consumer.put(SPANS, 5, traces_body())
    reading()
    assert consumer.committed() == {SPANS: 6}
    assert consumer.closed is not None


def test_brokers_that_stop_answering_are_noticed_and_so_is_their_return(reading: Any, consumer: FakeConsumer) -> None:
    receiver = reading()
    _eventually(lambda: receiver.healthy)
    consumer.ends = KafkaTimeoutError("no answer")
    _eventually(lambda: not receiver.healthy)
    assert "kafka:9092" in receiver.problem
    consumer.ends = {SPANS: 100, LOGS: 10}
    _eventually(lambda: receiver.healthy)


def test_the_lag_is_what_is_not_safe_yet(
    reading: Any, consumer: FakeConsumer, traces_body: Build, count: Count
) -> None:
    receiver = reading()
    _eventually(lambda: receiver.healthy)
    assert count("driftline_kafka_lag_messages", "otlp_spans") == 96
    consumer.put(SPANS, 39, traces_body())
    _eventually(lambda: count("driftline_kafka_lag_messages", "otlp_spans") == 60)
    assert count("driftline_kafka_lag_messages", "otlp_logs") == 6


def test_the_lag_is_told_while_the_inbox_has_no_room(
    reading: Any, consumer: FakeConsumer, sink: Sink, traces_body: Build, count: Count
) -> None:
    sink.inbox_errors = [Overloaded("backlog", "much waits", 0.001)] * 10**6
    consumer.put(SPANS, 5, traces_body())
    reading()
    _eventually(lambda: consumer.was_paused != set())
    consumer.ends = {SPANS: 1000, LOGS: 10}
    _eventually(lambda: count("driftline_kafka_lag_messages", "otlp_spans") > 900)


def test_a_missing_checksum_extension_is_warned_of(
    reading: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    reading()
    assert "crc32c" in caplog.text


def test_stop_is_safe_twice_and_without_start(sink: Sink, telemetry: Telemetry) -> None:
    receiver = KafkaReceiver(KafkaConfig(brokers=["kafka:9092"]), sink.inbox, telemetry, sink.bury)
    receiver.stop()
    receiver.stop()
