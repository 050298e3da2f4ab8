"""Scores in, changes out: the detectors, each partition with its own, and with its share of the budget.

A series lives in one partition (`ScoreRoute`). When there are more partitions than before, those that now live
elsewhere move there through the log, in the transaction that also lets go of them here; scores that a producer still
sent by the old count go after them.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from collector.core.engine import (
    CHANGES,
    DEAD_LETTERS,
    MOVED_KIND,
    SCORES,
    STRAY_KIND,
    Engine,
    Entry,
    Partition,
    Record,
)
from collector.core.errors import UserError
from collector.core.telemetry import Telemetry
from drift.base import Change, Point, decode_points, encode_change, encode_points
from drift.monitor import Watcher
from drift.series import SeriesStatus
from driftline.pipeline import Stage, put_state
from driftline.score_route import ScoreRoute

_log = logging.getLogger(__name__)
_PARTITIONS = "partitions"  # a key of the state: as in `_Owned`


@dataclass(slots=True)
class _Owned:
    """A partition with its watcher, and what goes to other partitions with the next commit."""

    partition: Partition
    watcher: Watcher
    partitions: int  # how many there were when its series were last looked through; 0: never
    guests: bool = True  # whether there may be series that live elsewhere
    outgoing: list[tuple[str, Record]] = field(default_factory=list)


class WatchStage(Stage):
    def __init__(self, engine: Engine, watcher: Callable[[], Watcher], route: ScoreRoute, telemetry: Telemetry) -> None:
        super().__init__("watch", engine, SCORES, telemetry)
        self._new_watcher, self._route = watcher, route
        self._owned: dict[int, _Owned] = {}
        self.series: list[SeriesStatus] = []  # as of the last commit, for other threads to read
        self._unreadable = telemetry.counter(
            "driftline_unreadable_points", "Records of scores that could not be read, left out."
        )

    def assigned(self, partition: Partition) -> None:
        watcher = self._new_watcher()
        state = partition.state()
        watcher.restore(state)
        owned = self._owned[partition.number] = _Owned(partition, watcher, int(state.get(_PARTITIONS, b"0")))
        self._share_out(owned)
        self._describe()

    def revoked(self, partition: Partition) -> None:
        self._owned.pop(partition.number).watcher.leave()
        self._describe()

    def process(self, partition: int, entries: Sequence[Entry]) -> None:
        owned = self._owned[partition]
        self._share_out(owned)
        changes = [change for entry in entries for change in self._take(owned, entry)]
        self._commit(owned, changes, entries[-1].offset + 1)

    def rest(self) -> None:
        for owned in self._owned.values():
            self._share_out(owned)
            if owned.outgoing:
                self._commit(owned, (), None)

    def _take(self, owned: _Owned, entry: Entry) -> Sequence[Change]:
        try:
            if entry.kind == MOVED_KIND:
                owned.guests = True
                return owned.watcher.adopt(entry.value)
            points: Sequence[Point] = decode_points(entry.value)
        except (ValueError, UserError) as error:
            self._unreadable.add()
            _log.error("watch leaves out record %d of partition %d: %s", entry.offset, owned.partition.number, error)
            key = f"{SCORES}/{owned.partition.number}/{entry.offset}".encode()
            owned.outgoing.append((DEAD_LETTERS, Record(entry.value, key=key, kind="malformed")))
            return ()
        if entry.kind == STRAY_KIND:  # whoever sent them here may have known of more partitions
            owned.guests = True
        else:
            points = self._ours(owned, points)
        return [change for point in points for change in owned.watcher.update(point)]

    def _ours(self, owned: _Owned, points: Sequence[Point]) -> Sequence[Point]:
        """Those points whose series live here; the others go to where they do."""
        if owned.partitions == 1:
            return points
        ours: list[Point] = []
        strays: dict[int, list[Point]] = {}
        for point in points:
            home = self._route.partition(point.metric, point.slices, owned.partitions)
            (ours if home == owned.partition.number else strays.setdefault(home, [])).append(point)
        owned.outgoing += [
            (SCORES, Record(encode_points(some), kind=STRAY_KIND, partition=number)) for number, some in strays.items()
        ]
        return ours

    def _share_out(self, owned: _Owned) -> None:
        """Take this partition's share of budget and series, as many partitions as there are now."""
        partitions = max(self._route.partitions(), owned.partitions)
        if partitions == owned.partitions and not owned.guests:
            return
        owned.partitions, owned.guests = partitions, False
        owned.watcher.share(1 / partitions)
        if partitions == 1:
            return

        def home(metric: str, slices: dict[str, str]) -> int:
            return self._route.partition(metric, slices, partitions)

        number = owned.partition.number
        owned.outgoing += [
            (SCORES, Record(packed, kind=MOVED_KIND, partition=home(metric, slices)))
            for metric, slices, packed in owned.watcher.move_out(lambda *series: home(*series) != number)
        ]

    def _commit(self, owned: _Owned, changes: Sequence[Change], next_offset: int | None) -> None:
        transaction = owned.partition.transaction()
        self.append(transaction, CHANGES, [Record(encode_change(change), key=change.id.encode()) for change in changes])
        for log, record in owned.outgoing:
            self.append(transaction, log, [record])
        owned.outgoing = []
        put_state(transaction, owned.watcher.take_state())
        if owned.partitions > 1:
            transaction.put(_PARTITIONS, str(owned.partitions).encode())
        if next_offset is not None:
            transaction.offset(next_offset)
        self.commit(transaction)
        self._describe()

    def _describe(self) -> None:
        self.series = [status for owned in self._owned.values() for status in owned.watcher.status()]
