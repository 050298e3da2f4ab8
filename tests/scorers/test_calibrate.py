"""Calibration: right where the truth is known, honest about held-out rows, refused where it means nothing."""

import math
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.core.errors import UserError
from collector.core.model import Trace
from scorers.base import Score, Scorer, scorer
from scorers.calibrate import (
    Calibration,
    calibration_error,
    fit,
    fit_logistic,
    load_calibration,
    logistic,
    reliability,
    threshold_for,
)
from scorers.loading import ScorerConfig, load_scorer
from scorers.outcome import scores_of


def drawn(chance: random.Random, rows: int, slope: float, intercept: float) -> tuple[list[float], list[int]]:
    values = [chance.uniform(0, 10) for _ in range(rows)]
    return values, [int(chance.random() < logistic(slope * value + intercept)) for value in values]


def test_the_odds_that_made_the_labels_are_found() -> None:
    found = [fit_logistic(*drawn(random.Random(seed), 400, 1.2, -6.0)) for seed in range(40)]
    slopes, intercepts = [slope for slope, _ in found], [intercept for _, intercept in found]
    for values, truth in ((slopes, 1.2), (intercepts, -6.0)):
        mean = sum(values) / len(values)
        sigma = math.sqrt(sum((value - mean) ** 2 for value in values)) / len(values)
        assert abs(mean - truth) < 4 * sigma + 0.03 * abs(truth)  # finite samples and Platt's targets bias a little


def test_what_is_told_is_what_is_found() -> None:
    """Over many fits, rows told p are of label 1 with probability p."""
    chance, errors = random.Random(3), []
    for _ in range(20):
        slope, intercept = fit_logistic(*drawn(chance, 200, -0.8, 3.0))
        values, labels = drawn(chance, 4000, -0.8, 3.0)
        errors.append(calibration_error([logistic(slope * value + intercept) for value in values], labels))
    assert sum(errors) / len(errors) < 0.05


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.floats(-1e6, 1e6), st.integers(0, 1)), min_size=2, max_size=60),
    st.sampled_from((0.0, 0.02, 0.5, 0.99)),
)
def test_fitting_stands_whatever_comes_and_keeps_the_bound(rows: list[tuple[float, int]], most: float) -> None:
    values, labels = [value for value, _ in rows], [label for _, label in rows]
    slope, intercept = fit_logistic(values, labels)
    assert math.isfinite(slope)
    assert math.isfinite(intercept)
    clean = labels.count(0)
    if clean:
        chances = [logistic(slope * value + intercept) for value in values]
        cut = threshold_for(chances, labels, most)
        assert sum(chance > cut for chance, label in zip(chances, labels, strict=True) if not label) <= most * clean


def test_rows_left_out_of_the_fit_show_the_false_positives_that_were_asked_for() -> None:
    rates = []
    for seed in range(20):
        values, labels = drawn(random.Random(seed), 500, 1.0, -6.0)
        rates.append(fit(values, labels, 0.1).held_out.false_positive_rate)
    assert 0.07 < sum(rates) / len(rates) < 0.14


def test_separable_labels_do_not_send_the_slope_to_infinity() -> None:
    found = fit([*range(30), *range(100, 130)], [0] * 30 + [1] * 30, 0.05)
    assert found.slope < 100
    assert (found.held_out.recall, found.brier < 0.01) == (1.0, True)


@pytest.mark.parametrize(
    ("values", "labels", "problem"),
    [
        ([1.0] * 50, [0] * 40 + [1] * 10, "10 scored rows have label 1; at least 20"),
        ([1.0] * 50, [1] * 50, "0 scored rows have label 0"),
        ([0.5] * 50, [0, 1] * 25, "say nothing about these labels"),
    ],
)
def test_too_little_or_nothing_to_fit_is_refused(values: list[float], labels: list[int], problem: str) -> None:
    with pytest.raises(UserError, match=problem):
        fit(values, labels, 0.05)


def test_reliability_holds_every_row() -> None:
    chance = random.Random(1)
    chances = [chance.random() for _ in range(1000)] + [0.0, 1.0]
    bins = reliability(chances, [int(one > 0.5) for one in chances])
    assert sum(one.rows for one in bins) == 1002


@scorer(name="length", range=(0, 1000), passing="<= 100", better="lower", unit="words")
def length(trace: Trace) -> Score:
    """Words of the answer, with a verdict of its own."""
    count = len((trace.answer or "").split())
    return Score(count, passed=count < 5)


def calibration(one: Scorer = length, **changed: object) -> Calibration:
    known = {"scorer": one.name, "code_id": one.code_id, "better": one.better, "slope": 0.1, "intercept": -5.0}
    return Calibration.model_validate(known | {"passing": "<= 0.5", "rows": 40, "flagged_rows": 20} | changed)


def test_a_calibrated_score_is_a_probability_judged_as_one() -> None:
    one = length.configured(calibration=calibration())
    short, long = (scores_of(one, one.function(Trace("t", answer="word " * count))) for count in (30, 70))
    assert short[0].value == pytest.approx(logistic(-2))
    assert (short[0].passed, long[0].passed) == (True, False)
    assert (one.score_range, one.score_unit) == ((0.0, 1.0), "ratio")
    assert one.configured(calibration=calibration(), passing="<= 0.1").passing is not None


def test_where_higher_is_better_the_probability_is_that_of_being_fine() -> None:
    assert calibration(better="higher").value(0.0) == 1 - calibration(better="lower").value(0.0)


def test_a_calibration_changes_the_evaluator_id_and_a_calibrated_score_is_another() -> None:
    ids = {length.evaluator_id, length.configured(calibration=calibration()).evaluator_id}
    ids.add(length.configured(calibration=calibration(slope=0.2)).evaluator_id)
    assert len(ids) == 3


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "cannot be read: No such file"),
        ("[]", "the file: "),
        ("{", "the file: "),
        ('{"scorer": "x"}', "code_id: Field required"),
    ],
)
def test_a_wrong_file_is_a_fault_of_the_configuration(tmp_path: Path, content: str | None, problem: str) -> None:
    path = tmp_path / "calibration.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UserError, match=problem):
        load_calibration(path)


def test_a_calibration_of_other_code_is_refused(tmp_path: Path) -> None:
    (tmp_path / "calibration.json").write_text(calibration(code_id="0123").model_dump_json())
    config = ScorerConfig(use="scorers.builtin.refusal:refusal", calibration=Path("calibration.json"))
    with pytest.raises(UserError, match=r"fitted to 'length' of code 0123.*calibrate again"):
        load_scorer(config, tmp_path)
