"""The embedded engine: durable, ordered, fenced, bounded."""

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from collector.core.clock import FakeClock
from collector.core.engine import CHANGES, DECISIONS, SCORES, SPANS, TICK_KIND, Record
from collector.core.errors import Fenced, Overloaded, StoreError
from collector.engines.sqlite import SqliteEngine
from tests.collector.engines.stores import Owner, append, engine, subscribe


def keep_house(under: SqliteEngine, clock: FakeClock) -> None:
    """Have the store look for what may go, and return when it has."""
    clock.advance(2)
    for _ in range(2):  # it looks after the first, and takes the second when it has done so
        append(under, b"", log=SCORES)


def test_what_is_appended_is_read_in_order_with_key_and_kind(tmp_path: Path) -> None:
    under = engine(tmp_path)
    append(under, b"a", b"b")
    append(under, b"c")
    subscription, _, entries = subscribe(under)
    assert [(entry.value, entry.key, entry.kind) for entry in entries] == [
        (value, b"k", "traces") for value in (b"a", b"b", b"c")
    ]
    assert subscription.poll(0, 100) == []
    subscription.close()
    under.close()


def test_a_poll_wakes_up_when_something_is_appended(tmp_path: Path) -> None:
    under = engine(tmp_path)
    subscription, _, _ = subscribe(under)
    done = under.append(SPANS, [Record(b"a")])
    ((_, (entry,)),) = subscription.poll(30, 10)
    assert entry.value == b"a"
    assert done.done()
    subscription.close()
    under.close()


def test_a_transaction_keeps_outputs_state_and_offset_together(tmp_path: Path) -> None:
    under = engine(tmp_path)
    append(under, b"a", b"b")
    subscription, partition, entries = subscribe(under)
    transaction = partition.transaction()
    transaction.append(SCORES, [Record(b"score")])
    transaction.put("x", b"1")
    transaction.put("y", b"2")
    transaction.offset(entries[0].offset + 1)
    transaction.commit()
    second = partition.transaction()
    second.delete("y")
    second.commit()
    subscription.close()
    under.close()

    again = engine(tmp_path)
    subscription, partition, entries = subscribe(again)
    assert [entry.value for entry in entries] == [b"b"]
    assert partition.state() == {"x": b"1"}
    scores, _, points = subscribe(again, "other", SCORES)
    assert [entry.value for entry in points] == [b"score"]
    for open_subscription in (subscription, scores):
        open_subscription.close()
    again.close()


def test_an_older_owner_is_fenced_and_leaves_nothing_behind(tmp_path: Path) -> None:
    first, second = engine(tmp_path), engine(tmp_path)
    old_subscription, old, _ = subscribe(first)
    new_subscription, new, _ = subscribe(second)
    transaction = old.transaction()
    transaction.append(SCORES, [Record(b"ghost")])
    transaction.put("x", b"ghost")
    with pytest.raises(Fenced):
        transaction.commit()
    assert new.state() == {}
    allowed = new.transaction()
    allowed.put("x", b"new")
    allowed.commit()
    assert new.state() == {"x": b"new"}
    watcher, _, points = subscribe(second, "watch", SCORES)
    assert points == []
    for subscription in (old_subscription, new_subscription, watcher):
        subscription.close()
    first.close()
    second.close()


def test_a_fenced_transaction_does_not_take_its_group_with_it(tmp_path: Path) -> None:
    first, second = engine(tmp_path), engine(tmp_path)
    old_subscription, old, _ = subscribe(first)
    new_subscription, _, _ = subscribe(second)
    appended = [first.append(SPANS, [Record(bytes([n]))]) for n in range(5)]
    with pytest.raises(Fenced):
        old.transaction().commit()
    appended += [first.append(SPANS, [Record(bytes([n]))]) for n in range(5, 9)]
    assert [done.result(10) for done in appended] == [None] * 9
    for subscription in (old_subscription, new_subscription):
        subscription.close()
    first.close()
    second.close()


def test_past_the_backlog_limit_senders_are_told_to_wait_until_it_was_read(tmp_path: Path) -> None:
    under = engine(tmp_path, max_backlog="1KiB")
    subscription, _, _ = subscribe(under)
    append(under, b"x" * 2000)
    with pytest.raises(Overloaded) as refused:
        under.append(SPANS, [Record(b"y")])
    assert (refused.value.reason, refused.value.retry_after_seconds) == ("backlog", 5)
    under.append(SCORES, [Record(b"an output is never refused")]).result(10)
    under.append(SPANS, [Record(b"1", kind=TICK_KIND)]).result(10)
    assert subscription.poll(5, 10)
    append(under, b"y")
    subscription.close()
    under.close()


def test_the_backlog_is_known_again_after_a_restart(tmp_path: Path) -> None:
    under = engine(tmp_path)
    append(under, b"x" * 2000)
    under.close()
    again = engine(tmp_path, max_backlog="1KiB")
    subscription, _, _ = (again.subscribe("stage", SPANS, Owner()), None, None)
    with pytest.raises(Overloaded):
        again.append(SPANS, [Record(b"y")])
    subscription.close()
    again.close()


def test_a_full_disk_fails_the_append_and_the_next_one_works_once_there_is_room(tmp_path: Path) -> None:
    under = engine(tmp_path)
    append(under, b"a")
    (pages,) = under._writer.execute("PRAGMA page_count").fetchone()
    under._writer.execute(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(StoreError, match="full"):
        append(under, b"x" * 100_000)
    under._writer.execute("PRAGMA max_page_count = 1000000")
    append(under, b"b")
    subscription, _, entries = subscribe(under)
    assert [entry.value for entry in entries] == [b"a", b"b"]
    subscription.close()
    under.close()


def test_consumed_records_go_and_the_ledger_stays_for_its_retention(tmp_path: Path) -> None:
    clock = FakeClock()
    under = engine(tmp_path, clock, retention="1h")
    for log in (SPANS, DECISIONS):
        append(under, b"a", b"b", log=log)
        subscription, partition, entries = subscribe(under, f"reader-{log}", log)
        transaction = partition.transaction()
        transaction.offset(entries[-1].offset + 1)
        transaction.commit()
        subscription.close()
    keep_house(under, clock)
    assert [_count(under, log) for log in (SPANS, DECISIONS)] == [0, 2]
    clock.advance(3601)
    keep_house(under, clock)
    assert _count(under, DECISIONS) == 0
    append(under, b"c")
    subscription, _, entries = subscribe(under, f"reader-{SPANS}", SPANS)
    assert [entry.value for entry in entries] == [b"c"], "offsets are never used again"
    subscription.close()
    under.close()


def test_nothing_is_trimmed_that_a_stage_has_yet_to_read(tmp_path: Path) -> None:
    clock = FakeClock()
    under = engine(tmp_path, clock, retention="1s")
    append(under, b"a", log=CHANGES)
    subscription, _, _ = subscribe(under, "notify", CHANGES)
    clock.advance(3600)
    keep_house(under, clock)
    assert _count(under, CHANGES) == 1
    subscription.close()
    under.close()


def test_a_stage_that_runs_no_more_keeps_nothing_past_its_retention(tmp_path: Path) -> None:
    clock = FakeClock()
    under = engine(tmp_path, clock, retention="1h")
    append(under, b"a", b"b", log=CHANGES)
    for stage in ("notify", "export"):  # one that reads on, and one that has read nothing
        subscription, partition, entries = subscribe(under, stage, CHANGES)
        if stage == "notify":
            transaction = partition.transaction()
            transaction.offset(entries[-1].offset + 1)
            transaction.commit()
        subscription.close()
    clock.advance(3601)
    keep_house(under, clock)
    assert _count(under, CHANGES) == 2
    under.close()
    under = engine(tmp_path, clock, retention="1h")
    subscription, _, _ = subscribe(under, "notify", CHANGES)
    keep_house(under, clock)
    assert _count(under, CHANGES) == 2, "stages may be about to subscribe"
    clock.advance(61)
    keep_house(under, clock)
    assert _count(under, CHANGES) == 0
    subscription.close()
    under.close()


def test_a_store_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    engine(tmp_path).close()
    with sqlite3.connect(tmp_path / "store.db") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StoreError, match="schema version 99"):
        engine(tmp_path)


@pytest.mark.parametrize("content", [b"this is not a database, it is a letter to a friend" * 100, b"\0" * 4096])
def test_a_file_that_is_no_store_is_refused_with_its_path(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "store.db").write_bytes(content)
    with pytest.raises(StoreError, match=r"store\.db"):
        engine(tmp_path)


def test_the_file_is_private(tmp_path: Path) -> None:
    engine(tmp_path).close()
    assert (tmp_path / "store.db").stat().st_mode & 0o077 == 0


def test_a_file_that_others_may_read_is_made_private_and_that_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    engine(tmp_path).close()
    (tmp_path / "store.db").chmod(0o644)
    one = engine(tmp_path)
    assert {path.stat().st_mode & 0o077 for path in tmp_path.iterdir()} == {0}
    assert "could be read by others (mode 644)" in caplog.text
    one.close()


_WRITER = """
import sys
from pathlib import Path
from collector.core.clock import SystemClock
from collector.core.engine import SPANS, Record
from collector.core.telemetry import Telemetry
from collector.engines.sqlite import SqliteEngine, StoreConfig

engine = SqliteEngine(StoreConfig(path=Path(sys.argv[1])), SystemClock(), Telemetry())
number = 0
while True:
    engine.append(SPANS, [Record(str(number).encode())]).result()
    print(number, flush=True)
    number += 1
"""


def test_what_was_acknowledged_survives_kill_minus_nine(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(tmp_path / "store.db")], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    acknowledged = [int(process.stdout.readline()) for _ in range(200)]
    os.kill(process.pid, signal.SIGKILL)
    acknowledged += [int(line) for line in process.stdout.read().splitlines() if line]
    process.stdout.close()
    process.wait()
    under = engine(tmp_path)
    subscription = under.subscribe("stage", SPANS, Owner())
    found = [int(entry.value) for _, batch in subscription.poll(0, 100_000) for entry in batch]
    assert found[: len(acknowledged)] == acknowledged
    assert len(found) - len(acknowledged) <= 1, "at most the one whose answer was on its way"
    subscription.close()
    under.close()


def _count(under: SqliteEngine, log: str) -> int:
    connection = under.reader()
    (count,) = connection.execute(f"SELECT count(*) FROM log_{log}").fetchone()
    connection.close()
    return int(count)
