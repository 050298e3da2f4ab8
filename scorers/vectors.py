"""Vectors as they travel from scorers to monitors: short, of one length, a byte a number."""

from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

DIMENSIONS = 256
"""The most numbers that are kept of a vector. Longer ones are projected, which keeps angles to about 1/16."""

_MOST_GIVEN = 65_536
_SEED = 0x5EED

Floats: TypeAlias = NDArray[np.float32]


def packed(vector: object) -> bytes:
    """A vector of any length as bytes: projected to `DIMENSIONS` numbers if it has more, in steps of 1/127 of its
    largest. Angles are what is kept; length is not.

    The projection is on random signs from a fixed seed (Achlioptas 2003).

    >>> packed([0.0, 3.0, -1.5]).hex()
    '007fc0'

    Raises:
        ValueError: not a list of 2 to 65,536 finite numbers, or all are 0.
    """
    if isinstance(vector, bytes):
        if not 2 <= len(vector) <= DIMENSIONS or not any(vector):
            raise ValueError(f"{len(vector)} bytes; 2 to {DIMENSIONS}, not all 0, are needed")
        return vector
    try:
        numbers = np.asarray(vector, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"is {type(vector).__name__}; a list of numbers is needed") from None
    if numbers.ndim != 1 or not 2 <= len(numbers) <= _MOST_GIVEN:
        raise ValueError(f"has the shape {numbers.shape}; one row of 2 to {_MOST_GIVEN} numbers is needed")
    if not np.isfinite(numbers).all():
        raise ValueError("has a number that is not finite")
    largest = np.abs(numbers).max()
    if largest == 0:
        raise ValueError("all numbers are 0")
    numbers = numbers / largest
    if len(numbers) > DIMENSIONS:
        numbers = _signs(len(numbers)) @ numbers.astype(np.float32)
        largest = np.abs(numbers).max()
        numbers = numbers / (largest or 1.0)
    steps = np.rint(numbers * 127).astype(np.int8)
    return steps.tobytes() if steps.any() else bytes([1]) * len(steps)


@lru_cache(maxsize=4)
def _signs(length: int) -> Floats:
    found: Any = np.random.default_rng(_SEED).integers(0, 2, (DIMENSIONS, length)) * 2 - 1
    return np.asarray(found, dtype=np.float32)
