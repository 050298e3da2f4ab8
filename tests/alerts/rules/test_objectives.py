"""Objectives: what may be configured, and the arithmetic of the rules that come of it."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from alerts.rules.config import ObjectiveConfig, check_objectives
from alerts.rules.generate import groups
from alerts.rules.model import Alert, Facts, Recording
from alerts.rules.objectives import TABLE, burns, threshold
from collector.core.errors import UserError

DAY = 86400.0


def objective(**options: object) -> ObjectiveConfig:
    return ObjectiveConfig.model_validate({"scorer": "groundedness", "target": 0.95, **options})


def rules(*objectives: ObjectiveConfig) -> dict[str, Recording | Alert]:
    found = [rule for group in groups(Facts(objectives=objectives)) for rule in group.rules]
    return {rule.record if isinstance(rule, Recording) else rule.name: rule for rule in found}


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("target", 95, "less than 1"),
        ("target", 1, "less than 1"),
        ("target", 0, "greater than 0"),
        ("window", "1d", "greater than or equal to 604800"),
        ("window", "1w", None),
        ("window", 30, "a duration with a unit"),
        ("by", ["model"], "'service'"),
        ("name", "{{ x }}", "pattern"),
        ("min_events", 0, "greater than or equal to 1"),
        ("goal", 1, "Extra inputs"),
    ],
)
def test_a_wrong_value_is_refused_and_its_error_says_what_is_allowed(key: str, value: object, said: str | None) -> None:
    if said is None:
        assert objective(**{key: value}).window == 7 * DAY
        return
    with pytest.raises(ValidationError, match=re.escape(said)):
        objective(**{key: value})


def test_an_objective_of_a_scorer_that_is_not_there_or_never_judges_is_refused_and_so_is_a_name_given_twice() -> None:
    some = [objective(scorer="groundednes"), objective(scorer="length"), objective(), objective(name="Groundedness")]
    with pytest.raises(UserError) as refused:
        check_objectives(some, ["groundedness", "length"], ["groundedness"])
    assert refused.value.problems == (
        "objectives[0].scorer: 'groundednes' is not one of the scorers (groundedness, length)",
        "objectives[1].scorer: length passes no judgement; give the scorer `passing`",
        "objectives[3].name: 'Groundedness' is taken by objectives[2]; give it another",
    )


def test_the_windows_of_thirty_days_are_those_of_the_workbook() -> None:
    assert burns(objective()) == list(TABLE)
    recorded = {name.rpartition("rate")[2] for name in rules(objective()) if ":ratio_rate" in name}
    assert recorded == {"5m", "30m", "1h", "2h", "6h", "1d", "3d", "30d"}


@given(st.floats(0.01, 0.9999), st.sampled_from([7, 14, 28, 30, 90]))
def test_thresholds_can_be_reached_and_fall_with_the_rate(target: float, days: int) -> None:
    one = objective(target=target, window=f"{days}d")
    found = [threshold(one, row.rate) for row in burns(one)]
    assert all(1 - target <= value < 1 for value in found)
    assert found == sorted(found, reverse=True)


@given(st.integers(7, 90))
def test_windows_scale_with_the_objectives_are_whole_minutes_and_long_ones_are_the_longer(days: int) -> None:
    for row, scaled in zip(TABLE, burns(objective(window=f"{days}d")), strict=True):
        assert scaled.long_seconds == pytest.approx(row.long_seconds * days / 30, abs=30)
        assert scaled.short_seconds % 60 == scaled.long_seconds % 60 == 0
        assert scaled.short_seconds >= 120
        assert scaled.long_seconds > scaled.short_seconds


def test_high_targets_have_the_thresholds_of_the_workbook_and_low_ones_a_cap() -> None:
    assert [round(threshold(objective(target=0.999), row.rate), 6) for row in TABLE] == [0.0144, 0.006, 0.003, 0.001]
    assert [round(threshold(objective(target=0.8), row.rate), 6) for row in TABLE] == [0.84, 0.84, 0.6, 0.2]


def test_alerts_rest_on_the_least_number_of_scores_that_were_really_given() -> None:
    found = rules(objective(min_events=120))["DriftlineBudgetBurnFast"]
    assert found.expr.count(">= 120") == 2
    assert 'increase(driftline_judged_scores_total{scorer="groundedness"}[1h])' in found.expr


def test_services_are_counted_together_or_each_by_itself() -> None:
    apart, together = rules(objective()), rules(objective(by=[], services=["shop"]))
    assert "sum by (job, service)" in apart["driftline:objective_valid:rate5m"].expr
    assert together["driftline:objective_valid:rate5m"].expr == (
        'sum by (job) (rate(driftline_valid_total{scorer="groundedness",service=~"shop"}[5m]))'
    )
