"""Versions that are compared, as the templates show them: levels in words, differences on a scale with the margin."""

from collections.abc import Mapping
from dataclasses import dataclass

from drift.base import Estimate
from drift.gate import Told, Verdict
from driftline.gate_metric import Wanted
from driftline.rollouts import Rollout
from driftline.web import words
from driftline.web.cards import Bar, bar


@dataclass(frozen=True, slots=True)
class MetricRow:
    """One metric of a comparison. On the scale of `bar`, `none` is where no difference is and `limit` the margin."""

    scorer: str
    statistic: str
    verdict: Verdict
    a: str
    b: str
    difference: str
    interval: str
    margin: str
    pairs: int
    takes: str
    bar: Bar | None
    none: float
    limit: float


@dataclass(frozen=True, slots=True)
class RolloutCard:
    """A version `b` of a service, held against the version `a` that it replaces."""

    service: str
    by: str
    a: str
    b: str
    since_ns: int
    verdict: Verdict
    traces: tuple[int, int]
    alpha: float
    rows: tuple[MetricRow, ...]


def rollout_card(rollout: Rollout, units: Mapping[str, str]) -> RolloutCard:
    asked = rollout.answer.question
    told = rollout.answer.metrics
    return RolloutCard(
        *(rollout.service, asked.by, asked.a, asked.b, rollout.since_ns, rollout.answer.verdict),
        *(rollout.answer.traces, asked.alpha),
        tuple(_row(one, told[asked.key(one)], units.get(one.scorer, "")) for one in asked.metrics),
    )


def _row(wanted: Wanted, told: Told, unit: str) -> MetricRow:
    a, b = wanted.level(told.level_a), wanted.level(told.level_b)
    low, high = wanted.ends(told.lower, told.upper)
    limit = -wanted.margin if wanted.shown_better == "higher" else wanted.margin
    edges = (low, high, limit, 0.0) if told.pairs else (0.0, 0.0)
    left, right = min(edges), max(edges)
    mean = wanted.statistic == "mean"
    shown = "" if wanted.limit is None else f"within {wanted.sense} {wanted.limit:g}"
    return MetricRow(
        scorer=wanted.scorer,
        statistic="mean" if mean else shown,
        verdict=told.verdict,
        a=words.level(a, wanted.statistic, unit if mean else ""),
        b=words.level(b, wanted.statistic, unit if mean else ""),
        difference=_difference(b - a, mean) if told.pairs else "–",
        interval=f"{_difference(low, mean)} to {_difference(high, mean)}" if told.pairs else "",
        margin=_difference(limit, mean),
        pairs=told.pairs,
        takes=_takes(told),
        bar=bar(Estimate(b - a, low, high, told.pairs), left, right) if told.pairs else None,
        none=_place(0.0, left, right),
        limit=_place(limit, left, right),
    )


def _place(number: float, left: float, right: float) -> float:
    """Where a number lies on a scale, as percent of its width."""
    return round(100 * (number - left) / (right - left), 2) if left < right else 0.0


def _difference(number: float, mean: bool) -> str:
    """With its sign; of rates in percent of all traces.

    >>> _difference(-0.0312, False), _difference(0.25, True)
    ('-3.1%', '+0.25')
    """
    return f"{number:+.3g}" if mean else f"{100 * number:+.1f}%"


def _takes(told: Told) -> str:
    """What a verdict would take."""
    if told.verdict != "undecided":
        return ""
    if not told.pairs:
        return "nothing to compare yet"
    if told.more_pairs is None:
        return "no number of such pairs decides"
    return f"some {words.count(told.more_pairs)} more such pairs"
