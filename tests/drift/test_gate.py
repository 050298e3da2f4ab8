"""Comparisons of two versions: how often they are wrong however often one looks, and how soon they are right."""

import math
from collections.abc import Callable
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
        if comparison.verdict != "undecided":
            break
    return comparison


def verdicts(a: float, b: float, margin: float, pairs: int = 800, runs: int = RUNS) -> dict[Verdict, float]:
    rng = Random(f"{a} {b} {margin}")
    found = [run(rng, a, b, margin, pairs).verdict for _ in range(runs)]
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


def beta(a: float, b: float) -> Callable[[Random], float]:
    return lambda rng: rng.betavariate(a, b)


def inflated(rng: Random) -> float:
    """Mean .8: perfect, or nothing, or something between."""
    chance = rng.random()
    return 1.0 if chance < 0.7 else 0.0 if chance < 0.85 else rng.betavariate(4, 2)


def steady(rng: Random) -> float:
    return 0.8 + rng.gauss(0, 0.01)


def lowered(law: Callable[[Random], float], by: float) -> Callable[[Random], float]:
    """A law whose mean is lower by so much, still in [0, 1]: of means .8, so many are 0 instead."""
    return lambda rng: law(rng) if rng.random() >= by / 0.8 else 0.0


LAWS = {"beta": beta(8, 2), "U-shaped": beta(0.4, 0.1), "inflated": inflated, "steady": steady}


@pytest.mark.parametrize("margin", [0.0, 0.1])
@pytest.mark.parametrize("law", LAWS)
def test_means_of_scores_are_compared_with_the_same_promise_whatever_their_law(law: str, margin: float) -> None:
    """B's mean is lower by the margin exactly, and its law another: neither hypothesis may be given up often."""
    rng, a, b = Random(f"{law} {margin}"), LAWS[law], lowered(LAWS[law], margin)
    wrong: dict[Verdict, int] = {"pass": 0, "fail": 0, "undecided": 0}
    for _ in range(RUNS):
        comparison = Comparison(margin)
        for _ in range(500):
            comparison.add(a(rng), b(rng))
        wrong[comparison.verdict] += 1  # a verdict stays: the last look tells of all
    assert wrong["pass"] / RUNS <= MOST_WRONG
    assert wrong["fail"] / RUNS <= MOST_WRONG


@pytest.mark.parametrize(("law", "pairs"), [("beta", 140), ("inflated", 850), ("steady", 110)])
def test_means_that_are_the_same_pass_sooner_the_steadier_the_scores_are(law: str, pairs: int) -> None:
    rng, took = Random(law), []
    for _ in range(41):
        comparison, count = Comparison(0.05), 0
        while comparison.verdict == "undecided" and count < 2_000:
            comparison.add(LAWS[law](rng), LAWS[law](rng))
            count += 1
        took.append(count if comparison.verdict == "pass" else 2_000)
    assert sorted(took)[20] <= pairs


@pytest.mark.parametrize(("a", "b", "difference"), [(0.8, 0.7, -0.1), (0.99, 0.99, 0.0)])
def test_the_interval_holds_the_difference_at_all_times_nineteen_times_in_twenty(
    a: float, b: float, difference: float
) -> None:
    rng, missed = Random(5), 0
    for _ in range(200):
        comparison, outside = Comparison(0.03), False
        for at in range(600):
            comparison.add(float(rng.random() < a), float(rng.random() < b))
            if not at % 12:
                told = comparison.told
                outside = outside or not told.lower <= difference <= told.upper
        missed += outside
    assert missed / 200 <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 200)


def test_the_interval_is_as_narrow_as_bounded_scores_allow() -> None:
    """After 2,000 pairs: some 2.6 standard errors and more, where a fixed interval has 1.96."""
    rng, comparison = Random(6), Comparison(0.03)
    for _ in range(2_000):
        comparison.add(rng.betavariate(8, 2), rng.betavariate(8, 2))
    told = comparison.told
    error = math.sqrt(2 * 0.8 * 0.2 / 11 / 2_000)
    assert 1.96 * error < (told.upper - told.lower) / 2 < 4 * error


def test_how_many_more_pairs_it_takes_is_about_right() -> None:
    comparison, pairs = Comparison(0.05), 0
    both = [(float(at != 3), float(at != 11)) for at in range(20)]  # each fails once in twenty, not together
    for pair in both * 5:
        comparison.add(*pair)
    told = comparison.told
    assert told.verdict == "undecided"
    while comparison.verdict == "undecided":
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
