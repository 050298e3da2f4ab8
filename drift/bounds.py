"""How low a mean may be, by numbers with bounds: exact at any number of them, whatever their law.

Each candidate m for the mean is bet against by a mixture of stakes s: W(m) = mean over s of the product of
1 + s f (v - m) / (m - floor), with v at least `floor`, and f in (0, 1] the part of a stake that a point counts. If m is
the mean, W has an expectation of 1 at most, so that it exceeds 1 / alpha, at any time, with probability alpha at most
(Ville 1939; Waudby-Smith and Ramdas, *Estimating means of bounded random variables by betting*, JRSS B 2024). The order
of the points is nothing to it.
"""

import math
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Numbers: TypeAlias = NDArray[np.float64]

STAKES = (0.02, 0.04, 0.08, 0.15, 0.3, 0.6, 0.95)  # parts of what can be staked without losing everything
_FINE = 1e-6  # to which a bound is found


def least_mean(values: Numbers, counts: Numbers, parts: Numbers, alpha: float, floor: float = 0.0) -> float:
    """The greatest number that the mean is known to exceed, with probability 1 - alpha; `floor` if there is none.

    Args:
        values: at least `floor`, and not empty.
        counts: how often each came.
        parts: what part of a stake each counts, in (0, 1]; where points stand for unequal traffic, its weight.
        alpha: in (0, 1).
    """
    stakes, enough = np.array(STAKES)[:, None] * parts, -math.log(alpha)
    weights = counts * parts
    known, open_yet = floor, float(values @ weights / weights.sum())  # no bet wins against the mean of the points
    while open_yet - known > _FINE:
        middle = (known + open_yet) / 2
        logs = np.log1p(stakes * (values - middle) / (middle - floor)) @ counts
        known, open_yet = (middle, open_yet) if mixed(logs.tolist()) >= enough else (known, middle)
    return known


def mixed(logs: list[float]) -> float:
    """The logarithm of a mean, from the logarithms of what it is the mean of."""
    most = max(logs)
    return most + math.log(sum(math.exp(one - most) for one in logs) / len(logs))
