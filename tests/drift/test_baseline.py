"""What is expected of the next point."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drift.baseline import FIRST_BLOCK, INDEPENDENT, Baseline


@given(st.lists(st.floats(0, 1), max_size=600), st.integers(0, 600))
def test_the_older_part_is_all_but_the_newest_half(values: list[float], warmup: int) -> None:
    past = Baseline(None, dependent=False, season="none")
    past.warmup(values[:warmup], [1.0] * len(values[:warmup]))
    for x in values[warmup:]:
        past.learn(x, 1.0, None)
    assert past.level == pytest.approx((0.5 + sum(values)) / (1 + len(values)))
    older = round(past.older_weight - 1)
    assert 0 <= older <= len(values)
    newest = len(values) - older
    assert abs(newest - len(values) / 2) <= max(2 * FIRST_BLOCK, len(values) / 8)  # in whole blocks
    mean = (0.5 + sum(values[:older])) / (1 + older)
    assert past.older == pytest.approx(mean, abs=1e-9)


def test_dependence_is_found_by_its_order() -> None:
    """An AR(2) of .4 and .3: coefficients from 20,000 points have standard errors of about .007."""
    rng, values, a, b = Random(5), [0.5, 0.5], 0.4, 0.3
    for _ in range(20_000):
        values.append(0.5 + a * (values[-1] - 0.5) + b * (values[-2] - 0.5) + rng.uniform(-0.1, 0.1))
    past = Baseline(None, dependent=True, season="none")
    past.warmup(values, [1.0] * len(values))
    assert past.dependence == pytest.approx((a, b), abs=0.03)
    assert past.power == 1.0  # nothing is left between the surprises
    told = 0.5 + a * (values[-1] - 0.5) + b * (values[-2] - 0.5)
    assert past.expected(None) == pytest.approx(told, abs=0.02)


def test_points_that_alternate_are_taken_as_independent() -> None:
    """They make a mean steadier, not shakier: nothing has to be guarded against."""
    past = Baseline(None, dependent=True, season="none")
    past.warmup([0.0, 1.0] * 500, [1.0] * 1000)
    assert past.dependence == INDEPENDENT
    assert past.inflation == 1.0


def test_a_fixed_level_stays_what_it_is() -> None:
    past = Baseline(0.9, dependent=False, season="auto")
    for _ in range(1000):
        past.learn(0.0, 1.0, None)
    assert past.level == past.expected(None) == 0.9


@given(st.lists(st.floats(0, 1), max_size=300), st.binary(max_size=400), st.integers(0, 400), st.integers(0, 255))
def test_any_state_is_read_sanely_or_refused(values: list[float], noise: bytes, at: int, byte: int) -> None:
    past = Baseline(None, dependent=True, season="none")
    past.warmup(values, [1.0] * len(values))
    good = past.state()
    for state in (good, noise, good[:at] + bytes([byte]) + good[at + 1 :], good + noise):
        other = Baseline(None, dependent=True, season="none")
        try:
            other.restore(state)
        except ValueError:
            continue
        assert 0.0 < other.expected(None) < 1.0
        other.learn(0.5, 1.0, None)
    other = Baseline(None, dependent=True, season="none")
    other.restore(good)
    assert other.state() == good
