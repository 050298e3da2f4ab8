"""How good an order of documents is, given how relevant each is. Pure functions of gains in the order retrieved."""

import math
from collections.abc import Sequence


def ndcg(gains: Sequence[float], k: int) -> float | None:
    """Normalised discounted cumulative gain of the first `k`: 1 the best order there is, None if nothing is relevant.

    Gains are not negative. Source: Jarvelin and Kekalainen, "Cumulated gain-based evaluation of IR techniques", ACM
    TOIS 20 (2002), with the discount log2(rank + 1) and gains as they are.

    >>> round(ndcg([0.0, 1.0], 5), 4), ndcg([1.0, 0.0], 5), ndcg([0.0], 5)
    (0.6309, 1.0, None)
    """
    best = _dcg(sorted(gains, reverse=True)[:k])
    return min(1.0, _dcg(gains[:k]) / best) if best > 0 else None


def _dcg(gains: Sequence[float]) -> float:
    return math.fsum(gain / math.log2(rank + 1) for rank, gain in enumerate(gains, start=1))


def reciprocal_rank(relevant: Sequence[bool]) -> float:
    """One over the rank of the first relevant document; 0 if there is none. Its mean over queries is MRR.

    >>> reciprocal_rank([False, True, True]), reciprocal_rank([False])
    (0.5, 0.0)
    """
    return next((1 / rank for rank, good in enumerate(relevant, start=1) if good), 0.0)


def precision_at(relevant: Sequence[bool], k: int) -> float:
    """Share of the first `k` that are relevant; documents that are not there count as not relevant.

    >>> precision_at([True, False, True], 2), precision_at([True], 5)
    (0.5, 0.2)
    """
    return sum(relevant[:k]) / k


def average_precision(relevant: Sequence[bool]) -> float:
    """Mean of the precision at each relevant document: 1 if all of them come first, 0 if there is none.

    >>> round(average_precision([True, False, True]), 4)
    0.8333
    """
    found, total = 0, 0.0
    for rank, good in enumerate(relevant, start=1):
        if good:
            found += 1
            total += found / rank
    return total / found if found else 0.0
