"""Onset and size: how often the intervals hold what they say they hold."""

from random import Random

import pytest

from drift.estimate import Sums
from drift.onset import Candidate, locate, onset_times


def candidates(values: list[float], weights: list[float] | None = None) -> list[Candidate]:
    found = []
    for at, x in enumerate(values):
        sums = Sums()
        sums.add(x, 1.0 if weights is None else weights[at])
        found.append(Candidate(at, sums))
    return found


def test_a_clear_step_is_located_exactly() -> None:
    onset = locate(Sums(), candidates([1.0] * 300 + [0.0] * 50), "down")
    assert (onset.best, onset.low, onset.high) == (300, 300, 300)
    assert onset.size.value == -1.0


def test_a_change_may_have_begun_as_soon_as_the_last_point_before_it_was_over() -> None:
    """A release at 2,995 shows in the point of 3,000 first."""
    found = candidates([1.0] * 300 + [0.0] * 50)
    stamped = [Candidate(10 * one.at_ns, one.sums) for one in found]
    assert onset_times(locate(Sums(), stamped, "down"), stamped) == (2990, 3000, 3000)
    assert onset_times(locate(Sums(), stamped[299:], "down"), stamped[299:])[0] == 2990
    back = [Candidate(5000 - 10 * one.at_ns, one.sums) for one in found]
    low, best, high = onset_times(locate(Sums(), back, "down"), back)
    assert low <= best == 2000 <= high, "event times need not be in order"


def test_a_rise_is_not_taken_for_a_drop() -> None:
    onset = locate(Sums(), candidates([1.0, 0.0] * 50 + [1.0] * 60 + [0.0] * 8), "down")
    assert onset.best == 160
    assert locate(Sums(), candidates([1.0, 0.0] * 50 + [1.0] * 60 + [0.0] * 8), "up").best == 100


def test_what_was_before_the_recent_points_counts() -> None:
    prior = Sums()
    for x in [1.0] * 19 + [0.0]:
        for _ in range(100):
            prior.add(x, 1.0)
    onset = locate(prior, candidates([1.0, 0.0, 1.0, 0.0] * 20), "down")
    assert onset.best <= 1
    assert onset.before_level.value == pytest.approx(0.95, abs=0.01)


def test_equal_weights_of_any_scale_give_the_same() -> None:
    rng = Random(2)
    values = [float(rng.random() < (0.9 if i < 300 else 0.6)) for i in range(400)]
    one, many = (locate(Sums(), candidates(values, [w] * 400), "down") for w in (1.0, 37.0))
    assert (one.best, one.low, one.high) == (many.best, many.low, many.high)
    assert one.size.lower == pytest.approx(many.size.lower)


@pytest.mark.parametrize("continuous", [False, True])
def test_onset_and_size_are_inside_their_intervals_as_often_as_documented(continuous: bool) -> None:
    """200 streams: a standard error of 2.5 points for the onset set, 1.5 for the size."""
    rng, onset_held, size_held = Random(17), 0, 0
    for _ in range(200):
        values = []
        for i in range(700):
            mean = 0.9 if i < 500 else 0.7
            values.append(rng.betavariate(6 * mean, 6 * (1 - mean)) if continuous else float(rng.random() < mean))
        found = locate(Sums(), candidates(values), "down")
        onset_held += found.low <= 500 <= found.high
        size_held += found.size.lower <= -0.2 <= found.size.upper
    assert onset_held >= 0.80 * 200
    assert size_held >= 0.92 * 200


def test_a_score_with_little_spread_has_a_narrow_onset_set() -> None:
    rng = Random(4)
    tight = [rng.betavariate(200 * m, 200 * (1 - m)) for m in [0.8] * 400 + [0.7] * 100]
    loose = [float(rng.random() < m) for m in [0.8] * 400 + [0.7] * 100]
    narrow, wide = (locate(Sums(), candidates(values), "down") for values in (tight, loose))
    assert narrow.high - narrow.low < 10 < wide.high - wide.low
