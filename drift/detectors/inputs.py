"""What detectors are given, checked alike."""

from collections.abc import Sequence
from math import inf

from drift.base import Direction

DIRECTIONS: tuple[Direction, ...] = ("down", "up", "both")
_CAP_QUANTILE = 0.95
MOST_WEIGHT = 1e15


def check_direction(direction: Direction) -> None:
    if direction not in DIRECTIONS:
        raise ValueError(f"direction is {direction!r}; it must be one of {', '.join(DIRECTIONS)}")


def check_positive(name: str, value: float) -> None:
    if not 0.0 < value < inf:
        raise ValueError(f"{name} is {value!r}; it must be greater than 0 and finite")


def check_point(x: float, weight: float, start: float = 0.0) -> None:
    """ValueError unless x is in [0, 1], the weight over 0 and finite, and the start mass finite and not negative."""
    if not 0.0 <= x <= 1.0:
        raise ValueError(f"x is {x!r}; it must be in [0, 1]")
    check_positive("weight", weight)
    if not 0.0 <= start < inf:
        raise ValueError(f"start is {start!r}; it must be finite and not negative")


def checked_warmup(values: Sequence[float], weights: Sequence[float] | None) -> Sequence[float]:
    """The weights of a warm-up, all 1 if there are none, after every point was checked."""
    weights = [1.0] * len(values) if weights is None else weights
    for x, weight in zip(values, weights, strict=True):
        check_point(x, weight)
    return weights


def usual_cap(weights: Sequence[float]) -> float:
    """The weight over which few points are: the 95% quantile."""
    return min(float(sorted(weights)[int(_CAP_QUANTILE * (len(weights) - 1))]), MOST_WEIGHT)
