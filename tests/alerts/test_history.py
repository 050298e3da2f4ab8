"""Who was told what: kept in order, bounded, through restarts and beyond the end of a change."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.base import REASONS, Permanent, Retryable
from alerts.history import MOST_DELIVERIES, Delivery, added, from_json, to_json
from drift.base import Change
from tests.alerts.world import HOUR, FakeNotifier, StateNotifier, World, over

_DELIVERIES = st.builds(
    Delivery,
    st.sampled_from(["slack", "email", "log"]),
    st.sampled_from(["firing", "reminder", "resolved"]),
    st.sampled_from(["delivered", "retry", "split", "refused", "given_up", "held_back"]),
    st.sampled_from(["", *REASONS]),
    st.text(max_size=400),
    st.integers(0, 2**60),
    st.integers(0, 2**60),
)


def told(world: World, change_id: str = "a") -> list[tuple[str, str, str, int]]:
    return [(one.notifier, one.kind, one.outcome, one.count) for one in world.deliverer.deliveries(change_id)]


@pytest.fixture
def change(make_change: Callable[..., Change]) -> Change:
    return make_change(id="a")


def test_each_step_is_on_record_with_its_outcome_and_time(change: Change) -> None:
    hook = FakeNotifier()
    world = World(hook, repeat_seconds=HOUR)
    world.deliverer.accept(change)
    world.run()
    began_ns = world.clock.now_ns()
    world.run(2.5 * HOUR)
    world.deliverer.accept(over(change))
    world.run()

    assert told(world) == [
        ("hook", "firing", "delivered", 1),
        ("hook", "reminder", "delivered", 2),
        ("hook", "resolved", "delivered", 1),
    ]
    first, reminders, last = world.deliverer.deliveries("a")
    assert first.first_ns == first.last_ns == began_ns
    assert (reminders.first_ns, reminders.last_ns) == (began_ns + 3600 * 10**9, began_ns + 7200 * 10**9)
    assert last.first_ns == world.clock.now_ns()


def test_failures_are_on_record_with_reason_and_message(change: Change) -> None:
    hook = FakeNotifier(error=Retryable("rate_limited", "answered 429: " + "x" * 1000))
    world = World(hook)
    world.deliverer.accept(change)
    world.run(10)
    hook.error = Permanent("auth", "answered 403: no")
    world.run(60)

    retried, refused = world.deliverer.deliveries("a")
    assert (retried.outcome, retried.reason) == ("retry", "rate_limited")
    assert retried.count == world.count("retry", "rate_limited") > 2
    assert len(retried.message) == 200
    assert (refused.outcome, refused.reason, refused.message) == ("refused", "auth", "answered 403: no")


def test_the_record_outlives_a_restart_and_the_end_of_the_change(change: Change) -> None:
    world = World(FakeNotifier(), StateNotifier("manager"))
    world.deliverer.accept(change)
    world.run(10 * 60)
    before = told(world)
    world.restart()
    assert (
        told(world)
        == before
        == [
            ("hook", "firing", "delivered", 1),
            ("manager", "firing", "delivered", 1),
            ("manager", "reminder", "delivered", 10),
        ]
    )

    world.deliverer.accept(over(change))
    world.run()
    world.restart()
    assert told(world) == [*before, ("hook", "resolved", "delivered", 1), ("manager", "resolved", "delivered", 1)]


def test_a_change_that_comes_back_goes_on_with_its_record(change: Change) -> None:
    world = World(FakeNotifier())
    for number, record in enumerate(
        (change, over(change), over(change, status="active", resolved_ns=None, sequence=9))
    ):
        world.deliverer.accept(record)
        world.run()
        assert len(told(world)) == number + 1


def test_of_a_change_that_nobody_knows_nothing_is_on_record() -> None:
    assert World(FakeNotifier()).deliverer.deliveries("nobody") == ()


def test_state_of_before_there_was_a_record_is_read(change: Change) -> None:
    world = World(FakeNotifier())
    world.deliverer.accept(change)
    world.run()
    key, value = next(iter(world.store.items()))
    begin, _, _ = value.partition(b',"deliveries"')
    world.store[key] = begin + b"}"
    world.restart()
    world.deliverer.accept(over(change))
    world.run()

    assert "unreadable" not in world.fates()
    assert told(world) == [("hook", "resolved", "delivered", 1)]


@given(st.lists(_DELIVERIES, max_size=80))
@settings(deadline=None)
def test_the_record_is_bounded_in_order_and_survives_storing(deliveries: list[Delivery]) -> None:
    record: tuple[Delivery, ...] = ()
    for one in deliveries:
        record = added(record, one)
        assert any(kept.notifier == one.notifier and kept.last_ns == one.last_ns for kept in record)

    assert len(record) <= MOST_DELIVERIES
    assert sum(one.count for one in record) == len(deliveries) or len(record) == MOST_DELIVERIES
    assert all(len(one.message) <= 200 for one in record)
    assert from_json(to_json(record)) == record


def test_of_many_different_outcomes_the_newest_stay() -> None:
    record: tuple[Delivery, ...] = ()
    for at_ns in range(100):
        record = added(record, Delivery("slack", "firing", "retry", REASONS[at_ns % 2], "", at_ns, at_ns))

    assert [one.first_ns for one in record] == list(range(100 - MOST_DELIVERIES, 100))


@pytest.mark.parametrize(
    "stored",
    [
        [{}],
        [{"notifier": "a"}],
        [[]],
        [1],
        [dict(to_json([Delivery("a", "firing", "delivered", "", "", 1, 1)])[0], kind="other")],
        [dict(to_json([Delivery("a", "firing", "delivered", "", "", 1, 1)])[0], outcome="lost")],
        [dict(to_json([Delivery("a", "firing", "delivered", "", "", 1, 1)])[0], count="1")],
        [dict(to_json([Delivery("a", "firing", "delivered", "", "", 1, 1)])[0], message=None)],
        [dict(to_json([Delivery("a", "firing", "delivered", "", "", 1, 1)])[0], more=1)],
    ],
)
def test_what_is_no_record_is_refused(stored: list) -> None:
    with pytest.raises((TypeError, ValueError)):
        from_json(stored)
