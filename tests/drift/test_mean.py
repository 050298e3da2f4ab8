"""The default detector: its formula, its guarantee, its state.

Simulations state their Monte Carlo error; they are seeded, so they pass or fail for good.
"""

import math
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drift.detectors.mean import MeanDetector
from drift.testing import mean_evidence, stream

TARGET = 1e4
SEED = 20240601


def reference_evidence(warmup: list[float], values: list[float]) -> list[float]:
    """Drops only, straight from the formula with its odds ratios, as a second opinion."""
    ratios = [math.exp(-0.25 * 10 ** (k / 5)) for k in range(6)]
    n, s, mass, found = 1.0 + len(warmup), 0.5 + sum(warmup), [0.0] * 6, []
    for x in values:
        p = s / n
        for k, r in enumerate(ratios):
            q = p * r / (1 - p + p * r)
            mass[k] = (mass[k] + 1) * (x * q / p + (1 - x) * (1 - q) / (1 - p))
        found.append(sum(mass) / 6)
        n, s = n + 1, s + x
    return found


def test_evidence_is_the_mixture_of_shiryaev_roberts_statistics() -> None:
    warmup, values = stream(1, 0.9, 0.9, 0, 300), stream(2, 0.9, 0.8, 100, 400)
    watch = MeanDetector(tempered=False)
    watch.warmup(warmup)
    for x, expected in zip(values, reference_evidence(warmup, values), strict=True):
        watch.update(x)
        assert watch.evidence == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("direction", ["down", "up", "both"])
@pytest.mark.parametrize("rate", [0.5, 0.95])
def test_the_vectorised_twin_computes_the_same(direction: str, rate: float) -> None:
    rng = np.random.default_rng(3)
    warmups, values = rng.random((4, 300)) < rate, rng.random((4, 500)) < rate
    weights, starts = rng.uniform(0.2, 1.0, (4, 500)), rng.uniform(0.0, 2.0, (4, 500))
    warmups, values = warmups * 1.0, values * 1.0
    twin = mean_evidence(warmups, values, direction, weights=weights, starts=starts)
    for row in range(4):
        watch = MeanDetector(direction=direction, weight_cap=1.0)
        watch.warmup(warmups[row].tolist())
        for t in range(500):
            watch.update(values[row, t], weights[row, t], start=starts[row, t])
            assert watch.evidence == pytest.approx(twin[row, t], rel=1e-9)


def average_run_length(evidence: np.ndarray, target: float) -> tuple[float, int]:
    """Exposure over alarms, and the number of alarms."""
    hit = evidence >= target
    length = np.where(hit.any(axis=1), hit.argmax(axis=1) + 1, evidence.shape[1])
    alarms = int(hit.any(axis=1).sum())
    return float(length.sum()) / max(alarms, 1), alarms


@pytest.mark.parametrize("rate", [0.5, 0.9, 0.95, 0.99])
def test_false_alarms_are_no_more_frequent_than_wanted(rate: float) -> None:
    """About 200 alarms each: a standard error of 7%; the goal is .9, measured are 1.1 to 1.4."""
    rng = np.random.default_rng(SEED)
    warmups, values = (rng.random((250, 300)) < rate) * 1.0, (rng.random((250, 20_000)) < rate) * 1.0
    found, alarms = average_run_length(mean_evidence(warmups, values), TARGET)
    assert alarms > 100
    assert found >= 0.9 * TARGET


def test_false_alarms_of_a_bounded_score_are_rarer_still() -> None:
    rng = np.random.default_rng(SEED)
    warmups, values = rng.beta(4.8, 1.2, (150, 300)), rng.beta(4.8, 1.2, (150, 15_000))
    assert average_run_length(mean_evidence(warmups, values), TARGET)[0] >= 0.9 * TARGET


@pytest.mark.parametrize(("rate", "median", "tolerance"), [(0.90, 297, 0.15), (0.80, 59, 0.15)])
def test_a_drop_from_95_percent_is_found_as_soon_as_measured(rate: float, median: int, tolerance: float) -> None:
    """400 streams with an average run length of 1e5: the median's standard error is about 4%."""
    rng = np.random.default_rng(SEED)
    warmups = (rng.random((400, 1000)) < 0.95) * 1.0
    values = (rng.random((400, 4000)) < np.where(np.arange(4000) < 2000, 0.95, rate)) * 1.0
    hit = mean_evidence(warmups, values) >= 1e5
    first = np.where(hit.any(axis=1), hit.argmax(axis=1), 10**6)
    delays = first[first >= 2000] - 1999
    assert len(delays) > 380
    assert abs(np.median(delays) / median - 1) <= tolerance


def test_another_sampling_rate_with_equal_quality_is_no_evidence() -> None:
    """Failures are kept always, passes at a rate that falls from .5 to .1: unweighted, that looks like a collapse."""
    rng = np.random.default_rng(SEED)

    def sample(streams: int, points: int, keep: float) -> tuple[np.ndarray, np.ndarray]:
        failed = rng.random((streams, points)) < 0.05 / (0.05 + 0.95 * keep)
        return np.where(failed, 0.0, 1.0), np.where(failed, 1.0, 1.0 / keep)

    alarms = {True: 0, False: 0}
    for _ in range(40):
        (warm, warm_w), (same, same_w), (more, more_w) = sample(1, 600, 0.5), sample(1, 600, 0.5), sample(1, 1500, 0.1)
        values, weights = np.hstack([same, more])[0], np.hstack([same_w, more_w])[0]
        for weighted in alarms:
            watch = MeanDetector(arl=1e4, weight_cap=10.0 if weighted else None)
            watch.warmup(warm[0].tolist(), warm_w[0].tolist() if weighted else None)
            for x, w in zip(values.tolist(), weights.tolist(), strict=True):
                watch.update(x, w if weighted else 1.0)
                if watch.change:
                    alarms[weighted] += 1
                    break
    assert alarms[False] == 40
    assert alarms[True] <= 8  # the null's own: 2,100 points at 1e4, about 8 of 40 before the detector's slack


def test_autocorrelation_in_the_warm_up_tempers_the_bets() -> None:
    rng = Random(5)
    sticky, x = [], 1.0
    for _ in range(1000):
        x = float(rng.random() < 0.8) if rng.random() < 0.5 else x
        sticky.append(x)
    tempered, plain = MeanDetector(), MeanDetector(tempered=False)
    tempered.warmup(sticky)
    plain.warmup(sticky)
    assert 2.0 < tempered.inflation < 4.5  # 3 for a repeat half of the time
    assert plain.inflation == 1.0


def test_false_alarms_stay_rare_when_one_point_in_five_repeats_the_last() -> None:
    """About 180 alarms: a standard error of 8%. Over several seeds it is .9 to 1.1; without tempering .2."""
    rng = np.random.default_rng(SEED)
    fresh, repeats = (rng.random((200, 20_300)) < 0.95) * 1.0, rng.random((200, 20_300)) < 0.2
    repeats[:, 0] = False
    source = np.maximum.accumulate(np.where(repeats, 0, np.arange(20_300)), axis=1)
    values = np.take_along_axis(fresh, source, axis=1)
    found, alarms = average_run_length(mean_evidence(values[:, :300], values[:, 300:]), TARGET)
    assert alarms > 100
    assert found >= 0.75 * TARGET
    assert average_run_length(mean_evidence(values[:, :300], values[:, 300:], tempered=False), TARGET)[0] < 0.4 * TARGET


def test_correlation_that_only_shows_later_tempers_too() -> None:
    rng, watch, x = Random(8), MeanDetector(), 1.0
    watch.warmup(stream(9, 0.8, 0.8, 0, 300))
    assert watch.inflation == pytest.approx(1.0, abs=0.3)
    for _ in range(4000):
        x = float(rng.random() < 0.8) if rng.random() < 0.5 else x
        watch.update(x)
    assert 2.0 < watch.inflation < 3.5


def test_heavy_weights_are_clipped_and_their_share_is_told() -> None:
    watch = MeanDetector(weight_cap=10.0)
    watch.warmup([1.0, 0.0] * 50, [5.0] * 100)
    before = watch.level
    for weight in (1e9, 10.0, 1e9, 1.0):
        watch.update(0.0, weight)
    assert watch.clipped == 0.5
    assert before - watch.level < 0.05


def test_start_mass_and_threshold_scale_together() -> None:
    values = stream(8, 0.9, 0.6, 200, 400)
    classic, scaled = MeanDetector(arl=1e4), MeanDetector(arl=1.0)
    for watch in (classic, scaled):
        watch.warmup(stream(9, 0.9, 0.9, 0, 300))
    for x in values:
        classic.update(x)
        scaled.update(x, start=1e-4)
        assert scaled.evidence == pytest.approx(classic.evidence / 1e4)


def test_no_start_mass_is_no_evidence() -> None:
    watch = MeanDetector()
    watch.warmup([1.0] * 100)
    for _ in range(100):
        watch.update(0.0, start=0.0)
    assert watch.evidence == 0.0


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"direction": "sideways"}, "sideways"),
        ({"arl": 0}, "arl"),
        ({"arl": math.nan}, "arl"),
        ({"weight_cap": -1.0}, "weight_cap"),
        ({"baseline": 1.0}, "baseline"),
    ],
)
def test_a_wrong_option_is_named(options: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        MeanDetector(**options)  # type: ignore[arg-type]


def test_state_of_other_options_is_refused() -> None:
    state = MeanDetector(direction="down", arl=1e4).state()
    for other in (MeanDetector("up", arl=1e4), MeanDetector("down", arl=1e5), MeanDetector("both", arl=1e4)):
        with pytest.raises(ValueError, match=r"another|does not fit"):
            other.restore(state)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300), st.integers(0, 200), st.integers(0, 255))
def test_any_bytes_are_read_as_a_sane_detector_or_refused(noise: bytes, at: int, byte: int) -> None:
    watch = MeanDetector()
    watch.warmup([1.0, 0.0, 1.0] * 20)
    good = watch.state()
    for data in (noise, good[:at] + bytes([byte]) + good[at + 1 :], good[:2] + noise):
        try:
            watch.restore(data)
        except ValueError:
            continue
        watch.update(0.5)
        assert math.isfinite(watch.evidence)
        assert 0.0 < watch.level < 1.0


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.floats(1e-6, 1e12)), min_size=1, max_size=200), st.integers(0, 200))
def test_a_detector_restored_anywhere_goes_on_bit_for_bit(points: list[tuple[float, float]], at: int) -> None:
    whole, first = MeanDetector("both", weight_cap=100.0), MeanDetector("both", weight_cap=100.0)
    for x, w in points:
        whole.update(x, w)
    for x, w in points[:at]:
        first.update(x, w)
    second = MeanDetector("both", weight_cap=100.0)
    second.restore(first.state())
    for x, w in points[at:]:
        second.update(x, w)
    assert second.state() == whole.state()
