"""Estimates: intervals that hold the truth as often as they say, and sums that do not depend on how they were added."""

import math
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drift.estimate import Sums, Window, difference, estimate, sums_from_json, variance_inflation

SECOND = 10**9
pairs = st.lists(st.tuples(st.floats(0, 1), st.floats(1e-3, 1e6)), min_size=1, max_size=60)


def sums_of(points: list[tuple[float, float]]) -> Sums:
    sums = Sums()
    for x, w in points:
        sums.add(x, w)
    return sums


@settings(deadline=None)
@given(pairs)
def test_an_interval_holds_its_own_estimate_inside_the_range(points: list[tuple[float, float]]) -> None:
    found = estimate(sums_of(points))
    assert 0.0 <= found.lower <= found.value <= found.upper <= 1.0
    assert 0 < found.n <= len(points) * (1 + 1e-9)


@settings(deadline=None)
@given(pairs, pairs)
def test_sums_of_parts_are_sums_of_the_whole(
    first: list[tuple[float, float]], second: list[tuple[float, float]]
) -> None:
    parts = sums_of(first)
    parts.include(sums_of(second))
    for mine, whole in zip(parts.to_json(), sums_of(first + second).to_json(), strict=True):
        assert mine == pytest.approx(whole)


def test_passes_and_failures_get_the_interval_of_wilson() -> None:
    found = estimate(sums_of([(1.0, 1.0)] * 81 + [(0.0, 1.0)] * 19))
    assert found.lower == pytest.approx(0.7222, abs=2e-4)  # Wilson 1927, z = 1.96
    assert found.upper == pytest.approx(0.8749, abs=2e-4)


@pytest.mark.parametrize("kind", ["rate", "weighted", "score"])
def test_95_percent_intervals_hold_the_truth(kind: str) -> None:
    """1,000 windows of 200 points: a standard error of .7 points."""
    rng, held = Random(31), 0
    for _ in range(1000):
        points = []
        for _ in range(200):
            if kind == "score":
                points.append((rng.betavariate(5, 1), 1.0))
                continue
            failed = rng.random() < 0.1
            keep = 1.0 if kind == "rate" or failed else 0.5
            if rng.random() < keep:
                points.append((0.0 if failed else 1.0, 1.0 / keep))
        found = estimate(sums_of(points))
        held += found.lower <= (5 / 6 if kind == "score" else 0.9) <= found.upper
    assert 0.925 <= held / 1000 <= 0.985


def test_constant_points_do_not_give_a_point_interval() -> None:
    for value in (0.0, 0.8, 1.0):
        found = estimate(sums_of([(value, 1.0)] * 50))
        assert found.upper - found.lower > 1e-3


def test_a_difference_is_after_minus_before() -> None:
    before, after = estimate(sums_of([(1.0, 1.0)] * 90 + [(0.0, 1.0)] * 10)), estimate(sums_of([(0.0, 1.0)] * 50))
    found = difference(before, after)
    assert found.value == pytest.approx(-0.9)
    assert -1.0 <= found.lower < found.value < found.upper < -0.75


def test_repeated_points_count_once() -> None:
    rng = Random(6)
    once = [float(rng.random() < 0.7) for _ in range(500)]
    assert variance_inflation(once) == pytest.approx(1.0, abs=0.3)
    assert variance_inflation([x for x in once for _ in range(4)]) == pytest.approx(4.0, abs=1.0)


@pytest.mark.parametrize(
    "raw", [None, [], [1, 2, 3], [1, 2, 3, 4, 5, None], [1, 2, 3, 4, 5, -1.0], ["1", 1, 1, 1, 1, 1]]
)
def test_corrupt_sums_are_refused(raw: object) -> None:
    with pytest.raises(ValueError, match="sums are"):
        sums_from_json(raw)


def test_a_window_forgets_what_is_older_than_an_hour() -> None:
    window = Window()
    for minute in range(180):
        window.add(float(minute >= 120), 1.0, minute * 60 * SECOND)
    found = window.sums(179 * 60 * SECOND)
    assert found.mean == 1.0
    assert found.n == 60
    assert len(window.to_json()) <= 12


def test_a_window_stays_small_when_time_jumps_about() -> None:
    window, rng = Window(), Random(1)
    for _ in range(2000):
        window.add(0.5, 1.0, rng.randrange(10**18))
        assert len(window.to_json()) <= 13


def test_a_window_survives_json() -> None:
    first, second = Window(), Window()
    for minute in range(90):
        first.add(0.25, 2.0, minute * 60 * SECOND)
    second.load_json(first.to_json())
    for window in (first, second):
        window.add(1.0, 1.0, 91 * 60 * SECOND)
    assert first.to_json() == second.to_json()
    assert math.isclose(first.sums(91 * 60 * SECOND).w, second.sums(91 * 60 * SECOND).w)
