"""Event time goes on while nothing comes in, also when the store has no room for it for a while."""

import sqlite3
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path

import pytest

from collector.core.engine import SPANS, Record
from collector.core.errors import Overloaded, StoreError
from collector.engines.sqlite import SqliteEngine
from driftline.build import build
from driftline.service import Service
from tests.driftline.test_pipeline import END_NS, chat, configuration
from tests.real.parts.process import wait_until

NOT_LISTENING = {"otlp_http": None, "otlp_grpc": None, "web": None}


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    """One trace waits in it, for its time to come."""
    monkeypatch.setattr("driftline.stages.ticks.RETRY_SECONDS", 0.01)
    service = build(configuration(tmp_path, listen=NOT_LISTENING, assemble={"quiet": "100ms", "lateness": "0s"}))
    service.engine.append(SPANS, [chat(1, 1, END_NS, root=True)]).result(10)
    yield service
    service.stop()


def turns(service: Service) -> float:
    return service.telemetry.counter("driftline_stage_loops", "", ["stage"]).values().get(("score",), 0)


def tries(service: Service) -> float:
    return service.telemetry.counter("driftline_commit_retries", "", ["stage"]).values().get(("score",), 0)


@pytest.mark.parametrize("early", [True, False], ids=["raised", "in the future"])
@pytest.mark.parametrize(
    "error", [StoreError("disk full"), Overloaded("backlog", "no room")], ids=["full", "overloaded"]
)
def test_a_tick_that_finds_no_room_is_made_again_until_there_is_some(
    service: Service, monkeypatch: pytest.MonkeyPatch, error: Exception, early: bool
) -> None:
    def refuse(log: str, records: Sequence[Record]) -> "Future[None]":
        if early:
            raise error
        refused: Future[None] = Future()
        refused.set_exception(error)
        return refused

    with monkeypatch.context() as full:
        full.setattr(service.engine, "append", refuse)
        service.start()
        wait_until(lambda: tries(service) >= 3, "it tried again and again", 30)
        seen = turns(service)
        wait_until(lambda: turns(service) > seen, "its heart beats", 30)
        assert service.failures() == []
        assert service.view.trace_count() == 0
    wait_until(lambda: service.view.trace_count() == 1, "the trace to be evaluated", 30)


def test_a_store_at_its_limits_takes_ticks_so_that_what_waits_in_it_can_be_evaluated(tmp_path: Path) -> None:
    """If it did not, what fills it would never be consumed, and it would be full for ever."""
    limits = {"max_size": "1B", "max_backlog": "1B"}
    store = {"path": tmp_path / "store.db", **limits}
    service = build(
        configuration(tmp_path, listen=NOT_LISTENING, store=store, assemble={"quiet": "100ms", "lateness": "0s"})
    )
    service.engine.append(SPANS, [chat(1, 1, END_NS, root=True)]).result(10)
    wait_until(lambda: is_full(service), "the store to notice that it is full", 30)
    service.start()
    try:
        wait_until(lambda: service.view.trace_count() == 1, "the trace to be evaluated", 30)
    finally:
        service.stop()


def is_full(service: Service) -> bool:
    try:
        service.engine.append(SPANS, [Record(b"")]).result(10)
    except Overloaded as error:
        return error.reason == "store_full"
    return False


def test_a_store_that_is_damaged_while_it_runs_ends_the_stage_with_a_line(tmp_path: Path) -> None:
    service = build(configuration(tmp_path, listen=NOT_LISTENING))
    engine = service.engine
    assert isinstance(engine, SqliteEngine)
    with sqlite3.connect(engine.path) as other:
        (page,) = other.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'log_spans'").fetchone()
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    other.close()
    with engine.path.open("r+b") as file:
        file.seek((page - 1) * 16384)
        file.write(b"\xa5" * 16384)
    service.start()
    wait_until(service.failures, "the stage to end", 30)
    (told,) = service.failures()
    assert told.startswith(f"score: store.path: {engine.path} is damaged (")
    assert "run `driftline repair`" in told
    service.stop()
