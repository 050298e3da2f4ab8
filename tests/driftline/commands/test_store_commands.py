"""`backup`, `restore` and `repair`: what they do, what they say, and what they refuse."""

import json
import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from collector.core.clock import FakeClock
from collector.core.engine import CHANGES, DECISIONS, LOGS, SCORES, SPANS
from driftline.commands import restore
from driftline.view import View
from tests.collector.engines.stores import append, damage, engine, leaf_pages, logs_of, offsets, opened, unpack_fixture
from tests.driftline.conftest import Run
from tests.driftline.test_view import entries, sheet

ROOT = Path(__file__).parents[3]
EMPTY = dict.fromkeys(LOGS, 0)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "driftline.yaml"
    path.write_text(f"store: {{path: {tmp_path / 'store.db'}}}\n")
    return path


@pytest.fixture
def store(tmp_path: Path) -> Path:
    with opened(tmp_path, FakeClock()) as under:
        append(under, b"a", b"b")
        append(under, *(bytes(900) for _ in range(500)), log=DECISIONS)
    return tmp_path / "store.db"


@pytest.fixture
def view(tmp_path: Path) -> Path:
    made = View(tmp_path / "store.view.db")
    made.add_sheets(0, entries(*(sheet(trace) for trace in range(300))))
    made.close()
    return made.path


# --- backup ---


def test_a_backup_is_made_while_the_store_is_open_and_says_what_is_in_it(
    run: Run, tmp_path: Path, config: Path, store: Path
) -> None:
    under = engine(tmp_path, FakeClock())
    append(under, b"c")
    made = run("backup", tmp_path / "copy.db", "-c", config)
    under.close()
    assert (made.code, made.err) == (0, "")
    assert made.out.splitlines()[0].startswith(f"{tmp_path / 'copy.db'} is a copy of {store}, whole and checked: ")
    assert dict(line.split() for line in made.out.splitlines()[1:]) == {
        log: str(count) for log, count in {**EMPTY, SPANS: 3, DECISIONS: 500}.items()
    }
    assert offsets(tmp_path / "copy.db") == [1, 2, 3]


def test_a_backup_replaces_nothing_without_being_told_to(
    run: Run, tmp_path: Path, config: Path, store: Path, view: Path
) -> None:
    target = tmp_path / "copy.db"
    target.write_bytes(b"mine")
    for place in (target, tmp_path, store, view):
        refused = run("backup", place, "-c", config)
        assert (refused.code, refused.out) == (2, "")
        assert refused.err.startswith(f"driftline: TARGET: {place} ")
    assert target.read_bytes() == b"mine"
    os.mkfifo(tmp_path / "pipe")
    for place in (store, tmp_path / "pipe"):  # as /dev/null
        assert run("backup", place, "-c", config, "--force").code == 2
    forced = run("backup", target, "-c", config, "--force", "--json")
    assert forced.json == {
        "path": str(target),
        "bytes": target.stat().st_size,
        "records": {**EMPTY, SPANS: 2, DECISIONS: 500},
    }


def test_there_is_no_backup_of_nothing_nor_of_a_damaged_store(run: Run, tmp_path: Path, config: Path) -> None:
    target = tmp_path / "copy.db"
    assert run("backup", target, "-c", config).code == 2
    with opened(tmp_path) as under:
        append(under, *(bytes(9000) for _ in range(50)))
    damage(tmp_path / "store.db", 10)
    refused = run("backup", target, "-c", config)
    assert refused.code == 3
    assert refused.err.startswith(f"driftline: no copy was made of {tmp_path / 'store.db'}: ")
    assert "`driftline repair`" in refused.err
    assert not target.exists()


# --- restore ---


def test_a_restore_brings_back_what_was_and_keeps_what_is(
    run: Run, tmp_path: Path, config: Path, store: Path, view: Path
) -> None:
    copy = tmp_path / "copy.db"
    run("backup", copy, "-c", config)
    with opened(tmp_path, FakeClock()) as under:
        append(under, b"later")
    refused = run("restore", copy, "-c", config)
    assert (refused.code, refused.err) == (2, f"driftline: store.path: {store} exists; --force sets it aside\n")
    assert offsets(store) == [1, 2, 3]
    done = run("restore", copy, "-c", config, "--force")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[-1] == f"what was there is kept as {store}.replaced"
    assert offsets(store) == [1, 2]
    assert offsets(tmp_path / "store.db.replaced") == [1, 2, 3]
    assert not view.exists(), "a view of later would leave out what comes now"
    assert (tmp_path / "store.view.db.replaced").exists()
    with opened(tmp_path, FakeClock()) as under:
        append(under, b"goes on")
    assert offsets(store) == [1, 2, 3]
    assert store.stat().st_mode & 0o077 == 0


def test_a_restore_where_there_is_nothing_needs_no_force(run: Run, tmp_path: Path, config: Path) -> None:
    backup = unpack_fixture(2, tmp_path).rename(tmp_path / "old.db")
    done = run("restore", backup, "-c", config, "--json")
    assert done.json == {
        "path": str(tmp_path / "store.db"),
        "replaced": None,
        "records": {log: 4 if log == SCORES else 3 for log in logs_of(2)},
    }
    with opened(tmp_path) as under:  # of an older version: brought to this one as any store
        append(under, b"new")


def test_a_damaged_or_wrong_backup_is_refused_and_the_store_stays(
    run: Run, tmp_path: Path, config: Path, store: Path
) -> None:
    copy = tmp_path / "copy.db"
    run("backup", copy, "-c", config)
    damage(copy, 12)
    (tmp_path / "letter").write_bytes(b"to a friend " * 1000)
    for source, code in ((copy, 3), (tmp_path / "letter", 3), (tmp_path / "none", 2), (store, 2)):
        refused = run("restore", source, "-c", config, "--force")
        assert refused.code == code, source
        assert len(refused.err.splitlines()) == 1
        assert str(source) in refused.err
    assert offsets(store) == [1, 2]
    assert not list(tmp_path.glob("store.db.*"))


@pytest.mark.parametrize("command", ["restore", "repair"])
def test_nothing_is_done_to_a_store_that_a_service_has_open(
    run: Run, tmp_path: Path, config: Path, store: Path, command: str
) -> None:
    copy = tmp_path / "copy.db"
    run("backup", copy, "-c", config)
    program = [sys.executable, "-c", _HOLDING, str(tmp_path)]
    with subprocess.Popen(program, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        refused = run(command, *([copy, "--force"] if command == "restore" else []), "-c", config)
        other.communicate("", timeout=30)
    assert refused.code == 3
    assert refused.err == f"driftline: store.path: {store} is open in another process; stop the service first\n"


def test_a_service_that_starts_during_a_restore_keeps_its_store(
    run: Run, tmp_path: Path, config: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "copy.db"
    run("backup", copy, "-c", config)
    real = restore.copy_store
    program = [sys.executable, "-c", _HOLDING, str(tmp_path)]
    with ExitStack() as running:

        def copy_while_it_starts(*arguments: Any) -> int:
            other = running.enter_context(
                subprocess.Popen(program, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            )
            assert other.stdout is not None
            assert other.stdin is not None
            assert other.stdout.readline() == "open\n"
            running.callback(other.stdin.close)
            return real(*arguments)

        monkeypatch.setattr(restore, "copy_store", copy_while_it_starts)
        refused = run("restore", copy, "--force", "-c", config)
        assert refused.code == 3
        assert "is open in another process" in refused.err
        assert {path.name for path in tmp_path.glob("store.db*")} <= {"store.db", "store.db-wal", "store.db-shm"}


def test_a_log_that_was_left_beside_the_target_is_no_part_of_the_copy(
    run: Run, tmp_path: Path, config: Path, store: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    copy = other / "store.db"
    subprocess.run([sys.executable, "-c", _DYING, str(other)], cwd=ROOT, check=False)
    assert (other / "store.db-wal").stat().st_size
    assert run("backup", copy, "--force", "-c", config).code == 0
    assert not (other / "store.db-wal").exists()
    assert offsets(copy, SPANS) == offsets(store, SPANS)
    assert offsets(copy, CHANGES) == []


@pytest.mark.parametrize("command", ["backup", "restore", "repair"])
def test_where_a_cluster_keeps_the_logs_there_is_no_file(run: Run, tmp_path: Path, command: str, store: Path) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_text(f"{{store: {{path: {store}}}, cluster: {{brokers: ['a:9092']}}}}\n")
    refused = run(command, *([] if command == "repair" else [tmp_path / "x.db"]), "-c", path)
    assert refused.code == 2
    assert refused.err.startswith("driftline: cluster: is configured")


_HOLDING = (
    "import sys; from pathlib import Path; from tests.collector.engines.stores import engine\n"
    "under = engine(Path(sys.argv[1])); print('open', flush=True); sys.stdin.read(); under.close()"
)
_DYING = (
    "import os, sys; from pathlib import Path; from tests.collector.engines.stores import append, engine\n"
    "append(engine(Path(sys.argv[1])), b'change', log='changes'); os._exit(0)"
)


# --- repair ---


def test_what_is_in_order_is_left_alone(run: Run, tmp_path: Path, config: Path, store: Path, view: Path) -> None:
    before = store.read_bytes(), view.read_bytes()
    said = run("repair", "-c", config)
    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines() == [f"{store} is in order", "its view is in order"]
    assert (store.read_bytes(), view.read_bytes()) == before


def test_a_damaged_store_is_salvaged_kept_and_counted(
    run: Run, tmp_path: Path, config: Path, store: Path, view: Path
) -> None:
    damage(store, leaf_pages(store, "log_decisions")[-1])
    before = store.read_bytes()
    said = run("repair", "-c", config)
    assert said.code == 1
    left = offsets(store, DECISIONS)
    lost = f"{len(left)} kept, {500 - len(left)} lost: offsets {len(left) + 1} to 500"
    lines = [" ".join(line.split()) for line in said.out.splitlines()]
    assert lines[0].startswith(f"{store} was damaged: ")
    assert f"log_decisions {lost}" in lines
    assert "log_spans 2 kept" in lines
    assert f"{store} has now what could be read; the damaged file is kept as {store}.damaged" in lines
    assert lines[-1] == "the view is rebuilt when the service starts"
    assert (tmp_path / "store.db.damaged").read_bytes() == before
    assert not view.exists()
    with opened(tmp_path, FakeClock()) as under:
        append(under, b"new", log=DECISIONS)
    assert offsets(store, DECISIONS) == [*left, 501]
    assert run("repair", "-c", config).code == 0


def test_a_repair_that_changed_something_is_in_the_audit_log_and_one_that_did_not_is_not(
    run: Run, tmp_path: Path, config: Path, store: Path
) -> None:
    audit = tmp_path / "audit.jsonl"
    config.write_text(f"{config.read_text()}audit: {{path: {audit}}}\n")
    assert run("repair", "-c", config).code == 0
    assert audit.read_text() == ""
    damage(store, leaf_pages(store, "log_decisions")[-1])
    run("repair", "-c", config)
    (line,) = map(json.loads, audit.read_text().splitlines())
    assert (line["action"], line["path"], line["damaged"]) == ("store.repaired", str(store), f"{store}.damaged")


def test_without_a_place_for_the_audit_log_nothing_is_restored(
    run: Run, tmp_path: Path, config: Path, store: Path
) -> None:
    assert run("backup", tmp_path / "copy.db", "-c", config).code == 0
    before = store.read_bytes()
    config.write_text(f"{config.read_text()}audit: {{path: {tmp_path}}}\n")
    said = run("restore", tmp_path / "copy.db", "--force", "-c", config)
    assert said.code == 2
    assert "audit.path" in said.err
    assert store.read_bytes() == before


def test_the_report_for_programs(run: Run, tmp_path: Path, config: Path, store: Path) -> None:
    assert run("repair", "-c", config, "--json").json["fault"] == ""
    with store.open("r+b") as file:
        file.truncate(store.stat().st_size - 16384)
    said = run("repair", "-c", config, "--json")
    assert said.code == 1
    assert said.json["damaged"] == f"{store}.damaged"
    decisions = said.json["tables"]["log_decisions"]
    ((first, last),) = decisions["lost_offsets"]
    assert decisions == {
        "kept": len(offsets(store, DECISIONS)),
        "whole": False,
        "lost": last - first + 1,
        "lost_offsets": [[first, last]],
    }
    assert decisions["kept"] + decisions["lost"] == 500


def test_a_damaged_view_alone_costs_the_store_nothing(
    run: Run, tmp_path: Path, config: Path, store: Path, view: Path
) -> None:
    damage(view, view.stat().st_size // 16384)
    said = run("repair", "-c", config)
    assert said.code == 0
    assert said.out.splitlines()[0] == f"{store} is in order"
    assert said.out.splitlines()[1].startswith("its view was damaged and is set aside: ")
    assert not view.exists()
    assert (tmp_path / "store.view.db.damaged").exists()


def test_why_tells_of_a_damaged_view_in_a_line(run: Run, config: Path, view: Path) -> None:
    assert run("why", "--summary", "-c", config).code == 0
    view.write_bytes(b"a letter " * 3000)
    refused = run("why", "--summary", "-c", config)
    assert refused.code == 3
    assert refused.err == f"driftline: the view {view} cannot be read: file is not a database\n"


@pytest.mark.parametrize(
    ("content", "code", "said"),
    [
        (None, 2, "there is no store"),
        (b"", 3, "is empty; there is nothing to repair"),
        (b"a letter " * 3000, 3, "nothing can be read of"),
    ],
    ids=["none", "empty", "letter"],
)
def test_what_cannot_be_repaired_is_left_as_it_is(
    run: Run, tmp_path: Path, config: Path, content: bytes | None, code: int, said: str
) -> None:
    if content is not None:
        (tmp_path / "store.db").write_bytes(content)
    ended = run("repair", "-c", config)
    assert (ended.code, ended.out) == (code, "")
    assert said in ended.err
    assert len(ended.err.splitlines()) == 1
    found = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path != config}
    assert found == ({} if content is None else {"store.db": content})
