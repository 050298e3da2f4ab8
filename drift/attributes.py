"""What the records of a point hold of it: its slices, the evaluator, the sampling, what made the trace."""

from drift.base import Point
from drift.moved import EVALUATOR, SAMPLING
from drift.provenance import Provenance
from drift.recent import Slices

_MOST_KEPT = 10_000


class Attributes:
    """Points of like traces share one tuple, told by what they have in common without putting it together anew."""

    def __init__(self, provenance: Provenance) -> None:
        self.provenance = provenance
        self.shared: dict[Slices, Slices] = {}
        self._known: dict[tuple[str, ...], Slices] = {}  # of points of this period of event time
        self._period = -1

    def of(self, point: Point, now_ns: int) -> Slices:
        period = self.provenance.period(now_ns)
        if period != self._period or len(self._known) >= _MOST_KEPT:
            self._known.clear()
            self._period = period
        slices, sampling = point.slices, f"{point.probability:.2g}"
        key = (point.evaluator_id, sampling, point.provenance, *slices, *slices.values())
        found = self._known.get(key)
        if found is None:
            made_by = self.provenance.pairs(slices.get("service", ""), point.provenance, now_ns)
            found = (*{EVALUATOR: point.evaluator_id, SAMPLING: sampling, **slices}.items(), *made_by)
            if len(self.shared) >= _MOST_KEPT:
                self.shared.clear()
            found = self._known[key] = self.shared.setdefault(found, found)
        return found
