"""Changes, series and decisions as the templates show them: words and places on a scale, nothing left to compute."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor, isfinite, log10

from alerts.explain import Explanation, Wording, explain
from drift.base import RATES, Change, Estimate
from driftline.records import Sheet
from driftline.view import View
from driftline.web import words
from driftline.web.reading import ratio
from driftline.web.source import ScorerFacts, SeriesStatus
from scorers.ledger import Decision, decision_from_json

MOST_LINKED = 10
MOST_EVIDENCE = 20


@dataclass(frozen=True, slots=True)
class Bar:
    """An interval and its middle as percent of a scale's width."""

    left: float
    width: float
    middle: float


def bar(estimate: Estimate, low: float, high: float) -> Bar | None:
    """Where an estimate lies on a scale from `low` to `high`; None if it cannot be drawn.

    >>> bar(Estimate(0.5, 0.4, 0.6, 10), 0, 1)
    Bar(left=40.0, width=20.0, middle=50.0)
    """
    numbers = (estimate.value, estimate.lower, estimate.upper, low, high)
    if not all(isfinite(number) for number in numbers) or not low < high:
        return None
    middle, left, right = (
        round(100 * min(1.0, max(0.0, (x - low) / (high - low))), 2)
        for x in (estimate.value, estimate.lower, estimate.upper)
    )
    return Bar(left, round(max(right - left, 0.0), 2), middle)


@dataclass(frozen=True, slots=True)
class ChangeCard:
    """A change in words. `before` and `after` lie on one scale, whose ends are given as text."""

    change: Change
    explanation: Explanation
    unit: str
    size: str
    before: Bar | None
    after: Bar | None
    scale: tuple[str, str]

    @property
    def times(self) -> float:
        """Evidence as a multiple of what a change needs."""
        return self.change.evidence / self.change.threshold if self.change.threshold > 0 else 0.0


def change_card(change: Change, wording: Wording) -> ChangeCard:
    unit = wording.units.get(change.metric, "")
    low, high = _scale(change, unit)
    return ChangeCard(
        change=change,
        explanation=explain(change, wording),
        unit=unit,
        size=words.size(change, unit),
        before=bar(change.before, low, high),
        after=bar(change.after, low, high),
        scale=(words.level(low, change.statistic, unit), words.level(high, change.statistic, unit)),
    )


def _scale(change: Change, unit: str) -> tuple[float, float]:
    """Round numbers around both intervals, so that the eye sees whether they overlap; 0 and 1 end a ratio's scale."""
    edges = (change.before.lower, change.before.upper, change.after.lower, change.after.upper)
    low, high = min(edges), max(edges)
    if not (isfinite(low) and isfinite(high) and low < high):
        return 0.0, 1.0
    step = round_step((high - low) / 2)
    low, high = step * floor(low / step), step * ceil(high / step)
    if change.statistic in RATES or (change.statistic == "mean" and not unit):
        low, high = max(low, 0.0), min(high, 1.0)
    return low, high


def round_step(distance: float) -> float:
    """The greatest of 1, 2 and 5 times a power of ten that is not over `distance`.

    >>> round_step(0.07), round_step(3.0)
    (0.05, 2.0)
    """
    power = 10.0 ** floor(log10(distance))
    return float(next(round(times * power, 12) for times in (5, 2, 1) if times * power <= distance * (1 + 1e-9)))


@dataclass(frozen=True, slots=True)
class SeriesRow:
    """A watched series; `bar` lies on a scale from 0 to 1."""

    status: SeriesStatus
    statistic: str
    unit: str
    ratio: float
    bar: Bar | None


def series_row(status: SeriesStatus, wording: Wording) -> SeriesRow:
    unit = wording.units.get(status.metric, "")
    watched = status.statistic
    drawn = (
        bar(status.level, 0.0, 1.0)
        if (watched in RATES or (watched == "mean" and not unit)) and status.level.n > 0
        else None
    )
    return SeriesRow(status, watched, unit, ratio(status), drawn)


@dataclass(frozen=True, slots=True)
class TraceRow:
    """A trace in one line; `sheet` is None if retention, or a revision to come, leaves only its id."""

    trace_id: str
    sheet: Sheet | None
    failing: Sequence[Decision] = ()
    errors: int = 0
    scored: int = 0


def trace_row(trace_id: str, sheet: Sheet | None) -> TraceRow:
    if sheet is None:
        return TraceRow(trace_id, None)
    known = decisions(sheet)
    return TraceRow(
        trace_id,
        sheet,
        failing=[one for one in known if one.score is not None and one.score.passed is False],
        errors=sum(one.decision == "failed" for one in known),
        scored=sum(one.decision == "scored" for one in known),
    )


def example_rows(trace_ids: Sequence[str], view: View) -> list[TraceRow]:
    """The examples of a change, as far as they are still kept."""
    return [trace_row(trace_id, view.sheet(trace_id)) for trace_id in trace_ids[:MOST_LINKED]]


def decisions(sheet: Sheet) -> list[Decision]:
    """The decisions of a sheet, what did not pass first; one that is not understood is left out."""
    known = []
    for record in sheet["decisions"]:
        try:
            known.append(decision_from_json(record))
        except ValueError:
            continue
    return sorted(known, key=_urgency)


def _urgency(decision: Decision) -> tuple[int, str]:
    if decision.decision == "failed":
        return 1, decision.scorer
    if decision.decision != "scored" or decision.score is None:
        return 4, decision.scorer
    return {False: 0, None: 3, True: 2}[decision.score.passed], decision.scorer


def units(scorers: Sequence[ScorerFacts]) -> Mapping[str, str]:
    """The units of those scorers whose values are no ratios."""
    return {scorer.name: scorer.unit for scorer in scorers if scorer.unit not in ("", "1", "ratio")}
