"""Delivery as a state machine on a fake clock: nothing lost, nothing doubled, the end after the beginning, always."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from alerts.base import DeliveryError, Notification, Permanent, Retryable
from alerts.deliver import Deliverer
from alerts.explain import Wording
from alerts.journal import REMEMBERED_CHANGES
from alerts.outlet import LARGEST_GROUP
from alerts.schedule import LONGEST_BACKOFF_SECONDS, backoff_seconds
from collector.core.telemetry import Telemetry
from drift.base import Change, Estimate
from tests.alerts.world import (
    FIRING,
    HOUR,
    REMINDER,
    RESOLVED,
    DiaryNotifier,
    FakeNotifier,
    Inline,
    StateNotifier,
    World,
    over,
)


@pytest.fixture
def change(make_change: Callable[..., Change]) -> Change:
    return make_change(id="a")


def test_a_page_is_told_once_reminded_of_and_resolved(change: Change) -> None:
    hook = FakeNotifier()
    world = World(hook, repeat_seconds=4 * HOUR)
    world.deliverer.accept(change)
    world.run(9 * HOUR)
    world.deliverer.accept(over(change))
    world.run(24 * HOUR)

    assert hook.got == [("a", FIRING), ("a", REMINDER), ("a", REMINDER), ("a", RESOLVED)]
    assert world.count("delivered", REMINDER) == 2


def test_a_record_that_comes_again_changes_nothing(change: Change) -> None:
    hook = FakeNotifier()
    world = World(hook)
    for record in (change, change, over(change), over(change), change):
        world.deliverer.accept(record)
        world.run()

    assert hook.got == [("a", FIRING), ("a", RESOLVED)]
    assert world.fates() == {"new": 1, "resolved": 1, "duplicate": 3}


def test_an_update_rides_on_the_next_reminder_and_wakes_nobody(change: Change) -> None:
    hook = FakeNotifier()
    world = World(hook, repeat_seconds=HOUR)
    world.deliverer.accept(change)
    world.run()
    world.deliverer.accept(replace(change, sequence=2, after=Estimate(0.5, 0.4, 0.6, 99)))
    world.run(HOUR / 2)
    assert hook.got == [("a", FIRING)]

    world.run(HOUR)
    assert hook.got == [("a", FIRING), ("a", REMINDER)]


def test_a_state_notifier_is_told_again_every_minute(change: Change) -> None:
    manager, hook = StateNotifier("manager"), FakeNotifier()
    world = World(manager, hook)
    world.deliverer.accept(change)
    world.run(180)

    assert [kind for _, kind in manager.got] == [FIRING, REMINDER, REMINDER, REMINDER]
    assert hook.got == [("a", FIRING)]


def test_an_unpaged_change_reaches_the_diary_only_and_once(change: Change) -> None:
    hook, diary = FakeNotifier(), DiaryNotifier("diary")
    world = World(hook, diary)
    quiet = replace(change, paged=False)
    world.deliverer.accept(quiet)
    world.run(24 * HOUR)
    world.deliverer.accept(over(quiet))
    world.run(HOUR)

    assert hook.got == []
    assert diary.got == [("a", FIRING), ("a", RESOLVED)]


def test_a_change_that_becomes_a_page_is_told_then_and_one_that_ceases_to_be_is_resolved(change: Change) -> None:
    hook = FakeNotifier()
    world = World(hook)
    world.deliverer.accept(replace(change, paged=False))
    world.run()
    assert hook.got == []
    world.deliverer.accept(replace(change, sequence=2))
    world.run()
    assert hook.got == [("a", FIRING)]
    world.deliverer.accept(replace(change, sequence=3, paged=False))
    world.run(24 * HOUR)
    world.deliverer.accept(over(change, sequence=4, paged=False))
    world.run()
    assert hook.got == [("a", FIRING), ("a", RESOLVED)]


def test_an_end_without_a_beginning_is_not_told(change: Change) -> None:
    hook = FakeNotifier()
    world = World(hook)
    world.deliverer.accept(over(change))
    world.deliverer.accept(change)
    world.run(24 * HOUR)

    assert hook.got == []
    assert world.fates() == {"unmatched": 1, "duplicate": 1}


def test_a_change_that_comes_back_is_told_anew(change: Change) -> None:
    hook = FakeNotifier()
    world = World(hook)
    for record in (change, over(change), replace(change, sequence=3), over(change, sequence=4)):
        world.deliverer.accept(record)
        world.run()

    assert [kind for _, kind in hook.got] == [FIRING, RESOLVED, FIRING, RESOLVED]


def test_all_that_is_due_goes_out_as_one_group(make_change: Callable[..., Change]) -> None:
    hook = FakeNotifier()
    world = World(hook)
    for number in range(LARGEST_GROUP + 1):
        world.deliverer.accept(make_change(id=f"{number:03}"))
    world.run()

    assert [len(group) for group in hook.groups] == [LARGEST_GROUP, 1]
    assert [change_id for change_id, _ in hook.got] == [f"{number:03}" for number in range(LARGEST_GROUP + 1)]


def test_what_fails_is_tried_again_with_growing_waits_until_it_arrives(change: Change) -> None:
    hook = FakeNotifier(error=Retryable("connection", "refused"))
    world = World(hook)
    world.deliverer.accept(change)
    waits = []
    for _ in range(12):
        waits.append(world.run())
        world.clock.advance(waits[-1])
    assert waits[:3] == pytest.approx([backoff_seconds("a hook", attempt) for attempt in range(3)])
    assert all(later > earlier for earlier, later in pairwise(waits[:6]))
    assert max(waits) <= 60.0  # it looks again at least every minute, due or not

    hook.error = None
    world.run(LONGEST_BACKOFF_SECONDS)
    assert hook.got == [("a", FIRING)]
    assert world.count("retry", "connection") >= 9


def test_the_wait_that_the_other_side_asks_for_is_kept(change: Change) -> None:
    hook = FakeNotifier(error=Retryable("rate_limited", "later", retry_after_seconds=30))
    world = World(hook)
    world.deliverer.accept(change)
    assert world.run() == 30
    world.run(29.9)
    assert hook.attempts == 1
    world.run(0.2)
    assert hook.attempts == 2


def test_waits_differ_between_changes_that_failed_together() -> None:
    assert len({backoff_seconds(f"change-{number} hook", 5) for number in range(50)}) == 50


def test_a_beginning_that_could_not_be_told_in_time_is_told_before_the_end(change: Change) -> None:
    hook = FakeNotifier(error=Retryable("connection", "refused"))
    world = World(hook)
    world.deliverer.accept(change)
    world.run(60)
    world.deliverer.accept(over(change))
    world.run(60)
    hook.error = None
    world.run(LONGEST_BACKOFF_SECONDS)

    assert hook.got == [("a", FIRING), ("a", RESOLVED)]


def test_a_notifier_that_stays_down_is_given_up_and_counted_then_tried_at_the_next_reminder(change: Change) -> None:
    hook = FakeNotifier(error=Retryable("timeout", "slow"))
    world = World(hook, give_up_seconds=HOUR, repeat_seconds=4 * HOUR)
    world.deliverer.accept(change)
    world.run(2 * HOUR)
    attempts = hook.attempts
    assert world.count("given_up", "timeout") == 1
    world.run(2 * HOUR)
    assert hook.attempts == attempts

    hook.error = None
    world.run(2 * HOUR)
    assert hook.got == [("a", FIRING)]


def test_a_refusal_is_counted_and_not_tried_again(change: Change) -> None:
    hook = FakeNotifier(error=Permanent("auth", "no"))
    world = World(hook, repeat_seconds=4 * HOUR)
    world.deliverer.accept(change)
    world.run(3 * HOUR)

    assert hook.attempts == 1
    assert world.count("refused", "auth") == 1


def test_nobody_hears_the_end_of_what_they_never_heard_begin(change: Change) -> None:
    hook = FakeNotifier(error=Permanent("auth", "no"))
    world = World(hook)
    world.deliverer.accept(change)
    world.run()
    hook.error = None
    world.deliverer.accept(over(change))
    world.run(24 * HOUR)

    assert hook.got == []
    assert world.deliverer.active() == []


@pytest.mark.parametrize("error", [Permanent("client_error", "no"), Retryable("server_error", "crash")])
def test_one_that_is_refused_does_not_hold_up_the_others(
    error: DeliveryError, make_change: Callable[..., Change]
) -> None:
    hook = FakeNotifier(poison="b", poison_error=error)
    world = World(hook)
    for change_id in "abc":
        world.deliverer.accept(make_change(id=change_id))
    world.run(10)

    assert sorted(hook.got) == [("a", FIRING), ("c", FIRING)]


def test_a_failing_notifier_does_not_hold_up_another(change: Change) -> None:
    down, up = FakeNotifier("down", error=Retryable("dns", "no")), FakeNotifier("up")
    world = World(down, up)
    world.deliverer.accept(change)
    world.run()

    assert up.got == [("a", FIRING)]
    assert world.count("retry", "dns", "down") == 1


def test_a_notifier_that_raises_what_it_should_not_is_tried_again(change: Change) -> None:
    hook = FakeNotifier(error=KeyError("bug"))
    world = World(hook)
    world.deliverer.accept(change)
    world.run()
    hook.error = None
    world.run(2)

    assert world.count("retry", "server_error") == 1
    assert hook.got == [("a", FIRING)]


def test_a_slow_notifier_does_not_starve_another(change: Change) -> None:
    gate, told = threading.Event(), threading.Event()

    class Slow(FakeNotifier):
        def notify(self, notifications: Sequence[Notification]) -> None:
            assert gate.wait(10)
            super().notify(notifications)

    class Quick(FakeNotifier):
        def notify(self, notifications: Sequence[Notification]) -> None:
            super().notify(notifications)
            told.set()

    slow, quick = Slow("slow"), Quick("quick")
    deliverer = Deliverer([slow, quick], Wording(), Telemetry())
    deliverer.accept(change)
    assert deliverer.run_due(0) <= 0.1
    assert told.wait(10)
    assert slow.got == []

    gate.set()
    deliverer.close(0)
    assert slow.got == quick.got == [("a", FIRING)]
    restored = Deliverer([slow, quick], Wording(), Telemetry(), executor=Inline())
    restored.restore({key: value for key, value in deliverer.take_state().items() if value is not None})
    restored.run_due(1)
    assert slow.got == quick.got == [("a", FIRING)]


def test_pending_and_duration_are_measured(make_change: Callable[..., Change]) -> None:
    hook = FakeNotifier(error=Retryable("connection", "no"))
    world = World(hook)
    world.deliverer.accept(make_change(id="a"))
    world.deliverer.accept(make_change(id="b"))
    world.run()
    gauges = {i.name: i.values() for i in world.telemetry.instruments()}
    assert gauges["driftline_notification_pending"] == {("hook",): 2}
    assert sum(gauges["driftline_notification_seconds"][("hook",)].counts) == 1

    hook.error = None
    world.run(LONGEST_BACKOFF_SECONDS)
    gauges = {i.name: i.values() for i in world.telemetry.instruments()}
    assert gauges["driftline_notification_pending"] == {("hook",): 0}


def test_state_that_cannot_be_read_is_counted_and_the_rest_goes_on(change: Change) -> None:
    hook = FakeNotifier()
    world = World(hook)
    world.deliverer.accept(change)
    world.run()
    good = dict(world.store)
    value = next(iter(good.values()))
    world.store = {
        **good,
        "alerts/b": b"",
        "alerts/c": b"\xff",
        "alerts/d": b"[]",
        "alerts/e": b"{}",
        "alerts/f": value,
        "alerts/g": b'{"finished": [1]}',
        "alerts/h": value.replace(b'"fired":true', b'"fired":7'),
        "alerts/i": value.replace(b'"fired"', b'"to_json"'),
        "series/a": b"not ours",
    }
    world.restart()
    world.run()
    world.deliverer.accept(over(change))
    world.run()

    assert hook.got == [("a", FIRING), ("a", RESOLVED)]
    assert world.fates()["unreadable"] == 8


def test_a_notifier_that_is_new_after_a_restart_hears_of_what_lasts_only(make_change: Callable[..., Change]) -> None:
    hook, late = FakeNotifier(), FakeNotifier("late")
    world = World(hook)
    lasting, finished = make_change(id="lasting"), make_change(id="finished")
    for record in (lasting, finished, over(finished)):
        world.deliverer.accept(record)
        world.run()
    world.notifiers = (hook, late)
    world.restart()
    world.run()

    assert late.got == [("lasting", FIRING)]
    assert len(hook.got) == 3


def test_finished_changes_are_forgotten_in_the_end(make_change: Callable[..., Change]) -> None:
    world = World(FakeNotifier())
    for number in range(REMEMBERED_CHANGES + 10):
        world.deliverer.accept(over(make_change(id=str(number))))
        world.commit()

    assert len(world.store) == REMEMBERED_CHANGES
    assert "alerts/9" not in world.store


class Delivery(RuleBasedStateMachine):
    """Any order of changes, repetitions, failures, passing time, restarts and crashes."""

    ids = st.sampled_from(["a", "b", "c"])
    example: Change  # set below

    def __init__(self) -> None:
        super().__init__()
        self.hook, self.manager = FakeNotifier(), StateNotifier("manager")
        self.world = World(self.hook, self.manager, give_up_seconds=1e9)
        self.log: dict[str, Change] = {}
        self.generation = 0
        self.crashed = False

    def offer(self, change: Change) -> None:
        self.log[change.id] = change
        self.world.deliverer.accept(change)
        self.world.commit()

    @rule(which=ids)
    def begins(self, which: str) -> None:
        if all(change.status == "resolved" for name, change in self.log.items() if name.startswith(which)):
            self.generation += 1
            self.offer(replace(self.example, id=f"{which}{self.generation}"))

    @rule(which=ids)
    def moves_on(self, which: str) -> None:
        for change in [c for n, c in self.log.items() if n.startswith(which) and c.status == "active"]:
            self.offer(replace(change, sequence=change.sequence + 1))

    @rule(which=ids)
    def ends(self, which: str) -> None:
        for change in [c for n, c in self.log.items() if n.startswith(which) and c.status == "active"]:
            self.offer(over(change))

    @rule()
    def log_repeats_itself(self) -> None:
        for change in self.log.values():
            self.world.deliverer.accept(change)

    @rule(broken=st.sampled_from([None, "connection", "server_error"]), manager=st.booleans())
    def notifier_turns(self, broken: str | None, manager: bool) -> None:
        notifier = self.manager if manager else self.hook
        notifier.error = None if broken is None else Retryable(broken, "no")

    @rule(seconds=st.sampled_from([0, 1, 30, 400]))
    def time_passes(self, seconds: float) -> None:
        self.world.run(seconds)

    @rule()
    def restarts(self) -> None:
        self.world.restart()

    @precondition(lambda self: not self.crashed)
    @rule()
    def crashes_between_sending_and_committing(self) -> None:
        self.crashed = True
        self.world.deliverer.run_due(self.world.clock.now_ns())
        self.world.restart()

    @invariant()
    def beginning_before_end_and_nothing_twice(self) -> None:
        for notifier in (self.hook, self.manager):
            for change_id in self.log:
                kinds = [kind for name, kind in notifier.got if name == change_id]
                if not self.crashed:
                    assert kinds.count(FIRING) <= 1
                    assert kinds.count(RESOLVED) <= 1
                assert kinds[:1] in ([], [FIRING])
                if RESOLVED in kinds:
                    assert set(kinds[kinds.index(RESOLVED) :]) == {RESOLVED}

    def teardown(self) -> None:
        """Once all works again, everybody has heard everything."""
        self.hook.error = self.manager.error = None
        self.world.run(2 * LONGEST_BACKOFF_SECONDS)
        for notifier in (self.hook, self.manager):
            for change_id, change in self.log.items():
                kinds = [kind for name, kind in notifier.got if name == change_id]
                assert FIRING in kinds
                assert (RESOLVED in kinds) == (change.status == "resolved")
        self.world.restart()
        active = [change.id for change in self.world.deliverer.active()]
        assert sorted(active) == sorted(c.id for c in self.log.values() if c.status == "active")


@pytest.fixture(autouse=True, scope="module")
def _example() -> None:
    none = Estimate(0.5, 0.4, 0.6, 100)
    Delivery.example = Change(
        "x", "active", "m", "s", "pass_rate", {}, "down", "mean", 2.0, 1.0, 10, 5, 4, 6, none, none, none, sequence=1
    )


class TestDelivery(Delivery.TestCase):
    settings = settings(max_examples=80, stateful_step_count=30, deadline=None)
