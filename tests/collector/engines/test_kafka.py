"""The Kafka engine beyond the contract: several workers, partitions, sizes, topics; nobody dies here."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from collector.core.clock import SystemClock
from collector.core.engine import LOGS, SCORES, SPANS, TICK_KIND, Entry, Record
from collector.core.errors import Lost, Overloaded, Rejected, StoreError, UserError
from collector.core.telemetry import Telemetry
from collector.engines import kafka_clients
from collector.engines.kafka import KafkaEngine, KafkaEngineConfig
from collector.engines.kafka_topics import Plan, apply, plan
from tests.collector.engines.conformance import LOG_OF, Owner, Reader, commit
from tests.real.parts.process import wait_until

if TYPE_CHECKING:
    from tests.real.parts.kafka import KafkaBroker

Configured = Callable[..., KafkaEngineConfig]


@pytest.fixture
def configured(kafka: "KafkaBroker", unique_name: Callable[[str], str]) -> Configured:
    """A configuration of a test's own, whose topics exist."""

    def make(**settings: Any) -> KafkaEngineConfig:
        name = unique_name("engine")
        config = KafkaEngineConfig(brokers=[kafka.address], prefix=name, group=name, **settings)
        with kafka.admin() as admin:
            apply(plan(config, admin, LOG_OF), admin)
        return config

    return make


@contextmanager
def running(config: KafkaEngineConfig, telemetry: Telemetry | None = None) -> Iterator[KafkaEngine]:
    with closing(KafkaEngine(config, SystemClock(), telemetry or Telemetry(), LOG_OF)) as engine:
        yield engine


class Worker(Reader):
    """Counts the records of each partition in its state, and hands their values on."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.waits: list[str] = []  # what commits that were tried again said

    def turn(self) -> None:
        for number, entries in self.subscription.poll(0.05, 100):
            self.process(number, entries)

    def process(self, number: int, entries: Any) -> None:
        """Raises Lost."""
        partition = self.owner.owned[number]
        seen = int(partition.state().get("seen", b"0")) + len(entries)
        transaction = partition.transaction()
        transaction.append(SCORES, [Record(entry.value) for entry in entries])
        transaction.put("seen", str(seen).encode())
        transaction.offset(entries[-1].offset + 1)
        while True:
            try:
                transaction.commit()
            except StoreError as error:
                self.waits.append(str(error))
            else:
                return

    def seen(self) -> int:
        return sum(int(partition.state().get("seen", b"0")) for partition in self.owner.owned.values())


def turn_until(condition: Callable[[], object], what: str, *workers: Worker) -> None:
    """Let the workers work, each on a thread, until something is so; what they raise is raised here."""
    stopping = threading.Event()
    failures: list[BaseException] = []

    def work(worker: Worker) -> None:
        try:
            while not stopping.is_set():
                worker.turn()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=[worker]) for worker in workers]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: failures or condition(), what)
    finally:
        stopping.set()
        for thread in threads:
            thread.join()
    if failures:
        raise failures[0]


# --- several workers ---


def test_workers_share_the_partitions_and_state_moves_with_them(kafka: "KafkaBroker", configured: Configured) -> None:
    config = configured(partitions=4)
    telemetry = Telemetry()
    with running(config, telemetry) as one, running(config) as two:
        one.append(SPANS, [Record(b"%d" % n, partition=n % 4) for n in range(40)]).result(10)
        first = Worker(one)
        turn_until(lambda: first.seen() == 40, "the first to do it all", first)
        second = Worker(two)
        turn_until(lambda: len(second.owner.owned) == 2, "the second to have its share", first, second)
        assert set(first.owner.owned) | set(second.owner.owned) == {0, 1, 2, 3}
        assert (first.seen(), second.seen()) == (20, 20)
        kept = {partition: first.owner.told.count(f"+{partition}") for partition in first.owner.owned}
        assert set(kept.values()) == {1}, "what a worker keeps is not taken away and given back"

        one.append(SPANS, [Record(b"%d" % n, partition=n % 4) for n in range(40, 80)]).result(10)
        turn_until(lambda: first.seen() + second.seen() == 80, "both to do the rest", first, second)
        second.close()
        turn_until(lambda: first.seen() == 80, "the first to have it all back", first)
        first.close()
    outputs = [int(record.value) for record in kafka.records(config.topic(SCORES))]
    assert sorted(outputs) == list(range(80))
    values = {one.name: one for one in telemetry.instruments()}
    assert sum(values["driftline_rebalances"].values().values()) >= 2  # type: ignore[attr-defined]
    assert sum(values["driftline_restored_state_bytes"].values().values()) >= 4  # type: ignore[attr-defined]


def test_a_transaction_on_a_partition_that_went_away_is_lost(kafka: "KafkaBroker", configured: Configured) -> None:
    config = configured(partitions=2)
    with running(config) as one, running(config) as two:
        first, second = Worker(one), Worker(two)
        turn_until(lambda: len(first.owner.owned) == 2, "the first to have both", first)
        had = dict(first.owner.owned)
        turn_until(lambda: second.owner.owned, "the second to have one", first, second)
        (moved,) = second.owner.owned
        with pytest.raises(Lost, match=f"partition {moved}"):
            commit(had[moved], [b"ghost"], x=b"ghost")

        def committed() -> bool:
            """On a busy machine the rebalance may still be going on for the other member."""
            turn_until(lambda: True, "a turn", second)
            commit(had[1 - moved], [b"real"], x=b"real")
            return True

        wait_until(committed, "the commit of what stayed")
        assert dict(second.owner.owned[moved].state()) == {}
        first.close()
        second.close()
    assert [record.value for record in kafka.records(config.topic(SCORES))] == [b"real"]


def test_a_worker_that_does_not_poll_for_too_long_is_refused_and_can_go_on(
    kafka: "KafkaBroker", configured: Configured
) -> None:
    slow = configured(partitions=1, options={"max_poll_interval_ms": 1500, "heartbeat_interval_ms": 300})
    quick = slow.model_copy(update={"options": {}})
    with running(slow) as one, running(quick) as two:
        one.append(SPANS, [Record(b"a")]).result(10)
        stuck, other = Worker(one), Worker(two)
        found: list[tuple[int, Any]] = []
        wait_until(lambda: found.extend(stuck.subscription.poll(0.05, 10)) or found, "a record", every_seconds=0)
        turn_until(lambda: other.seen() == 1, "the other to do its work", other)
        with pytest.raises(Lost):
            stuck.process(*found[0])
        stuck.close()
        stuck, again = other, Worker(one)
        other.close()
        one.append(SPANS, [Record(b"b")]).result(10)
        turn_until(lambda: again.seen() == 2, "the slow one to go on", again)
        again.close()
    assert [record.value for record in kafka.records(config_topic(slow))] == [b"a", b"b"]


def config_topic(config: KafkaEngineConfig) -> str:
    return config.topic(SCORES)


def test_commits_in_the_middle_of_a_rebalance_go_through(configured: Configured) -> None:
    config = configured(partitions=2)
    with running(config) as one, running(config) as two:
        first, second = Worker(one), Worker(two)
        turn_until(lambda: len(first.owner.owned) == 2, "the first to have both", first)
        committed = lost = 0

        def commit_without_end() -> bool:
            nonlocal committed, lost
            first.subscription.poll(0, 10)
            for partition in list(first.owner.owned.values()):
                try:
                    commit(partition, n=b"%d" % committed)
                except Lost:
                    lost += 1
                except StoreError as error:
                    assert "rebalancing" in str(error)  # noqa: PT017
                else:
                    committed += 1
            return bool(second.owner.owned)

        turn_until(commit_without_end, "the second to have one", second)
        assert committed > 2
        assert lost <= 1
        first.close()
        second.close()


def test_a_partition_that_was_held_while_others_were_read_is_read_afterwards(configured: Configured) -> None:
    config = configured(partitions=2)
    with running(config) as engine:
        engine.append(SPANS, [Record(b"%d" % n, partition=n % 2) for n in range(60)]).result(10)
        reader = Reader(engine)
        found: dict[int, list[Entry]] = {0: [], 1: []}

        def read(most: int) -> dict[int, list[Entry]]:
            for number, entries in reader.subscription.poll(0.1, most):
                found[number] += entries
            return found

        wait_until(lambda: any(read(5).values()), "the first records", every_seconds=0)
        held = next(number for number, entries in found.items() if entries)
        group = reader.subscription._group  # type: ignore[attr-defined]
        group.hold([held])
        wait_until(lambda: len(read(100)[1 - held]) == 30, "all of the other partition", every_seconds=0)
        group.resume([held])
        wait_until(lambda: len(read(100)[held]) == 30, "the rest", every_seconds=0)
        reader.close()


# --- what is not known ---


@pytest.fixture
def lose_next_answer(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """`lose_next_answer(was_committed)`: nobody hears how the next commit ended."""
    from kafka.errors import KafkaTimeoutError

    real = kafka_clients.Producer.commit

    def lose(was_committed: bool) -> None:
        def unanswered(self: Any, seconds: float) -> None:
            monkeypatch.setattr(kafka_clients.Producer, "commit", real)
            if was_committed:
                real(self, seconds)
            raise KafkaTimeoutError("nobody answered")

        monkeypatch.setattr(kafka_clients.Producer, "commit", unanswered)

    return lose


@pytest.mark.parametrize("was_committed", [True, False])
def test_a_commit_whose_answer_was_lost_is_made_once(
    was_committed: bool, kafka: "KafkaBroker", configured: Configured, lose_next_answer: Callable[[bool], None]
) -> None:
    config = configured(partitions=1)
    with running(config) as engine:
        engine.append(SPANS, [Record(b"a"), Record(b"b")]).result(10)
        reader = Reader(engine)
        entries = reader.read(2)
        transaction = reader.partition.transaction()
        transaction.append(SCORES, [Record(b"once")])
        transaction.put("x", b"1")
        transaction.offset(entries[1].offset)
        lose_next_answer(was_committed)
        with pytest.raises(StoreError, match="nobody answered"):
            transaction.commit()
        assert dict(reader.partition.state()) == {}
        transaction.commit()
        assert dict(reader.partition.state()) == {"x": b"1"}
        commit(reader.partition, [b"then"], y=b"2")  # and keeps the offset
        reader.close()
        again = Reader(engine)
        assert again.values(1) == [b"b"]
        assert dict(again.partition.state()) == {"x": b"1", "y": b"2"}
        again.close()
    assert [record.value for record in kafka.records(config.topic(SCORES))] == [b"once", b"then"]


@pytest.mark.parametrize("was_committed", [True, False])
def test_a_doubt_is_settled_before_another_transaction(
    was_committed: bool, kafka: "KafkaBroker", configured: Configured, lose_next_answer: Callable[[bool], None]
) -> None:
    config = configured(partitions=1)
    with running(config) as engine:
        engine.append(SPANS, [Record(b"a")]).result(10)
        reader = Reader(engine)
        (entry,) = reader.read(1)
        lose_next_answer(was_committed)
        with pytest.raises(StoreError):
            commit(reader.partition, [b"first"], entry.offset + 1, x=b"1")
        commit(reader.partition, [b"second"], y=b"2")
        assert dict(reader.partition.state()) == ({"x": b"1"} if was_committed else {}) | {"y": b"2"}
        reader.close()
        again = Reader(engine)
        assert again.values(0 if was_committed else 1) == ([] if was_committed else [b"a"])
        again.close()
    found = [record.value for record in kafka.records(config.topic(SCORES))]
    assert found == ([b"first"] if was_committed else []) + [b"second"]


def test_a_record_that_was_given_up_on_fails_the_whole_commit(
    kafka: "KafkaBroker", configured: Configured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """kafka-python itself would commit the rest."""
    from kafka.errors import KafkaTimeoutError
    from kafka.producer.future import FutureProduceResult, FutureRecordMetadata

    config = configured(partitions=1)
    real, lost = kafka_clients.Producer.send, []

    def send(self: Any, topic: str, value: bytes | None = None, *rest: Any) -> Any:
        if value == b"lost" and not lost:
            lost.append(value)
            return FutureRecordMetadata(FutureProduceResult(None), 0, 0, None, 0, 0, 0).failure(KafkaTimeoutError())
        return real(self, topic, value, *rest)

    monkeypatch.setattr(kafka_clients.Producer, "send", send)
    with running(config) as engine:
        reader = Reader(engine)
        transaction = reader.partition.transaction()
        transaction.append(SCORES, [Record(b"sent"), Record(b"lost")])
        with pytest.raises(StoreError):
            transaction.commit()
        transaction.commit()
        reader.close()
    assert [record.value for record in kafka.records(config.topic(SCORES))] == [b"sent", b"lost"]


# --- partitions and keys ---


def test_records_of_a_key_stay_together_and_in_order(configured: Configured) -> None:
    config = configured(partitions=3)
    with running(config) as engine:
        assert engine.partitions(SPANS) == 3
        for n in range(60):
            engine.append(SPANS, [Record(b"%d" % n, key=b"key-%d" % (n % 6))])
        engine.append(SPANS, [Record(b"last", partition=2)]).result(10)
        reader = Reader(engine)
        found: dict[int, list[Entry]] = {}

        def enough() -> bool:
            for number, entries in reader.subscription.poll(0.1, 7):
                found.setdefault(number, []).extend(entries)
            return sum(map(len, found.values())) == 61

        wait_until(enough, "all records", every_seconds=0)
        reader.close()
    where: dict[bytes, set[int]] = {}
    for number, entries in found.items():
        for entry in entries:
            if entry.key:
                where.setdefault(entry.key, set()).add(number)
        for key in {entry.key for entry in entries}:
            values = [int(entry.value) for entry in entries if entry.key == key and entry.value != b"last"]
            assert values == sorted(values)
    assert {len(numbers) for numbers in where.values()} == {1}
    assert found[2][-1].value == b"last"
    # As Java's clients would place them: murmur2 of the key, positive, modulo three.
    assert where[b"key-0"] == {java_partition(b"key-0", 3)}


def java_partition(key: bytes, partitions: int) -> int:
    from kafka.partitioner import murmur2

    return int(murmur2(key) & 0x7FFFFFFF) % partitions


def test_partitions_grow_without_losing_state(kafka: "KafkaBroker", configured: Configured) -> None:
    config = configured(partitions=1, options={"metadata_max_age_ms": 500})
    grown = config.model_copy(update={"partitions": 3})
    with running(config) as engine:
        engine.append(SPANS, [Record(b"a")]).result(10)
        worker = Worker(engine)
        turn_until(lambda: worker.seen() == 1, "the first record", worker)
        with kafka.admin() as admin:
            todo = plan(grown, admin, LOG_OF)
            assert next(iter(todo.grow)).endswith("state.stage"), "state first, or a worker would not find its own"
            assert f"grow {config.topic(SPANS)}: 1 -> 3 partitions" in todo.lines()
            apply(todo, admin)
        turn_until(lambda: len(worker.owner.owned) == 3, "the new partitions", worker)
        wait_until(lambda: engine.partitions(SPANS) == 3, "the new count")
        engine.append(SPANS, [Record(b"%d" % n, partition=n) for n in range(3)]).result(10)
        turn_until(lambda: worker.seen() == 4, "records of all partitions", worker)
        assert worker.owner.told.count("+0") == 1
        worker.close()


# --- sizes ---


def test_a_record_that_is_too_large_is_refused_alone(configured: Configured) -> None:
    config = configured(partitions=1, max_record="100KiB")
    with running(config) as engine:
        before = engine.append(SPANS, [Record(b"a")])
        refused = engine.append(SPANS, [Record(b"b"), Record(b"x" * 102_401)])
        after = engine.append(SPANS, [Record(b"y" * 102_400)])
        with pytest.raises(Rejected, match=r"102401 bytes for .*spans, which takes 102400") as error:
            refused.result(10)
        assert error.value.reason == "too_large"
        before.result(10)
        after.result(10)
        reader = Reader(engine)
        assert [len(value) for value in reader.values(2)] == [1, 102_400]
        transaction = reader.partition.transaction()
        with pytest.raises(Rejected):
            transaction.append(SCORES, [Record(b"x" * 102_401)])
        with pytest.raises(Rejected):
            transaction.put("key", b"x" * 102_401)
        commit(reader.partition, [b"z" * 102_400] * 3, x=b"y" * 100_000)
        reader.close()


def test_a_topic_whose_limit_was_lowered_behind_our_back_does_not_stop_the_others(
    kafka: "KafkaBroker", configured: Configured
) -> None:
    from kafka.admin import ConfigResource

    config = configured(partitions=1)
    with running(config) as engine:
        with kafka.admin() as admin:
            admin.alter_configs([ConfigResource("topic", config.topic(SPANS), {"max.message.bytes": "10000"})])

        def refused() -> bool:
            return "MessageSizeTooLarge" in str(engine.append(SPANS, [Record(b"x" * 50_000)]).exception(30))

        wait_until(refused, "the broker to know of the limit")
        wait_until(lambda: engine.append(SPANS, [Record(b"a")]).result(10) is None, "the next to work")


def test_past_what_may_be_unsent_senders_are_told_to_wait(configured: Configured) -> None:
    config = configured(partitions=1, max_unsent="10KiB")
    with running(config) as engine:
        engine.append(SPANS, [Record(b"x" * 20_000)]).result(10)  # one is taken, however large
        with pytest.raises(Overloaded) as error:  # noqa: PT012  which of them is not known
            for _ in range(100):
                engine.append(SPANS, [Record(b"x" * 5_000)])
        assert error.value.reason == "unsent"
        wait_until(lambda: engine.append(SPANS, [Record(b"a")]).result(10) is None, "room")


def test_senders_wait_while_retention_could_drop_what_nobody_has_read(
    kafka: "KafkaBroker", configured: Configured
) -> None:
    config = configured(partitions=1, stream_size="400KB")
    telemetry = Telemetry()
    with running(config, telemetry) as engine:
        for _ in range(9):
            engine.append(SPANS, [Record(b"x" * 20_000)]).result(20)
        engine._backlog.look()
        engine.append(SPANS, [Record(b"x" * 150_000)]).result(20)
        engine._backlog.look()
        with pytest.raises(Overloaded, match=r"what is not evaluated takes 8\d% of what") as told:
            engine.append(SPANS, [Record(b"more")])
        assert (told.value.reason, told.value.retry_after_seconds) == ("backlog", 30)
        assert telemetry.gauge("driftline_retention_ratio", "", unit="ratio").values()[()] > 0.8
        engine.append(SPANS, [Record(b"1", kind=TICK_KIND)]).result(20)
        reader = Reader(engine)
        commit(reader.partition, offset=11)
        engine._backlog.look()
        engine.append(SPANS, [Record(b"more")]).result(20)
        reader.close()


def test_senders_wait_while_unread_records_are_nearly_too_old(kafka: "KafkaBroker", configured: Configured) -> None:
    from kafka.admin import ConfigResource

    config = configured(partitions=1, stream_retention="1h")
    with kafka.admin() as admin:  # so that a record can be old from the beginning
        admin.alter_configs([ConfigResource("topic", config.topic(SPANS), {"message.timestamp.type": "CreateTime"})])
    with running(config) as engine:
        with kafka.producer() as producer:
            an_hour_ago = round(1000 * (time.time() - 3000))
            producer.send(config.topic(SPANS), b"old", partition=0, timestamp_ms=an_hour_ago).get(timeout=20)
        engine._backlog.look()
        with pytest.raises(Overloaded, match="takes 100%"):
            engine.append(SPANS, [Record(b"more")])
        reader = Reader(engine)
        commit(reader.partition, offset=1)
        engine._backlog.look()
        engine.append(SPANS, [Record(b"more")]).result(20)
        reader.close()


# --- topics and configuration ---


def test_without_topics_it_says_what_to_run(kafka: "KafkaBroker", unique_name: Callable[[str], str]) -> None:
    config = KafkaEngineConfig(brokers=[kafka.address], prefix=unique_name("none"))
    with pytest.raises(UserError) as error:
        KafkaEngine(config, SystemClock(), Telemetry(), LOG_OF)
    assert f"there is no topic {config.prefix}.spans" in str(error.value)
    assert "driftline topics apply" in str(error.value)


def test_a_plan_says_what_is_different_and_apply_puts_it_right(kafka: "KafkaBroker", configured: Configured) -> None:
    from kafka.admin import ConfigResource

    config = configured(partitions=2)
    other = config.model_copy(update={"retention": 86400.0})
    with kafka.admin() as admin:
        assert plan(config, admin, LOG_OF) == Plan()
        state = config.state_topic("stage")
        admin.alter_configs([ConfigResource("topic", state, {"cleanup.policy": "delete"})])
        wait_until(lambda: plan(config, admin, LOG_OF).problems, "the broker to show the change")
        todo = plan(other, admin, LOG_OF)
        assert f"change {config.topic('changes')}: retention.ms 2592000000 -> 86400000" in todo.lines()
        assert any(line.startswith(f"problem: {state} has cleanup.policy=delete") for line in todo.lines())
        apply(todo, admin)
        wait_until(lambda: not plan(other, admin, LOG_OF).change, "the broker to show what was applied")
        with pytest.raises(UserError, match=r"cleanup\.policy=delete"):
            KafkaEngine(config, SystemClock(), Telemetry(), LOG_OF)
        wider = config.model_copy(update={"replication": 3})
        copies = [problem for problem in plan(wider, admin, LOG_OF).problems if "has 1 copies, 3 are wanted" in problem]
        assert len(copies) == len(LOGS) + len(LOG_OF)  # and a topic for the state of each stage


def test_without_a_broker_it_says_so_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        config = KafkaEngineConfig(brokers=[address], options={"bootstrap_timeout_ms": 300})
        threads = threading.active_count()
        with pytest.raises(StoreError) as error:
            KafkaEngine(config, SystemClock(), Telemetry(), LOG_OF)
        assert "\n" not in str(error.value)
        assert address in str(error.value)
        assert threading.active_count() == threads


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"brokers": ["no where"]}, "not HOST:PORT"),
        ({"options": {"no_such": 1}}, "not a setting of kafka-python's KafkaConsumer"),
        ({"options": {"isolation_level": "read_uncommitted"}}, "not yours to set"),
        ({"options": {"sasl_plain_password": "plain"}}, "never as plain text"),
        ({"partitions": 0}, "greater than or equal to 1"),
    ],
)
def test_a_wrong_configuration_is_refused(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        KafkaEngineConfig(**{"brokers": ["kafka:9092"], **settings})


@pytest.mark.parametrize(("codec", "number"), [("none", 0), ("gzip", 1), ("snappy", 2), ("lz4", 3), ("zstd", 4)])
def test_records_are_compressed_as_configured_and_read_back(
    codec: str, number: int, kafka: "KafkaBroker", configured: Configured
) -> None:
    config = configured(partitions=1, compression=codec)
    value = b"the same again and again " * 1000
    with running(config) as engine:
        engine.append(SPANS, [Record(value)]).result(20)
        reader = Reader(engine)
        wait_until(lambda: reader.poll(), "what was appended", every_seconds=0)
        transaction = reader.partition.transaction()
        transaction.append(SCORES, [Record(value)])
        transaction.put("x", value)
        transaction.offset(1)
        transaction.commit()
        reader.close()
        again = Reader(engine)
        assert dict(again.partition.state()) == {"x": value}
        again.close()
    for topic in (config.topic(SPANS), config.topic(SCORES), config.state_topic("stage")):
        segment = kafka.folder / "data" / f"{topic}-0" / f"{0:020}.log"
        assert segment.read_bytes()[22] & 7 == number  # KIP-98: the low bits of a batch's attributes
    assert {record.value for record in kafka.records(config.topic(SCORES))} == {value}


def test_records_that_another_compressed_wait_until_their_codec_is_installed(
    kafka: "KafkaBroker", configured: Configured, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = configured(partitions=1)
    with kafka.producer(compression_type="zstd") as producer:
        producer.send(config.topic(SPANS), b"a" * 1000, partition=0).get(timeout=20)
    with running(config) as engine:
        reader = Reader(engine)
        with monkeypatch.context() as without:
            without.setattr("kafka.codec.zstd", None)
            wait_until(lambda: (reader.poll(), "pip install 'driftline[comp" in engine.problem)[1], "a word of it", 20)
        wait_until(lambda: reader.poll(), "what was appended", every_seconds=0)
        reader.close()


def test_a_stage_without_state_cannot_put_any(configured: Configured) -> None:
    with running(configured(partitions=1)) as engine:
        reader = Reader(engine, "view", SPANS)
        with pytest.raises(ValueError, match="without state"):
            reader.partition.transaction().put("x", b"1")
        with pytest.raises(ValueError, match="declared to read spans"):
            engine.subscribe("stage", SCORES, Owner())
        reader.close()
