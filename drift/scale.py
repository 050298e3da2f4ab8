"""From a metric's unit to [0, 1], where everything is watched, and back.

Bounded scores and pass rates have a range of their own. Latency, tokens and cost have none, and their averages follow a
few extreme values. They are watched by their logarithm, which is spread over [0, 1] by what the warm-up shows: its
median at one half, four robust standard deviations to either side. What lies further out counts as the end. So a level
is a geometric mean with its extremes drawn in (winsorised; Tukey 1962), the *typical* value. Where the warm-up has
negative values, they are taken as they are instead of by their logarithm.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, inf, isfinite, log
from typing import Literal, TypeAlias, get_args

from drift.base import Estimate

_REACH = 4.0  # robust standard deviations from the middle to an end
_IQR_OF_NORMAL = 1.349
_LEAST_DEVIATION = 0.05  # of a logarithm: where all values are the same, 5%
_SMALLEST = 1e-12  # what is less, and 0, counts as this
_MOST = 1e300
_LARGEST_LOG = 709.0  # of what a float can hold

Kind: TypeAlias = Literal["range", "log", "linear"]


@dataclass(frozen=True, slots=True)
class Scale:
    """x = (v - low) / span, of values or, if `kind` is `log`, of their logarithms; a `range` is the metric's own."""

    low: float
    span: float
    kind: Kind = "range"

    def to_unit(self, value: float) -> float:
        """On [0, 1]; outside of it only for a value outside the metric's own range."""
        if self.kind == "range":
            return (value - self.low) / self.span
        if self.kind == "log":
            value = log(max(value, _SMALLEST))
        return min(max((value - self.low) / self.span, 0.0), 1.0)

    def level(self, x: float) -> float:
        """A level on [0, 1] in the metric's unit."""
        level = self.low + x * self.span
        return exp(min(level, _LARGEST_LOG)) if self.kind == "log" else level

    def level_estimate(self, e: Estimate) -> Estimate:
        return Estimate(self.level(e.value), self.level(e.lower), self.level(e.upper), e.n)

    def size_estimate(self, size: Estimate, before: float) -> Estimate:
        """A difference on [0, 1] in the metric's unit, given the level on [0, 1] that it is added to."""
        if self.kind != "log":
            return Estimate(size.value * self.span, size.lower * self.span, size.upper * self.span, size.n)
        start = self.level(before)
        value, lower, upper = (self.level(before + d) - start for d in (size.value, size.lower, size.upper))
        return Estimate(value, lower, upper, size.n)

    def part(self, size: float, before: float) -> float:
        """`size` as a part of the range or, where the metric has none, of the level before; both in its unit."""
        return size / self.span if self.kind == "range" else size / max(abs(before), _SMALLEST)

    def to_json(self) -> list[float | str]:
        return [self.low, self.span, self.kind]


def learn_scale(values: Sequence[float]) -> Scale:
    """The scale of a metric without a range, from at least one finite value.

    >>> scale = learn_scale([0.8, 1.0, 1.25] * 100)
    >>> round(scale.level(0.5), 3), round(scale.to_unit(1.0), 3)
    (1.0, 0.5)
    """
    kind: Kind = "linear" if min(values) < 0 else "log"
    ordered = sorted(log(max(v, _SMALLEST)) if kind == "log" else min(max(v, -_MOST), _MOST) for v in values)
    quarter = len(ordered) // 4
    middle, spread = ordered[len(ordered) // 2], ordered[-1 - quarter] - ordered[quarter]
    least = _LEAST_DEVIATION * (1.0 if kind == "log" else max(abs(middle), _SMALLEST))
    deviation = min(max(spread / _IQR_OF_NORMAL, least), _MOST)
    return Scale(middle - _REACH * deviation, 2 * _REACH * deviation, kind)


def scale_from_json(raw: object) -> Scale:
    """A scale as `to_json` gave it; ValueError if it is not."""
    if type(raw) is not list or [type(v) for v in raw] != [float, float, str] or raw[2] not in get_args(Kind):
        raise ValueError(f"a scale is {raw!r:.80}; low, span and kind are needed")
    low, span, kind = raw
    limit = 1e4 if kind == "log" else inf
    if not (isfinite(low) and isfinite(span) and 0 < span <= limit and abs(low) <= limit):
        raise ValueError(f"a scale is {raw!r:.80}; a number is out of range")
    return Scale(low, span, kind)
