"""The default detector: its formula, its guarantee, its state.

Simulations state their Monte Carlo error; they are seeded, so they pass or fail for good.
"""

import math
from collections.abc import Callable
from random import Random
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drift.bank import MeanBank
from drift.baseline import Baseline
from drift.detectors.mean import MeanDetector
from drift.testing import mean_evidence, stream

TARGET = 1e4
SEED = 20240601


def reference_evidence(warmup: list[float], values: list[float], level: float | None = None) -> list[float]:
    """Drops only, straight from the formula with its odds ratios, as a second opinion; against `level` if given."""
    ratios = [math.exp(-0.25 * 10 ** (k / 5)) for k in range(6)]
    mean = (
        dict(zip(ratios[2:], [0.12, 0.17, 0.17, 0.06], strict=True)) if level is None else dict.fromkeys(ratios, 1 / 6)
    )
    older = dict.fromkeys(ratios[:3], 0.16) if level is None else {}
    past = Baseline(level, dependent=False, season="none")
    past.warmup(warmup, [1.0] * len(warmup))
    n, s, found = 1.0 + len(warmup), 0.5 + sum(warmup), []
    held = {(part, r): 0.0 for part, shares in enumerate((mean, older)) for r in shares}
    for x in values:
        p = level or s / n
        for part, (base, shares) in enumerate(((p, mean), (past.older, older))):
            for r in shares:
                q = min(base * r / (1 - base + base * r), p)
                held[part, r] = (held[part, r] + 1) * (x * q / p + (1 - x) * (1 - q) / (1 - p))
        found.append(sum((mean, older)[part][r] * staked for (part, r), staked in held.items()))
        n, s = n + 1, s + x
        past.learn(x, 1.0, None)
    return found


@pytest.mark.parametrize("level", [None, 0.88])
def test_evidence_is_the_mixture_of_shiryaev_roberts_statistics(level: float | None) -> None:
    warmup, values = stream(1, 0.9, 0.9, 0, 300), stream(2, 0.9, 0.8, 100, 400)
    watch = MeanDetector(dependent=False, baseline=level)
    watch.warmup(warmup)
    for x, expected in zip(values, reference_evidence(warmup, values, level), strict=True):
        watch.update(x)
        assert watch.evidence == pytest.approx(expected, rel=1e-9)


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


@pytest.mark.parametrize("rate", [0.5, 0.95])
def test_false_alarms_are_as_rare_as_wanted_where_they_are_wanted_very_rare(rate: float) -> None:
    """One in a million points, as a page a week comes to: 24 expected at most, so a standard error of 5."""
    rng = np.random.default_rng(SEED)
    bank = MeanBank(3000, "down", dependent=False)
    bank.warmup((rng.random((3000, 300)) < rate) * 1.0)
    alarms = 0
    for _ in range(8000):
        bank.update((rng.random(3000) < rate) * 1.0)
        found = np.flatnonzero(bank.evidence >= 1e6)
        alarms += len(found)
        bank.clear(found)
    assert 2 <= alarms <= 24 + 2 * 5


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


def repeating(rng: np.random.Generator, streams: int, points: int, repeat: float) -> np.ndarray:
    """Passes at .95 of which each repeats the last one with a probability."""
    fresh, repeats = (rng.random((streams, points)) < 0.95) * 1.0, rng.random((streams, points)) < repeat
    repeats[:, 0] = False
    source = np.maximum.accumulate(np.where(repeats, 0, np.arange(points)), axis=1)
    return np.take_along_axis(fresh, source, axis=1)


def autoregressive(rng: np.random.Generator, streams: int, points: int, rho: float) -> np.ndarray:
    """Passes at .95, where a hidden normal value of autocorrelation rho is below its quantile."""
    z, value = np.empty((streams, points)), rng.standard_normal(streams)
    for t in range(points):
        value = rho * value + math.sqrt(1 - rho * rho) * rng.standard_normal(streams)
        z[:, t] = value
    return (z < NormalDist().inv_cdf(0.95)) * 1.0


@pytest.mark.parametrize("direction", ["down", "both"])
@pytest.mark.parametrize(("sample", "strength"), [(repeating, 0.2), (repeating, 0.5), (autoregressive, 0.5)])
def test_false_alarms_stay_as_rare_where_points_foretell_one_another(
    sample: Callable[..., np.ndarray], strength: float, direction: str
) -> None:
    """About 170 alarms: a standard error of 8%; the goal is .8. Taken to be independent, it is .1 to .4."""
    values = sample(np.random.default_rng(SEED), 200, 20_300, strength)
    warmups, values = values[:, :300], values[:, 300:]
    found, alarms = average_run_length(mean_evidence(warmups, values, direction), TARGET)
    assert alarms > 100
    assert found >= 0.8 * TARGET
    naive = mean_evidence(warmups[:50], values[:50], direction, dependent=False)
    assert average_run_length(naive, TARGET)[0] < 0.5 * TARGET


def test_dependence_is_told_whether_it_shows_in_the_warm_up_or_later() -> None:
    rng, x = Random(8), 1.0
    sticky = [x := float(rng.random() < 0.8) if rng.random() < 0.5 else x for _ in range(5000)]
    early, late, blind = MeanDetector(), MeanDetector(), MeanDetector(dependent=False)
    for watch in (early, blind):
        watch.warmup(sticky[:1000])
    late.warmup(stream(9, 0.8, 0.8, 0, 300))
    assert late.inflation == pytest.approx(1.0, abs=0.3)
    for x in sticky[1000:]:
        late.update(x)
    for watch in (early, late):
        assert 2.0 < watch.inflation < 4.5  # 3 for a repeat half of the time
    assert blind.inflation == 1.0


@pytest.mark.parametrize(("before", "after", "most"), [(1.0, 0.0, 5), (0.999, 0.0, 6), (1.0, 0.5, 20), (0.0, 1.0, 5)])
def test_what_was_perfect_is_found_at_once_when_it_fails(before: float, after: float, most: int) -> None:
    """That every point is like the last is no dependence where points hardly ever vary."""
    for seed in range(10):
        watch = MeanDetector("down" if after < before else "up", arl=1e5)
        watch.warmup(stream(seed, before, before, 0, 300))
        values = stream(100 + seed, before, after, 1000, 1000 + most)
        found = next((at for at, x in enumerate(values) if watch.update(x) or watch.change), None)
        assert found is not None
        assert found >= 1000


def test_a_score_that_never_varies_is_found_when_it_moves() -> None:
    watch = MeanDetector(arl=1e8)
    watch.warmup([0.73] * 300)
    for _ in range(5000):
        watch.update(0.73)
    assert watch.inflation == 1.0
    for _ in range(60):
        watch.update(0.6)
    assert watch.change is not None


@pytest.mark.parametrize(("before", "after", "mean", "missed"), [(0.8, 0.75, 1500, 0.02), (0.5, 0.45, 2400, 0.05)])
def test_a_small_drop_is_found_before_the_running_mean_absorbs_it(
    before: float, after: float, mean: float, missed: float
) -> None:
    """300 streams, run length 1e5, standard errors: of the mean 6%, of the share missed within 10,000 points 1%.

    Held against the running mean alone, .80 to .75 takes 1,700 on average, and of .50 to .45 one in twenty is missed.
    """
    rng = np.random.default_rng(SEED)
    warmups = (rng.random((300, 1000)) < before) * 1.0
    values = (rng.random((300, 12_000)) < np.where(np.arange(12_000) < 2000, before, after)) * 1.0
    hit = mean_evidence(warmups, values) >= 1e5
    first = np.where(hit.any(axis=1), hit.argmax(axis=1), 12_000)
    delays = first[first >= 2000] - 1999
    assert (delays >= 10_000).mean() <= missed
    assert delays.mean() <= mean


def test_a_slow_decline_is_found_before_it_has_gone_far() -> None:
    """.95 to .80 evenly over 10,000 points, run length 1e5, 200 streams: the median's standard error is about 3%."""
    rng = np.random.default_rng(SEED)
    level = 0.95 - 0.15 * np.clip(np.arange(8000) - 2000, 0, None) / 10_000
    evidence = mean_evidence((rng.random((200, 1000)) < 0.95) * 1.0, (rng.random((200, 8000)) < level) * 1.0)
    hit = evidence >= 1e5
    first = np.where(hit.any(axis=1), hit.argmax(axis=1), 8000)
    delays = first[first >= 2000] - 1999
    assert (delays < 6000).all()
    assert np.median(delays) <= 2400  # has fallen by .036 then


def test_hours_that_are_always_worse_are_no_evidence() -> None:
    """Three weeks of 60 points an hour at .9, .03 up and down with the hour; what is staked counts from day 8 on.

    18,700 points at a run length of 1e5: of ten, two are expected to alarm, and most of them if hours are left alone.
    """
    rng, alarms = Random(3), {"auto": 0, "none": 0}
    hour_ns = 3600 * 10**9
    for season in alarms:
        for _ in range(10):
            watch = MeanDetector("both", arl=1e5, season=season)
            watch.warmup([float(rng.random() < 0.9) for _ in range(300)])
            for i in range(21 * 24 * 60):
                rate = 0.9 + 0.03 * math.sin(i / 60 * math.tau / 24)
                start = 1.0 if i > 8 * 24 * 60 else 0.0
                watch.update(float(rng.random() < rate), at=i * hour_ns // 60, start=start)
                if watch.change is not None:
                    alarms[season] += 1
                    break
    assert alarms["auto"] <= 4
    assert alarms["none"] >= 7


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
