"""The view: counts each record once, replaces what a revision replaces, forgets what is old, knows a wrong file."""

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import orjson
import pytest

from collector.core.engine import CHANGES, DECISIONS, Entry
from collector.core.errors import StoreError
from driftline.view import View, view_path
from tests.collector.engines.stores import damage


def decision(scorer: str, kind: str = "scored", reason: str = "ok", value: float | None = 0.5) -> list[object]:
    score = [value, True, None, None, None, None] if kind == "scored" else None
    return [scorer, "e", kind, reason, score, None]


def sheet(trace: int, revision: int = 0, event_ns: int = 1000, *decisions: list[object]) -> bytes:
    return orjson.dumps(
        {
            "trace_id": f"{trace:032x}",
            "revision": revision,
            "event_ns": event_ns,
            "slices": {"service": "shop"},
            "rate": 1.0,
            "upstream": 1.0,
            "rate_rule": "sample.rate",
            "rows": decisions or [decision("groundedness"), decision("refusal", "filtered", "needs:answer")],
        }
    )


def entries(*values: bytes, first: int = 0) -> list[Entry]:
    return [Entry(first + number, value, b"", "") for number, value in enumerate(values)]


def test_a_record_read_twice_counts_once(tmp_path: Path) -> None:
    view = View(tmp_path / "view.db")
    batch = entries(sheet(1), sheet(2))
    view.add_sheets(0, batch)
    view.add_sheets(0, batch)
    view.add_sheets(0, [*batch, *entries(sheet(3), first=2)])
    assert view.trace_count() == 3
    assert view.funnel() == [("groundedness", "scored", "ok", 3), ("refusal", "filtered", "needs:answer", 3)]
    view.close()


def test_a_revision_replaces_decisions_and_scores(tmp_path: Path) -> None:
    view = View(tmp_path / "view.db")
    view.add_sheets(0, entries(sheet(1)))
    revised = sheet(1, 1, 2000, decision("groundedness", "filtered", "needs:contexts"), decision("refusal", value=1))
    view.add_sheets(0, entries(revised, first=1))
    assert view.funnel() == [("groundedness", "filtered", "needs:contexts", 1), ("refusal", "scored", "ok", 1)]
    assert view.scores("groundedness", 0, 10) == []
    assert [row["event_ns"] for row in view.scores("refusal", 0, 10)] == [2000]
    found = view.sheet(f"{1:032x}")
    assert found is not None
    assert found["revision"] == 1
    view.close()


def test_progress_outlives_the_process(tmp_path: Path) -> None:
    view = View(tmp_path / "view.db")
    assert view.empty
    view.add_sheets(0, entries(sheet(1)))
    view.close()
    again = View(tmp_path / "view.db")
    assert not again.empty
    again.add_sheets(0, entries(sheet(1)))
    assert again.funnel()[0][3] == 1
    again.close()


def test_a_batch_that_fails_leaves_nothing_and_can_come_again(tmp_path: Path) -> None:
    view = View(tmp_path / "view.db")
    with pytest.raises(orjson.JSONDecodeError):
        view.add_sheets(0, entries(sheet(1), b"not json"))
    assert view.trace_count() == 0
    view.add_sheets(0, entries(sheet(1), sheet(2)))
    assert view.trace_count() == 2
    view.close()


def test_changes_are_kept_as_they_are_known_now(tmp_path: Path) -> None:
    view = View(tmp_path / "view.db")
    first = orjson.dumps({"id": "a", "detected_ns": 5, "status": "active"})
    later = orjson.dumps({"id": "a", "detected_ns": 5, "status": "resolved"})
    other = orjson.dumps({"id": "b", "detected_ns": 9, "status": "active"})
    view.add_changes(0, entries(first, other, later))
    assert view.changes() == [other, later]
    view.close()


def test_retention_forgets_what_is_older(tmp_path: Path) -> None:
    view = View(tmp_path / "view.db")
    view.add_sheets(0, entries(sheet(1, 0, 1000), sheet(2, 0, 2000)))
    view.forget_before(1500)
    assert view.sheet(f"{1:032x}") is None
    assert view.sheet(f"{2:032x}") is not None
    assert [row["event_ns"] for row in view.scores("groundedness", 0, 10)] == [2000]
    view.close()


def test_retention_forgets_in_steps_between_which_others_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("driftline.view._ROWS_PER_STEP", 10)
    view = View(tmp_path / "view.db")
    view.add_sheets(0, entries(*(sheet(trace) for trace in range(95))))
    deletions: list[str] = []
    view._writer.set_trace_callback(lambda statement: deletions.append(statement) if "DELETE" in statement else None)
    view.forget_before(1001)
    assert view.trace_count() == 0
    assert view.scores("groundedness", 0, 100) == []
    assert len([one for one in deletions if "FROM traces" in one]) == 10
    view.close()


def test_two_stages_write_at_once(tmp_path: Path) -> None:
    view = View(tmp_path / "view.db")
    change = [orjson.dumps({"id": str(number), "detected_ns": number}) for number in range(100)]

    def write_changes() -> None:
        for number, value in enumerate(change):
            view.add_changes(0, entries(value, first=number))

    writer = threading.Thread(target=write_changes)
    writer.start()
    for number in range(100):
        view.add_sheets(0, entries(sheet(number), first=number))
    writer.join()
    assert (view.trace_count(), len(view.changes())) == (100, 100)
    view.close()


def test_a_reader_needs_a_view_that_is_there(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no view"):
        View(tmp_path / "none.db", read_only=True)


def test_a_view_that_was_read_and_closed_is_one_file(tmp_path: Path) -> None:
    view = View(tmp_path / "view.db")
    view.add_sheets(0, entries(sheet(1)))
    assert view.trace_count() == 1
    with ThreadPoolExecutor(1) as other:
        assert other.submit(view.trace_count).result() == 1
    view.close()
    assert [path.name for path in tmp_path.iterdir()] == ["view.db"]


def test_a_file_that_is_no_view_is_kept_aside_and_a_view_made(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    content = b"nonsense" * 1000
    path, aside = tmp_path / "view.db", tmp_path / "view.db.damaged"
    path.write_bytes(content)
    view = View(path)
    assert view.empty
    view.add_sheets(0, entries(sheet(1)))
    assert view.trace_count() == 1
    view.close()
    assert aside.read_bytes() == content
    (line,) = caplog.messages
    assert str(path) in line
    assert str(aside) in line


def test_a_view_that_is_damaged_in_its_middle_is_kept_aside_and_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "view.db"
    for number in (1, 2):
        view = View(path)
        assert view.is_new_to(DECISIONS)
        view.add_sheets(0, entries(*(sheet(trace) for trace in range(500))))
        assert not view.is_new_to(DECISIONS)
        assert view.is_new_to(CHANGES)
        view.close()
        damage(path, path.stat().st_size // 16384 // 2)
        again = View(path)
        assert again.empty
        again.close()
        assert (tmp_path / ("view.db.damaged" if number == 1 else "view.db.damaged-2")).exists()


def test_the_view_lies_beside_its_store() -> None:
    assert view_path(Path("/var/lib/driftline.db")) == Path("/var/lib/driftline.view.db")


def test_a_view_of_another_version_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "view.db"
    view = View(path)
    view.add_sheets(0, entries(sheet(1)))
    view.close()
    with sqlite3.connect(path) as other:
        other.execute("PRAGMA user_version = 1")
    other.close()
    again = View(path)
    assert again.empty
    assert again.trace_count() == 0
    again.close()


def test_a_period_is_read_by_time_with_its_end_left_out_and_as_of_its_beginning(tmp_path: Path) -> None:
    view = View(tmp_path / "view.db")
    assert view.earliest_ns() is None
    assert view.latest_ns() is None
    view.add_sheets(0, entries(sheet(3, 0, 3000), sheet(1, 0, 1000), sheet(2, 0, 2000)))
    assert view.earliest_ns() == 1000
    assert view.latest_ns() == 3000
    assert [view.newest_since_ns(count) for count in (1, 2, 3, 4)] == [2001, 1001, 0, 0]
    assert [view.newest_since_ns(count, 3000) for count in (1, 2)] == [1001, 0]
    reading = view.sheets_between(1000, 3000)
    first = next(reading)
    view.add_sheets(0, entries(sheet(4, 0, 2500), sheet(2, 1, 2000), first=3))
    assert [(one["event_ns"], one["revision"]) for one in (first, *reading)] == [(1000, 0), (2000, 0)]
    assert [one["event_ns"] for one in view.sheets_between(0, 2**63 - 1)] == [1000, 2000, 2500, 3000]
    assert next(view.sheets_between(2000, 2001))["decisions"][0]["scorer"] == "groundedness"
    view.close()
