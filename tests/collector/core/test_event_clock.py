"""Event time: moves with the world, and neither a broken clock nor an old recording stops or tears it for long."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.core.event_clock import EventClock

SECOND = 10**9
HOUR = 3600 * SECOND
NOW = 1_790_000_000 * SECOND


def clock_at(now_ns: int = NOW) -> EventClock:
    clock = EventClock()
    clock.advance(now_ns)
    return clock


def test_the_first_time_is_believed_and_is_no_step() -> None:
    clock = EventClock()
    assert clock.now_ns == -1
    assert clock.advance(NOW) == 0
    assert clock.now_ns == NOW


def test_a_step_of_up_to_an_hour_is_believed_at_once() -> None:
    clock = clock_at()
    assert clock.advance(NOW + 5) == 5
    assert clock.advance(NOW + 5 + HOUR) == HOUR
    assert clock.now_ns == NOW + 5 + HOUR


def test_late_times_do_not_move_it() -> None:
    clock = clock_at()
    assert [clock.advance(NOW - late) for late in (0, 1, SECOND, HOUR)] == [0, 0, 0, 0]
    assert clock.now_ns == NOW


def test_one_clock_that_runs_far_ahead_is_not_believed() -> None:
    clock = clock_at()
    for number in range(100):
        assert clock.advance(NOW + 365 * 24 * HOUR) == 0
        assert clock.advance(NOW + number) in (0, 1)
    assert clock.now_ns == NOW + 99


def test_after_a_silence_eight_in_a_row_are_believed_at_the_least_of_them() -> None:
    clock = clock_at()
    times = [NOW + 5 * HOUR + extra for extra in (9, 3, 7, 8, 4, 6, 5, 10)]
    assert [clock.advance(at) for at in times[:7]] == [0] * 7
    assert clock.now_ns == NOW
    assert clock.advance(times[7]) == 5 * HOUR + 3
    assert clock.now_ns == NOW + 5 * HOUR + 3


def test_a_wild_time_among_the_eight_does_not_set_how_far_it_goes() -> None:
    clock = clock_at()
    for number in range(8):
        clock.advance(NOW + (2 * HOUR if number != 3 else 10**6 * HOUR))
    assert clock.now_ns == NOW + 2 * HOUR


def test_it_goes_back_only_when_hundreds_in_a_row_are_far_behind() -> None:
    clock = clock_at()
    old = NOW - 24 * HOUR
    assert [clock.advance(old) for _ in range(255)] == [0] * 255
    assert clock.now_ns == NOW
    assert clock.advance(old + 7) == 0
    assert clock.now_ns == old + 7
    assert clock.advance(old + 8) == 1


def test_one_time_that_fits_ends_a_row_of_old_ones() -> None:
    clock = clock_at()
    for _ in range(5):
        for _ in range(255):
            clock.advance(NOW - 24 * HOUR)
        clock.advance(NOW - 5 * SECOND)
    assert clock.now_ns == NOW


def test_a_first_time_from_the_far_future_is_put_right() -> None:
    clock = clock_at(2**63 - 1)
    for number in range(300):
        clock.advance(NOW + number)
    assert clock.now_ns == NOW + 299


@given(st.lists(st.integers(0, 2**63 - 1), max_size=60), st.integers(0, 60))
def test_what_it_returns_is_how_far_it_moved_and_a_copy_goes_on_alike(times: list[int], cut: int) -> None:
    clock = EventClock()
    for at in times[:cut]:
        before = clock.now_ns
        step = clock.advance(at)
        assert step >= 0
        assert step in (0, clock.now_ns - before)
    copy = EventClock()
    copy.load_json(clock.to_json())
    assert [clock.advance(at) for at in times[cut:]] == [copy.advance(at) for at in times[cut:]]
    assert copy.to_json() == clock.to_json()


@pytest.mark.parametrize("seed", range(5))
def test_with_one_bad_clock_in_ten_it_stays_with_the_others(seed: int) -> None:
    """Each of the bad times lies anywhere within ten years."""
    chance = random.Random(seed)
    clock = clock_at()
    for second in range(5000):
        bad = chance.random() < 0.1
        at = NOW + (chance.randrange(-87_600, 87_600) * HOUR if bad else second * SECOND)
        clock.advance(at)
    assert abs(clock.now_ns - (NOW + 4999 * SECOND)) < 2 * HOUR


@pytest.mark.parametrize(
    "raw", [None, {}, [], [1, 2, 3], [1, 2, 3, 4, 5], [1, 2, 3, "4"], [1, 2, 3, 4.0], [1, 2, 3, True], "1234"]
)
def test_state_that_is_not_its_own_is_refused_and_changes_nothing(raw: object) -> None:
    clock = clock_at()
    with pytest.raises(ValueError, match="four whole numbers are needed"):
        clock.load_json(raw)
    assert clock.now_ns == NOW
