"""Which partition of the scores a point goes to: that of its series, so that one watcher has every series whole.

A series of a monitor `by: [service, ...]` has scores of one service: metric and service choose the partition. Where a
monitor of the metric begins with something else, or watches everything together, the metric alone does.
"""

import zlib
from collections.abc import Callable, Mapping, Sequence

from collector.core.engine import Record
from drift.base import Point, encode_points
from drift.plan import MonitorConfig


class ScoreRoute:
    """See the module.

    Args:
        partitions: how many partitions the scores have now.
    """

    def __init__(self, monitors: Sequence[MonitorConfig], partitions: Callable[[], int]) -> None:
        self.partitions = partitions
        self._whole = frozenset(one.watch for one in monitors if not one.by or one.by[0] != "service")

    def partition(self, metric: str, slices: Mapping[str, str], partitions: int) -> int:
        """Where a score of this metric goes, or the series that holds it."""
        service = "" if metric in self._whole else slices.get("service", "")
        return zlib.crc32(f"{metric}\0{service}".encode("utf-8", "replace")) % partitions

    def records(self, points: Sequence[Point]) -> list[Record]:
        """The points of one evaluation, as a record for each partition that has some of them."""
        partitions = self.partitions()
        if partitions == 1:
            return [Record(encode_points(points))] if points else []
        parts: dict[int, list[Point]] = {}
        for point in points:
            parts.setdefault(self.partition(point.metric, point.slices, partitions), []).append(point)
        return [Record(encode_points(part), partition=number) for number, part in parts.items()]
