"""Salvage: every row that can be read is in the new store, and what is lost is counted, exactly."""

import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from collector.core.engine import DECISIONS, LOGS, SCORES, SPANS
from collector.core.errors import StoreError
from collector.engines.sqlite_salvage import Salvaged, salvage
from collector.engines.sqlite_schema import OLDEST_VERSION
from tests.collector.engines.stores import (
    append,
    consume,
    damage,
    leaf_pages,
    offsets,
    opened,
    rows,
    subscribe,
    unpack_fixture,
)

PAGE = 16384
RECORDS = 3000


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Records of a few hundred bytes in two logs, some long ones, and the state of two stages."""
    draw = random.Random(7)
    with opened(tmp_path) as under:
        for log in (DECISIONS, SCORES):
            append(under, *(b"%s %d " % (log.encode(), n) + draw.randbytes(400) for n in range(RECORDS)), log=log)
        append(under, *(draw.randbytes(50_000) for _ in range(20)))
        for stage, log in (("score", SPANS), ("watch", SCORES)):
            subscription, partition, _ = subscribe(under, stage, log, 0)
            transaction = partition.transaction()
            for number in range(400):
                transaction.put(f"{stage} {number:04d}", draw.randbytes(200))
            transaction.offset(5)
            transaction.commit()
            subscription.close()
    return tmp_path / "store.db"


def told(report: list[Salvaged]) -> dict[str, Salvaged]:
    return {one.table: one for one in report}


def log_rows(path: Path, log: str) -> dict[int, object]:
    return {row[0]: row for row in rows(path, f"SELECT * FROM log_{log}")}


def test_of_a_whole_store_everything_is_salvaged(tmp_path: Path, store: Path) -> None:
    report = salvage(store, tmp_path / "new.db")
    assert all(one.is_whole for one in report)
    assert {one.table for one in report} >= {f"log_{log}" for log in LOGS}
    for query in ("SELECT * FROM state", "SELECT * FROM stages", "SELECT * FROM sqlite_sequence ORDER BY name"):
        assert rows(tmp_path / "new.db", query) == rows(store, query)
    for log in LOGS:
        assert log_rows(tmp_path / "new.db", log) == log_rows(store, log)
    assert (tmp_path / "new.db").stat().st_mode & 0o077 == 0


def test_a_store_of_a_past_version_is_salvaged_as_what_it_is(tmp_path: Path) -> None:
    past = unpack_fixture(OLDEST_VERSION, tmp_path)
    report = told(salvage(past, tmp_path / "new.db"))
    assert report["log_spans"].kept == 3
    assert "log_turns" not in report
    assert rows(tmp_path / "new.db", "PRAGMA user_version") == [(OLDEST_VERSION,)]


@pytest.mark.parametrize("seed", range(6))
def test_pages_overwritten_in_the_middle_cost_their_rows_and_no_others(tmp_path: Path, store: Path, seed: int) -> None:
    whole = log_rows(store, DECISIONS)
    leaves = leaf_pages(store, "log_decisions")
    hurt = random.Random(seed).sample(leaves[1:], 1 + seed)
    for page in hurt:
        damage(store, page)
    report = told(salvage(store, tmp_path / "new.db"))
    kept = log_rows(tmp_path / "new.db", DECISIONS)
    lost = report["log_decisions"]
    gone = {offset for first, last in lost.lost for offset in range(first, last + 1)}
    assert kept == {offset: row for offset, row in whole.items() if offset not in gone}
    assert (lost.kept, lost.lost_count) == (len(kept), len(whole) - len(kept))
    rows_a_page = RECORDS / len(leaves)
    assert 0.8 * rows_a_page * len(hurt) <= lost.lost_count <= 1.2 * rows_a_page * len(hurt) + 1
    assert [one.table for one in report.values() if not one.is_whole] == ["log_decisions"]
    assert offsets(tmp_path / "new.db", SCORES) == list(range(1, RECORDS + 1))


def test_a_store_that_was_cut_off_in_half_gives_what_is_left(tmp_path: Path, store: Path) -> None:
    whole = log_rows(store, DECISIONS)
    with store.open("r+b") as file:
        file.truncate(store.stat().st_size // 2 // PAGE * PAGE + 100)
    report = told(salvage(store, tmp_path / "new.db"))
    kept = log_rows(tmp_path / "new.db", DECISIONS)
    assert len(kept) > RECORDS / 4
    assert kept.items() <= whole.items()
    for log in (DECISIONS, SCORES, SPANS):
        part = report[f"log_{log}"]
        assert part.kept == len(log_rows(tmp_path / "new.db", log))
        assert part.kept + part.lost_count == (20 if log == SPANS else RECORDS)
    assert sum(part.lost_count for part in report.values()) > 0


def test_a_long_record_that_is_damaged_costs_itself_alone(tmp_path: Path, store: Path) -> None:
    content = store.read_bytes()
    ((value,),) = rows(store, f"SELECT value FROM log_{SPANS} WHERE offset = 10")
    page = content.index(value[-1000:]) // PAGE + 1  # the last of the pages that it goes on in
    ((before,),) = rows(store, f"SELECT count(*) FROM log_{SPANS}")
    previous = content.index(value[20_000:20_500]) // PAGE + 1
    assert previous != page
    damage(store, previous, 0, b"\xff\xff\xff\xff")  # which page comes next
    report = told(salvage(store, tmp_path / "new.db"))
    assert report["log_spans"].lost == [(10, 10)]
    assert report["log_spans"].kept == before - 1


def test_offsets_of_what_was_lost_are_not_used_again(tmp_path: Path, store: Path) -> None:
    damage(store, leaf_pages(store, "log_decisions")[-1])
    new = tmp_path / "salvaged" / "store.db"
    new.parent.mkdir()
    report = told(salvage(store, new))
    (lost,) = report["log_decisions"].lost
    assert lost[1] == RECORDS
    with opened(new.parent) as under:
        append(under, b"new", log=DECISIONS)
        assert offsets(new, DECISIONS)[-1] == RECORDS + 1


def test_of_a_trimmed_log_only_what_was_there_can_be_lost(tmp_path: Path) -> None:
    with opened(tmp_path) as under:
        append(under, *(bytes(1000) for _ in range(500)))
        consume(under)
        path = under.path
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM log_spans WHERE offset <= 300")
    damage(path, leaf_pages(path, "log_spans")[3])
    (first, last), *others = told(salvage(path, tmp_path / "new.db"))["log_spans"].lost
    assert others == []
    assert 300 < first < last < 500


def test_state_is_read_from_both_ends_of_what_each_stage_has(tmp_path: Path, store: Path) -> None:
    whole = set(rows(store, "SELECT * FROM state"))
    content = store.read_bytes()
    hurt = {content.index(key) // PAGE + 1 for key in (b"score 0200", b"watch 0200")}
    assert len(hurt) == 2
    for page in hurt:
        damage(store, page)
    report = told(salvage(store, tmp_path / "new.db"))
    kept = set(rows(tmp_path / "new.db", "SELECT * FROM state"))
    assert kept < whole
    keys = {key for _, key, _ in kept}
    assert {"score 0000", "score 0399", "watch 0000", "watch 0399"} <= keys
    assert (report["state"].is_whole, report["state"].kept) == (False, len(kept))


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"a letter " * 4000, "file is not a database"), (b"", "its list of tables is damaged")],
    ids=["letter", "empty"],
)
def test_of_what_is_no_database_nothing_can_be_read(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "store.db"
    path.write_bytes(content)
    with pytest.raises(StoreError, match=f"nothing can be read of .*{said}"):
        salvage(path, tmp_path / "new.db")
    assert path.read_bytes() == content
    assert not (tmp_path / "new.db").exists()
