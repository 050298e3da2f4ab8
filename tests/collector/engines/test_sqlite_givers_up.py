"""Senders that give up while their append waits: a connection that breaks, a gRPC deadline that runs out."""

import contextlib
import sqlite3
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest

from collector.core.clock import SystemClock
from collector.core.engine import DECISIONS, SPANS, Record
from collector.core.errors import Overloaded, StoreError
from collector.core.telemetry import Telemetry
from collector.engines.sqlite import SqliteEngine, StoreConfig
from tests.real.parts.process import wait_until

BIG = Record(b"x" * 200_000, kind="traces")
SMALL = Record(b"x", kind="traces")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteEngine]:
    config = StoreConfig.model_validate({"path": tmp_path / "store.db", "max_backlog": "100KB"})
    engine = SqliteEngine(config, SystemClock(), Telemetry())
    yield engine
    engine.close()


@contextlib.contextmanager
def locked(store: SqliteEngine) -> Iterator[None]:
    """Somebody else writes: appends wait meanwhile."""
    with contextlib.closing(sqlite3.connect(store.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def wait_until_it_is_at_work(append: "Future[None]") -> None:
    """The store has taken it and waits for the lock; what comes now is of the next group."""
    wait_until(append.running, "the store is at work", 10, every_seconds=0.001)


def limit_pages(store: SqliteEngine, pages: int) -> None:
    store._writer.execute(f"PRAGMA max_page_count = {pages}")


def test_a_failed_commit_in_which_somebody_gave_up_does_not_stop_the_store(store: SqliteEngine) -> None:
    limit_pages(store, 20)
    with locked(store):
        first = store.append(DECISIONS, [SMALL])
        wait_until_it_is_at_work(first)
        given_up = store.append(DECISIONS, [BIG])
        failing = store.append(DECISIONS, [BIG])
        assert given_up.cancel()
    first.result(10)
    with pytest.raises(StoreError):
        failing.result(10)
    limit_pages(store, 1_000_000)
    store.append(DECISIONS, [SMALL]).result(10)


def test_what_was_given_up_before_it_was_written_is_not_written_and_is_no_backlog(store: SqliteEngine) -> None:
    with locked(store):
        first = store.append(SPANS, [SMALL])
        wait_until_it_is_at_work(first)
        assert store.append(SPANS, [BIG]).cancel()
    first.result(10)
    store.append(SPANS, [SMALL]).result(10)
    with contextlib.closing(store.reader()) as connection:
        assert connection.execute("SELECT count(*) FROM log_spans").fetchone() == (2,)


def test_what_could_not_be_written_is_no_backlog(store: SqliteEngine) -> None:
    limit_pages(store, 20)
    with pytest.raises(StoreError):
        store.append(SPANS, [BIG]).result(10)
    limit_pages(store, 1_000_000)
    store.append(SPANS, [BIG]).result(10)
    with pytest.raises(Overloaded):
        store.append(SPANS, [SMALL])
