"""Damaged stores: noticed at the start, told in a line; a log that was cut off recovers by itself."""

import random
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from collector.core.engine import SPANS, Record
from collector.core.errors import StoreError
from collector.engines import sqlite_damage, sqlite_file
from collector.engines.sqlite_damage import first_fault, refuse_if_open, set_aside, was_left_open
from tests.collector.engines.stores import append, damage, offsets, opened, rows, subscribe

PAGE = 16384


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """2000 records of a thousand bytes each, closed in order."""
    with opened(tmp_path) as under:
        append(under, *(b"%04d" % number + bytes(996) for number in range(2000)))
    return tmp_path / "store.db"


def crash(folder: Path, store: Path) -> Path:
    """A copy of a store as a crash would leave it: with its write-ahead log."""
    folder.mkdir()
    for file in store.parent.glob(f"{store.name}*"):
        shutil.copy(file, folder)
    return folder / store.name


def refusal(folder: Path) -> str:
    with pytest.raises(StoreError) as refused:
        opened(folder).__enter__()
    said = str(refused.value)
    assert "\n" not in said
    return said


# --- damage ---


@pytest.mark.parametrize("page", [2, 20, 60])
def test_a_page_that_was_overwritten_is_told_with_the_file_and_what_to_run(store: Path, page: int) -> None:
    damage(store, page)
    said = refusal(store.parent)
    assert said.startswith(f"store.path: {store} is damaged (")
    assert said.endswith("); stop the service and run `driftline repair`, or restore a backup")
    assert refusal(store.parent) == said, "nor does it start when it is tried again"


@pytest.mark.parametrize("size", [7 * PAGE, 50 * PAGE + 1000, PAGE + 1])
def test_a_file_that_was_cut_off_is_told(store: Path, size: int) -> None:
    with store.open("r+b") as file:
        file.truncate(size)
    assert "is damaged" in refusal(store.parent)


def test_what_is_no_database_is_told_and_left_alone(tmp_path: Path) -> None:
    content = b"a letter to a friend " * 1000
    (tmp_path / "store.db").write_bytes(content)
    assert "is damaged (file is not a database)" in refusal(tmp_path)
    assert (tmp_path / "store.db").read_bytes() == content


def test_an_empty_file_is_a_new_store(tmp_path: Path) -> None:
    (tmp_path / "store.db").touch()
    with opened(tmp_path) as under:
        append(under, b"a")
        assert offsets(under.path) == [1]


@pytest.mark.parametrize("gone", [True, False], ids=["deleted", "emptied"])
def test_a_write_ahead_log_whose_file_lost_its_content_is_kept_and_told(tmp_path: Path, gone: bool) -> None:
    """SQLite would delete it: it takes an empty file for a new database."""
    with opened(tmp_path) as under:
        append(under, b"acknowledged")
        copy = crash(tmp_path / "crashed", under.path)
    if gone:
        copy.unlink()
    else:
        copy.write_bytes(b"")
    log = (copy.parent / "store.db-wal").read_bytes()
    assert f"{copy} is {'not there' if gone else 'empty'}" in refusal(copy.parent)
    assert (copy.parent / "store.db-wal").read_bytes() == log


# --- how much is checked ---


def test_a_store_that_was_closed_in_order_is_looked_at_for_a_second_and_one_that_crashed_for_longer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[float] = []

    def look(connection: object, check: str, seconds: float) -> str:
        looked.append(seconds)
        return ""

    monkeypatch.setattr(sqlite_damage, "first_fault", look)
    with opened(tmp_path):
        pass
    with opened(tmp_path) as under:
        append(under, b"new")
        crashed = crash(tmp_path / "crashed", under.path)
    assert not was_left_open(under.path)
    assert was_left_open(crashed)
    with opened(crashed.parent):
        pass
    assert looked == [1, 30]


def test_a_check_ends_when_its_time_is_over(store: Path) -> None:
    """Here after the first of many steps, as the clock of the machine may say at any of them."""
    with closing(sqlite3.connect(store, check_same_thread=False)) as connection:
        connection.set_progress_handler(connection.interrupt, 1)
        with pytest.raises(TimeoutError):
            first_fault(connection, "quick_check", 60)
        connection.set_progress_handler(None, 0)
        assert first_fault(connection, "quick_check", 60) == ""


def test_a_check_that_takes_too_long_is_left_unfinished(
    tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def never_done(*_: object) -> str:
        raise TimeoutError

    monkeypatch.setattr(sqlite_damage, "first_fault", never_done)
    caplog.set_level("INFO")
    with opened(tmp_path) as under:
        append(under, b"new")
        assert len(offsets(store)) == 2001
    (line,) = caplog.messages
    assert line.startswith(f"{store} was checked in part")


# --- a log that was cut off ---


def test_a_torn_write_ahead_log_loses_nothing_before_the_tear(tmp_path: Path) -> None:
    """Whatever byte it is cut at, and whether the rest is missing or rubbish: all that was safe before is there."""
    ends: list[int] = []
    with opened(tmp_path) as under:
        wal = under.path.with_name("store.db-wal")
        for number in range(12):
            append(under, b"%d" % number + bytes(3000 * number))
            ends.append(wal.stat().st_size)
        crashed = crash(tmp_path / "crashed", under.path)
    whole = crashed.with_name("store.db-wal").read_bytes()
    draw = random.Random(5)
    for cut in sorted(draw.randrange(ends[0], ends[-1]) for _ in range(30)):
        for rest in (b"", draw.randbytes(len(whole) - cut)):
            folder = tmp_path / f"{cut}-{len(rest)}"
            torn = crash(folder, crashed)
            torn.with_name("store.db-wal").write_bytes(whole[:cut] + rest)
            torn.with_name("store.db-shm").unlink()
            safe = sum(end <= cut for end in ends)
            with opened(folder) as under:
                assert offsets(torn) == list(range(1, safe + 1))
                append(under, b"new")
                subscription, _, entries = subscribe(under)
                assert entries[-1].value == b"new"
                assert [int(entry.value.rstrip(b"\0")) for entry in entries[:-1]] == list(range(safe))
                subscription.close()


# --- who has it open, and setting it aside ---


def test_a_store_that_a_process_has_open_is_not_touched(tmp_path: Path, store: Path) -> None:
    refuse_if_open(store)
    code = (
        "import sys; from pathlib import Path; from tests.collector.engines.stores import engine\n"
        "under = engine(Path(sys.argv[1])); print('open', flush=True); sys.stdin.read(); under.close()"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    root = Path(__file__).parents[3]
    with subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        with pytest.raises(StoreError, match="is open in another process; stop the service first"):
            refuse_if_open(store)
        other.communicate("", timeout=30)
    refuse_if_open(store)


def test_what_is_set_aside_keeps_its_log_and_nothing_that_was_set_aside_before_is_lost(tmp_path: Path) -> None:
    names = []
    for number in range(3):
        (tmp_path / "store.db").write_text(str(number))
        (tmp_path / "store.db-wal").write_text(f"log of {number}")
        names.append(set_aside(tmp_path / "store.db", "damaged").name)
    assert names == ["store.db.damaged", "store.db.damaged-2", "store.db.damaged-3"]
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        **{name: str(number) for number, name in enumerate(names)},
        **{f"{name}-wal": f"log of {number}" for number, name in enumerate(names)},
    }


def test_damage_that_shows_while_it_runs_is_told_to_who_reads_and_to_who_writes(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ((root,),) = rows(store, "SELECT rootpage FROM sqlite_schema WHERE name = 'log_spans'")
    damage(store, root)
    monkeypatch.setattr(sqlite_file, "check_at_start", lambda *_: "")  # it was in order when it was opened
    with opened(store.parent) as under:
        for attempt in (lambda: subscribe(under), lambda: under.append(SPANS, [Record(b"x")]).result(10)):
            with pytest.raises(StoreError, match="run `driftline repair`"):
                attempt()
