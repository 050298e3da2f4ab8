"""A frozen reference: the contract, the price of its uncertainty, and that this is paid."""

import math
from random import Random
from typing import Any

import numpy as np
import pytest

from drift.bounds import least_mean
from drift.detectors.frozen import FrozenMean
from drift.detectors.mean import MeanDetector
from drift.testing import check_detector

RUNS = 300


def rates(rng: Random, level: float, count: int) -> list[float]:
    return [float(rng.random() < level) for _ in range(count)]


def test_it_keeps_the_contract_of_a_detector() -> None:
    check_detector(FrozenMean)


@pytest.mark.parametrize("level", [0.5, 0.9, 0.99])
def test_a_bound_misses_the_level_as_rarely_as_it_says(level: float) -> None:
    rng, missed, once = Random(f"{level}"), 0, np.ones(400)
    for _ in range(RUNS):
        missed += least_mean(np.array(rates(rng, level, 400)), once, once, 0.05) > level
    assert missed / RUNS <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / RUNS)


def test_a_bound_knows_what_points_stand_for() -> None:
    """Failures are kept ten times as often as passes; nine in ten pass."""
    rng = Random(4)
    kept = [(x, 1.0 if x else 0.1) for x in rates(rng, 0.9, 30_000) if rng.random() < (0.1 if x else 1.0)]
    values, parts = (np.array(column) for column in zip(*kept, strict=True))
    assert 0.85 < least_mean(values, np.ones_like(values), parts, 0.01) < 0.9


def alarms(make: Any, reference: int, level: float, points: int, runs: int = RUNS) -> float:
    """The part of references with a false alarm within so many points at the level that they are a sample of."""
    rng, found = Random(f"{reference} {level}"), 0
    for _ in range(runs):
        watch = make()
        watch.warmup(rates(rng, level, reference))
        for x in rates(rng, level, points):
            watch.update(x)
            if watch.change is not None:
                found += 1
                break
    return found / runs


@pytest.mark.parametrize(("reference", "level"), [(300, 0.9), (1000, 0.95)])
def test_false_alarms_are_as_rare_as_the_arl_and_the_uncertainty_of_the_reference_allow(
    reference: int, level: float
) -> None:
    """At most n / arl + sure of the references alarm within n points: 2,000 / 20,000 + .01."""
    allowed = 2_000 / 20_000 + 0.01
    found = alarms(lambda: FrozenMean("down", arl=20_000, dependent=False), reference, level, 2_000)
    assert found <= allowed + 3 * math.sqrt(allowed * (1 - allowed) / RUNS)


def test_taking_the_mean_of_the_reference_for_the_level_would_break_that() -> None:
    """What the price is paid for: the same with the sample's mean, as if it were known."""

    class Naive(MeanDetector):
        def warmup(self, values: Any, weights: Any = None) -> None:
            self.__init__("down", 20_000, None, False, "none", sum(values) / len(values))  # type: ignore[misc]

    allowed = 2_000 / 20_000 + 0.01
    found = alarms(lambda: Naive("down", arl=20_000), 100, 0.9, 2_000, 100)
    assert found > allowed + 3 * math.sqrt(allowed * (1 - allowed) / 100)


def test_a_slow_slide_that_a_growing_baseline_absorbs_is_found() -> None:
    """A hundredth of a point lower with each of 40 blocks of 500 points: from .95 to .85."""

    def slide(watch: Any, seed: int) -> bool:
        rng = Random(seed)
        watch.warmup(rates(rng, 0.95, 2_000))
        for block in range(40):
            for x in rates(rng, 0.95 - 0.0025 * block, 500):
                watch.update(x)
                if watch.change is not None:
                    return True
        return False

    assert all(slide(FrozenMean("down", arl=1e7, dependent=False), seed) for seed in range(10))


def test_both_sides_are_watched_from_bounds_of_their_own() -> None:
    watch = FrozenMean("both", arl=1e4)
    watch.warmup(rates(Random(5), 0.8, 1_000))
    low, high = watch.levels
    assert low < 0.79 < 0.81 < high
    for x in rates(Random(6), 0.95, 1_000):
        watch.update(x)
    assert watch.change is not None
    assert watch.change.direction == "up"


@pytest.mark.parametrize("sure", [0.0, 0.5, math.nan])
def test_how_sure_it_is_has_bounds(sure: float) -> None:
    with pytest.raises(ValueError, match="sure is"):
        FrozenMean(sure=sure)


@pytest.mark.parametrize("constant", [0.0, 1.0])
def test_a_reference_that_never_varies_leaves_room_for_what_it_did_not_see(constant: float) -> None:
    watch = FrozenMean("both", arl=1e4)
    watch.warmup([constant] * 500)
    for _ in range(1_000):
        watch.update(constant)
    assert watch.change is None
