"""Watches what vectors are about: the share of each cluster, of what is unlike any, and of regions that fill up."""

from collections.abc import Iterator
from dataclasses import replace

from drift.base import Change, Point
from drift.plan import Plan
from drift.recent import OTHER, Record
from drift.route import ShareMonitor, SliceKey
from drift.series import Series
from drift.vectors.atlas import UNLIKE
from drift.vectors.search import find_region
from drift.vectors.series import AtlasSeries

_MOST_REGIONS = 6
_SEARCH_EVERY = 64  # points
_LEAST_AGE = 1024  # points that a region is watched before another may have its place


class VectorMonitor(ShareMonitor):
    """In each slice a series for each label (`drift.vectors.atlas`), that gets 1 for a point which is of it and 0 for
    any other. A vector is of one cluster, and may be of regions too, so these shares do not add up to one."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self._replaced: dict[SliceKey, AtlasSeries] = {}

    def make(self, slices: dict[str, str]) -> Series:
        return (AtlasSeries if slices[self.plan.metric] == UNLIKE else Series)(self.plan, slices)

    def fits(self, record: Record, point: Point) -> bool:
        return all(self._atlas(base).fits(point.vector, point.evaluator_id) for base in self._bases(record))

    def outdated(self, record: Record, point: Point) -> list[SliceKey]:
        """The series that end before this point: of a replaced evaluator, or of a region that came to nothing."""
        ended: list[SliceKey] = []
        for base in self._bases(record):
            atlas = self._atlas(base)
            if atlas.crowded:
                atlas.crowded = False
                ended += self._weakest(base, atlas)
            if atlas.outdated:
                self._replaced[base] = atlas
                ended += [(*base, label) for label in self.families[base]]
        return list(dict.fromkeys(ended))

    def takers(self, record: Record, point: Point, now_ns: int) -> Iterator[tuple[Series, Record | None]]:
        for base in self._bases(record):
            yield from self._take(base, record, point, now_ns)

    def dressed(self, series: Series, change: Change) -> Change:
        *base, label = series.slices.values()
        atlas = self.families.get(tuple(base), {}).get(UNLIKE)
        if isinstance(atlas, AtlasSeries):
            change = atlas.examples.describe(label, change)
            unlike = atlas.episode.change if atlas.episode is not None else None
            if atlas.is_region(label) and unlike is not None and unlike.direction == "up":
                # Longer ago than the newest vectors it was seen as unlike any: it may have begun with that.
                change = replace(change, onset_low_ns=min(change.onset_low_ns, unlike.onset_low_ns))
        if change.moved == "application":  # what comes is not its doing, what it says may be: nobody can tell
            change = replace(change, moved="")
        return change

    def drop(self, key: SliceKey) -> None:
        *base, label = key
        atlas = self.families[tuple(base)].get(UNLIKE)
        if isinstance(atlas, AtlasSeries) and atlas.is_region(label):
            atlas.end_region(label, told=self.series[key].ordinal > 0)
        super().drop(key)

    def _take(
        self, base: SliceKey, record: Record, point: Point, now_ns: int
    ) -> Iterator[tuple[Series, Record | None]]:
        atlas = self._atlas(base)
        at_ns, _, weight, trace_id, slices = record
        if not atlas.is_ours(point.vector, weight, point.evaluator_id):
            yield atlas, None
            return
        if atlas.atlas is None:
            atlas.learn(point.vector, weight, point.terms, now_ns)
            yield atlas, None
            return
        members = atlas.see(point.vector, record, point.terms)
        inside, outside = ((at_ns, x, weight, trace_id, slices) for x in (1.0, 0.0))
        for label in atlas.atlas.labels():
            yield self._of(base, label), inside if label in members else outside
        if atlas.complete and atlas.turn % _SEARCH_EVERY == 0:
            yield from self._search(base, atlas, now_ns)

    def _search(self, base: SliceKey, atlas: AtlasSeries, now_ns: int) -> Iterator[tuple[Series, None]]:
        assert atlas.atlas is not None
        region = find_region(atlas.atlas, atlas.places, f"new cluster {atlas.found + 1}")
        if region is None:
            return
        if len(atlas.atlas.regions) >= _MOST_REGIONS or len(self.series) >= self.plan.max_series:
            atlas.crowded = True
            return  # it will be found again
        made = atlas.begin(region, self._slices(base, region.name), now_ns)
        self.put(made)
        yield made, None
        yield atlas, None

    def _weakest(self, base: SliceKey, atlas: AtlasSeries) -> list[SliceKey]:
        """The region that says least of those that were watched for long enough, if there is one."""
        watched = [self._of(base, one.name) for one in (atlas.atlas.regions if atlas.atlas is not None else ())]
        old = [one for one in watched if one.episode is None and one.seen >= _LEAST_AGE]
        return [tuple(min(old, key=_evidence).slices.values())] if old else []

    def _bases(self, record: Record) -> list[SliceKey]:
        """The slices that a point is of; all together where there are too many."""
        most = max(self.plan.max_series // (self.plan.clusters + 1 + _MOST_REGIONS), 1)
        found = (
            base if base in self.families or len(self.families) < most - 1 else tuple(OTHER for _ in base)
            for base in self._keys(dict(record[4]))
        )
        return list(dict.fromkeys(found))

    def _atlas(self, base: SliceKey) -> AtlasSeries:
        found = self.families.get(base, {}).get(UNLIKE)
        if not isinstance(found, AtlasSeries):
            found = AtlasSeries(self.plan, self._slices(base, UNLIKE))
            if (replaced := self._replaced.pop(base, None)) is not None:
                found.follow(replaced)
            self.put(found)
        return found

    def _of(self, base: SliceKey, label: str) -> Series:
        found = self.families[base].get(label)
        if found is None:
            found = Series(self.plan, self._slices(base, label))
            self.put(found)
        return found


def _evidence(series: Series) -> float:
    return series.detector.evidence if series.detector is not None else 0.0
