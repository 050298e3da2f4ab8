"""A flood is held back, told of, and nothing in it lost: above all no end. On a fake clock."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from alerts.base import Notification, Retryable
from alerts.limit import MOST_MESSAGES, Window, parse_rate_limit
from alerts.schedule import LONGEST_BACKOFF_SECONDS
from collector.core.clock import FakeClock
from drift.base import Change
from tests.alerts.conftest import EXAMPLE
from tests.alerts.world import FIRING, HOUR, REMINDER, RESOLVED, FakeNotifier, World, over

SECOND = 10**9
MINUTE = 60.0


@dataclass
class LimitedNotifier(FakeNotifier):
    """Takes three messages a minute, a change each; knows when it got them."""

    rate_limit: str | None = "3 per minute"
    largest_group: int = 1
    clock: FakeClock | None = None
    at_ns: list[int] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def notify(self, notifications: Sequence[Notification]) -> None:
        super().notify(notifications)
        if self.clock is not None:
            self.at_ns.append(self.clock.now_ns())
        self.notes += [n.annotations["rate_limit"] for n in notifications if "rate_limit" in n.annotations]


Make = Callable[..., Change]


def flood(world: World, make_change: Make, count: int) -> list[Change]:
    changes = [make_change(id=f"{number:03}") for number in range(count)]
    for change in changes:
        world.deliverer.accept(change)
    return changes


def test_a_flood_is_held_back_and_told_when_there_is_room(make_change: Make) -> None:
    hook = LimitedNotifier()
    world = World(hook)
    flood(world, make_change, 8)
    world.run()
    assert hook.got == [("000", FIRING), ("001", FIRING), ("002", FIRING)]

    world.run(MINUTE - 1)
    assert len(hook.got) == 3
    world.run(1)
    assert [change_id for change_id, _ in hook.got] == ["000", "001", "002", "003", "004", "005"]
    world.run(MINUTE)
    assert hook.got == [(f"{number:03}", FIRING) for number in range(8)]


def test_what_is_held_back_is_counted_once_and_still_pending(make_change: Make) -> None:
    world = World(LimitedNotifier())
    flood(world, make_change, 8)
    world.run(MINUTE / 2)

    assert world.count("held_back", FIRING) == 5
    pending = next(i for i in world.telemetry.instruments() if i.name == "driftline_notification_pending")
    assert pending.values() == {("hook",): 5}


def test_the_last_message_that_fits_says_what_waits_and_until_when(make_change: Make) -> None:
    hook = LimitedNotifier()
    world = World(hook)
    flood(world, make_change, 8)
    world.run()

    (note,) = hook.notes
    assert note.startswith("The limit of 3 per minute is reached: 5 more wait, and what begins before ")
    assert note.endswith(" UTC is told then.")


def test_the_usual_day_has_no_word_of_a_limit(make_change: Make) -> None:
    hook = LimitedNotifier()
    world = World(hook)
    for change in flood(world, make_change, 1):
        world.run()
        world.deliverer.accept(over(change))
        world.run()

    assert [kind for _, kind in hook.got] == [FIRING, RESOLVED]
    assert hook.notes == []
    assert world.count("held_back", FIRING) == 0


def test_an_end_never_waits(make_change: Make) -> None:
    hook = LimitedNotifier()
    world = World(hook)
    told, *_ = flood(world, make_change, 8)
    world.run()
    world.deliverer.accept(over(told))
    world.run()

    assert hook.got[3:] == [("000", RESOLVED)]
    assert world.count("held_back", RESOLVED) == 0


def test_what_began_and_ended_while_it_was_held_back_is_told_once_by_its_end(make_change: Make) -> None:
    hook = LimitedNotifier()
    world = World(hook)
    changes = flood(world, make_change, 5)
    world.run()
    for change in changes[3:]:
        world.deliverer.accept(over(change))
    world.run(10 * MINUTE)

    assert hook.got[3:] == [("003", RESOLVED), ("004", RESOLVED)]
    assert len(world.deliverer.active()) == 3


def test_what_is_held_back_and_goes_on_is_told_as_it_is_then(make_change: Make) -> None:
    hook = LimitedNotifier()
    world = World(hook)
    changes = flood(world, make_change, 4)
    world.run()
    world.deliverer.accept(over(changes[3]))
    world.run(MINUTE / 2)
    world.deliverer.accept(replace(changes[3], sequence=5))  # back before anybody heard of its end
    world.run(MINUTE)

    assert hook.got[3:] == [("003", FIRING)]


def test_reminders_wait_for_news(make_change: Make) -> None:
    hook = LimitedNotifier()
    world = World(hook, repeat_seconds=2 * MINUTE)
    flood(world, make_change, 3)
    world.run(2 * MINUTE - 1)
    for number in range(3):
        world.deliverer.accept(make_change(id=f"new{number}", detected_ns=EXAMPLE.detected_ns + 10**12))
    world.run(1.5)

    assert sorted(hook.got[3:]) == [("new0", FIRING), ("new1", FIRING), ("new2", FIRING)]
    world.run(MINUTE)
    assert [kind for _, kind in hook.got[6:]] == [REMINDER] * 3
    assert world.count("held_back", REMINDER) == 3


def test_news_that_failed_before_still_goes_before_a_reminder(make_change: Make) -> None:
    hook = LimitedNotifier(rate_limit="1 per minute")
    world = World(hook, repeat_seconds=2 * MINUTE)
    world.deliverer.accept(make_change(id="known"))
    world.run(95)
    hook.error = Retryable("connection", "no", retry_after_seconds=40)
    world.deliverer.accept(make_change(id="news"))  # due again after 135 seconds, the reminder after 120
    world.run(5)
    hook.error = None
    world.deliverer.accept(make_change(id="other"))  # fills the window until 160
    world.run(61)

    assert hook.got == [("known", FIRING), ("other", FIRING), ("news", FIRING)]


def test_a_message_that_tells_of_several_counts_once(make_change: Make) -> None:
    hook = LimitedNotifier(largest_group=5)
    world = World(hook)
    flood(world, make_change, 17)
    world.run()

    assert [len(group) for group in hook.groups] == [5, 5, 5]
    assert len(hook.notes) == 1  # once in the message, not once a change
    world.run(MINUTE)
    assert [len(group) for group in hook.groups] == [5, 5, 5, 2]


def test_the_limit_outlives_a_restart(make_change: Make) -> None:
    hook = LimitedNotifier()
    world = World(hook)
    changes = flood(world, make_change, 8)
    world.run()
    world.restart()
    world.run(MINUTE / 2)
    assert len(hook.got) == 3

    for change in changes[5:]:
        world.deliverer.accept(over(change))
    world.commit()
    world.restart()
    world.run(MINUTE)
    assert hook.got[3:] == [("003", FIRING), ("004", FIRING), ("005", RESOLVED)]
    assert world.count("held_back", FIRING) == 5  # counted before the restart, and not again


def test_only_what_arrived_counts_against_the_limit(make_change: Make) -> None:
    hook = LimitedNotifier(error=Retryable("connection", "no"))
    world = World(hook)
    flood(world, make_change, 3)
    world.run(MINUTE / 2)
    assert hook.attempts > 3
    hook.error = None
    world.run(LONGEST_BACKOFF_SECONDS)

    assert sorted(hook.got) == [("000", FIRING), ("001", FIRING), ("002", FIRING)]


def test_a_limit_of_one_notifier_is_none_of_anothers(make_change: Make) -> None:
    limited, free = LimitedNotifier("limited"), FakeNotifier("free")
    world = World(limited, free)
    flood(world, make_change, 8)
    world.run()

    assert len(limited.got) == 3
    assert len(free.got) == 8


def test_a_window_that_cannot_be_read_is_counted_and_begins_anew(make_change: Make) -> None:
    hook = LimitedNotifier()
    world = World(hook)
    flood(world, make_change, 4)
    world.run()
    for broken in (b"{}", b"\xff", b'["x"]', b"[true]", b"[1.5]"):
        world.store["limits/hook"] = broken
        world.restart()
    assert world.fates()["unreadable"] == 5
    world.run()
    assert len(hook.got) == 4


# --- the window itself ---


@given(
    st.integers(1, 5),
    st.lists(st.tuples(st.integers(0, 40), st.booleans()), max_size=60),
)
def test_no_stretch_of_time_has_more_than_the_limit_wherever_it_begins(
    count: int, steps: list[tuple[int, bool]]
) -> None:
    window, now_ns, sent = Window(parse_rate_limit(f"{count} per minute")), 10**18, []
    for seconds, restart in steps:
        now_ns += seconds * SECOND
        if restart:
            state = window.take_state()
            fresh = Window(window.limit)
            assert fresh.restore(state) if state is not None else True
            window = fresh if state is not None else window
        if window.room(now_ns):
            window.add(now_ns)
            sent.append(now_ns)
        else:
            assert window.free_ns(now_ns) > now_ns
            assert window.room(window.free_ns(now_ns)) and not window.room(window.free_ns(now_ns) - 1)
    for first in sent:
        assert sum(first <= at_ns < first + 60 * SECOND for at_ns in sent) <= count


def test_a_clock_that_goes_back_neither_locks_the_window_nor_empties_it() -> None:
    window = Window(parse_rate_limit("2 per hour"))
    later, now_ns = 10**18 + 10**6 * SECOND, 10**18
    window.add(later)
    window.add(later)

    assert window.room(now_ns) == 0
    assert window.free_ns(now_ns) == now_ns + round(HOUR) * SECOND


def test_the_memory_of_a_window_is_bounded() -> None:
    window = Window(parse_rate_limit(f"{MOST_MESSAGES} per week"))
    for number in range(2 * MOST_MESSAGES + 10):
        window.add(10**18 + number)
    state = window.take_state()
    assert state is not None and state.count(b",") < 2 * MOST_MESSAGES


def test_without_a_limit_there_is_always_room_and_nothing_to_store() -> None:
    window = Window(None)
    window.add(1)
    assert (window.room(2), window.free_ns(2), window.take_state()) == (None, 2, None)


@pytest.mark.parametrize(
    "value", [30, "30", "0 per hour", "1.5 per hour", "1001 per hour", "30 per month", "30 per second", "x", None, []]
)
def test_what_is_no_limit_is_refused_with_what_is(value: object) -> None:
    with pytest.raises(ValueError, match=r"30 per hour|from 1 to 1000 per period"):
        parse_rate_limit(value)


# --- any order of events ---


class Flood(RuleBasedStateMachine):
    """Changes that begin and end in any order, restarts, failures: the limit holds, and in the end all was told."""

    def __init__(self) -> None:
        super().__init__()
        self.hook = LimitedNotifier()
        self.world = World(self.hook, give_up_seconds=1e9, repeat_seconds=10 * MINUTE)
        self.hook.clock = self.world.clock
        self.log: dict[str, Change] = {}

    def offer(self, change: Change) -> None:
        self.log[change.id] = change
        self.world.deliverer.accept(change)
        self.world.commit()

    @rule(count=st.integers(1, 6))
    def some_begin(self, count: int) -> None:
        for _ in range(count):
            self.offer(replace(EXAMPLE, id=f"{len(self.log):03}"))

    @rule(place=st.integers(0, 200))
    def one_ends_or_comes_back(self, place: int) -> None:
        if self.log:
            change = list(self.log.values())[place % len(self.log)]
            active = change.status == "active"
            again = {"status": "active", "resolved_ns": None, "sequence": change.sequence + 1}
            self.offer(over(change) if active else replace(change, **again))

    @rule(seconds=st.sampled_from([0, 1, 20, 61, 700]))
    def time_passes(self, seconds: float) -> None:
        self.world.run(seconds)

    @rule(broken=st.booleans())
    def notifier_turns(self, broken: bool) -> None:
        self.hook.error = Retryable("connection", "no") if broken else None

    @rule()
    def restarts(self) -> None:
        self.world.restart()

    @invariant()
    def no_minute_has_more_than_three_messages_that_could_have_waited(self) -> None:
        told = list(zip(self.hook.at_ns, (group[0] for group in self.hook.groups), strict=True))
        fired: set[str] = set()
        waiting: list[int] = []
        for at_ns, (change_id, kind) in told:
            if kind != RESOLVED or change_id not in fired:
                waiting.append(at_ns)
            fired = fired - {change_id} if kind == RESOLVED else fired | {change_id}
        for first in waiting:
            assert sum(first <= at_ns < first + 60 * SECOND for at_ns in waiting) <= 3

    @invariant()
    def no_beginning_is_told_twice_and_no_reminder_before_it(self) -> None:
        for change_id in self.log:
            kinds = [kind for name, kind in self.hook.got if name == change_id]
            assert (FIRING, FIRING) not in pairwise(kinds)
            assert kinds[:1] != [REMINDER]

    def teardown(self) -> None:
        self.hook.error = None
        self.world.run(LONGEST_BACKOFF_SECONDS)
        last = dict(self.hook.got)
        fired = {name for name, kind in self.hook.got if kind == FIRING}
        ended = {name for name, change in self.log.items() if change.status == "resolved"}
        assert all(last[name] == RESOLVED for name in ended & fired)  # an end that somebody waits for is told by now
        self.world.run(MINUTE * len(self.log) + 20 * MINUTE)
        last = dict(self.hook.got)
        for name, change in self.log.items():
            assert (last[name] == RESOLVED) == (change.status == "resolved")
        state = next(i for i in self.world.telemetry.instruments() if i.name == "driftline_notification_pending")
        assert state.values() == {("hook",): 0}


class TestFlood(Flood.TestCase):
    settings = settings(max_examples=40, stateful_step_count=20, deadline=None)
