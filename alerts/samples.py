"""Every sample of every instrument, by one set of rules for all who tell of them: the metrics page and remote write.

How a series is spelled (the beginning of a line, an encoded message) never changes: it is spelled once, and kept.
"""

from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Generic, TypeVar

from prometheus_client.utils import floatToGoString

from collector.core.telemetry import Counter, Distribution, Exemplar, Gauge, Histogram, Instrument, Labels

Spelling = TypeVar("Spelling", bound=Hashable)
Spell = Callable[[str, Mapping[str, str]], Spelling]
"""What is kept of a series, from its name and its labels."""

number: Callable[[float], str] = floatToGoString  # the library leaves it without types
"""A number as Prometheus writes it, in samples and in `le`."""


class Samples(Generic[Spelling]):
    """The samples of instruments, each with its series as `spell` has it. For one thread at a time."""

    def __init__(self, spell: Spell[Spelling]) -> None:
        self._spell = spell
        self._series: dict[str, _Series[Spelling]] = {}

    def of(self, instrument: Instrument) -> Iterator[tuple[Spelling, float, Exemplar | None]]:
        """Series, value and exemplar, in the order of the metrics page; no series comes twice."""
        if isinstance(instrument, Histogram):
            spreads = instrument.values()
            series = self._series_of(instrument, len(spreads))
            for labels, spread in spreads.items():
                if spelled := series.spelled(labels):
                    yield from _distribution(instrument, spread, spelled)
        elif isinstance(instrument, Counter | Gauge):
            values = instrument.values()
            if not values and not instrument.labels and isinstance(instrument, Counter):
                values = {(): 0.0}  # so that a rate is known from the first event on; a gauge not set stays absent
            series = self._series_of(instrument, len(values))
            for labels, value in values.items():
                if spelled := series.spelled(labels):
                    yield spelled[0], value, None

    def _series_of(self, instrument: Instrument, in_use: int) -> "_Series[Spelling]":
        series = self._series.get(instrument.name)
        if series is None or series.crowded(in_use):
            series = self._series[instrument.name] = _Series(instrument, self._spell)
        return series


class _Series(Generic[Spelling]):
    """How the series of each label set of one instrument are spelled."""

    def __init__(self, instrument: Instrument, spell: Spell[Spelling]) -> None:
        self._instrument, self._spell = instrument, spell
        self._known: dict[Labels, tuple[Spelling, ...]] = {}
        self._taken: set[Spelling] = set()

    def spelled(self, labels: Labels) -> tuple[Spelling, ...]:
        """One for each sample; none if they would repeat other series, for which Prometheus refuses a whole scrape."""
        known = self._known.get(labels)
        if known is None:
            known = tuple(self._spell(name, inside) for name, inside in _names(self._instrument, labels))
            if known[0] in self._taken:  # only values that are not Unicode text can come to this
                known = ()
            self._taken.update(known[:1])
            self._known[labels] = known
        return known

    def crowded(self, in_use: int) -> bool:
        """Whether most of what is kept belongs to series long gone."""
        return len(self._known) > 2 * in_use + 100


def family_name(instrument: Instrument) -> str:
    """The OpenMetrics name of the family: a counter's without `_total`."""
    return instrument.name.removesuffix("_total") if isinstance(instrument, Counter) else instrument.name


def text_of(value: object) -> str:
    """A label value; what is not Unicode text (a lone surrogate) is spelled out."""
    return str(value).encode("utf-8", "backslashreplace").decode()


def _names(instrument: Instrument, values: Labels) -> list[tuple[str, dict[str, str]]]:
    labels = dict(zip(instrument.labels, values, strict=True))
    name = family_name(instrument)
    if isinstance(instrument, Counter):
        return [(f"{name}_total", labels)]
    if not isinstance(instrument, Histogram):
        return [(name, labels)]
    bounds = [*(number(bucket) for bucket in instrument.buckets), "+Inf"]
    buckets = [(f"{name}_bucket", {**labels, "le": bound}) for bound in bounds]
    return [*buckets, (f"{name}_count", labels), (f"{name}_sum", labels)]


def _distribution(
    instrument: Histogram, spread: Distribution, spelled: tuple[Spelling, ...]
) -> Iterator[tuple[Spelling, float, Exemplar | None]]:
    total = 0.0
    for bucket, count, exemplar in zip(spelled[:-2], spread.counts, spread.exemplars, strict=True):
        total += count
        yield bucket, total, exemplar
    if not instrument.buckets or instrument.buckets[0] >= 0:  # a sum that can fall is no counter: left out
        yield spelled[-2], total, None
        yield spelled[-1], spread.sum, None
