"""`kill -9` at every statement, and in the midst of writing: what was acknowledged is there once, and all agrees."""

import subprocess
import sys
from pathlib import Path

from collector.core.engine import SCORES, SPANS
from collector.engines.sqlite_schema import OLDEST_VERSION
from tests.collector.engines.killed import REQUESTS, SPANS_AT_A_TIME, SPANS_PER_REQUEST, score, span
from tests.collector.engines.stores import offsets, opened, rows, subscribe
from tests.collector.engines.test_sqlite_schema import everything

ROOT = Path(__file__).parents[3]
ALL = REQUESTS * SPANS_PER_REQUEST


def killed(mode: str, folder: Path) -> list[Path]:
    """The folder of each child, in the order in which they were killed; the last came to its end."""
    command = [sys.executable, "-m", "tests.collector.engines.killed", mode, str(folder)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert (ended.returncode, ended.stderr) == (0, "")
    return sorted(folder.iterdir(), key=lambda path: int(path.name))


def told(folder: Path) -> dict[str, int]:
    """What the child was last told of each kind."""
    last = {"spans": 0, "scores": 0, "migrated": 0}
    for line in (folder / "told").read_text().splitlines():
        what, count = line.split()
        last[what] = int(count)
    return last


def assert_nothing_is_lost_or_double(folder: Path) -> None:
    """And what a stage has read, written and remembered is of one moment."""
    acknowledged = told(folder)
    with opened(folder) as under:
        path = under.path
        kept = dict(rows(path, f"SELECT offset, value FROM log_{SPANS}"))
        scores = [value for (value,) in rows(path, f"SELECT value FROM log_{SCORES} ORDER BY offset")]
        state = dict(rows(path, "SELECT key, value FROM state"))
        ((position,),) = rows(path, "SELECT coalesce(max(next_offset), 0) FROM stages") or [(0,)]
        ((end,),) = rows(path, "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'log_spans'")
        # Offsets begin at 1 and have no gaps, so that the span of number n is at n + 1.
        assert kept == {offset: span(offset - 1) for offset in offsets(path)}
        assert offsets(path) == list(range(end - len(kept) + 1, end + 1))
        assert end - len(kept) + 1 <= max(position, 1), "only what was read may be gone"
        assert end in (acknowledged["spans"], acknowledged["spans"] + SPANS_PER_REQUEST), (
            "a request is whole or not there"
        )
        read = max(position - 1, 0)
        assert read - acknowledged["scores"] in (0, SPANS_AT_A_TIME)
        assert scores == [score(span(number)) for number in range(read)]
        assert int(state.get("count", b"0")) == read
        assert set(state) == ({"count", f"seen {read - SPANS_AT_A_TIME}"} if read else set())
        # It goes on where it was: each span that is left is read once.
        subscription, _, entries = subscribe(under, "score")
        assert [entry.value for entry in entries] == [span(number) for number in range(read, end)]
        subscription.close()


def test_at_every_statement(tmp_path: Path) -> None:
    runs = killed("statements", tmp_path)
    assert len(runs) > 70
    for folder in runs:
        assert_nothing_is_lost_or_double(folder)
    assert told(runs[-1]) == {"spans": ALL, "scores": 6, "migrated": 0}
    assert offsets(runs[-1] / "store.db")[0] > 1, "nothing was trimmed, so that no kill fell into it"


def test_in_the_midst_of_writing(tmp_path: Path) -> None:
    runs = killed("bytes", tmp_path)
    assert len(runs) > 10
    for folder in runs:
        assert_nothing_is_lost_or_double(folder)
    assert told(runs[-1])["spans"] == ALL


def test_at_every_statement_of_a_migration(tmp_path: Path) -> None:
    runs = killed("migration", tmp_path)
    assert len(runs) > 15
    expected = everything(runs[-1] / "store.db")
    assert told(runs[-1])["migrated"] == 1
    for folder in runs:
        with opened(folder) as under:
            assert everything(under.path) == expected
        kept = folder / f"store.db.v{OLDEST_VERSION}"
        assert rows(kept, "PRAGMA integrity_check") == [("ok",)]
        assert rows(kept, "PRAGMA user_version") == [(OLDEST_VERSION,)]
