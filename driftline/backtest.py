"""What a replay found, held against what is known of that time: incidents that had to be found, and quiet windows."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from math import exp, lgamma, log
from typing import Any

from drift.base import Change
from driftline.export.period import Period

WEEK_NS = 7 * 86_400 * 10**9
_TAIL = 0.025
_STEPS = 200  # of a bisection: far below what is printed


@dataclass(frozen=True, slots=True)
class Incident:
    """A moment from which on something was wrong, and the first page that told of it; None if none did in time."""

    at_ns: int
    page: str | None
    delay_seconds: float | None
    onset_held: bool
    """Whether the page's onset interval holds the moment."""
    covered: bool
    """Whether there is traffic from before and after the moment: where not, that nothing was paged says nothing."""


@dataclass(frozen=True, slots=True)
class Quiet:
    """A time in which nothing was wrong, as far as there is traffic of it: each page of it was false.

    `lower` and `upper` are the exact 95% interval of the rate (Garwood 1936), in pages a week; all three are None where
    there is no traffic.
    """

    from_ns: int
    to_ns: int
    pages: int
    per_week: float | None
    lower: float | None
    upper: float | None


@dataclass(frozen=True, slots=True)
class Backtest:
    pages: int
    incidents: Sequence[Incident]
    quiet: Sequence[Quiet]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def backtest(
    changes: Sequence[Change], incidents: Sequence[int], quiet: Sequence[Period], within_ns: int, traffic: Period
) -> Backtest:
    """Hold the pages among `changes` against what is known.

    Args:
        changes: as they are known at the end, in any order.
        incidents: when something began to be wrong.
        quiet: when nothing was.
        within_ns: how long after its beginning an incident has to be paged.
        traffic: from the first trace to the last.
    """
    pages = sorted((change for change in changes if change.paged), key=lambda change: change.detected_ns)
    return Backtest(
        len(pages),
        [_incident(pages, at_ns, within_ns, traffic) for at_ns in incidents],
        [_quiet(pages, window, traffic) for window in quiet],
    )


def _incident(pages: Sequence[Change], at_ns: int, within_ns: int, traffic: Period) -> Incident:
    covered = traffic.from_ns < at_ns < traffic.to_ns
    found = next((page for page in pages if at_ns <= page.detected_ns <= at_ns + within_ns), None)
    if found is None:
        return Incident(at_ns, None, None, False, covered)
    held = found.onset_low_ns <= at_ns <= found.onset_high_ns
    return Incident(at_ns, found.id, (found.detected_ns - at_ns) / 1e9, held, covered)


def _quiet(pages: Sequence[Change], window: Period, traffic: Period) -> Quiet:
    from_ns, to_ns = max(window.from_ns, traffic.from_ns), min(window.to_ns, traffic.to_ns)
    if from_ns >= to_ns:
        return Quiet(window.from_ns, window.to_ns, 0, None, None, None)
    count = sum(window.from_ns <= page.detected_ns < window.to_ns for page in pages)
    weeks = (to_ns - from_ns) / WEEK_NS
    lower, upper = poisson_interval(count)
    return Quiet(from_ns, to_ns, count, count / weeks, lower / weeks, upper / weeks)


def poisson_interval(count: int) -> tuple[float, float]:
    """The exact 95% interval of the mean of a Poisson count (Garwood 1936).

    >>> [round(bound, 3) for bound in (*poisson_interval(0), *poisson_interval(3))]
    [0.0, 3.689, 0.619, 8.767]
    """
    top = count + 10.0 * (count + 1.0) ** 0.5 + 10.0
    lower = 0.0 if count == 0 else _mean_at(lambda mean: 1.0 - _at_most(count - 1, mean) < _TAIL, top)
    return lower, _mean_at(lambda mean: _at_most(count, mean) > _TAIL, top)


def _mean_at(too_small: Callable[[float], bool], top: float) -> float:
    low, high = 0.0, top
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if too_small(middle) else (low, middle)
    return (low + high) / 2


def _at_most(count: int, mean: float) -> float:
    """The probability of `count` or fewer at a mean greater than 0."""
    return min(1.0, sum(exp(k * log(mean) - mean - lgamma(k + 1)) for k in range(count + 1)))
