"""How a test that knows no weights is given a weighted stream: by taking only some of the points.

A point of weight w adds w / cap to a credit and counts when the credit is full, so that over time each kind of point
counts in proportion to its weight. Turns are fixed by the weights, not drawn, so a replay takes the same points.
Points are thrown away: where weights differ much, prefer a detector that uses them.
"""

from collections.abc import Iterator, Sequence
from math import inf

_CAP_QUANTILE = 0.95


class Thinning:
    def __init__(self, cap: float | None = None) -> None:
        if cap is not None and not 0.0 < cap < inf:
            raise ValueError(f"weight_cap is {cap!r}; it must be greater than 0 and finite")
        self._fixed = cap
        self.cap = 1.0 if cap is None else cap
        self.credit = 0.0

    def warmup(self, values: Sequence[float], weights: Sequence[float] | None) -> Iterator[float]:
        """The points of a warm-up that count; learns the cap from their weights unless it is fixed."""
        weights = [1.0] * len(values) if weights is None else weights
        for x, weight in zip(values, weights, strict=True):
            _check(x, weight)
        if self._fixed is None and weights:
            self.cap = float(sorted(weights)[int(_CAP_QUANTILE * (len(weights) - 1))])
        return (x for x, weight in zip(values, weights, strict=True) if self.takes(x, weight))

    def takes(self, x: float, weight: float) -> bool:
        """Whether this point counts.

        Raises:
            ValueError: no value in [0, 1] or no weight.
        """
        _check(x, weight)
        self.credit += min(1.0, weight / self.cap)
        if self.credit < 1.0:
            return False
        self.credit -= 1.0
        return True

    def restore(self, cap: float, credit: float) -> None:
        """Take over a cap and credit; ValueError if they cannot be."""
        if not 0.0 < cap < inf or not 0.0 <= credit < 1.0 or (self._fixed is not None and cap != self._fixed):
            raise ValueError(f"weight_cap is {cap!r} and credit {credit!r}; another weight_cap, or corrupt")
        self.cap, self.credit = cap, credit


def _check(x: float, weight: float) -> None:
    if not 0.0 <= x <= 1.0:
        raise ValueError(f"x is {x!r}; it must be in [0, 1]")
    if not 0.0 < weight < inf:
        raise ValueError(f"weight is {weight!r}; it must be greater than 0 and finite")
