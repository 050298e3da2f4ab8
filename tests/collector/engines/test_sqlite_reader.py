"""A log as another process reads it: whole, in order, while the service writes, and without being noticed."""

from contextlib import closing
from pathlib import Path

import pytest

from collector.core.clock import FakeClock
from collector.core.engine import CHANGES, SPANS, Record
from collector.core.errors import StoreError
from collector.core.telemetry import Telemetry
from collector.engines.sqlite import SqliteEngine, StoreConfig
from collector.engines.sqlite_reader import read_log, read_state
from tests.collector.engines.stores import Owner


def test_a_log_is_read_in_order_while_more_is_written_and_no_stage_is_made(tmp_path: Path) -> None:
    engine = SqliteEngine(StoreConfig(path=tmp_path / "store.db"), FakeClock(), Telemetry())
    engine.append(SPANS, [Record(b"%d" % number, key=b"k", kind="traces") for number in range(600)]).result()
    reading = read_log(tmp_path / "store.db", SPANS)
    first = next(reading)
    engine.append(SPANS, [Record(b"600")]).result()
    found = [first, *reading]
    assert [entry.value for entry in found] == [b"%d" % number for number in range(601)]
    assert (first.key, first.kind) == (b"k", "traces")
    assert [entry.offset for entry in found] == sorted({entry.offset for entry in found})
    assert list(read_log(tmp_path / "store.db", CHANGES)) == []
    with engine.reader() as connection:
        assert connection.execute("SELECT count(*) FROM stages").fetchone() == (0,)
    connection.close()
    engine.close()


def test_what_is_no_store_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no store"):
        next(read_log(tmp_path / "store.db", SPANS))
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "store.db").write_bytes(b"a letter to a friend" * 100)
    with pytest.raises(StoreError, match=r"store\.db cannot be read: file is not a database"):
        next(read_log(tmp_path / "store.db", SPANS))
    with pytest.raises(ValueError, match="'state' is not one of the logs"):
        next(read_log(tmp_path / "store.db", "state"))
    with pytest.raises(StoreError, match=r"store\.db cannot be read: file is not a database"):
        next(read_state(tmp_path / "store.db", "stage"))
    with pytest.raises(StoreError, match="there is no store"):
        next(read_state(tmp_path / "none.db", "stage"))


def test_the_state_of_one_stage_is_read_as_it_was_committed(tmp_path: Path) -> None:
    engine = SqliteEngine(StoreConfig(path=tmp_path / "store.db"), FakeClock(), Telemetry())
    for stage in ("one", "two"):
        owner = Owner()
        with closing(engine.subscribe(stage, SPANS, owner)) as subscription:
            subscription.poll(0, 1)
            (partition,) = owner.owned.values()
            for value in (b"old", b"new"):
                transaction = partition.transaction()
                transaction.put("a", value + stage.encode())
                transaction.put("b", b"gone")
                transaction.commit()
            transaction = partition.transaction()
            transaction.delete("b")
            transaction.commit()
    assert list(read_state(tmp_path / "store.db", "one")) == [("a", b"newone")]
    assert list(read_state(tmp_path / "store.db", "three")) == []
    engine.close()
