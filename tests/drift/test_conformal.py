"""Detectors of ranks: what they promise holds for any law, and what they are for is found."""

from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drift.base import Detector
from drift.detectors.conformal import RankDetector, ShapeDetector
from drift.detectors.mean import MeanDetector
from drift.ranks import Ranks

Law = Callable[[Random], float]
TARGET = 1e3

LAWS: dict[str, Law] = {
    "passes": lambda rng: float(rng.random() < 0.95),
    "heavy tail": lambda rng: min(rng.paretovariate(1.2) / 50, 1.0),
    "a few values": lambda rng: rng.choice((0.0, 0.25, 0.25, 1.0)),
    "beta": lambda rng: rng.betavariate(5, 2),
}


def run_length(make: Callable[[], Detector], law: Law, streams: int, points: int) -> tuple[float, int]:
    """Exposure over alarms, and alarms."""
    exposure = alarms = 0
    for seed in range(streams):
        rng, watch = Random(seed), make()
        watch.warmup([law(rng) for _ in range(50)])
        for _ in range(points):
            watch.update(law(rng))
            exposure += 1
            if watch.change is not None:
                alarms += 1
                break
    return exposure / max(alarms, 1), alarms


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("kind", [RankDetector, ShapeDetector])
def test_false_alarms_are_as_rare_as_promised_from_a_warm_up_of_50_points(kind: type, law: str) -> None:
    """About 100 alarms: a standard error of 10%. Over 400 streams it is .93 (5%) to 1.9 of what is promised."""
    found, alarms = run_length(lambda: kind(direction="both", arl=TARGET), LAWS[law], 100, 2500)
    assert alarms > 60
    assert found >= 0.8 * TARGET


@pytest.mark.parametrize("factor", [1.5, 2.0])
def test_a_rise_of_a_heavy_tail_is_found_by_ranks(factor: float) -> None:
    delays = []
    for seed in range(20):
        rng, watch = Random(seed), RankDetector(direction="up", arl=1e5)
        watch.warmup([min(rng.lognormvariate(0, 0.8) / 50, 1.0) for _ in range(300)])
        for i in range(3000):
            watch.update(min(rng.lognormvariate(0, 0.8) * (factor if i >= 1000 else 1.0) / 50, 1.0))
            if watch.change is not None:
                break
        assert watch.change is not None
        delays.append(i - 999)
    assert sorted(delays)[10] <= (180 if factor == 1.5 else 90)
    assert sum(delay <= 0 for delay in delays) <= 1


def test_more_zeros_and_ones_at_the_same_mean_are_found_by_shape_and_not_by_the_mean() -> None:
    def score(rng: Random, after: bool) -> float:
        if after and rng.random() < 0.3:
            return float(rng.random() < 0.5)
        return rng.betavariate(4, 4)

    delays, by_mean = [], 0
    for seed in range(10):
        rng = Random(seed)
        shape, mean = ShapeDetector(direction="both"), MeanDetector("both")
        for watch in (shape, mean):
            watch.warmup([score(rng, False) for _ in range(300)])
        for i in range(2500):
            x = score(rng, i >= 1000)
            shape.update(x)
            mean.update(x)
            by_mean += mean.change is not None
            if shape.change is not None:
                break
        assert shape.change is not None
        delays.append(i - 999)
    assert 0 < sorted(delays)[5] <= 350
    assert by_mean == 0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=200))
def test_a_rank_lies_among_those_of_equal_points(values: list[float]) -> None:
    ranks = Ranks()
    for x in values:
        ranks.add(x)
        u = ranks.rank(x)
    below = sum(x < values[-1] - 1 / 500 for x in values)
    up_to = sum(x <= values[-1] + 1 / 500 for x in values)
    assert below / len(values) <= u <= up_to / len(values)


@given(st.lists(st.floats(0, 1), max_size=100), st.binary(max_size=200), st.integers(0, 60), st.integers(0, 255))
def test_any_state_is_read_sanely_or_refused(values: list[float], noise: bytes, at: int, byte: int) -> None:
    watch = ShapeDetector()
    watch.warmup(values)
    watch.update(0.5)
    good = watch.state()
    for state in (noise, good[:2] + noise, good[:at] + bytes([byte]) + good[at + 1 :], good[:-1]):
        other = ShapeDetector()
        try:
            other.restore(state)
        except ValueError:
            continue
        other.update(0.25)
        assert 0.0 <= other.evidence < float("inf")
    other = ShapeDetector()
    other.restore(good)
    assert other.state() == good
    with pytest.raises(ValueError, match="RankDetector"):
        RankDetector().restore(good)
