"""Of slices that hold one another, which one a change is of.

A drop in one combination lowers every slice that holds it, and a drop of a whole slice lowers all that it holds. A
change is told of the smallest description that explains it:

- of a slice only if it fell clearly further than the rest of each slice that holds it;
- and not if all that fell of it lies in slices whose change is told already.

Both ask three standard errors, since a slice is asked when it looks worst of many.
"""

from collections.abc import Collection, Iterable, Mapping
from math import sqrt

from drift.base import Shift
from drift.estimate import Sums
from drift.recent import Recent, Record

_ERRORS = 3.0
_LEAST_POINTS = 5

Slice = Mapping[str, str]


def compatible(one: Slice, other: Slice) -> bool:
    """Whether a trace may be in both: no attribute has another value.

    >>> compatible({"model": "a", "tool": "x"}, {"tool": "x", "topic": "t"}), compatible({"tool": "x"}, {"tool": "y"})
    (True, False)
    """
    return all(other.get(name, value) == value for name, value in one.items())


def inside(pairs: Collection[tuple[str, str]], record: Record) -> bool:
    return all(pair in record[4] for pair in pairs)


def parted(recent: Recent, onset_ns: int) -> tuple[Sums, Sums]:
    """All that is remembered, before a time and since."""
    before, candidates = recent.candidates()
    after = Sums()
    for candidate in candidates:
        (after if candidate.at_ns >= onset_ns else before).include(candidate.sums)
    return before, after


def stronger_than_rest(
    own: tuple[Sums, Sums], whole: tuple[Sums, Sums], direction: Shift, inflation: float = 1.0
) -> bool:
    """Whether a slice moved further than what else is in one that holds it.

    Args:
        own: the slice before its onset, and since; of numbers in [0, 1].
        whole: the one that holds it, parted at the same time.
        inflation: of the variance of means, at least 1.
    """
    before, after = (all_of_it.without(part) for all_of_it, part in zip(whole, own, strict=True))
    if min(before.n, after.n) < _LEAST_POINTS:
        return False  # the two are one: the one that holds it tells
    sign = 1.0 if direction == "down" else -1.0
    further = sign * ((own[0].mean - own[1].mean) - (before.mean - after.mean))
    return further >= _ERRORS * _error((*own, before, after), inflation)


def falls_outside(
    before: Sums,
    since: Iterable[Record],
    told: Collection[Collection[tuple[str, str]]],
    direction: Shift,
    inflation: float = 1.0,
) -> bool:
    """Whether a slice's change shows in those of its points, too, that are in none of the slices told.

    Args:
        before: all of the slice before the onset.
        since: its points since the onset.
        told: attributes and values of slices whose change is told already.
    """
    rest = Sums()
    for record in since:
        if not any(inside(pairs, record) for pairs in told):
            rest.add(record[1], record[2])
    if rest.n < _LEAST_POINTS:
        return False
    sign = 1.0 if direction == "down" else -1.0
    return sign * (before.mean - rest.mean) >= _ERRORS * _error((before, rest), inflation)


def _error(parts: Collection[Sums], inflation: float) -> float:
    """The standard error of a sum or difference of means."""
    return sqrt(sum(part.variance / part.kish for part in parts if part.kish > 0) * max(1.0, inflation))
