"""Objectives as rules: error ratios over several windows, budget left, and alerts on how fast it burns.

Source: "The Site Reliability Workbook" (Beyer et al., 2018), chapter 5, "Alerting on SLOs", section 6: several windows
and several burn rates. An alert fires if both its long and its short window burn fast: the long one says that it
matters, the short one that it still goes on. Its table is for 30 days; here the windows scale with the objective's.

Two things are added, as scores are fewer than requests and their targets lower. An alert rests on a least number of
judged scores, so that two failures in a quiet night wake nobody. And where even total failure could not burn that fast
(at a target of 0.9 all failing is a rate of 10), the threshold is capped, or the alert could never fire.
"""

from dataclasses import dataclass

from alerts.rules.config import ObjectiveConfig
from alerts.rules.model import Alert, Group, Recording, Rule, Severity
from alerts.rules.promql import duration, selector

_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86400.0
_TABLE_WINDOW = 30 * _DAY
_LEAST_WINDOW = 2 * _MINUTE  # a rate needs a few scrapes
_CAP = 0.8  # of what can fail beyond the budget
_PREFIX = "driftline:objective"
_BASE = 5 * _MINUTE


@dataclass(frozen=True)
class Burn:
    """One row of the workbook's table: how fast, seen over which windows, tells whom."""

    rate: float
    long_seconds: float
    short_seconds: float
    severity: Severity


TABLE = (
    Burn(14.4, 1 * _HOUR, 5 * _MINUTE, "page"),
    Burn(6.0, 6 * _HOUR, 30 * _MINUTE, "page"),
    Burn(3.0, 1 * _DAY, 2 * _HOUR, "ticket"),
    Burn(1.0, 3 * _DAY, 6 * _HOUR, "ticket"),
)


def burns(objective: ObjectiveConfig) -> list[Burn]:
    """The table with the windows scaled to the objective's, in whole minutes.

    >>> one = burns(ObjectiveConfig(scorer="pii", target=0.99, window="7d"))[1]
    >>> duration(one.long_seconds), duration(one.short_seconds)
    ('1h24m', '7m')
    """
    scale = objective.window / _TABLE_WINDOW

    def scaled(seconds: float) -> float:
        return max(_LEAST_WINDOW, round(seconds * scale / _MINUTE) * _MINUTE)

    return [Burn(row.rate, scaled(row.long_seconds), scaled(row.short_seconds), row.severity) for row in TABLE]


def threshold(objective: ObjectiveConfig, rate: float) -> float:
    """The error ratio at which the budget burns `rate` times as fast as it may, or the cap: see the module.

    >>> round(threshold(ObjectiveConfig(scorer="pii", target=0.95), 14.4), 3)
    0.72
    >>> round(threshold(ObjectiveConfig(scorer="pii", target=0.9), 14.4), 3)
    0.82
    """
    budget = 1 - objective.target
    return min(rate * budget, budget + _CAP * (1 - budget))


def group(objective: ObjectiveConfig) -> Group:
    """Everything of one objective."""
    return Group(f"driftline-objective-{objective.slug}", _Rules(objective).all(), interval="1m")


class _Rules:
    def __init__(self, objective: ObjectiveConfig) -> None:
        self._objective = objective
        self._by = ", ".join(("job", *objective.by))
        self._labels = {"objective": objective.title, "scorer": objective.scorer}
        self._burns = burns(objective)

    def all(self) -> list[Rule]:
        windows = sorted({seconds for row in self._burns for seconds in (row.long_seconds, row.short_seconds)})
        return [
            Recording(f"{_PREFIX}_valid:rate5m", self._rate("valid", _BASE), self._labels),
            Recording(f"{_PREFIX}_failed:rate5m", self._failed(_BASE), self._labels),
            *(self._error_ratio(seconds) for seconds in windows),
            self._whole_window(),
            Recording(f"{_PREFIX}_target:ratio", f"vector({self._objective.target:g})", self._labels),
            Recording(f"{_PREFIX}_budget_left:ratio", self._budget_left(), self._labels),
            self._burning("DriftlineBudgetBurnFast", "page"),
            self._burning("DriftlineBudgetBurnSlow", "ticket"),
            self._spent(),
            self._without_scores(),
        ]

    # --- numbers ---

    def _counter(self, what: str) -> str:
        return selector(
            f"driftline_{what}_total", {"scorer": self._objective.scorer}, {"service": self._objective.services}
        )

    def _rate(self, what: str, seconds: float) -> str:
        return f"sum by ({self._by}) (rate({self._counter(what)}[{duration(seconds)}]))"

    def _failed(self, seconds: float) -> str:
        # never less than none: weights are no whole numbers, and sums of them are rounded
        return f"clamp_min(\n  {self._rate('valid', seconds)}\n  - {self._rate('good', seconds)},\n  0\n)"

    def _error_ratio(self, seconds: float) -> Recording:
        """Absent, not zero, where nothing was judged."""
        expr = f"{self._failed(seconds)}\n/ ({self._rate('valid', seconds)} > 0)"
        return Recording(f"{_PREFIX}_errors:ratio_rate{duration(seconds)}", expr, self._labels)

    def _whole_window(self) -> Recording:
        """From what was recorded: the counters themselves would be millions of samples to read, every minute."""
        window = duration(self._objective.window)
        failed, valid = (f"sum_over_time({self._own(f'{what}:rate5m')}[{window}])" for what in ("failed", "valid"))
        return Recording(f"{_PREFIX}_errors:ratio_rate{window}", f"{failed}\n/ ({valid} > 0)", self._labels)

    def _budget_left(self) -> str:
        ratio = self._own(f"errors:ratio_rate{duration(self._objective.window)}")
        return f"1 - {ratio} / {1 - self._objective.target:.9g}"

    def _own(self, what: str) -> str:
        return selector(f"{_PREFIX}_{what}", {"objective": self._objective.title})

    # --- alerts ---

    def _enough(self, seconds: float) -> str:
        counted = f"sum by ({self._by}) (increase({self._counter('judged_scores')}[{duration(seconds)}]))"
        return f"and on ({self._by}) {counted} >= {self._objective.min_events}"

    def _burning(self, name: str, severity: Severity) -> Alert:
        rows = [row for row in self._burns if row.severity == severity]
        expr = "\nor\n".join(self._pair(row) for row in rows)
        spans = " or ".join(duration(row.long_seconds) for row in rows)
        return Alert(
            name,
            expr,
            severity,
            summary=f"{self._of_what()} fail too often: {{{{ $value | humanizePercentage }}}}; {self._may()} may.",
            description=(
                f"Over the last {spans}, and still, so many scores fail that the error budget of "
                f"{duration(self._objective.window)} would be spent in {self._spent_in(rows)}. "
                f"Open failing traces of the service, and look for a change of it that began then."
            ),
            labels=self._labels,
            variables=("scorer", *self._objective.by),
            dashboard="driftline-service" if self._objective.by else "driftline-overview",
        )

    def _pair(self, row: Burn) -> str:
        least = f"> {threshold(self._objective, row.rate):.9g}"
        both = [
            f"{self._own(f'errors:ratio_rate{duration(seconds)}')} {least}"
            for seconds in (row.long_seconds, row.short_seconds)
        ]
        return f"(\n  {both[0]}\n  and {both[1]}\n  {self._enough(row.long_seconds)}\n)"

    def _spent_in(self, rows: list[Burn]) -> str:
        """Within how long the slowest of these burns spends the whole budget."""
        budget = 1 - self._objective.target
        slowest = min(threshold(self._objective, row.rate) / budget for row in rows)
        days = self._objective.window / _DAY / slowest
        return f"{days:.3g} days or less"

    def _spent(self) -> Alert:
        return Alert(
            "DriftlineBudgetSpent",
            f"{self._own('budget_left:ratio')} <= 0\n{self._enough(self._burns[-1].long_seconds)}",
            "ticket",
            summary=f"{self._of_what()} missed their objective: the error budget is spent.",
            description=(
                f"Over the last {duration(self._objective.window)}, more than {self._may()} of the scores failed "
                f"({{{{ $value | humanizePercentage }}}} of the budget left). "
                f"Agree on what is put right before anything else changes, or on another target."
            ),
            lasts="15m",
            labels=self._labels,
            variables=("scorer", *self._objective.by),
            dashboard="driftline-service" if self._objective.by else "driftline-overview",
        )

    def _without_scores(self) -> Alert:
        return Alert(
            "DriftlineObjectiveWithoutScores",
            f"absent(sum(increase({self._counter('judged_scores')}[1h])) > 0)",
            "ticket",
            summary=(
                # of what a rule adds itself, its words know nothing: the title stands in them
                f"The objective {self._objective.title} has had no judged score for a day: nobody knows whether it is "
                "met."
            ),
            description=(
                "Either the scorer judges nothing any more, or the services are called something else than the "
                "objective says. `driftline why --summary` says what became of the candidates."
            ),
            lasts="1d",
            labels=self._labels,
            variables=("scorer",),
            dashboard="driftline-evaluators",
        )

    def _of_what(self) -> str:
        where = " of {{ $labels.service }}" if self._objective.by else ""
        return f"{{{{ $labels.scorer }}}} scores{where}"

    def _may(self) -> str:
        return f"{100 * (1 - self._objective.target):.4g}%"
