"""Means of weighted points with intervals that can be believed: for gauges, and for the size of a change.

All values are in [0, 1]. Weights are one over the inclusion probability, so the self-normalised mean estimates the mean
over all traffic, whatever was sampled (Hajek 1971).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, sqrt

from drift.base import Estimate

_Z = 1.959963984540054  # 95%
_MOST_INFLATION = 50.0
_TINY = 1e-12


@dataclass(slots=True)
class Sums:
    """What a weighted mean and its variance need of any number of points."""

    n: int = 0
    w: float = 0.0
    wx: float = 0.0
    w2: float = 0.0
    w2x: float = 0.0
    w2x2: float = 0.0

    def add(self, x: float, w: float) -> None:
        v = w * w
        self.n += 1
        self.w += w
        self.wx += w * x
        self.w2 += v
        v *= x
        self.w2x += v
        self.w2x2 += v * x

    def include(self, other: "Sums") -> None:
        self.n += other.n
        self.w += other.w
        self.wx += other.wx
        self.w2 += other.w2
        self.w2x += other.w2x
        self.w2x2 += other.w2x2

    def without(self, part: "Sums") -> "Sums":
        """What is left without a part of it; nothing is less than 0 where the part was weighted otherwise."""
        mine, theirs = self.to_json(), part.to_json()
        n, *rest = (max(a - b, 0) for a, b in zip(mine, theirs, strict=True))
        return Sums(int(n), *(float(v) for v in rest))

    def copy(self) -> "Sums":
        return Sums(self.n, self.w, self.wx, self.w2, self.w2x, self.w2x2)

    @property
    def mean(self) -> float:
        return min(1.0, max(0.0, self.wx / self.w)) if self.w > 0 else 0.5

    @property
    def kish(self) -> float:
        """Effective number of points: (sum w)^2 / sum w^2 (Kish 1965)."""
        return self.w * self.w / self.w2 if self.w2 > 0 else 0.0

    @property
    def variance(self) -> float:
        """Variance of a point; one imagined point of the largest variance the mean allows keeps it above 0."""
        m = self.mean
        largest = m * (1.0 - m)
        if self.w2 <= 0:
            return largest
        seen = (self.w2x2 - 2 * m * self.w2x + m * m * self.w2) / self.w2
        return (max(seen, 0.0) * self.kish + largest) / (self.kish + 1.0)

    def to_json(self) -> list[float]:
        return [self.n, self.w, self.wx, self.w2, self.w2x, self.w2x2]


def sums_from_json(raw: object) -> Sums:
    """Sums as `to_json` gave them; ValueError if they are not."""
    if type(raw) is not list or len(raw) != 6 or any(type(v) not in (int, float) or not isfinite(v) for v in raw):
        raise ValueError(f"sums are {raw!r:.80}; six finite numbers are needed")
    if type(raw[0]) is not int or min(raw) < 0:
        raise ValueError(f"sums are {raw!r:.80}; none may be negative, and the first is a count")
    return Sums(raw[0], *(float(v) for v in raw[1:]))


def estimate(sums: Sums, inflation: float = 1.0) -> Estimate:
    """The weighted mean with its 95% interval.

    The interval is Wilson's (1927) at the effective number of points: Kish's n for unequal weights, divided by
    `inflation` for points that repeat one another, times m(1 - m) / s^2 because points between 0 and 1 vary less than
    passes and failures of the same mean (for those, it is Wilson's interval as it is). It is for one look at a fixed
    window; it is not a confidence sequence.

    >>> e = estimate(Sums(100, 100, 90, 100, 90, 90))
    >>> round(e.value, 3), round(e.lower, 3), round(e.upper, 3)
    (0.9, 0.826, 0.945)
    """
    m = sums.mean
    if sums.w <= 0:
        return Estimate(m, 0.0, 1.0, 0.0)
    effective = sums.kish / max(1.0, inflation)
    n = effective
    if _TINY < m < 1.0 - _TINY:
        n *= m * (1.0 - m) / sums.variance
    z2 = _Z * _Z / n
    centre = (m + z2 / 2) / (1 + z2)
    half = _Z / (1 + z2) * sqrt(m * (1 - m) / n + z2 / (4 * n))
    return Estimate(m, max(0.0, min(m, centre - half)), min(1.0, max(m, centre + half)), effective)


def difference(before: Estimate, after: Estimate) -> Estimate:
    """`after` minus `before`, with the interval of Newcombe (1998, method 10) from theirs."""
    d = after.value - before.value
    down = sqrt((after.value - after.lower) ** 2 + (before.upper - before.value) ** 2)
    up = sqrt((after.upper - after.value) ** 2 + (before.value - before.lower) ** 2)
    return Estimate(d, max(-1.0, d - down), min(1.0, d + up), min(before.n, after.n))


def variance_inflation(values: Sequence[float]) -> float:
    """How many times the variance of a mean is what it would be if points did not repeat one another, at least 1.

    One plus twice the sum of the autocorrelations, up to the first below two standard errors, 2 / sqrt(n); at most 50.

    >>> variance_inflation([0.0, 1.0] * 50), variance_inflation([1.0] * 50)
    (1.0, 1.0)
    """
    n = len(values)
    if n < 20:
        return 1.0
    mean = sum(values) / n
    centred = [v - mean for v in values]
    total = sum(v * v for v in centred)
    if total <= 1e-12:
        return 1.0
    floor = 2.0 / sqrt(n)
    factor = 1.0
    for lag in range(1, n // 4):
        rho = sum(a * b for a, b in zip(centred, centred[lag:], strict=False)) / total
        if rho < floor:
            break
        factor += 2.0 * rho
    return min(factor, _MOST_INFLATION)


class Window:
    """The points of the last hour of event time, in bins, so that old ones leave and memory stays small."""

    __slots__ = ("_bins", "_head", "_head_at", "bin_ns", "bins")

    def __init__(self, seconds: float = 3600.0, bins: int = 12) -> None:
        self.bins = bins
        self.bin_ns = max(1, round(seconds * 1e9 / bins))
        self._bins: dict[int, Sums] = {}
        self._head_at = -1
        self._head = Sums()

    def add(self, x: float, w: float, now_ns: int) -> None:
        """Count a point in the bin of `now_ns`; should time go back, in an older bin or the oldest kept."""
        at = now_ns // self.bin_ns
        if at != self._head_at:
            self._turn(at)
        self._head.add(x, w)

    def sums(self, now_ns: int) -> Sums:
        """All that is in the window that ends now."""
        total = Sums()
        newest = now_ns // self.bin_ns
        for at, part in self._bins.items():
            if newest - self.bins < at <= newest:
                total.include(part)
        return total

    def emptied(self) -> "Window":
        """The same points, all of them 0."""
        twin = Window()
        twin.bins, twin.bin_ns = self.bins, self.bin_ns
        twin._bins = {at: Sums(part.n, part.w, 0.0, part.w2) for at, part in self._bins.items()}
        return twin

    def to_json(self) -> list[list[float]]:
        return [[at, *part.to_json()] for at, part in self._bins.items()]

    def load_json(self, raw: object) -> None:
        """Take over what `to_json` gave; ValueError if it is not."""
        if type(raw) is not list or len(raw) > self.bins:
            raise ValueError("a window must be a list of bins")
        loaded: dict[int, Sums] = {}
        for item in raw:
            if type(item) is not list or len(item) != 7 or type(item[0]) is not int:
                raise ValueError("a bin must be seven numbers")
            loaded[item[0]] = sums_from_json(item[1:])
        self._bins = loaded
        self._head_at = -1

    def _turn(self, at: int) -> None:
        newest = max(self._bins, default=at)
        if at < newest - self.bins:  # the clock was set back: what is "newer" is of no use any more
            self._bins.clear()
        self._head = self._bins.setdefault(at, Sums())
        self._head_at = at
        oldest_kept = max(newest, at) - self.bins
        for old in [key for key in self._bins if key <= oldest_kept and key != at]:
            del self._bins[old]
