"""How a test that knows no weights is given a weighted stream: by taking only some of the points.

A point of weight w adds w / cap to a credit and counts when the credit is full, so that over time each kind of point
counts in proportion to its weight. Turns are fixed by the weights, not drawn, so a replay takes the same points.
Points are thrown away: where weights differ much, prefer a detector that uses them.
"""

from collections.abc import Iterator, Sequence
from math import inf

from drift.detectors.inputs import check_point, check_positive, checked_warmup, usual_cap


class Thinning:
    def __init__(self, cap: float | None = None) -> None:
        if cap is not None:
            check_positive("weight_cap", cap)
        self._fixed = cap
        self.cap = 1.0 if cap is None else cap
        self.credit = 0.0

    def warmup(self, values: Sequence[float], weights: Sequence[float] | None) -> Iterator[float]:
        """The points of a warm-up that count; learns the cap from their weights unless it is fixed."""
        weights = checked_warmup(values, weights)
        if self._fixed is None and weights:
            self.cap = usual_cap(weights)
        return (x for x, weight in zip(values, weights, strict=True) if self.takes(x, weight))

    def takes(self, x: float, weight: float) -> bool:
        """Whether this point counts.

        Raises:
            ValueError: no value in [0, 1] or no weight.
        """
        check_point(x, weight)
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
