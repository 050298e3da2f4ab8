"""Which series of a monitor a point belongs to."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from drift.base import Change, Point
from drift.plan import Plan
from drift.recent import OTHER, Record, Slices
from drift.series import Series

UNKNOWN = "unknown"
"""The value of a monitor's first slice attribute where a trace has none."""

_MOST_ROUTES = 10_000
_LONGEST_LABEL = 200

SliceKey = tuple[str, ...]


class Monitor:
    """One plan and its series, by the values of the slice attributes."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.series: dict[SliceKey, Series] = {}
        self.routes: dict[Slices, list[Series]] = {}

    def route(self, slices: Slices) -> list[Series]:
        """The series that a point of these slices belongs to, shortest prefix first; makes those that are new."""
        known = self.routes.get(slices)
        if known is None:
            if len(self.routes) >= _MOST_ROUTES:
                self.routes.clear()
            known = self.routes[slices] = [self._ensure(key) for key in self._keys(dict(slices))]
        return known

    def make(self, slices: dict[str, str]) -> Series:
        """The series of a slice of this monitor, as it is before its first point."""
        return Series(self.plan, slices)

    def restored(
        self, key: str, head: dict[str, Any], parts: Mapping[str, bytes], known: dict[Slices, Slices]
    ) -> Series:
        """A series from its saved parts; one of `drift.saved.WRONG` if they cannot be read."""
        series = self.make({str(name): str(value) for name, value in head["slices"]})
        if series.key != key:
            raise ValueError("belongs to another slice than its key says")
        series.load(head, parts, known)
        return series

    def fits(self, record: Record, point: Point) -> bool:
        """Whether a point can be compared with those before it."""
        return True

    def outdated(self, record: Record, point: Point) -> list[SliceKey]:
        """The series that end before this point is taken, for what they are of is watched no more."""
        return []

    def dressed(self, series: Series, change: Change) -> Change:
        """A change of a series with what this monitor knows besides."""
        return change

    def takers(self, record: Record, point: Point, now_ns: int) -> Iterator[tuple[Series, Record | None]]:
        """The series that take a point, each with what it takes; None: it has it already."""
        for series in self.route(record[4]):
            yield series, record

    def review(self, now_ns: int) -> tuple[list[SliceKey], list[Series]]:
        """From time to time: the series to drop, to make room, and others that have begun."""
        return [], []

    def take_state(self) -> bytes | None:
        """What there is to keep beside the series."""
        return None

    def read_state(self, data: bytes) -> Any:
        """What `take_state` gave, for `use_state`; raises one of `drift.saved.WRONG` if it cannot be read."""

    def use_state(self, read: Any) -> None:
        """Take over what was read, once the series are there."""

    def put(self, series: Series) -> Series | None:
        """Have this series from now on; returns the one that was in its place."""
        key = tuple(series.slices.values())
        early = self.series.get(key)
        self.series[key] = series
        self.routes.clear()
        return early

    def relatives(self, series: Series) -> Iterable[Series]:
        """The series of this monitor that hold `series` or are held by it."""
        mine = tuple(series.slices.values())
        for key, other in sorted(self.series.items()):
            shared = min(len(key), len(mine))
            if other is not series and key[:shared] == mine[:shared]:
                yield other

    def drop(self, key: SliceKey) -> None:
        del self.series[key]
        self.routes.clear()

    def _keys(self, slices: dict[str, str]) -> list[SliceKey]:
        if not self.plan.by:
            return [()]
        values = [slices.get(self.plan.by[0], UNKNOWN)]
        keys: list[SliceKey] = [tuple(values)]
        for attribute in self.plan.by[1:]:
            if attribute not in slices:
                break
            values.append(slices[attribute])
            keys.append(tuple(values))
        return keys

    def _ensure(self, key: SliceKey) -> Series:
        found = self.series.get(key)
        if found is None:
            if len(self.series) >= self.plan.max_series:
                key = tuple(OTHER for _ in key)
                if key in self.series:
                    return self.series[key]
            found = self.series[key] = self.make(dict(zip(self.plan.by, key, strict=False)))
        return found


class ShareMonitor(Monitor):
    """What part of the points has each label: a series for each, that gets 1 for a point with it and 0 for any other.

    The first `max_labels` labels of a slice have one, all others together that of `other`. A label that is new begins
    with what came before it, without it: so a new model that takes over at once is seen at once.
    """

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self.families: dict[SliceKey, dict[str, Series]] = {}

    def takers(self, record: Record, point: Point, now_ns: int) -> Iterator[tuple[Series, Record | None]]:
        at_ns, _, weight, trace_id, slices = record
        label = point.label[:_LONGEST_LABEL]
        of_it, of_another = ((at_ns, x, weight, trace_id, slices) for x in (1.0, 0.0))
        for base in self._keys(dict(slices)):
            base, family = self._family(base)
            begun = None
            if label not in family and len(family) <= self.plan.max_labels and len(self.series) < self.plan.max_series:
                fullest = max(family.values(), key=lambda series: series.recent.count)
                begun = fullest.beside(self._slices(base, label), of_it, now_ns)
                self.put(begun)
                family = self.families[base]
            named = family.get(label, family[OTHER])
            for series in list(family.values()):
                yield series, None if series is begun else of_it if series is named else of_another

    def relatives(self, series: Series) -> Iterable[Series]:
        """Of shares, also those of other labels in the same slice."""
        mine = tuple(series.slices.values())[:-1]
        for key, other in sorted(self.series.items()):
            shared = min(len(key) - 1, len(mine))
            if other is not series and key[:shared] == mine[:shared]:
                yield other

    def put(self, series: Series) -> Series | None:
        *base, label = series.slices.values()
        family = {**self.families.get(tuple(base), {}), label: series}
        self.families[tuple(base)] = dict(sorted(family.items()))  # the same order wherever it was stopped
        return super().put(series)

    def drop(self, key: SliceKey) -> None:
        super().drop(key)
        *base, label = key
        family = self.families[tuple(base)]
        del family[label]
        if not family:
            del self.families[tuple(base)]

    def _family(self, base: SliceKey) -> tuple[SliceKey, dict[str, Series]]:
        if base not in self.families and len(self.series) >= self.plan.max_series:
            base = tuple(OTHER for _ in base)
        if OTHER not in self.families.get(base, ()):
            self.put(Series(self.plan, self._slices(base, OTHER)))
        return base, self.families[base]

    def _slices(self, base: SliceKey, label: str) -> dict[str, str]:
        return {**dict(zip(self.plan.by, base, strict=False)), self.plan.metric: label}
