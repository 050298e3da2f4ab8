"""When a change began, with an interval, and how large it is.

For each point that could have been the first after the change, the gain in quasi-likelihood of two levels over one
measures how well it explains the stream (the two-sample generalised likelihood ratio). The onset is where that is
largest, and the onset set holds all places within 3 of the largest: measured coverage 83 to 93% for pass rates.

Unlike a scan over all points, FOCuS (Ward, Romano, Eckley, Fearnhead 2023, arXiv 2302.04743) would keep only about
log n candidates; here the scan runs once per alarm, over a bounded number of recent points, so the plain way is fast
enough.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log

from drift.base import Estimate, Shift
from drift.estimate import Sums, difference, estimate

_SET_DEPTH = 3.0
_MOST_INTERVALS = 24  # places of the onset set at which the size's interval is evaluated


@dataclass(frozen=True, slots=True)
class Candidate:
    """A stretch of the stream that a change may begin with: one point, or a block of older ones."""

    at_ns: int
    sums: Sums


@dataclass(frozen=True, slots=True)
class Onset:
    """Places are indexes of candidates: best, and the first and last of the onset set."""

    best: int
    low: int
    high: int
    before: Sums
    after: Sums
    before_level: Estimate
    after_level: Estimate
    size: Estimate


def locate(prior: Sums, candidates: Sequence[Candidate], direction: Shift, inflation: float = 1.0) -> Onset:
    """Where in `candidates` the level moved to the side of `direction`, given the sums of all that came before.

    Args:
        prior: everything before the first candidate.
        candidates: recent points and blocks, oldest first; at least one.
        direction: which way it went.
        inflation: variance inflation by autocorrelation, at least 1.

    The size's interval is the union of the intervals over the onset set, since the onset is chosen by the data that
    also measures the size.
    """
    gains = _gains(prior, candidates, direction)
    best = max(range(len(gains)), key=gains.__getitem__)
    before, after = _split(prior, candidates, [best])[0]
    depth = _SET_DEPTH * max(1.0, inflation) * _dispersion(before, after)
    inside = [place for place, gain in enumerate(gains) if gain >= gains[best] - depth] or [best]
    step = max(1, len(inside) // _MOST_INTERVALS)
    places = sorted({*inside[::step], inside[-1], best})
    pairs = dict(zip(places, _split(prior, candidates, places), strict=True))
    levels = {place: (estimate(b, inflation), estimate(a, inflation)) for place, (b, a) in pairs.items()}
    sizes = {place: difference(*both) for place, both in levels.items()}
    return Onset(
        best,
        inside[0],
        inside[-1],
        before,
        after,
        _widen(levels[best][0], [both[0] for both in levels.values()]),
        _widen(levels[best][1], [both[1] for both in levels.values()]),
        _widen(sizes[best], list(sizes.values())),
    )


def onset_times(onset: Onset, candidates: Sequence[Candidate]) -> tuple[int, int, int]:
    """The ends of the interval that the change began in, with its best time between: low, best, high.

    Whatever shows in a point first, happened after the point before it: the interval begins with that one.
    """
    low, best, high = (candidates[place].at_ns for place in (max(onset.low - 1, 0), onset.best, onset.high))
    return min(low, best), best, max(high, best)  # event times need not be in order


def _gains(prior: Sums, candidates: Sequence[Candidate], direction: Shift) -> list[float]:
    """The log likelihood ratio of a split before each candidate, 0 if the level moved to the other side."""
    n, s, squares = prior.w, prior.wx, prior.w2
    for candidate in candidates:
        n, s, squares = n + candidate.sums.w, s + candidate.sums.wx, squares + candidate.sums.w2
    scale = n / squares if squares > 0 else 1.0  # weights as effective points
    whole = _entropy(s, n)
    left_n, left_s = prior.w, prior.wx
    gains = []
    for candidate in candidates:
        right_n, right_s = n - left_n, s - left_s
        gain = 0.0
        if left_n > 0 and right_n > 0:
            falls = right_s * left_n < left_s * right_n
            if falls == (direction == "down"):
                gain = (_entropy(left_s, left_n) + _entropy(right_s, right_n) - whole) * scale
        gains.append(gain)
        left_n += candidate.sums.w
        left_s += candidate.sums.wx
    return gains


def _entropy(s: float, n: float) -> float:
    """n times the negative entropy of a rate s / n."""
    f = n - s
    value = 0.0
    if s > 1e-9:
        value += s * log(s / n)
    if f > 1e-9:
        value += f * log(f / n)
    return value


def _dispersion(before: Sums, after: Sums) -> float:
    """Variance of the points over that of passes and failures of the same means: 1 for rates, less for scores."""
    seen = largest = 0.0
    for part in (before, after):
        m = part.mean
        seen += part.variance * part.kish
        largest += m * (1.0 - m) * part.kish
    return min(1.0, max(seen / largest, 0.01)) if largest > 0 else 1.0


def _split(prior: Sums, candidates: Sequence[Candidate], places: Sequence[int]) -> list[tuple[Sums, Sums]]:
    """Sums before and after each of `places`, which are sorted."""
    befores: list[Sums] = []
    running = prior.copy()
    start = 0
    for place in places:
        for candidate in candidates[start:place]:
            running.include(candidate.sums)
        befores.append(running.copy())
        start = place
    afters: list[Sums] = []
    tail, end = Sums(), len(candidates)
    for place in reversed(places):
        for candidate in candidates[place:end]:
            tail.include(candidate.sums)
        afters.append(tail.copy())
        end = place
    return list(zip(befores, reversed(afters), strict=True))


def _widen(best: Estimate, others: Sequence[Estimate]) -> Estimate:
    return Estimate(best.value, min(e.lower for e in others), max(e.upper for e in others), best.n)
