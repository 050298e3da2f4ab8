"""Parquet files from the logs: each row in exactly one of them, whatever dies in between; whole, named, bounded."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from collector.core.clock import FakeClock
from collector.core.engine import CHANGES, DECISIONS, Entry, Partition, Record, Transaction
from collector.core.telemetry import Telemetry
from collector.engines.sqlite import SqliteEngine, StoreConfig
from driftline.export import file_stage
from driftline.export.config import ParquetExportConfig
from driftline.export.file_stage import FileStage
from driftline.export.parquet import write_part
from driftline.export.rows import SCORE_FORM
from driftline.export.stage import changes, scores
from driftline.pipeline import Stopped
from tests.driftline.export.store import Store, tree


class Killed(Exception):
    """As kill -9: nothing after it happens."""


class Bench:
    """An engine with the records of a real store, and stages over it that come and go."""

    def __init__(self, folder: Path, entries: Sequence[Entry], log: str = DECISIONS) -> None:
        self.lake = folder / "lake"
        self.clock = FakeClock()
        self.telemetry = Telemetry()
        self._folder, self._log = folder, log
        self._engine = self._open()
        self.append(entries)

    def _open(self) -> SqliteEngine:
        return SqliteEngine(StoreConfig(path=self._folder / "store.db"), self.clock, self.telemetry)

    def append(self, entries: Sequence[Entry]) -> None:
        self._engine.append(self._log, [Record(one.value, key=one.key) for one in entries]).result()

    def stage(self, **config: Any) -> FileStage:
        """A new process."""
        self._engine.close()
        self._engine = self._open()
        source = scores(False) if self._log == DECISIONS else changes()
        made = ParquetExportConfig(path=self.lake, **config)
        return FileStage(made, source, self._engine, self.clock, self.telemetry)

    def rows(self) -> list[dict[str, Any]]:
        files = sorted(self.lake.rglob("*.parquet"))
        return [row for path in files for row in pyarrow.parquet.ParquetFile(path).read().to_pylist()]

    def close(self) -> None:
        self._engine.close()


@pytest.fixture
def bench(tmp_path: Path, store: Store) -> Any:
    made = Bench(tmp_path, store.decisions)
    yield made
    made.close()


def complete(stage: FileStage) -> None:
    stage.drain()
    stage.finish()


def expected(store: Store) -> Counter[str]:
    return Counter(row["id"] for entry in store.decisions for row in scores(False).rows(entry.value))


def ids(bench: Bench) -> Counter[str]:
    return Counter(row["id"] for row in bench.rows())


def test_every_row_is_in_one_file_of_its_day(bench: Bench, store: Store) -> None:
    complete(bench.stage(max_rows=300))
    assert ids(bench) == expected(store)
    for path in bench.lake.rglob("*.parquet"):
        folder = path.parent.name
        assert path.parent.parent.name == "scores"
        for row in pyarrow.parquet.ParquetFile(path).read().to_pylist():
            assert f"date={row['event_time']:%Y-%m-%d}" == folder
        assert pyarrow.parquet.read_schema(path).metadata[b"driftline.form"] == SCORE_FORM.encode()
    exported = bench.telemetry.counter("driftline_exported_rows", "", ["sink", "rows"]).values()
    assert exported == {("parquet", "scores"): sum(expected(store).values())}


def test_changes_have_a_folder_of_their_own(tmp_path: Path, store: Store) -> None:
    bench = Bench(tmp_path, store.changes, CHANGES)
    complete(bench.stage())
    assert [row["event"] for row in bench.rows()] == ["opened", "opened", *["updated"] * (len(store.changes) - 2)]
    assert {path.split("/")[0] for path in tree(bench.lake)} == {"changes"}
    bench.close()


def test_a_restart_neither_loses_nor_doubles(bench: Bench, store: Store) -> None:
    stage = bench.stage(max_rows=600)
    stage.drain()  # ends without a word: what was gathered for the next file is gone
    assert sum(ids(bench).values()) < sum(expected(store).values())
    complete(bench.stage(max_rows=200))
    assert ids(bench) == expected(store)
    before = tree(bench.lake)
    complete(bench.stage())
    assert tree(bench.lake) == before


@pytest.mark.parametrize("after", range(4))
@pytest.mark.parametrize("where", ["before the commit", "after the commit", "before the file", "after the file"])
def test_it_may_be_killed_at_any_step(
    bench: Bench, store: Store, monkeypatch: pytest.MonkeyPatch, where: str, after: int
) -> None:
    """Among others between the last file and the commit of its offset. More has come in when it is back, and its
    files have another size: the ones that were begun are written again as they were, and no row is there twice."""
    half = len(store.decisions) // 2
    bench = Bench(bench.lake.parent / "second", store.decisions[:half])
    stage = bench.stage(max_rows=100)
    step = kill_at(after, where)
    monkeypatch.setattr(stage, "commit", around(stage.commit, step, "commit"))
    monkeypatch.setattr(file_stage, "write_part", around(write_part, step, "file"))
    with pytest.raises(Killed):
        complete(stage)
    monkeypatch.undo()
    bench.append(store.decisions[half:])
    complete(bench.stage(max_rows=7))
    assert ids(bench) == expected(store)
    bench.close()


def kill_at(after: int, where: str) -> Callable[[str], None]:
    """Raises at the `after`th time that something is about to be done, or was done."""
    left = [after]

    def step(what: str) -> None:
        if what == where:
            if not left[0]:
                raise Killed
            left[0] -= 1

    return step


def around(function: Callable[..., Any], step: Callable[[str], None], what: str) -> Callable[..., Any]:
    def wrapped(*arguments: Any) -> Any:
        step(f"before the {what}")
        result = function(*arguments)
        step(f"after the {what}")
        return result

    return wrapped


def test_a_file_is_written_after_a_while_though_it_is_small(bench: Bench) -> None:
    stage = bench.stage(every="5m")
    stage.drain()
    assert bench.rows() == []
    bench.clock.advance(299)
    stage.rest()
    assert bench.rows() == []
    bench.clock.advance(1)
    stage.rest()
    written = tree(bench.lake)
    assert written
    bench.clock.advance(300)
    stage.rest()
    assert tree(bench.lake) == written, "nothing new, nothing written"


def test_memory_is_bounded_by_rows(bench: Bench, store: Store) -> None:
    stage = bench.stage(max_rows=40)
    most = 0
    partition = one_partition(stage, bench)
    for first in range(0, len(store.decisions), 10):
        stage.process(0, partition[first : first + 10])
        most = max(most, stage._gathering[0].rows)
    assert 0 < most < 40


def one_partition(stage: FileStage, bench: Bench) -> list[Entry]:
    """All entries at once, for a test that hands them on by itself."""
    found: list[Entry] = []
    subscription = bench._engine.subscribe("reader", DECISIONS, Nobody())
    while batches := subscription.poll(0, 10_000):
        found += batches[0][1]
    subscription.close()
    stage._subscription = bench._engine.subscribe(stage.name, DECISIONS, stage)
    stage._subscription.poll(0, 1)
    return found


class Nobody:
    def assigned(self, partition: Partition) -> None: ...

    def revoked(self, partition: Partition) -> None: ...


def test_a_disk_that_is_full_is_waited_for(bench: Bench, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = bench.stage()
    waits = []

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    def room(seconds: float) -> bool:
        waits.append(seconds)
        monkeypatch.setattr(file_stage, "write_part", write_part)
        return False

    monkeypatch.setattr(file_stage, "write_part", full)
    monkeypatch.setattr(stage._stopping, "wait", room)
    complete(stage)
    assert len(waits) == 1
    assert ids(bench) == expected(store)


def test_what_cannot_be_read_is_counted_and_the_rest_goes_on(tmp_path: Path, store: Store) -> None:
    bench = Bench(tmp_path, [Entry(0, b"not json", b"", ""), Entry(1, b"{}", b"", ""), *store.decisions[:5]])
    complete(bench.stage())
    left_out = bench.telemetry.counter("driftline_export_left_out", "", ["sink", "rows", "reason"]).values()
    assert left_out == {("parquet", "scores", "unreadable"): 2}
    assert len({row["trace_id"] for row in bench.rows()}) == 5
    bench.close()


def test_records_without_rows_move_the_offset_and_make_no_file(tmp_path: Path, store: Store) -> None:
    bench = Bench(tmp_path, [Entry(0, b"not json", b"", "")] * 3)
    complete(bench.stage())
    assert not bench.lake.exists()
    stage = bench.stage()
    stage.drain()
    assert stage._gathering[0].first is None
    bench.close()


def test_files_of_another_store_are_never_replaced(tmp_path: Path, store: Store) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        bench = Bench(tmp_path / name, store.decisions[:20])
        bench.lake = tmp_path / "lake"
        complete(bench.stage())
        bench.close()
    assert set(ids(bench).values()) == {2}


def test_a_plan_that_cannot_be_committed_writes_no_file(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(transaction: Transaction) -> None:
        raise Stopped

    stage = bench.stage()
    monkeypatch.setattr(stage, "commit", refused)
    with pytest.raises(Stopped):
        complete(stage)
    assert not bench.lake.exists()
