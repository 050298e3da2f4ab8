"""What every stage does with a record that the log can never take."""

from collections.abc import Iterable, Sequence
from types import SimpleNamespace

import pytest

from collector.core.engine import DECISIONS, Entry, Partition, Record
from collector.core.errors import Rejected
from collector.core.telemetry import Telemetry
from driftline.pipeline import Stage


class Idle(Stage):
    def assigned(self, partition: Partition) -> None: ...

    def revoked(self, partition: Partition) -> None: ...

    def process(self, partition: int, entries: Sequence[Entry]) -> None: ...


class Narrow:
    """A transaction that takes records of up to three bytes, all of a call or none."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []

    def append(self, log: str, records: Iterable[Record]) -> None:
        values = [record.value for record in records]
        if any(len(value) > 3 for value in values):
            raise Rejected("too_large", "a record of more than 3 bytes")
        self.taken += values


def test_what_is_too_large_is_left_out_alone_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    telemetry = Telemetry()
    stage = Idle("idle", None, DECISIONS, telemetry)  # type: ignore[arg-type]
    transaction = Narrow()
    records = [Record(value) for value in (b"a", b"long", b"b", b"longer", b"c")]
    stage.append(transaction, DECISIONS, records)  # type: ignore[arg-type]
    assert transaction.taken == [b"a", b"b", b"c"]
    counted = telemetry.counter("driftline_too_large_records", "", ["stage", "log"]).values()
    assert counted == {("idle", DECISIONS): 2}
    assert all("\n" not in record.getMessage() for record in caplog.records)


class Watched(Stage):
    """Notes what the gauge says while it works, commits in the midst, and fails where there are no entries."""

    def __init__(self, telemetry: Telemetry) -> None:
        super().__init__("watched", None, DECISIONS, telemetry)  # type: ignore[arg-type]
        self.gauge = telemetry.gauge("driftline_stage_busy_since_timestamp_seconds", "", ["stage"])
        self.seen: list[float] = []
        self.commits = 0

    def process(self, partition: int, entries: Sequence[Entry]) -> None:
        self.look()
        self.commit(SimpleNamespace(commit=self.committed))  # type: ignore[arg-type]
        self.look()
        if not entries:
            raise ValueError("no entries")

    def look(self) -> None:
        self.seen += self.gauge.values().values()
        assert set(self.gauge.values()) == {("watched",)}

    def committed(self) -> None:
        self.commits += 1


def test_a_stage_says_since_when_it_works_anew_with_every_commit_and_nothing_when_it_rests(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    times = iter([100.0, 107.0, 110.0, 119.0])
    monkeypatch.setattr("driftline.pipeline.time.time", lambda: next(times))
    stage = Watched(Telemetry())
    entry = Entry(0, b"", b"", "", 0)
    stage._turn([(0, [entry]), (1, [entry])])
    assert stage.seen == [100.0, 107.0, 110.0, 119.0]
    assert stage.gauge.values() == {}
    stage.commit(SimpleNamespace(commit=stage.committed))  # type: ignore[arg-type]  while nothing was read, as when it lets go of what it held
    assert (stage.commits, stage.gauge.values()) == (3, {})


def test_a_stage_that_fails_is_not_taken_for_one_that_works() -> None:
    stage = Watched(Telemetry())
    with pytest.raises(ValueError, match="no entries"):
        stage._turn([(0, [])])
    assert len(stage.seen) == 2
    assert stage.gauge.values() == {}
