"""OTLP requests in the topics of a real broker, read by `driftline serve`."""

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import pytest
from kafka.admin import NewPartitions

from collector.core.telemetry import Telemetry
from collector.receivers import kafka as kafka_receiver
from collector.receivers.kafka import KafkaConfig, KafkaReceiver
from tests.real.app import Settings
from tests.real.bodies import TraceBodies, as_json, record_app
from tests.real.parts.kafka import KafkaBroker
from tests.real.parts.process import wait_until
from tests.real.service import Service, overloaded, service, values

pytestmark = pytest.mark.long

START_NS = 1_750_000_000_000_000_000
TRACES = 60
PARTITIONS = 2
POISON = b"\xff\xfe this is neither protobuf nor JSON \x00"

Unique = Callable[[str], str]


@pytest.fixture(scope="module")
def bodies() -> list[TraceBodies]:
    return record_app(TRACES, 21, START_NS, Settings(spacing_ns=20_000_000, content="event"))


def topics(broker: KafkaBroker, unique_name: Unique, encoding: str) -> dict[str, object]:
    return {
        "brokers": [broker.address],
        "traces": broker.create_topic(unique_name("traces"), partitions=PARTITIONS),
        "logs": broker.create_topic(unique_name("logs")),
        "group": unique_name("group"),
        "encoding": encoding,
    }


def produce(broker: KafkaBroker, topic: object, messages: Iterable[bytes], partitions: int = 1) -> None:
    with broker.producer(acks="all") as producer:
        for number, message in enumerate(messages):
            producer.send(topic, message, partition=number % partitions)
        producer.flush()


def committed_everything(broker: KafkaBroker, kafka: dict[str, object]) -> bool:
    """Whether the group has committed to the end of both topics."""
    ends = {topic: broker.end_offsets(str(topic)) for topic in (kafka["traces"], kafka["logs"])}
    done = {topic: broker.committed(str(kafka["group"]), str(topic)) for topic in ends}
    return all(done[topic].get(number, 0) == end for topic in ends for number, end in ends[topic].items())


def revisions(driftline: Service) -> dict[str, int]:
    """How often each trace was evaluated, from the ledger itself."""
    rows = driftline.stored("SELECT lower(hex(key)), count(*) FROM log_decisions GROUP BY key")
    return dict(rows)


@pytest.mark.parametrize("encoding", ["otlp_proto", "otlp_json"])
def test_requests_in_topics_are_evaluated_poison_is_set_aside_and_a_restart_repeats_nothing(
    tmp_path: Path, kafka: KafkaBroker, unique_name: Unique, bodies: list[TraceBodies], encoding: str
) -> None:
    encode = as_json if encoding == "otlp_json" else (lambda request: request.SerializeToString())
    settings = topics(kafka, unique_name, encoding)
    half = TRACES // 2
    produce(kafka, settings["logs"], [encode(one.events) for one in bodies])
    produce(kafka, settings["traces"], [encode(one.spans) for one in bodies[:half]], PARTITIONS)
    produce(kafka, settings["traces"], [POISON])
    produce(kafka, settings["traces"], [encode(one.spans) for one in bodies[half:]], PARTITIONS)

    with service(tmp_path, {"kafka": settings}) as driftline:
        sheets = driftline.wait_for_traces([one.trace_id for one in bodies])
        groundedness = values(sheets.values(), "groundedness")
        assert {one.trace_id for one in bodies if not one.sent.refused} <= set(groundedness)
        grounded = [groundedness[b.trace_id] for b in bodies if b.sent.grounded and not b.sent.refused]
        made_up = [groundedness[b.trace_id] for b in bodies if not b.sent.grounded]
        assert min(grounded) > max(made_up)

        driftline.wait(lambda: committed_everything(kafka, settings), "the offsets to be committed")
        ((key, reason, value),) = driftline.stored("SELECT key, kind, value FROM log_dead_letters")
        assert key.decode() == f"{settings['traces']}/0/{half // PARTITIONS}", "topic, partition and offset"
        assert (reason, value) == ("malformed", POISON)
        assert driftline.total("driftline_rejected_requests_total", 'receiver="kafka"', 'reason="malformed"') == 1
        spans = sum(one.sent.spans for one in bodies)
        assert driftline.total("driftline_received_spans_total", 'receiver="kafka"') == spans
        before = revisions(driftline)
        funnel = driftline.funnel()

        assert driftline.stop() == 0
        extra = record_app(1, 22, START_NS + 10_000_000_000, Settings(content="span"))
        produce(kafka, settings["traces"], [encode(one.spans) for one in extra])
        driftline.start()
        driftline.wait_for_traces([extra[0].trace_id])
        assert driftline.total("driftline_received_spans_total", 'receiver="kafka"') == extra[0].sent.spans
        assert revisions(driftline) == {**before, extra[0].trace_id: 1}
        assert driftline.funnel().total() == funnel.total() + len(driftline.candidates())


def test_offsets_are_committed_only_when_the_inbox_has_taken_what_they_stand_for(
    tmp_path: Path, kafka: KafkaBroker, unique_name: Unique
) -> None:
    """It dies while the inbox has no room for what was read: that was not committed, and is read again."""
    settings = topics(kafka, unique_name, "otlp_proto")
    # a few messages at a time; and one that comes back takes over at once from itself who died
    settings["options"] = {"max_poll_records": 3, "group_instance_id": "worker-1"}
    # far apart, so that each makes the one before it due and the slow scorer is at work from the second on
    far_apart = record_app(TRACES, 23, START_NS, Settings(spacing_ns=30_000_000_000, content="span"))
    produce(kafka, settings["traces"], [one.spans.SerializeToString() for one in far_apart], PARTITIONS)
    with service(tmp_path, {"kafka": settings, **overloaded(tmp_path)}, ready=False) as driftline:
        driftline.wait(
            lambda: driftline.total("driftline_rejected_requests_total", 'receiver="kafka"', 'reason="backlog"') > 0,
            "a batch that the inbox has no room for",
        )
        driftline.kill()
        promised = sum(kafka.committed(str(settings["group"]), str(settings["traces"])).values())
        ((taken,),) = driftline.stored("SELECT count(*) FROM log_spans WHERE kind = 'traces'")
        assert promised <= taken < TRACES

        driftline.configure({"kafka": settings})
        driftline.start()
        driftline.wait_for_traces([one.trace_id for one in far_apart])
        assert driftline.candidates()["latency"] == TRACES
        assert set(revisions(driftline).values()) == {1}


def test_poison_goes_to_a_topic_where_one_is_named(
    tmp_path: Path, kafka: KafkaBroker, unique_name: Unique, bodies: list[TraceBodies]
) -> None:
    dead = kafka.create_topic(unique_name("dead"))
    settings = {**topics(kafka, unique_name, "otlp_proto"), "dead_letter": dead}
    produce(kafka, settings["traces"], [POISON, bodies[0].spans.SerializeToString()])
    with service(tmp_path, {"kafka": settings}) as driftline, kafka.consumer(dead) as consumer:
        driftline.wait_for_traces([bodies[0].trace_id])
        polled = driftline.wait(lambda: consumer.poll(timeout_ms=200), "the dead letter")
        ((letter,),) = polled.values()
        assert letter.value == POISON
        headers = dict(letter.headers)
        assert headers["driftline.reason"] == b"malformed"
        assert headers["driftline.topic"] == str(settings["traces"]).encode()
        assert driftline.stored("SELECT count(*) FROM log_dead_letters") == [(0,)]


def test_partitions_that_are_added_to_a_topic_are_read_however_short_the_polls_are(
    kafka: KafkaBroker, unique_name: Unique, bodies: list[TraceBodies], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka_receiver, "_POLL_SECONDS", 0.001)
    settings = topics(kafka, unique_name, "otlp_proto") | {"options": {"metadata_max_age_ms": 100}}
    got: list[bytes] = []
    messages = [one.spans.SerializeToString() for one in bodies]
    receiver = KafkaReceiver(
        KafkaConfig.model_validate(settings),
        lambda batch: got.extend(body for _, body, _ in batch),
        Telemetry(),
        lambda *message: None,
    )
    receiver.start()
    try:
        produce(kafka, settings["traces"], messages[:2], PARTITIONS)
        wait_until(lambda: len(got) == 2, "what is there", 60)
        for partitions in range(PARTITIONS + 1, PARTITIONS + 5):
            with kafka.admin() as admin:
                admin.create_partitions({settings["traces"]: NewPartitions(partitions)})
            got.clear()
            produce(kafka, settings["traces"], messages[:partitions], partitions)
            wait_until(partial(_holds, got, partitions), f"what is in {partitions} partitions", 20)
    finally:
        receiver.stop()


def _holds(got: list[bytes], count: int) -> bool:
    return len(got) >= count
