"""Levels by the hour."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drift.season import Season

HOUR_NS = 3600 * 10**9
MONDAY_NS = 4 * 24 * HOUR_NS  # 1970-01-05


def filled(kind: str, days: int, swing: float, seed: int = 1) -> Season:
    """A rate of .8, that is `swing` higher in the first half of the day and lower in the second; 40 points an hour."""
    rng, season = Random(seed), Season(kind)
    for hour in range(24 * days):
        rate = 0.8 + (swing if hour % 24 < 12 else -swing)
        for point in range(40):
            season.learn(MONDAY_NS + hour * HOUR_NS + point, float(rng.random() < rate), 1.0, 0.8)
    return season


def test_hours_that_differ_are_found_after_a_week() -> None:
    assert not filled("auto", 6, 0.05).active
    season = filled("auto", 8, 0.05)
    assert season.active
    n = 8 * 40
    for hour in range(24):
        swing = 0.05 if hour < 12 else -0.05
        assert season.offset(MONDAY_NS + hour * HOUR_NS) == pytest.approx(swing * n / (n + 200), abs=0.04)


def test_hours_that_are_alike_are_taken_as_one() -> None:
    assert sum(filled("auto", 8, 0.0, seed).active for seed in range(20)) == 0


def test_a_season_that_is_asked_for_is_used_without_a_test() -> None:
    assert filled("hour_of_day", 8, 0.0).active


def test_hours_of_the_week_begin_on_monday() -> None:
    season = Season("hour_of_week")
    for week in range(2):
        for hour in range(168):
            for point in range(40):
                at = MONDAY_NS + (week * 168 + hour) * HOUR_NS + point
                season.learn(at, 1.0 if hour < 24 else 0.5, 1.0, 0.57)
    assert season.offset(MONDAY_NS + 3 * HOUR_NS) > 0.1
    assert season.offset(MONDAY_NS + 27 * HOUR_NS) < 0


def test_another_kind_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'lunar'.*auto, none"):
        Season("lunar")


@given(st.binary(max_size=450), st.integers(0, 420), st.integers(0, 255))
def test_any_state_is_read_sanely_or_refused(noise: bytes, at: int, byte: int) -> None:
    good = SAVED
    for state in (noise, good[:at] + bytes([byte]) + good[at + 1 :]):
        season = Season("auto")
        try:
            season.restore(state)
        except ValueError:
            continue
        assert abs(season.offset(MONDAY_NS)) <= 1.0
    season = Season("auto")
    season.restore(good)
    assert season.state() == good


SAVED = filled("auto", 8, 0.05).state()
