"""What `driftline replay` found, in words and as JSON."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from alerts.explain import Wording, explain
from alerts.plain import minute
from drift.base import Change
from driftline.backtest import Backtest, Incident, Quiet
from driftline.run_cost import RunCost, cost_words
from driftline.units import duration_text


@dataclass(frozen=True)
class Replayed:
    """What one configuration made of the files."""

    counts: dict[str, int]
    decisions: list[dict[str, Any]]
    changes: list[Change]
    problems: list[str]
    judged: Backtest
    runs: dict[str, int]
    """How often each scorer ran."""
    cost: RunCost
    seconds: dict[str, float]
    """Processor time of each scorer, or how long its calls took where it waits for another."""

    def to_json(self) -> dict[str, Any]:
        return {
            "counts": self.counts,
            "decisions": self.decisions,
            "changes": self.changes,
            "unreadable": self.problems,
            "backtest": self.judged.to_json(),
            "runs": self.runs,
            "cost": self.cost.to_json(),
        }

    def lines(self) -> list[str]:
        ordered = sorted(self.changes, key=lambda change: change.detected_ns)
        told = [
            f"{self.counts['traces_scored']} traces, {self.counts['scores']} scores, {len(ordered)} changes",
            *(line for one in ordered for line in _change_words(one)),
            *(_incident_words(incident) for incident in self.judged.incidents),
            *(_quiet_words(quiet) for quiet in self.judged.quiet),
        ]
        dearest = sorted(self.seconds.items(), key=lambda item: -item[1])[:3]
        named = ", ".join(f"{name} {seconds:.2g} s" for name, seconds in dearest)
        runs = sum(self.runs.values())
        told.append(f"scorers took {sum(self.seconds.values()):.3g} s in {runs} runs" + (f": {named}" if named else ""))
        return told + cost_words(self.cost, self.runs)


def _change_words(change: Change) -> list[str]:
    """What an alert would tell of it, without what to do at once."""
    words = explain(change, Wording())
    parts = (
        words.what,
        words.since,
        words.carried_by,
        words.moved,
        words.new_then,
        words.found_with,
        words.sure,
        words.look_at,
    )
    return [
        f"{'page' if change.paged else 'note'}: {words.summary}",
        *(f"      {line}" for part in parts for line in part.splitlines()),
    ]


def _incident_words(one: Incident) -> str:
    if one.delay_seconds is None:
        return f"incident {minute(one.at_ns)}: {_later(one)}"
    held = "holds" if one.onset_held else "does not hold"
    return f"incident {minute(one.at_ns)}: paged {_later(one)}; its onset interval {held} it"


def _later(one: Incident) -> str:
    if one.delay_seconds is None:
        return "not paged" if one.covered else "no traffic then"
    return f"{duration_text(round(one.delay_seconds))} later"


def _quiet_words(one: Quiet) -> str:
    return f"quiet {minute(one.from_ns)} to {minute(one.to_ns)}: {_false_pages(one)}"


def _false_pages(one: Quiet) -> str:
    if one.per_week is None:
        return "no traffic then"
    return f"{one.pages} false pages, {one.per_week:.3g} a week (95% interval {one.lower:.2g} to {one.upper:.2g})"


def side_by_side(found: Mapping[str, Replayed]) -> list[str]:
    """What configurations differ in, a row each, a column for each of them."""
    every = list(found.values())
    rows = [
        ["", *found],
        ["scores", *(f"{one.counts['scores']:,}" for one in every)],
        ["changes", *(str(len(one.changes)) for one in every)],
        ["pages", *(str(one.judged.pages) for one in every)],
        *(
            [f"incident {minute(of_each[0].at_ns)}", *map(_later, of_each)]
            for of_each in zip(*(one.judged.incidents for one in every), strict=True)
        ),
        *(
            [f"quiet from {minute(of_each[0].from_ns)}", *map(_false_pages, of_each)]
            for of_each in zip(*(one.judged.quiet for one in every), strict=True)
        ),
        ["scorers took", *(f"{sum(one.seconds.values()):.3g} s" for one in every)],
        ["cost", *(f"{one.cost.total:.6g}" for one in every)],
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
