"""`driftline replay --kafka`: a part of a topic of a real broker, as live would have read it."""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.real.app import Settings
from tests.real.bodies import TraceBodies, as_json, record_app
from tests.real.parts.kafka import KafkaBroker
from tests.real.service import run_driftline

pytestmark = pytest.mark.long

START_NS = 1_750_000_000_000_000_000
TRACES = 40
SPACING_NS = 20_000_000_000
PARTITIONS = 2
FIRST = (datetime.now(UTC) - timedelta(hours=2)).replace(microsecond=0)


@pytest.fixture(scope="module")
def bodies() -> list[TraceBodies]:
    return record_app(TRACES, 23, START_NS, Settings(spacing_ns=SPACING_NS, content="span"))


def produce(broker: KafkaBroker, topic: str, messages: Sequence[bytes]) -> None:
    """One after the other to partitions in turn, a stamp each 20 seconds; old ones the broker would delete."""
    with broker.producer(acks="all") as producer:
        for number, message in enumerate(messages):
            stamp = round(FIRST.timestamp() * 1000) + number * SPACING_NS // 10**6
            producer.send(topic, message, partition=number % PARTITIONS, timestamp_ms=stamp)
        producer.flush()


@pytest.fixture
def replay(tmp_path: Path, kafka: KafkaBroker) -> Callable[..., Any]:
    """`replay(topic, "0..10")`: the command as it ended."""

    def run(topic: str, *ranges: str, encoding: str = "otlp_proto", brokers: Sequence[str] = (), **options: Any) -> Any:
        section = {"traces": topic, "logs": None, "encoding": encoding, "options": options}
        document = {
            "scorers": ["groundedness", "refusal"],
            "kafka": {"brokers": [*brokers] or [kafka.address], **section},
        }
        config = tmp_path / "driftline.yaml"
        config.write_text(yaml.safe_dump(document))
        asked = [part for one in ranges for part in ("--kafka", one)]
        return run_driftline("replay", "--json", "-c", config, *asked)

    return run


@pytest.mark.parametrize("encoding", ["otlp_proto", "otlp_json"])
def test_a_topic_says_the_same_as_the_files_it_could_have_been(
    replay: Callable[..., Any],
    kafka: KafkaBroker,
    unique_name: Callable[[str], str],
    bodies: list[TraceBodies],
    tmp_path: Path,
    encoding: str,
) -> None:
    encode = as_json if encoding == "otlp_json" else (lambda request: request.SerializeToString())
    topic = kafka.create_topic(unique_name("spans"), partitions=PARTITIONS)
    produce(kafka, topic, [encode(body.spans) for body in bodies])
    done = [replay(topic, f"{topic}@..", encoding=encoding) for _ in range(2)]
    assert [one.returncode for one in done] == [0, 0], done[0].stderr
    assert done[0].stdout == done[1].stdout
    folder = tmp_path / "files"
    folder.mkdir()
    for number, body in enumerate(bodies):
        (folder / f"{number:04}.binpb").write_bytes(body.spans.SerializeToString())
    from_files = run_driftline("replay", "--json", "-c", tmp_path / "driftline.yaml", folder)
    assert done[0].stdout == from_files.stdout
    found = json.loads(done[0].stdout)
    assert found["counts"]["traces_scored"] == TRACES
    assert found["runs"]["refusal"] == TRACES
    assert kafka.committed("driftline", topic) == {}


def test_a_range_is_of_offsets_or_of_time_of_all_partitions_or_of_one(
    replay: Callable[..., Any], kafka: KafkaBroker, unique_name: Callable[[str], str], bodies: list[TraceBodies]
) -> None:
    topic = kafka.create_topic(unique_name("spans"), partitions=PARTITIONS)
    produce(kafka, topic, [body.spans.SerializeToString() for body in bodies])

    def traces(*ranges: str) -> int:
        done = replay(topic, *ranges)
        assert done.returncode == 0, done.stderr
        return int(json.loads(done.stdout)["counts"]["traces_scored"])

    assert traces(f"{topic}@5..10") == 2 * 5
    assert traces(f"{topic}/1@5..10") == 5
    assert traces(f"{topic}/0@15..") == 5
    assert traces(f"{topic}/0@..3", f"{topic}/1@..3") == 6
    ten, thirty = ((FIRST + timedelta(seconds=20 * count)).isoformat() for count in (10, 30))
    assert traces(f"{topic}@{FIRST.isoformat()}..{ten}") == 10
    assert traces(f"{topic}@{thirty}..") == 10


def test_a_message_that_nobody_can_read_is_named_and_the_others_are_replayed(
    replay: Callable[..., Any], kafka: KafkaBroker, unique_name: Callable[[str], str], bodies: list[TraceBodies]
) -> None:
    topic = kafka.create_topic(unique_name("spans"), partitions=PARTITIONS)
    produce(
        kafka, topic, [bodies[0].spans.SerializeToString(), b"\xff\xfe neither", bodies[1].spans.SerializeToString()]
    )
    done = replay(topic, f"{topic}@..")
    assert done.returncode == 3
    found = json.loads(done.stdout)
    assert found["counts"]["traces_scored"] == 2
    (problem,) = found["unreadable"]
    assert problem.startswith(f"{topic}/1 at offset 0: ")


@pytest.mark.parametrize(
    ("asked", "code", "told"),
    [
        ("{topic}@40..50", 2, "--kafka: there is nothing in this range of {topic}"),
        ("{topic}@..5 {topic}/1@..5", 2, "--kafka: partition 1 of {topic} is asked for twice"),
        ("{topic}/7@..", 2, "--kafka: {topic} has no partition 7; it has 0 to 1"),
        ("other@..", 2, "--kafka: 'other' is not one of the topics of `kafka:` ({topic})"),
    ],
)
def test_what_is_not_there_is_said(
    replay: Callable[..., Any],
    kafka: KafkaBroker,
    unique_name: Callable[[str], str],
    bodies: list[TraceBodies],
    asked: str,
    code: int,
    told: str,
) -> None:
    topic = kafka.create_topic(unique_name("spans"), partitions=PARTITIONS)
    produce(kafka, topic, [bodies[0].spans.SerializeToString()])
    done = replay(topic, *asked.format(topic=topic).split())
    assert (done.returncode, done.stderr) == (code, f"driftline: {told.format(topic=topic)}\n")


def test_a_topic_that_is_not_there_and_a_broker_that_does_not_answer_are_said_in_one_line(
    replay: Callable[..., Any], unique_name: Callable[[str], str]
) -> None:
    topic = unique_name("missing")
    done = replay(topic, f"{topic}@..")
    assert (done.returncode, done.stderr) == (2, f"driftline: --kafka: there is no topic {topic!r}\n")
    done = replay(topic, f"{topic}@..", brokers=["127.0.0.1:9"], bootstrap_timeout_ms=2000)
    assert done.returncode == 3
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("driftline: --kafka: Kafka at 127.0.0.1:9: ")
