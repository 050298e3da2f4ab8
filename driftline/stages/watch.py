"""Scores in, changes out: the detectors, each partition with its own."""

from collections.abc import Callable, Sequence

from collector.core.engine import CHANGES, SCORES, Engine, Entry, Partition, Record
from collector.core.telemetry import Telemetry
from drift.base import Change, decode_points, encode_change
from drift.monitor import Watcher
from drift.series import SeriesStatus
from driftline.pipeline import Stage, put_state


class WatchStage(Stage):
    def __init__(self, engine: Engine, watcher: Callable[[], Watcher], telemetry: Telemetry) -> None:
        super().__init__("watch", engine, SCORES, telemetry)
        self._new_watcher = watcher
        self._owned: dict[int, tuple[Partition, Watcher]] = {}
        self.series: list[SeriesStatus] = []  # as of the last commit, for other threads to read
        self._unreadable = telemetry.counter(
            "driftline_unreadable_points", "Records of scores that could not be read, left out."
        )

    def assigned(self, partition: Partition) -> None:
        watcher = self._new_watcher()
        watcher.restore(partition.state())
        self.series = watcher.status()
        self._owned[partition.number] = partition, watcher

    def revoked(self, partition: Partition) -> None:
        del self._owned[partition.number]

    def process(self, partition: int, entries: Sequence[Entry]) -> None:
        owner, watcher = self._owned[partition]
        changes = [change for entry in entries for change in self._update(watcher, entry)]
        transaction = owner.transaction()
        transaction.append(CHANGES, [Record(encode_change(change), key=change.id.encode()) for change in changes])
        put_state(transaction, watcher.take_state())
        transaction.offset(entries[-1].offset + 1)
        self.commit(transaction)
        self.series = [status for _, owned in self._owned.values() for status in owned.status()]

    def _update(self, watcher: Watcher, entry: Entry) -> Sequence[Change]:
        try:
            points = decode_points(entry.value)
        except ValueError:
            self._unreadable.add()
            return ()
        return [change for point in points for change in watcher.update(point)]
