"""The false-page budget: what is handed out, and when event time is believed."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.core.event_clock import EventClock
from drift.budget import Budget, parse_false_pages

SECOND = 10**9
HOUR = 3600 * SECOND
NOW = 1_700_000_000 * SECOND


@pytest.mark.parametrize(
    ("text", "per_week"),
    [("1 per week", 1.0), ("2 per day", 14.0), ("0.5 per hour", 84.0), ("1 a week", 1.0), ("3  per  month", 0.7)],
)
def test_a_budget_is_read(text: str, per_week: float) -> None:
    assert parse_false_pages(text).per_week == pytest.approx(per_week)


@pytest.mark.parametrize(
    "value", ["", "1", "0 per week", "-1 per week", "1 per year", "nan per week", 1, None, "9" * 200]
)
def test_what_is_no_budget_is_refused_with_an_example(value: object) -> None:
    with pytest.raises(ValueError, match="1 per week"):
        parse_false_pages(value)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.integers(-2 * HOUR, 30 * HOUR), min_size=1, max_size=300),
    st.lists(st.integers(0, 5), min_size=300, max_size=300),
)
def test_never_more_is_handed_out_than_event_time_has_earned(steps: list[int], takers: list[int]) -> None:
    false_pages = parse_false_pages("1 per week")
    clock, budget, at, newest = EventClock(), Budget(false_pages), NOW, NOW
    clock.advance(NOW)
    for step, count in zip(steps, takers, strict=False):
        at = max(at + step, newest - HOUR)
        newest = max(newest, at)
        budget.earn(clock.advance(at))
        shares = [budget.share() for _ in range(count)]
        assert all(share >= 0 for share in shares)
        assert budget.spent <= false_pages.per_ns * (newest - NOW) * (1 + 1e-9)


@pytest.mark.parametrize("per_second", [0.01, 1, 50])
def test_the_budget_is_used_at_any_traffic(per_second: float) -> None:
    false_pages = parse_false_pages("1 per week")
    clock, budget, at = EventClock(), Budget(false_pages), NOW
    for _ in range(5000):
        at += round(SECOND / per_second)
        budget.earn(clock.advance(at))
        for _ in range(3):
            budget.share()
    assert budget.spent == pytest.approx(false_pages.per_ns * (at - NOW), rel=0.02)


def test_scores_of_one_trace_share_what_the_gap_before_it_earned() -> None:
    clock, budget, at = EventClock(), Budget(parse_false_pages("1 per week")), NOW
    for _ in range(2000):
        at += SECOND
        budget.earn(clock.advance(at))
        shares = [budget.share() for _ in range(6)]
    assert max(shares) < 1.15 * min(shares)


def test_a_long_silence_does_not_hand_one_point_a_large_share() -> None:
    clock, budget = EventClock(), Budget(parse_false_pages("1 per week"))
    clock.advance(NOW)
    for number in range(8):
        budget.earn(clock.advance(NOW + 100 * HOUR + number))
    assert clock.now_ns == NOW + 100 * HOUR
    assert budget.share() < parse_false_pages("1 per week").per_ns * 5 * SECOND


def test_one_point_from_the_far_future_does_not_stop_the_clock() -> None:
    clock = EventClock()
    clock.advance(NOW)
    assert clock.advance(NOW + 10**18) == 0
    assert clock.advance(NOW + SECOND) == SECOND


def test_a_service_with_a_clock_ahead_among_others_does_not_stop_the_clock() -> None:
    clock, rng, at = EventClock(), Random(1), NOW
    clock.advance(at)
    for _ in range(5000):
        at += SECOND
        clock.advance(at + 24 * HOUR if rng.random() < 0.2 else at)
    assert at - 60 * SECOND <= clock.now_ns <= at


def test_an_old_recording_after_a_new_one_sets_the_clock_back() -> None:
    clock = EventClock()
    clock.advance(NOW)
    for number in range(300):
        clock.advance(NOW - 1000 * HOUR + number * SECOND)
    assert clock.now_ns == NOW - 1000 * HOUR + 299 * SECOND


def test_late_points_do_not_move_the_clock() -> None:
    clock = EventClock()
    clock.advance(NOW)
    assert [clock.advance(NOW - step) for step in (1, SECOND, HOUR)] == [0, 0, 0]
    assert clock.now_ns == NOW


@pytest.mark.parametrize("raw", [None, [], [1, 2, 3], [1.0, 2, 3, 4], ["1", 2, 3, 4]])
def test_a_corrupt_clock_is_refused(raw: object) -> None:
    with pytest.raises(ValueError, match="event clock"):
        EventClock().load_json(raw)
