"""A against B: whether B is worse than A by more than a margin, whenever and however often one looks.

Pairs (x of A, y of B) in the order they came, both in [0, 1] and more being better; d = y - x. They may be 0 and 1
(passed or not) or anything between (scores with bounds). Each hypothesis is bet against by a mixture of stakes s:

    against E[d] <= -margin:   W = mean over s of the product of 1 + s (d + margin) / (1 - margin)
    against E[d] >= -margin:   V = mean over s of the product of 1 - s (d + margin) / (1 + margin)

Under its hypothesis, each factor is 1 or less on average, whatever the law of the pairs, so that the wealth exceeds
1 / alpha at any time with probability alpha at most (Ville 1939; betting on bounded means: Waudby-Smith and Ramdas,
*Estimating means of bounded random variables by betting*, JRSS B 2024, section 4). W over it is a pass, V over it a
failure, until then it is undecided. The interval of E[d] is what the same bets do not rule out: with -margin replaced
by each number in turn, those at which both wealths are below 2 / alpha. Assumes that pairs do not depend on one
another, and that their mean stays what it is; scores need not have any one law.
"""

import math
from collections import Counter
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from drift.bounds import STAKES, least_mean, mixed

Verdict: TypeAlias = Literal["pass", "fail", "undecided"]

_LEAST_GAIN = 1e-12  # a pair: with less, it would take more pairs than anybody has


@dataclass(frozen=True, slots=True)
class Told:
    """What is known by now. `more_pairs` is how many it would take at this difference; None if none would do.

    The interval of the difference B - A is a confidence sequence: it holds with probability 1 - alpha at all times
    together, at any number of pairs.
    """

    verdict: Verdict
    pairs: int
    level_a: float
    level_b: float
    difference: float
    lower: float
    upper: float
    more_pairs: int | None


class Comparison:
    """Takes pairs, tells a verdict; a verdict stays.

    Args:
        margin: how much worse B may be, in [0, 1).
        alpha: the probability of a wrong pass, and `fail_alpha` that of a wrong failure.

    Raises:
        ValueError: one is out of its range.
    """

    def __init__(self, margin: float, alpha: float = 0.05, fail_alpha: float | None = None) -> None:
        fail_alpha = alpha if fail_alpha is None else fail_alpha
        if not 0 <= margin < 1:
            raise ValueError(f"margin is {margin!r}; it must be at least 0 and less than 1")
        for name, value in (("alpha", alpha), ("fail_alpha", fail_alpha)):
            if not 0 < value < 1:
                raise ValueError(f"{name} is {value!r}; it must be between 0 and 1, both excluded")
        self.margin, self.alpha = margin, alpha
        self._pass_at, self._fail_at = -math.log(alpha), -math.log(fail_alpha)
        self._for = [0.0] * len(STAKES)  # logarithms of wealth, by stake
        self._against = [0.0] * len(STAKES)
        self._n = 0
        self._sum_a = self._sum_b = 0.0
        self._differences: Counter[float] = Counter()
        self.verdict: Verdict = "undecided"

    def add(self, x: float, y: float) -> None:
        """Take a pair.

        Raises:
            ValueError: one is not in [0, 1].
        """
        if not (0 <= x <= 1 and 0 <= y <= 1):
            raise ValueError(f"pair {x!r}, {y!r}: both must be in [0, 1]")
        gain = y - x + self.margin  # from margin - 1 to margin + 1, so that no factor below is 0 or less
        for at, stake in enumerate(STAKES):
            self._for[at] += math.log1p(stake * gain / (1 - self.margin))
            self._against[at] += math.log1p(-stake * gain / (1 + self.margin))
        self._n += 1
        self._sum_a += x
        self._sum_b += y
        self._differences[y - x] += 1
        if self.verdict == "undecided":
            if mixed(self._for) >= self._pass_at:
                self.verdict = "pass"
            elif mixed(self._against) >= self._fail_at:
                self.verdict = "fail"

    @property
    def told(self) -> Told:
        n = self._n
        if not n:
            return Told("undecided", 0, math.nan, math.nan, math.nan, -1.0, 1.0, None)
        a, b = self._sum_a / n, self._sum_b / n
        lower, upper = self._interval(b - a)
        return Told(self.verdict, n, a, b, b - a, lower, upper, self._more())

    def _interval(self, difference: float) -> tuple[float, float]:
        """What both bets leave; the pairs' order is nothing to them, so that counts of differences are enough."""
        values, counts = np.array(list(self._differences)), np.array(list(self._differences.values()), dtype=float)
        parts = np.ones_like(values)
        lower, upper = (side * least_mean(side * values, counts, parts, self.alpha / 2, -1.0) for side in (1, -1))
        return min(lower, difference), max(upper, difference)

    def _more(self) -> int | None:
        """The least number of pairs like those so far that would decide."""
        if self.verdict != "undecided" or self._n < 2:
            return None if self.verdict == "undecided" else 0
        ways = [
            (at - mixed(logs)) / gained
            for logs, at in ((self._for, self._pass_at), (self._against, self._fail_at))
            if (gained := max(logs) / self._n) > _LEAST_GAIN
        ]
        return math.ceil(min(ways)) if ways else None
