"""What every engine promises, as tests: a subclass gives them `store`, something that opens engines on the same data.

The stages are named "stage", which reads spans, and "other", which reads scores; every log has one partition.
"""

import itertools
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from collector.core.engine import LOGS, SCORES, SPANS, Engine, Entry, Partition, Record, Subscription
from collector.core.errors import DriftlineError, StoreError
from tests.real.parts.process import wait_until

LOG_OF = {"stage": SPANS, "other": SCORES}
Open = Callable[[], Engine]


class Owner:
    """A listener that remembers what it owns, and on which threads it was told."""

    def __init__(self) -> None:
        self.owned: dict[int, Partition] = {}
        self.threads: set[int] = set()
        self.told: list[str] = []

    def assigned(self, partition: Partition) -> None:
        self.told.append(f"+{partition.number}")
        self.threads.add(threading.get_ident())
        self.owned[partition.number] = partition

    def revoked(self, partition: Partition) -> None:
        self.told.append(f"-{partition.number}")
        self.threads.add(threading.get_ident())
        assert self.owned.pop(partition.number) is partition


class Reader:
    """A subscription with its listener."""

    def __init__(self, engine: Engine, stage: str = "stage", log: str | None = None, from_start: bool = False) -> None:
        self.owner = Owner()
        self._ahead: list[Entry] = []  # read while something else was waited for
        self.subscription: Subscription = engine.subscribe(stage, log or LOG_OF[stage], self.owner, from_start)

    @property
    def partition(self) -> Partition:
        """The one partition; waits until it is ours."""

        def ours() -> bool:
            self._ahead += [] if self.owner.owned else self.poll()
            return bool(self.owner.owned)

        wait_until(ours, "the partition", every_seconds=0)
        return self.owner.owned[0]

    def poll(self, most: int = 1000) -> list[Entry]:
        return [entry for _, entries in self.subscription.poll(0.1, most) for entry in entries]

    def read(self, count: int) -> list[Entry]:
        """The next `count` records, no more and no fewer."""
        found, self._ahead = self._ahead, []

        def enough() -> bool:
            found.extend([] if len(found) >= count and self.owner.owned else self.poll())
            return len(found) >= count and bool(self.owner.owned)

        wait_until(enough, f"{count} records, of which there are {found}", every_seconds=0)
        assert len(found) == count
        return found

    def values(self, count: int) -> list[bytes]:
        return [entry.value for entry in self.read(count)]

    def close(self) -> None:
        self.subscription.close()


def commit(
    partition: Partition, outputs: Sequence[bytes] = (), offset: int | None = None, **state: bytes | None
) -> None:
    transaction = partition.transaction()
    transaction.append(SCORES, [Record(value) for value in outputs])
    for key, value in state.items():
        if value is None:
            transaction.delete(key)
        else:
            transaction.put(key, value)
    if offset is not None:
        transaction.offset(offset)
    transaction.commit()


class EngineContract:
    """Subclass it, and give it a fixture `store`."""

    @pytest.fixture
    def open_engine(self, store: Open) -> Iterator[Open]:
        opened: list[Engine] = []

        def open_one() -> Engine:
            opened.append(store())
            return opened[-1]

        yield open_one
        for engine in opened:
            engine.close()

    @pytest.fixture
    def engine(self, open_engine: Open) -> Engine:
        return open_engine()

    # --- logs ---

    def test_every_log_has_a_partition(self, engine: Engine) -> None:
        assert [engine.partitions(log) for log in LOGS] == [1] * len(LOGS)

    def test_what_is_appended_is_read_in_order_with_key_and_kind(self, engine: Engine) -> None:
        records = [Record(b"a", b"k", "traces"), Record(b"b"), Record(b"", b"key"), Record(b"d", kind="tick")]
        engine.append(SPANS, records[:2]).result(10)
        engine.append(SPANS, records[2:]).result(10)
        reader = Reader(engine)
        found = reader.read(4)
        assert [(entry.value, entry.key, entry.kind) for entry in found] == [
            (record.value, record.key, record.kind) for record in records
        ]
        offsets = [entry.offset for entry in found]
        assert offsets == sorted(set(offsets))
        reader.close()

    def test_appends_that_are_not_waited_for_keep_their_order(self, engine: Engine) -> None:
        numbers = itertools.count()
        done = [engine.append(SPANS, [Record(str(next(numbers)).encode()) for _ in range(3)]) for _ in range(100)]
        for future in done:
            future.result(10)
        reader = Reader(engine)
        assert reader.values(300) == [str(number).encode() for number in range(300)]
        reader.close()

    def test_appends_of_many_threads_keep_the_order_of_each(self, engine: Engine) -> None:
        def work(thread: int) -> None:
            for number in range(50):
                engine.append(SPANS, [Record(bytes([thread, number]))])
            engine.append(SPANS, [Record(bytes([thread, 50]))]).result(10)

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(work, range(4)))
        reader = Reader(engine)
        found = reader.values(4 * 51)
        for thread in range(4):
            assert [value[1] for value in found if value[0] == thread] == list(range(51))
        reader.close()

    def test_an_append_of_nothing_is_done(self, engine: Engine) -> None:
        assert engine.append(SPANS, []).result(10) is None

    def test_an_append_to_a_partition_lands_there(self, engine: Engine) -> None:
        engine.append(SPANS, [Record(b"a", key=b"k", partition=0)]).result(10)
        reader = Reader(engine)
        assert reader.values(1) == [b"a"]
        reader.close()

    def test_what_was_acknowledged_is_there_after_a_restart(self, open_engine: Open) -> None:
        first = open_engine()
        first.append(SPANS, [Record(b"a")]).result(10)
        first.close()
        reader = Reader(open_engine())
        assert reader.values(1) == [b"a"]
        reader.close()

    # --- reading ---

    def test_a_poll_brings_no_more_than_was_asked_for(self, engine: Engine) -> None:
        engine.append(SPANS, [Record(bytes([number])) for number in range(10)]).result(10)
        reader, found = Reader(engine), []
        while len(found) < 10:
            entries = reader.poll(3)
            assert len(entries) <= 3
            found += entries
        assert [entry.value[0] for entry in found] == list(range(10))
        reader.close()

    def test_a_poll_wakes_up_when_something_is_appended(self, engine: Engine) -> None:
        reader = Reader(engine)
        assert reader.partition.committed == 0
        engine.append(SPANS, [Record(b"a")])
        began = time.monotonic()
        ((number, (entry,)),) = reader.subscription.poll(30, 10)
        assert (number, entry.value) == (0, b"a")
        assert time.monotonic() - began < 15
        reader.close()

    def test_a_poll_without_anything_new_ends_with_its_timeout(self, engine: Engine) -> None:
        reader = Reader(engine)
        assert reader.partition
        began = time.monotonic()
        assert list(reader.subscription.poll(0.2, 10)) == []
        assert 0.1 < time.monotonic() - began < 5
        assert list(reader.subscription.poll(0, 10)) == []
        reader.close()

    def test_what_was_not_committed_is_read_again(self, open_engine: Open) -> None:
        engine = open_engine()
        engine.append(SPANS, [Record(b"a"), Record(b"b"), Record(b"c")]).result(10)
        reader = Reader(engine)
        entries = reader.read(3)
        commit(reader.partition, offset=entries[1].offset)
        reader.close()
        again = Reader(open_engine())
        assert again.values(2) == [b"b", b"c"]
        assert again.partition.committed == entries[1].offset
        again.close()

    def test_from_start_everything_is_read_again_and_state_stays(self, engine: Engine) -> None:
        engine.append(SPANS, [Record(b"a"), Record(b"b")]).result(10)
        reader = Reader(engine)
        commit(reader.partition, offset=reader.read(2)[-1].offset + 1, x=b"1")
        reader.close()
        again = Reader(engine, from_start=True)
        assert again.values(2) == [b"a", b"b"]
        assert again.partition.state() == {"x": b"1"}
        again.close()

    def test_stages_have_separate_offsets_and_state(self, engine: Engine) -> None:
        engine.append(SPANS, [Record(b"a")]).result(10)
        reader, view = Reader(engine), Reader(engine, "view", SPANS)
        commit(reader.partition, offset=reader.read(1)[0].offset + 1, x=b"1")
        assert view.values(1) == [b"a"]
        assert view.partition.state() == {}
        assert reader.partition.state() == {"x": b"1"}
        reader.close()
        view.close()

    def test_the_listener_is_told_by_the_thread_that_polls_and_at_the_end(self, engine: Engine) -> None:
        reader = Reader(engine)
        assert reader.partition
        reader.close()
        reader.close()
        assert reader.owner.told == ["+0", "-0"]
        assert reader.owner.threads == {threading.get_ident()}

    # --- transactions ---

    def test_a_transaction_keeps_outputs_state_and_offset_together(self, open_engine: Open) -> None:
        engine = open_engine()
        engine.append(SPANS, [Record(b"a"), Record(b"b")]).result(10)
        reader = Reader(engine)
        commit(reader.partition, [b"score"], reader.read(2)[1].offset, x=b"1", y=b"2")
        commit(reader.partition, y=None, z=b"")
        reader.close()
        engine.close()

        after = open_engine()
        reader, scores = Reader(after), Reader(after, "other")
        assert reader.values(1) == [b"b"]
        assert reader.partition.state() == {"x": b"1", "z": b""}
        assert scores.values(1) == [b"score"]
        reader.close()
        scores.close()

    def test_nothing_happens_before_the_commit(self, engine: Engine) -> None:
        reader, scores = Reader(engine), Reader(engine, "other")
        transaction = reader.partition.transaction()
        transaction.append(SCORES, [Record(b"never")])
        transaction.put("x", b"never")
        commit(reader.partition, [b"seen"], y=b"1")
        assert reader.partition.state() == {"y": b"1"}
        assert scores.values(1) == [b"seen"]
        reader.close()
        scores.close()

    @pytest.mark.parametrize("what", ["nothing", "outputs", "state", "offset"])
    def test_a_transaction_may_have_only_one_thing_or_nothing(self, what: str, open_engine: Open) -> None:
        engine = open_engine()
        engine.append(SPANS, [Record(b"a")]).result(10)
        reader = Reader(engine)
        (entry,) = reader.read(1)
        commit(
            reader.partition,
            [b"score"] if what == "outputs" else [],
            entry.offset + 1 if what == "offset" else None,
            **({"x": b"1"} if what == "state" else {}),
        )
        reader.close()
        engine.close()
        after = open_engine()
        reader, scores = Reader(after), Reader(after, "other")
        assert reader.values(0 if what == "offset" else 1) == ([] if what == "offset" else [b"a"])
        assert reader.partition.state() == ({"x": b"1"} if what == "state" else {})
        assert scores.values(1 if what == "outputs" else 0) == ([b"score"] if what == "outputs" else [])
        reader.close()
        scores.close()

    def test_the_last_word_on_a_key_counts(self, engine: Engine) -> None:
        reader = Reader(engine)
        transaction = reader.partition.transaction()
        transaction.put("x", b"1")
        transaction.delete("x")
        transaction.delete("y")
        transaction.put("y", b"2")
        transaction.commit()
        assert reader.partition.state() == {"y": b"2"}
        reader.close()

    def test_a_state_is_a_copy(self, engine: Engine) -> None:
        reader = Reader(engine)
        commit(reader.partition, x=b"1")
        before = reader.partition.state()
        commit(reader.partition, x=b"2")
        assert (before, reader.partition.state()) == ({"x": b"1"}, {"x": b"2"})
        reader.close()

    def test_outputs_wake_up_who_reads_them(self, engine: Engine) -> None:
        reader, scores = Reader(engine), Reader(engine, "other")
        assert scores.partition
        commit(reader.partition, [b"a", b"b"])
        commit(reader.partition, [b"c"])
        assert scores.values(3) == [b"a", b"b", b"c"]
        reader.close()
        scores.close()

    # --- the end ---

    def test_close_finishes_what_was_handed_in(self, open_engine: Open) -> None:
        engine = open_engine()
        done = [engine.append(SPANS, [Record(bytes([number]))]) for number in range(50)]
        engine.close()
        engine.close()
        assert [future.result(0) for future in done] == [None] * 50
        reader = Reader(open_engine())
        assert [value[0] for value in reader.values(50)] == list(range(50))
        reader.close()

    def test_a_closed_engine_takes_nothing_more(self, engine: Engine) -> None:
        engine.close()
        with pytest.raises(StoreError):
            engine.append(SPANS, [Record(b"a")]).result(10)
        with pytest.raises(DriftlineError):
            engine.subscribe("stage", SPANS, Owner())
