"""How uncertain a measured quality is: rows are drawn anew, those that belong together (of one document) together."""

import math
import random
import statistics
from collections.abc import Hashable, Iterator, Sequence
from typing import NamedTuple, TypeVar

from scorers.quality import auroc, verdicts

T = TypeVar("T")

DRAWS = 400
_SEED = 1


class Row(NamedTuple):
    """A scored row: what it belongs to, its risk (greater is worse), whether it is flagged, and its label."""

    group: Hashable
    risk: float | None
    flagged: bool | None
    label: int


class Errors(NamedTuple):
    """Standard errors; NaN where there is nothing to tell apart."""

    auroc: float
    recall: float
    false_positive_rate: float


def standard_errors(rows: Sequence[Row]) -> Errors:
    """By the bootstrap over groups: standard deviations over `DRAWS` draws of as many groups, seeded.

    Source: Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 6; of clusters: Field and Welsh,
    "Bootstrapping clustered data", JRSS B 69 (2007).
    """
    together: dict[Hashable, list[Row]] = {}
    for row in rows:
        together.setdefault(row.group, []).append(row)
    drawn = [list(_of(some)) for some in redrawn(list(together.values()), DRAWS, _SEED)]
    return Errors(*(_deviation([one[at] for one in drawn]) for at in range(3)))


def redrawn(groups: Sequence[Sequence[T]], draws: int, seed: int) -> Iterator[list[T]]:
    """What is in as many of the groups, drawn with replacement, each time."""
    rng = random.Random(seed)
    for _ in range(draws):
        yield [row for group in rng.choices(groups, k=len(groups)) for row in group]


def _of(rows: Sequence[Row]) -> Iterator[float]:
    ranked = [(row.risk, row.label) for row in rows if row.risk is not None]
    judged = [(row.flagged, row.label) for row in rows if row.flagged is not None]
    found = verdicts([flagged for flagged, _ in judged], [label for _, label in judged])
    yield auroc([risk for risk, _ in ranked], [label for _, label in ranked])
    yield found.recall
    yield found.false_positive_rate


def _deviation(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return statistics.stdev(known) if len(known) > 1 else math.nan
