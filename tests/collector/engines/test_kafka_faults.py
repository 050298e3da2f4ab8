"""The Kafka engine when something dies: workers in the middle of a commit, workers that only look dead, the broker.

Each test ends with the same question: was every record worked on exactly once, in outputs and in state?
"""

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from collector.core.clock import SystemClock
from collector.core.engine import SCORES, SPANS, Partition, Record
from collector.core.errors import DriftlineError, Lost, StoreError
from collector.core.telemetry import Telemetry
from collector.engines.kafka import KafkaEngine, KafkaEngineConfig
from collector.engines.kafka_topics import apply, plan
from tests.collector.engines.conformance import LOG_OF, Reader, commit
from tests.real.parts.process import Process, wait_until

pytestmark = pytest.mark.long

if TYPE_CHECKING:
    from tests.real.parts.kafka import KafkaBroker

_QUICK = {
    "group.min.session.timeout.ms": 500,
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": 200,
    "log.cleaner.backoff.ms": 200,
}
_OPTIONS = {"session_timeout_ms": 3000, "heartbeat_interval_ms": 300, "metadata_max_age_ms": 1000}


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator["KafkaBroker"]:
    """A broker that notices what died sooner than the shared one."""
    from tests.real.parts.kafka import kafka_broker

    with kafka_broker(tmp_path_factory.mktemp("kafka"), _QUICK) as broker:
        yield broker


def configured(broker: "KafkaBroker", name: str, **settings: Any) -> KafkaEngineConfig:
    config = KafkaEngineConfig.model_validate(
        {"brokers": [broker.address], "prefix": name, "group": name, "transaction_timeout": "1s", "options": _OPTIONS}
        | settings
    )
    with broker.admin() as admin:
        apply(plan(config, admin, LOG_OF), admin)
    return config


def running(config: KafkaEngineConfig) -> KafkaEngine:
    return KafkaEngine(config, SystemClock(), Telemetry(), LOG_OF)


# A stage as the pipeline has them. It dies or stops itself at a step of its third commit, if told so; what it lost, it
# says.
_WORKER = """
import os, signal, sys
from collector.core.clock import SystemClock
from collector.core.engine import SCORES, SPANS, Record
from collector.core.errors import Lost, StoreError
from collector.core.telemetry import Telemetry
from collector.engines.kafka import KafkaEngine, KafkaEngineConfig
from collector.engines.kafka_clients import Producer
from collector.engines.kafka_commit import Committer
import logging
logging.getLogger("kafka").setLevel(logging.CRITICAL)

step, how = sys.argv[2], getattr(signal, sys.argv[3])
most = 500 if step == "never" else 5  # who is to die does so early, and leaves the rest to others
commits = 0

def die(name):
    global commits
    commits += name == "begun"
    if name == step and commits == 3:
        print("dying", flush=True)
        os.kill(os.getpid(), how)

Committer.reached = lambda self, name: die(name)
ask = Producer.commit
def ask_and_die(self, seconds):
    if step == "asked" and commits == 3:
        self._transaction_manager.begin_commit()
        self._sender.wakeup()
        die(step)
    ask(self, seconds)
Producer.commit = ask_and_die

class Stage:
    def __init__(self): self.owned = {}
    def assigned(self, partition): self.owned[partition.number] = partition
    def revoked(self, partition): del self.owned[partition.number]

engine = KafkaEngine(KafkaEngineConfig.model_validate_json(sys.argv[1]), SystemClock(), Telemetry(), {"stage": SPANS})
while True:
    stage = Stage()
    subscription = engine.subscribe("stage", SPANS, stage)
    try:
        while True:
            for number, entries in subscription.poll(0.1, most):
                print("working", flush=True)
                partition = stage.owned[number]
                transaction = partition.transaction()
                transaction.append(SCORES, [Record(entry.value) for entry in entries])
                seen = int(partition.state().get("seen", b"0")) + len(entries)
                transaction.put("seen", str(seen).encode())
                transaction.offset(entries[-1].offset + 1)
                while True:
                    try:
                        transaction.commit()
                        break
                    except StoreError as error:
                        print("waits:", error, flush=True)
    except Lost as error:
        print("lost:", error, flush=True)
        subscription.close()
"""


def worker(folder: Path, config: KafkaEngineConfig, step: str = "never", how: str = "SIGKILL") -> Process:
    settings = json.dumps(
        {name: getattr(config, name) for name in ("brokers", "prefix", "group", "partitions", "options")}
        | {"transaction_timeout": "1s"}
    )
    process = Process("worker", [sys.executable, "-c", _WORKER, settings, step, how], folder / f"{step}.log")
    process.start()
    return process


def said(process: Process, word: str) -> bool:
    return word in process.log_path.read_text()


def outputs(broker: "KafkaBroker", config: KafkaEngineConfig) -> list[int]:
    return sorted(int(record.value) for record in broker.records(config.topic(SCORES)))


def final_state(config: KafkaEngineConfig, partitions: int) -> int:
    """How many records the state says were seen; whoever asks has to wait for the dead to be missed."""
    with closing(running(config)) as engine:
        reader = Reader(engine)
        wait_until(lambda: reader.poll() or len(reader.owner.owned) == partitions, "all partitions", every_seconds=0)
        total = sum(int(one.state().get("seen", b"0")) for one in reader.owner.owned.values())
        reader.close()
    return total


# --- workers ---


def test_workers_that_die_between_any_two_steps_of_a_commit_leave_each_output_once(
    kafka: "KafkaBroker", unique_name: Callable[[str], str], tmp_path: Path
) -> None:
    config = configured(kafka, unique_name("crash"), partitions=6)
    steps = ["begun", "sent", "offset", "asked", "committed"]
    with ExitStack() as stack:
        engine = stack.enter_context(closing(running(config)))
        dying = []
        for step in steps:
            dying.append(worker(tmp_path, config, step))
            stack.callback(dying[-1].stop)
        count = 0

        def feed() -> bool:
            nonlocal count
            engine.append(SPANS, [Record(b"%d" % (count + n), partition=n % 6) for n in range(60)]).result(20)
            count += 60
            return all(not process.running for process in dying)

        wait_until(feed, "all to have died", 60, every_seconds=0.2)
        assert [process.exit_code for process in dying] == [-signal.SIGKILL] * len(steps)
        survivor = worker(tmp_path, config)
        stack.callback(survivor.stop)
        wait_until(lambda: len(outputs(kafka, config)) >= count, "the survivor to finish", 60, every_seconds=0.3)
        survivor.kill()
        assert outputs(kafka, config) == list(range(count))
        assert final_state(config, 6) == count


@pytest.mark.parametrize("step", ["sent", "offset"])
def test_a_worker_that_was_stopped_in_a_commit_is_refused_when_it_goes_on(
    step: str, kafka: "KafkaBroker", unique_name: Callable[[str], str], tmp_path: Path
) -> None:
    config = configured(kafka, unique_name("zombie"), partitions=1)
    with closing(running(config)) as engine, ExitStack() as stack:
        engine.append(SPANS, [Record(b"%d" % n) for n in range(20)]).result(20)
        zombie = worker(tmp_path, config, step, "SIGSTOP")
        stack.callback(zombie.kill)
        wait_until(lambda: said(zombie, "dying"), "it to stop in its third commit", 30)
        other = worker(tmp_path, config)
        stack.callback(other.kill)
        wait_until(lambda: len(outputs(kafka, config)) == 20, "the other to do it all", 30, every_seconds=0.2)
        os.kill(zombie.pid, signal.SIGCONT)
        wait_until(lambda: said(zombie, "lost:"), "it to hear of that", 30)
        other.kill()
        engine.append(SPANS, [Record(b"%d" % n) for n in range(20, 30)]).result(20)
        wait_until(lambda: len(outputs(kafka, config)) == 30, "it to go on by itself", 30, every_seconds=0.2)
        assert outputs(kafka, config) == list(range(30))


# --- the broker ---


def test_while_the_broker_is_gone_it_says_so_and_goes_on_afterwards(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from tests.real.parts.kafka import kafka_broker

    with kafka_broker(tmp_path / "broker", _QUICK) as broker:
        config = configured(broker, "gone", partitions=1)
        with closing(running(config)) as engine:
            reader = Reader(engine)
            commit(reader.partition, x=b"1")
            broker.kill()
            appended = engine.append(SPANS, [Record(b"a")])
            transaction = reader.partition.transaction()
            transaction.append(SCORES, [Record(b"once")])
            transaction.put("x", b"2")
            with pytest.raises(StoreError):
                transaction.commit()
            assert list(reader.subscription.poll(0.1, 10)) == []
            wait_until(lambda: (reader.poll(), config.brokers[0] in engine.problem)[1], "a word of it")
            broker.start()
            _until_committed(transaction)
            with pytest.raises(DriftlineError) if appended.exception(60) else ExitStack():
                appended.result(0)
            wait_until(lambda: engine.append(SPANS, [Record(b"b")]).result(30) is None, "appends to work", 60)
            wait_until(
                lambda: list(reader.subscription.poll(0.1, 10)) is not None and not engine.problem, "all well", 60
            )
            partition: Partition = reader.partition
            assert dict(partition.state()) == {"x": b"2"}
            reader.close()
        assert [record.value for record in broker.records(config.topic(SCORES))] == [b"once"]
    assert all("\n" not in record.getMessage() and record.exc_info is None for record in caplog.records)


def _until_committed(transaction: Any) -> None:
    def done() -> bool:
        try:
            transaction.commit()
        except Lost:
            raise AssertionError("nobody else is there") from None
        return True

    wait_until(done, "the commit", 60, every_seconds=0.1)


# --- compaction ---


def test_state_is_right_after_compaction_with_what_was_deleted(
    kafka: "KafkaBroker", unique_name: Callable[[str], str]
) -> None:
    from kafka.admin import ConfigResource

    config = configured(kafka, unique_name("compact"), partitions=1)
    topic = config.state_topic("stage")
    eager = {"segment.ms": "200", "max.compaction.lag.ms": "200", "min.cleanable.dirty.ratio": "0.01"}
    with kafka.admin() as admin:
        admin.alter_configs([ConfigResource("topic", topic, {**eager, "delete.retention.ms": "100"})])
    with closing(running(config)) as engine:
        reader = Reader(engine)
        for turn in range(10):
            commit(reader.partition, **{f"key-{n}": b"%d" % turn for n in range(20)})
        commit(reader.partition, **{f"key-{n}": None for n in range(10)})

        def compacted() -> bool:
            commit(reader.partition, last=b"1")  # a new segment: the newest is never compacted
            return len([one for one in kafka.records(topic) if one.key != b"last"]) <= 10

        wait_until(compacted, "the broker to compact", 40, every_seconds=0.3)
        reader.close()
        again = Reader(engine)
        assert dict(again.partition.state()) == {f"key-{n}": b"9" for n in range(10, 20)} | {"last": b"1"}
        again.close()
