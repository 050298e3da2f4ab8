"""The exceptions: what they carry, and that callers can tell them apart."""

import pickle

import pytest

from collector.core import errors
from collector.core.clock import FakeClock, SystemClock
from collector.core.errors import DriftlineError, Fenced, Lost, Overloaded, Rejected, StoreError, UserError


def test_all_of_ours_have_one_base_and_are_no_kind_of_each_other() -> None:
    ours = [Rejected, Overloaded, Lost, Fenced, StoreError, UserError]
    assert all(one.__bases__ == (DriftlineError,) for one in ours)
    assert {name for name in vars(errors) if not name.startswith("_")} == {one.__name__ for one in ours} | {
        "DriftlineError"
    }


def test_the_tree_in_the_documentation_has_all_of_them() -> None:
    assert errors.__doc__ is not None
    for one in DriftlineError.__subclasses__():
        if one.__module__ == errors.__name__:
            assert f"\n  {one.__name__} " in errors.__doc__


def test_a_rejection_has_a_reason_for_counters_and_words_for_people() -> None:
    error = Rejected("too_large", "the body is longer than 16 bytes")
    assert (error.reason, str(error)) == ("too_large", "the body is longer than 16 bytes")


def test_an_overload_says_when_to_come_back() -> None:
    assert Overloaded("backlog", "full").retry_after_seconds == 1
    assert Overloaded("backlog", "full", 30).retry_after_seconds == 30
    assert Overloaded("backlog", "full", 0).retry_after_seconds == 0


def test_a_user_error_has_a_line_for_each_problem() -> None:
    error = UserError("a: wrong", "b: wrong too")
    assert error.problems == ("a: wrong", "b: wrong too")
    assert str(error) == "a: wrong\nb: wrong too"


@pytest.mark.parametrize("error", [StoreError("disk full"), Fenced("taken over"), UserError("a", "b")])
def test_what_crosses_processes_survives_it(error: DriftlineError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert str(copy) == str(error)


def test_a_fake_clock_moves_only_when_told_and_the_real_one_by_itself() -> None:
    fake = FakeClock(7)
    assert (fake.now_ns(), fake.monotonic()) == (7, 0)
    fake.advance(0.5)
    assert (fake.now_ns(), fake.monotonic()) == (500_000_007, 0.5)
    real = SystemClock()
    first, second = real.monotonic(), real.monotonic()
    assert second >= first
    assert real.now_ns() > 1_600_000_000_000_000_000
