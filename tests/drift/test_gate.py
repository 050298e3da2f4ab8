"""Comparisons of two versions: how often they are wrong however often one looks, and how soon they are right."""

import math
from random import Random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from drift.gate import Comparison, Verdict

RUNS = 300
# Three standard errors of a share of .05 in 300 runs: .038. What is seen beyond is no chance.
MOST_WRONG = 0.05 + 3 * math.sqrt(0.05 * 0.95 / RUNS)


def run(rng: Random, a: float, b: float, margin: float, pairs: int) -> Comparison:
    """One that is looked at after each pair, and decides as soon as it can."""
    comparison = Comparison(margin)
    for _ in range(pairs):
        comparison.add(float(rng.random() < a), float(rng.random() < b))
        if comparison.told.verdict != "undecided":
            break
    return comparison


def verdicts(a: float, b: float, margin: float, pairs: int = 800, runs: int = RUNS) -> dict[Verdict, float]:
    rng = Random(f"{a} {b} {margin}")
    found = [run(rng, a, b, margin, pairs).told.verdict for _ in range(runs)]
    return {verdict: found.count(verdict) / runs for verdict in ("pass", "fail", "undecided")}


@pytest.mark.parametrize(
    ("a", "b", "margin"), [(0.9, 0.87, 0.03), (0.5, 0.4, 0.1), (0.99, 0.97, 0.02), (0.2, 0.2, 0.0)]
)
def test_at_the_margin_a_wrong_verdict_of_either_kind_is_as_rare_as_promised(a: float, b: float, margin: float) -> None:
    found = verdicts(a, b, margin)
    assert found["pass"] <= MOST_WRONG
    assert found["fail"] <= MOST_WRONG


def test_what_is_worse_than_the_margin_hardly_ever_passes_and_fails_soon() -> None:
    found = verdicts(0.9, 0.8, 0.03, pairs=1_500, runs=60)
    assert found["pass"] == 0
    assert found["fail"] >= 0.95


def test_what_is_as_good_passes_soon() -> None:
    found = verdicts(0.9, 0.9, 0.05, pairs=2_000, runs=60)
    assert found["fail"] == 0
    assert found["pass"] >= 0.95


def test_scores_between_0_and_1_are_compared_as_well() -> None:
    rng = Random(3)
    comparison = Comparison(0.05)
    for _ in range(1_000):
        comparison.add(rng.betavariate(8, 2), rng.betavariate(6, 4))
    told = comparison.told
    assert told.verdict == "fail"
    assert told.lower < -0.2 < told.upper < 0
    assert told.difference == pytest.approx(-0.2, abs=0.03)


def test_the_interval_holds_the_difference_at_all_times_nineteen_times_in_twenty() -> None:
    rng, missed = Random(5), 0
    for _ in range(200):
        comparison, outside = Comparison(0.03), False
        for at in range(600):
            comparison.add(float(rng.random() < 0.8), float(rng.random() < 0.7))
            told = comparison.told
            outside = outside or (at >= 30 and not told.lower <= -0.1 <= told.upper)
        missed += outside
    assert missed / 200 <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 200)


def test_how_many_more_pairs_it_takes_is_about_right() -> None:
    comparison, pairs = Comparison(0.05), 0
    both = [(float(at != 3), float(at != 11)) for at in range(20)]  # each fails once in twenty, not together
    for pair in both * 5:
        comparison.add(*pair)
    told = comparison.told
    assert told.verdict == "undecided"
    while comparison.told.verdict == "undecided":
        comparison.add(*both[pairs % 20])
        pairs += 1
    assert comparison.told.verdict == "pass"
    assert told.more_pairs is not None
    assert pairs / 2 < told.more_pairs < 2 * pairs
    assert comparison.told.more_pairs == 0


def test_nothing_is_known_of_nothing() -> None:
    told = Comparison(0.03).told
    assert (told.verdict, told.pairs, told.lower, told.upper, told.more_pairs) == ("undecided", 0, -1.0, 1.0, None)
    assert math.isnan(told.difference)


@pytest.mark.parametrize("wrong", [(1.0, 0.05), (-0.1, 0.05), (0.1, 0.0), (0.1, 1.0), (math.nan, 0.05)])
def test_what_is_out_of_range_is_refused(wrong: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match=r"margin is|alpha is"):
        Comparison(*wrong)


@pytest.mark.parametrize("pair", [(1.1, 0.0), (0.0, -0.1), (math.nan, 0.5)])
def test_a_pair_out_of_range_changes_nothing(pair: tuple[float, float]) -> None:
    comparison = Comparison(0.03)
    with pytest.raises(ValueError, match="both must be in"):
        comparison.add(*pair)
    assert comparison.told.pairs == 0


@example([(0.0, 0.0), (0.0, 5e-324)], 0.0)
@example([(0.0, 0.0), (0.0, 0.0)], 5e-324)
@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=60), st.floats(0, 0.9))
def test_whatever_comes_what_is_told_is_whole_and_a_verdict_stays(
    pairs: list[tuple[float, float]], margin: float
) -> None:
    comparison, before = Comparison(margin), "undecided"
    for pair in pairs:
        comparison.add(*pair)
        told = comparison.told
        assert before in ("undecided", told.verdict)
        before = told.verdict
        assert -1 <= told.lower <= told.difference + 1e-9
        assert told.difference - 1e-9 <= told.upper <= 1
        assert told.more_pairs is None or told.more_pairs >= 0
