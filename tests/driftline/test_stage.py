"""What every stage does with a record that the log can never take."""

from collections.abc import Iterable, Sequence

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
