"""Sessions: what is ready when, what a late trace does, what bounds them, and that a restart changes nothing."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from collector.assemble_config import AssembleConfig
from collector.core.model import ToolCall, Trace
from collector.core.telemetry import Telemetry
from collector.sessions import ReadySession, Sessions
from collector.turns import Told, decode_turn, encode_turn, session_key, told_by

SECOND = 1_000_000_000
T0 = 1_700_000_000 * SECOND


def told(
    trace: int,
    session: str = "anna",
    at: float = 0,
    revision: int = 0,
    question: str = "How late is it?",
    **more: Any,
) -> Told:
    """The turn of a trace of one second that ends at `at`."""
    end_ns = T0 + round(at * SECOND)
    found = told_by(
        Trace(
            f"{trace:032x}",
            end_ns - SECOND,
            end_ns,
            session_id=session,
            question=question,
            answer="Late.",
            resource={"service.name": "shop"},
            **more,
        ),
        revision,
        1.0,
        {"service": "shop"},
    )
    assert found is not None
    return found


def sessions(**given: object) -> Sessions:
    defaults = {"session_idle": "10m", "session_max_age": "5h", "lateness": 0, "revision_window": "1h"}
    return Sessions(AssembleConfig.model_validate(defaults | given), Telemetry())


def traces(ready: ReadySession) -> list[int]:
    return [int(turn.trace_id, 16) for turn in ready.session.turns]


def feed(under: Sessions, *turns: Told) -> list[ReadySession]:
    return [ready for one in turns for ready in under.add(one)]


def at(under: Sessions, seconds: float) -> list[ReadySession]:
    return list(under.tick(T0 + round(seconds * SECOND)))


# --- ready ---


def test_a_session_is_ready_once_it_was_idle_with_its_turns_in_order_of_time() -> None:
    under = sessions()
    assert feed(under, told(2, at=60), told(1, at=0), told(9, "berta", at=100)) == []
    assert at(under, 659.999) == []
    (ready,) = at(under, 660)
    assert (traces(ready), ready.revision, ready.session.incomplete) == ([1, 2], 0, False)
    assert (ready.session.session_id, ready.session.service, ready.last.turn.trace_id) == ("anna", "shop", f"{2:032x}")


def test_sessions_of_one_id_in_two_services_are_two() -> None:
    under = sessions()
    other = told(2, at=1)
    other.service = "help"
    feed(under, told(1, at=0), other)
    assert sorted((ready.session.service, traces(ready)) for ready in at(under, 700)) == [("help", [2]), ("shop", [1])]


def test_a_trace_without_a_session_makes_no_turn() -> None:
    assert told_by(Trace("a" * 32), 0, 1.0, {}) is None
    assert told_by(Trace("a" * 32, session_id=""), 0, 1.0, {}) is None


def test_a_session_that_goes_on_is_revised_within_the_window_and_later_is_another() -> None:
    under = sessions()
    feed(under, told(1, at=0))
    (first,) = at(under, 600)
    assert feed(under, told(2, at=1000)) == []
    (again,) = at(under, 1600)
    assert (again.id, again.revision, traces(again)) == (first.id, 1, [1, 2])
    assert at(under, 1600 + 3600) == []
    feed(under, told(3, at=9000))
    (another,) = at(under, 9600)
    assert (another.revision, traces(another)) == (0, [3])
    assert another.id != first.id


def test_a_revised_trace_revises_its_session_and_one_that_says_nothing_new_does_not() -> None:
    under = sessions()
    feed(under, told(1, at=0, incomplete=True), told(2, at=30))
    (first,) = at(under, 630)
    assert first.session.incomplete
    assert feed(under, told(2, at=30)) == []
    (again,) = feed(under, told(1, at=0, revision=1))
    assert (again.revision, traces(again), again.session.incomplete) == (1, [1, 2], False)


def test_a_revision_of_a_trace_whose_session_was_let_go_is_too_late_and_begins_none() -> None:
    telemetry = Telemetry()
    under = Sessions(AssembleConfig.model_validate({"session_idle": "10m", "revision_window": "1h"}), telemetry)
    feed(under, told(1, at=0))
    assert len(at(under, 700)) == 1
    at(under, 5000)
    assert feed(under, told(1, at=0, revision=1)) == []
    assert at(under, 10_000) == []
    late = telemetry.counter("driftline_late_turns", "", ["outcome"]).values()
    assert late == {("too_late",): 1}


def test_what_was_told_of_scores_comes_back_with_the_next_revision() -> None:
    under = sessions()
    feed(under, told(1, at=0))
    (first,) = at(under, 600)
    under.scored(first.key, ["session_turns"])
    feed(under, told(2, at=700))
    (again,) = at(under, 1300)
    assert (first.scored, again.scored) == ((), ("session_turns",))


# --- bounds ---


@pytest.mark.parametrize(("limit", "value"), [("session_max_turns", 5), ("session_max_age", "90s")])
def test_a_session_that_is_too_long_is_scored_as_it_is_and_another_begins(limit: str, value: object) -> None:
    under = sessions(**{limit: value})
    ready = feed(under, *[told(number, at=20 * number) for number in range(1, 14)])
    ready += under.finish()
    assert [number for one in ready for number in traces(one)] == list(range(1, 14))
    assert len({one.id for one in ready}) == len(ready) == 3
    assert [one.session.incomplete for one in ready] == [True, True, False]
    assert {one.revision for one in ready} == {0}


def test_past_the_memory_limit_evaluated_sessions_go_first_then_the_oldest_open_one_as_it_is() -> None:
    under = sessions(max_sessions="16KiB")
    feed(under, told(1, "a", at=0))
    assert [traces(ready) for ready in at(under, 600)] == [[1]]
    assert feed(under, *[told(number, f"{number}", at=600) for number in (2, 3, 4, 5)]) == []
    evicted = feed(under, told(6, "f", at=600))
    assert [(traces(ready), ready.session.incomplete) for ready in evicted] == [([2], True)]
    assert under.held_bytes <= 16 * 1024


def test_a_turn_is_short_whatever_the_trace_holds() -> None:
    runs = [ToolCall(None, name="t" * 10_000, arguments={"x": "\x00\ud800" * 10_000}) for _ in range(1000)]
    one = told(1, question="\x00\ud800" * 100_000, tool_executions=runs)
    one.slices = {}
    assert len(encode_turn(one)) < 50_000
    assert decode_turn(encode_turn(one)) == one


@pytest.mark.parametrize("value", [b"", b"{}", b"[]", b"\xff", b'{"turn": 3}', b'{"turn": {"tools": [{"x": 1}]}}'])
def test_what_is_no_turn_is_refused_in_words(value: bytes) -> None:
    with pytest.raises(ValueError, match="not a turn of a session"):
        decode_turn(value)


# --- the same after a restart, or a move, anywhere ---


class Kept:
    """What an engine keeps: state that is committed now and then."""

    def __init__(self) -> None:
        self.state: dict[str, bytes] = {}

    def commit(self, under: Sessions) -> None:
        for key, value in under.take_state().items():
            if value is None:
                self.state.pop(key, None)
            else:
                self.state[key] = value


Outcome = tuple[str, int, tuple[int, ...], bool, tuple[str, ...]]


def outcome(ready: ReadySession) -> Outcome:
    return ready.id, ready.revision, tuple(traces(ready)), ready.session.incomplete, tuple(ready.scored)


class RestartsChangeNothing(RuleBasedStateMachine):
    """Turns of a few sessions, early, late, revised and twice, with restarts and moves between them."""

    @initialize(most=st.integers(2, 6), size=st.sampled_from(["9KiB", "20KiB", "1MiB"]))
    def begin(self, most: int, size: str) -> None:
        self.settings = {"session_max_turns": most, "max_sessions": size, "session_max_age": "1h", "max_let_go": 16}
        self.undisturbed, self.disturbed = sessions(**self.settings), sessions(**self.settings)
        self.kept = Kept()
        self.now = 0.0
        self.sent: set[int] = set()
        self.revisions: dict[int, int] = {}
        self.expected: list[Outcome] = []
        self.found: list[Outcome] = []

    def take(self, under: Sessions, ready: Sequence[ReadySession]) -> list[Outcome]:
        for one in ready:
            under.scored(one.key, ["session_turns"])
        return [outcome(one) for one in ready]

    @rule(trace=st.integers(1, 40), wait=st.sampled_from([0, 1, 60, 500, 700, 5000]), late=st.sampled_from([0, 0, 300]))
    def turn(self, trace: int, wait: float, late: float) -> None:
        self.now += wait
        revision = self.revisions[trace] = self.revisions.get(trace, -1) + 1
        self.sent.add(trace)
        for under, found in ((self.undisturbed, self.expected), (self.disturbed, self.found)):
            one = told(trace, f"s{trace % 4}", self.now - late, revision)
            found += [found for ready in under.add(one) for found in self.take(under, [ready])]
        self.kept.commit(self.disturbed)

    @rule(wait=st.sampled_from([100, 700, 4000]))
    def time_goes_on(self, wait: float) -> None:
        self.now += wait
        for under, found in ((self.undisturbed, self.expected), (self.disturbed, self.found)):
            for ready in under.tick(T0 + round(self.now * SECOND)):
                found += self.take(under, [ready])
        self.kept.commit(self.disturbed)

    @rule()
    def restart(self) -> None:
        self.disturbed = sessions(**self.settings)
        self.disturbed.restore(self.kept.state.items())

    @invariant()
    def both_gave_the_same(self) -> None:
        if hasattr(self, "found"):
            assert self.found == self.expected

    @invariant()
    def memory_is_bounded_and_counted_right(self) -> None:
        if hasattr(self, "found"):
            assert self.disturbed.held_bytes == self.undisturbed.held_bytes <= self.undisturbed.max_bytes

    def teardown(self) -> None:
        if hasattr(self, "found"):
            for under, found in ((self.undisturbed, self.expected), (self.disturbed, self.found)):
                found += self.take(under, list(under.finish()))
            assert self.found == self.expected
            # Every trace was told in some session; what is left of a revision that came too late is its first form.
            assert {number for _, _, numbers, _, _ in self.found for number in numbers} == self.sent


RestartsChangeNothing.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
test_restarts_change_nothing = RestartsChangeNothing.TestCase


def test_a_session_that_moves_goes_on_in_the_other_partition_with_what_came_there_before() -> None:
    here, there = sessions(), sessions()
    feed(here, told(1, at=0), told(5, "berta", at=0))
    (first, _) = sorted(at(here, 600), key=lambda ready: ready.session.session_id)
    here.scored(first.key, ["session_turns"])
    assert feed(there, told(2, at=700)) == []
    moved = list(here.move_out(lambda key: key == first.key))
    assert [key for key, _ in moved] == [first.key]
    assert [ready for _, value in moved for ready in there.adopt(value)] == []
    (again,) = at(there, 1300)
    assert (again.id, again.revision, traces(again), again.scored) == (first.id, 1, [1, 2], ("session_turns",))
    assert here.open_sessions == 0
    kept = Kept()
    kept.commit(here)
    assert not any(first.key.hex() in name for name in kept.state)


@pytest.mark.parametrize("value", [b"", b"{}", b"[1]", b'["ab", "[]", []]', b'["ab", [1, 2], ["x"]]'])
def test_what_is_no_moved_session_is_refused(value: bytes) -> None:
    with pytest.raises(ValueError):
        list(sessions().adopt(value))


def test_a_session_is_of_one_tenant() -> None:
    assert len({session_key("shop", "1", tenant) for tenant in ("", "acme", "globex")}) == 3
