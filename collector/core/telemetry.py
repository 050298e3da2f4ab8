"""Driftline's own measurements: plain dictionaries on the hot path, rendered elsewhere.

An instrument is declared once, with help, unit and a fixed set of labels. The number of label sets of an instrument is
bounded, and so is the number of series of all instruments together: past a bound an instrument's `fold` labels become
`other` in what is new, and how often that happened is itself a metric.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Literal, TypeVar

OTHER = "other"
MAX_SERIES = 100_000
"""A scrape of so many takes well under two seconds (`benchmarks/scrape.py`)."""

Labels = tuple[str, ...]
T = TypeVar("T", bound="Instrument")


class Budget:
    """How many series there are of all instruments together, and how many there may be.

    What has no label to fold is few by construction, and counted, but never refused. Each instrument calls this with
    its own lock held.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
        self.published: Gauge | None = None
        self._lock = Lock()

    def take(self, series: int, *, must: bool) -> bool:
        """Count so many more; False, and nothing, if there is no room for them."""
        with self._lock:
            if not must and self.used + series > self.limit:
                return False
            self._now(self.used + series)
            return True

    def give(self, series: int) -> None:
        """So many are gone."""
        with self._lock:
            self._now(self.used - series)

    def _now(self, used: int) -> None:
        self.used = used
        if self.published is not None:  # it has its one series, so that this asks for no other
            self.published.set(used)


class Instrument:
    """What counters, gauges and histograms share."""

    kind: Literal["counter", "gauge", "histogram"]

    def __init__(
        self,
        name: str,
        help_text: str,
        labels: Sequence[str],
        unit: str,
        fold: Sequence[str],
        limit: int,
        budget: Budget,
    ) -> None:
        self.name = name
        self.help = help_text
        self.labels = tuple(labels)
        self.unit = unit
        self.limit = limit
        self.folded = 0
        self.folds: Counter | None = None  # where it is published
        self._budget = budget
        self._fold_at = [self.labels.index(label) for label in fold]
        self._lock = Lock()

    @property
    def published(self) -> str:
        """The name to query it by (of a histogram, the part before `_bucket`)."""
        return f"{self.name.removesuffix('_total')}_total" if self.kind == "counter" else self.name

    @property
    def series_each(self) -> int:
        """How many series a label set makes, at most."""
        return 1

    def _key(self, known: Mapping[Labels, object], values: Labels) -> Labels:
        """The label set to use: the one given, or its folded form once there are too many. Call with the lock held.

        Args:
            known: the label sets that there are; what is returned must be one of them thereafter.
        """
        if len(values) != len(self.labels):
            raise ValueError(f"{self.name} takes the labels {self.labels}, got {values!r}")
        if values in known:
            return values
        must = not self._fold_at
        if (must or len(known) < self.limit) and self._budget.take(self.series_each, must=must):
            return values
        self.folded += 1
        if self.folds is not None:  # another instrument with a lock of its own, which itself never folds
            self.folds.add(1, self.published)
        folded = list(values)
        for at in self._fold_at:
            folded[at] = OTHER
        other = tuple(folded)
        if other not in known:
            self._budget.take(self.series_each, must=True)
        return other


class Counter(Instrument):
    """A number that only grows."""

    kind = "counter"

    def __init__(self, *args: object, **options: object) -> None:
        super().__init__(*args, **options)  # type: ignore[arg-type]
        self._values: dict[Labels, float] = {}

    def add(self, amount: float = 1, *labels: str) -> None:
        self.add_all({labels: amount})

    def add_all(self, amounts: Mapping[Labels, float]) -> None:
        """Many label sets at once, at the cost of one lock."""
        with self._lock:
            for labels, amount in amounts.items():
                key = labels if labels in self._values else self._key(self._values, labels)
                self._values[key] = self._values.get(key, 0) + amount

    def values(self) -> dict[Labels, float]:
        with self._lock:
            return dict(self._values)

    def total(self) -> float:
        return sum(self.values().values())


class Gauge(Instrument):
    """A number that goes up and down."""

    kind = "gauge"

    def __init__(self, *args: object, **options: object) -> None:
        super().__init__(*args, **options)  # type: ignore[arg-type]
        self._values: dict[Labels, float] = {}

    def set(self, value: float, *labels: str) -> None:
        with self._lock:
            self._values[labels if labels in self._values else self._key(self._values, labels)] = value

    def add(self, change: float, *labels: str) -> None:
        """For what several owners have a part of."""
        with self._lock:
            key = labels if labels in self._values else self._key(self._values, labels)
            self._values[key] = self._values.get(key, 0.0) + change

    def remove(self, *labels: str) -> None:
        with self._lock:
            if self._values.pop(labels, None) is not None:
                self._budget.give(self.series_each)

    def values(self) -> dict[Labels, float]:
        with self._lock:
            return dict(self._values)


@dataclass(slots=True)  # not frozen: made for every score, and frozen costs four times as much
class Exemplar:
    """A trace to open for a bucket of a histogram."""

    trace_id: str
    span_id: str
    value: float
    at_ns: int


@dataclass(slots=True)
class Distribution:
    """The state of one label set of a histogram; `counts` are per bucket, not cumulative, the last one is +Inf."""

    counts: list[float]
    exemplars: list[Exemplar | None]
    sum: float = 0.0


class Histogram(Instrument):
    """How values spread over fixed buckets, each with one exemplar: the newest."""

    kind = "histogram"

    def __init__(self, *args: object, buckets: Sequence[float], **options: object) -> None:
        super().__init__(*args, **options)  # type: ignore[arg-type]
        self.buckets = tuple(buckets)
        self._values: dict[Labels, Distribution] = {}

    @property
    def series_each(self) -> int:
        return len(self.buckets) + 3  # +Inf, sum, count

    def observe(self, value: float, *labels: str, exemplar: Exemplar | None = None) -> None:
        self.observe_all([value], *labels, exemplars=[exemplar])

    def observe_all(
        self, values: Sequence[float], *labels: str, exemplars: Sequence[Exemplar | None] | None = None
    ) -> None:
        """Many values at once, at the cost of one lock; `exemplars`, if there are any, one for each value."""
        with self._lock:
            entry = self._values.get(labels) or self._entry(labels)
            counts, buckets = entry.counts, self.buckets
            for number, value in enumerate(values):
                at = bisect_left(buckets, value)
                counts[at] += 1
                if exemplars is not None and (exemplar := exemplars[number]) is not None:
                    entry.exemplars[at] = exemplar
            entry.sum = sum(values, entry.sum)

    def _entry(self, labels: Labels) -> Distribution:
        size = len(self.buckets) + 1
        key = self._key(self._values, labels)
        return self._values.setdefault(key, Distribution([0] * size, [None] * size))

    def values(self) -> dict[Labels, Distribution]:
        with self._lock:
            return {
                labels: Distribution(list(entry.counts), list(entry.exemplars), entry.sum)
                for labels, entry in self._values.items()
            }


class Telemetry:
    """The instruments of one running service. Asking twice for a name gives the same instrument.

    Args:
        limit: label sets of an instrument.
        max_series: of all instruments together; what cannot fold may go past it.
    """

    def __init__(self, limit: int = 10_000, max_series: int = MAX_SERIES) -> None:
        self._limit = limit
        self._budget = Budget(max_series)
        self._instruments: dict[str, Instrument] = {}
        self._lock = Lock()
        self._folds: Counter | None = None

    def count_folds(self) -> None:
        """Publish how often instruments that are declared from now on fold labels into `other`, and how full it is."""
        self._folds = self.counter(
            "driftline_folded_updates",
            "Updates of series that are part of `other`, since their metric has too many label sets, or all metrics "
            "together too many series, by metric.",
            ["metric"],
        )
        series = self.gauge("driftline_metric_series", "Series of our own that have a value, at most.")
        series.set(0)
        self._budget.published = series
        self.limit_series(self._budget.limit)

    def limit_series(self, max_series: int) -> None:
        """From now on there may be so many series; those that there are stay."""
        self._budget.limit = max_series
        limit = self.gauge("driftline_metric_series_limit", "Past so many series, what is new becomes `other`.")
        limit.set(max_series)

    def counter(
        self, name: str, help_text: str, labels: Sequence[str] = (), *, unit: str = "", fold: Sequence[str] = ()
    ) -> Counter:
        return self._declare(Counter(name, help_text, labels, unit, fold, self._limit, self._budget))

    def gauge(
        self, name: str, help_text: str, labels: Sequence[str] = (), *, unit: str = "", fold: Sequence[str] = ()
    ) -> Gauge:
        return self._declare(Gauge(name, help_text, labels, unit, fold, self._limit, self._budget))

    def histogram(
        self,
        name: str,
        help_text: str,
        labels: Sequence[str] = (),
        *,
        buckets: Sequence[float],
        unit: str = "",
        fold: Sequence[str] = (),
    ) -> Histogram:
        return self._declare(Histogram(name, help_text, labels, unit, fold, self._limit, self._budget, buckets=buckets))

    def instruments(self) -> list[Instrument]:
        """All that were declared, by name."""
        with self._lock:
            return [self._instruments[name] for name in sorted(self._instruments)]

    def _declare(self, new: T) -> T:
        with self._lock:
            new.folds = self._folds
            known = self._instruments.setdefault(new.name, new)
        if type(known) is not type(new) or known.labels != new.labels:
            raise ValueError(f"{new.name} is declared twice, with other labels or of another kind")
        return known
