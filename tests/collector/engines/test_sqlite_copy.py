"""Copies of a store: of one moment, whatever is written meanwhile; whole, or not there."""

import threading
from pathlib import Path

import pytest

from collector.core.clock import FakeClock
from collector.core.engine import SCORES, SPANS, Record
from collector.core.errors import StoreError
from collector.engines import sqlite_copy
from collector.engines.sqlite_copy import copy_store
from tests.collector.engines.stores import append, damage, offsets, opened, rows, subscribe
from tests.real.parts.process import wait_until


def test_a_copy_under_load_is_of_one_moment_and_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_copy, "_PAGES_PER_STEP", 100)
    target = tmp_path / "copy.db"
    begun, ended = threading.Event(), threading.Event()
    with opened(tmp_path, FakeClock()) as under:
        append(under, *(bytes(3000) for _ in range(3000)))
        subscription, partition, _ = subscribe(under, "stage", SPANS, 0)

        def commit() -> None:
            """State, output and offset always say the same number."""
            number = 0
            while not ended.is_set():
                number += 1
                transaction = partition.transaction()
                transaction.append(SCORES, [Record(bytes(3000))])
                transaction.put("count", b"%d" % number)
                transaction.offset(number)
                transaction.commit()
                begun.set()

        writer = threading.Thread(target=commit)
        writer.start()
        assert begun.wait(30)
        seen: list[int] = []

        def watch(done: int, whole: int) -> None:
            before = len(offsets(under.path, SCORES))
            wait_until(lambda: len(offsets(under.path, SCORES)) > before, "something to be written", 30, 0.001)
            seen.append(done)

        size = copy_store(under.path, target, watch)
        after = len(offsets(under.path, SCORES))
        ended.set()
        writer.join()
        subscription.close()
    assert len(seen) > 3
    assert size == target.stat().st_size
    assert target.stat().st_mode & 0o077 == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy.db", "store.db"]
    ((count, position),) = rows(target, "SELECT value, next_offset FROM state, stages")
    assert int(count) == position == len(offsets(target, SCORES)) < after
    assert len(offsets(target)) == 3000


def test_an_existing_copy_is_replaced_by_a_whole_one_only(tmp_path: Path) -> None:
    target = tmp_path / "copy.db"
    with opened(tmp_path) as under:
        append(under, *(bytes(1000) for _ in range(200)))
        copy_store(under.path, target)
        append(under, b"more")
        copy_store(under.path, target)
        path = under.path
    assert len(offsets(target)) == 201
    before = target.read_bytes()
    damage(path, 5)
    with pytest.raises(StoreError, match=r"no copy was made of .*store\.db: .*btreeInitPage"):
        copy_store(path, target)
    assert target.read_bytes() == before
    assert not (tmp_path / "copy.db.partial").exists()


def test_what_is_no_store_is_not_copied(tmp_path: Path) -> None:
    (tmp_path / "letter").write_bytes(b"to a friend " * 1000)
    (tmp_path / "empty").touch()
    for name, said in (("letter", "not a database"), ("empty", "no store of Driftline's"), ("none", "unable to open")):
        with pytest.raises(StoreError, match=f"{name}.*{said}"):
            copy_store(tmp_path / name, tmp_path / "copy")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["empty", "letter"]


def test_a_copy_that_cannot_be_written_says_where(tmp_path: Path) -> None:
    with opened(tmp_path) as under, pytest.raises(StoreError, match="no_such_folder/copy cannot be written"):
        copy_store(under.path, tmp_path / "no_such_folder" / "copy")
