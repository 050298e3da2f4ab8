"""What the runs of scorers cost in money, by what their owner says that a run costs.

No built-in scorer spends any. What a scorer of one's own pays another service for a call, nobody here can know.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any

from collector.core.errors import UserError


@dataclass(frozen=True, slots=True)
class RunCost:
    """In the currency of the prices. `unpriced` are scorers that ran, may spend money, and have no price."""

    total: float
    per_1000_traces: float
    by_scorer: Mapping[str, float]
    unpriced: Sequence[str]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def parse_prices(texts: Iterable[str]) -> dict[str, float]:
    """What a run of each scorer costs, from texts such as `my_judge=0.002`.

    Raises:
        UserError: one is no such text.
    """
    prices: dict[str, float] = {}
    for text in texts:
        scorer, equals, amount = text.rpartition("=")
        try:
            price = float(amount)
        except ValueError:
            price = -1.0
        if not equals or not scorer or not (isfinite(price) and price >= 0):
            raise UserError(f"--price: {text[:200]!r} is not SCORER=AMOUNT, such as my_judge=0.002: what a run costs")
        if scorer in prices:
            raise UserError(f"--price: {scorer!r} is given twice")
        prices[scorer] = price
    return prices


def cost_of(runs: Mapping[str, int], traces: int, prices: Mapping[str, float], own: Iterable[str]) -> RunCost:
    """What runs cost.

    Args:
        runs: how often each scorer ran.
        traces: how many were scored.
        prices: of a run of each scorer; those that did not run do not matter.
        own: scorers that do not ship with Driftline, so that they may spend money.
    """
    by_scorer = {scorer: count * prices[scorer] for scorer, count in sorted(runs.items()) if scorer in prices}
    total = sum(by_scorer.values())
    unpriced = sorted(scorer for scorer in own if runs.get(scorer) and scorer not in prices)
    return RunCost(total, 1000 * total / traces if traces else 0.0, by_scorer, unpriced)


def cost_words(cost: RunCost, runs: Mapping[str, int]) -> list[str]:
    """The cost in words, a line each."""
    lines = []
    if cost.by_scorer:
        parts = ", ".join(f"{name} {amount:.6g} in {runs[name]} runs" for name, amount in cost.by_scorer.items())
        lines.append(f"cost {cost.total:.6g}, {cost.per_1000_traces:.6g} for 1,000 traces: {parts}")
    if cost.unpriced:
        named = ", ".join(f"{name} ({runs[name]} runs)" for name in cost.unpriced)
        lines.append(f"cost not known of {named}: if a run costs money, say --price {cost.unpriced[0]}=AMOUNT")
    return lines or ["cost nothing but processor time: no scorer that ran spends money"]
