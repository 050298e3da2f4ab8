"""What changed at the onset is told, nearest and largest first; what did not change is not."""

from dataclasses import replace
from random import Random

import pytest

from collector.core.telemetry import Telemetry
from drift.base import Change, Coincidence, Metric, Point, decode_change, encode_change
from drift.coincide import coincidences
from drift.monitor import MonitorConfig, Watcher
from drift.provenance import PREFIX, TOLD
from drift.recent import Mix, Record

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
ONSET = 600


def record(number: int, told: bool = True, **made_by: str) -> Record:
    pairs = [(PREFIX + kind, value) for kind, values in made_by.items() for value in values.split("+")]
    return (number * SECOND, 0.5, 1.0, f"t{number}", (*([TOLD] if told else []), *pairs))


def find(before: list[Record], after: list[Record], known: tuple[Coincidence, ...] = ()) -> list[Coincidence]:
    onset = after[0][0] - 10 * SECOND, after[0][0] + 10 * SECOND
    mixes = Mix().add_all(before), Mix().add_all(after)
    return coincidences(*mixes, (len(before), len(after)), [*before, *after], onset, known)


def test_a_new_version_and_the_tool_that_went_with_it_are_told_with_their_times() -> None:
    before = [record(i, version="1", tool="search+cart") for i in range(100)]
    after = [record(i, version="2", tool="cart") for i in range(100, 200)]
    assert {(one.kind, one.value, one.how, one.at_ns) for one in find(before, after)} == {
        ("version", "1", "gone", 99 * SECOND),
        ("version", "2", "new", 100 * SECOND),
        ("tool", "search", "gone", 99 * SECOND),
    }


def test_what_came_long_after_the_onset_is_told_after_what_came_with_it() -> None:
    before = [record(i, model="a", version="1") for i in range(100)]
    after = [record(i, model="a+b" if i >= 150 else "a", version="2") for i in range(100, 1000)]
    found = find(before, after)
    assert [(one.kind, one.value) for one in found[:2]] == [("version", "2"), ("version", "1")]
    assert ("model", "b") in [(one.kind, one.value) for one in found[2:]]


def test_of_what_came_at_once_the_larger_part_of_the_traffic_is_told_first() -> None:
    before = [record(i, prompt="1", model="a") for i in range(100)]
    after = [record(i, prompt="2", model="b" if i % 3 == 0 else "a") for i in range(102, 300)]
    found = [(one.kind, one.value) for one in find(before, after) if one.how == "new"]
    assert found == [("prompt", "2"), ("model", "b")]


def test_what_grew_is_not_called_new() -> None:
    before = [record(i, model="b" if i % 10 == 0 else "a") for i in range(200)]
    after = [record(i, model="b" if i % 2 == 0 else "a") for i in range(200, 400)]
    assert {(one.value, one.how) for one in find(before, after)} == {("a", "less"), ("b", "more")}


def test_what_came_shortly_before_a_late_onset_is_new_and_what_always_was_rare_is_not() -> None:
    before = [record(i, version="2" if i > 397 else "1", tool="x" if i % 50 == 30 else "y") for i in range(400)]
    after = [record(i, version="2", tool="x") for i in range(400, 500)]
    told = {(one.kind, one.value): (one.how, one.at_ns) for one in find(before, after)}
    assert told["version", "2"] == ("new", 398 * SECOND)
    assert told["tool", "x"] == ("more", None)
    onset = after[0][0], after[0][0]
    mixes = Mix().add_all(before), Mix().add_all(after)
    cut = coincidences(*mixes, (400, 100), [*before, *after][399:], onset)  # the records no longer reach its first
    assert {one.how for one in cut if one.value == "2"} == {"more"}


def test_nothing_is_new_where_it_may_have_hidden_in_other_or_was_not_told_before() -> None:
    before = [record(i, instructions="other" if i % 2 else "x") for i in range(100)]
    after = [record(i, instructions="y") for i in range(100, 200)]
    assert {one.how for one in find(before, after) if one.value == "y"} == {"more"}
    untold = [record(i, told=False) for i in range(100)]  # of a release that did not tell it
    assert find(untold, [record(i, version="2") for i in range(100, 200)]) == []


@pytest.mark.parametrize("seed", range(10))
def test_hundreds_of_values_that_come_and_go_by_chance_are_not_told(seed: int) -> None:
    rng = Random(seed)
    rows = [record(i, tool=f"t{rng.randrange(30)}", model=rng.choice("abc"), sdk=rng.choice("xy")) for i in range(800)]
    assert find(rows[:600], rows[600:]) == []


def test_a_time_that_the_records_no_longer_reach_is_kept_from_what_was_told() -> None:
    before = [record(i, version="1") for i in range(100)]
    after = [record(i, version="2") for i in range(100, 200)]
    told = Coincidence("version", "2", "new", 0.0, 1.0, 95 * SECOND)
    found = find(before, after, (told,))
    assert next(one.at_ns for one in found if one.value == "2") == 95 * SECOND


# --- through the watcher ---


def watcher() -> Watcher:
    config = MonitorConfig.model_validate({"watch": "m", "by": [], "direction": "down", "warmup": 200})
    return Watcher([config], "1 per week", {"m": Metric("m", 0.0, 1.0, "higher")}, Telemetry())


def point(number: int, rng: Random, made_by: str, level: float, evaluator: str = "e1") -> Point:
    value = float(rng.random() < level)
    return Point(
        *("m", f"t{number}", "", number * MINUTE, value, None, 1.0, {"service": "shop"}, evaluator),
        provenance=f"instructions {number}\n{made_by}",  # of each trace its own
    )


def stream(count: int, seed: int = 1) -> list[Point]:
    rng = Random(seed)
    return [
        point(i, rng, "model a\nversion 1", 0.95) if i < ONSET else point(i, rng, "model a\nversion 2", 0.5)
        for i in range(count)
    ]


def run(points: list[Point], restart_every: int = 0) -> list[Change]:
    watch, state, told = watcher(), {}, []
    for number, one in enumerate(points):
        told += watch.update(one)
        if restart_every and number % restart_every == 0:
            for key, data in watch.take_state().items():
                state.pop(key, None) if data is None else state.__setitem__(key, data)
            watch = watcher()
            watch.restore(state)
    return told


def test_a_fall_tells_the_version_that_came_with_it_and_keeps_telling_it_as_it_is_better_known() -> None:
    told = run(stream(900))
    assert len(told) >= 3  # when it is found, and as its points double
    for change in told:
        first = change.coincidences[:2]
        assert {(one.kind, one.value) for one in first} == {("version", "1"), ("version", "2")}
        assert all(abs((one.at_ns or 0) - ONSET * MINUTE) <= 30 * MINUTE for one in first)
        assert "model" not in {one.kind for one in change.coincidences}
    assert told[-1].after.n > told[0].after.n


def test_what_is_told_is_the_same_wherever_the_watcher_was_stopped() -> None:
    assert run(stream(800), restart_every=53) == run(stream(800))


def test_a_revision_is_not_counted_as_traffic() -> None:
    plain = stream(800)
    revised = [p for one in plain for p in (one, replace(one, corrects=True, provenance="version 9"))]
    assert run(revised) == run(plain)


def test_an_evaluator_that_changed_then_is_told() -> None:
    rng = Random(2)
    points = [
        point(i, rng, "version 1", 0.95) if i < ONSET else point(i, rng, "version 1", 0.5, "e2") for i in range(800)
    ]
    told = run(points)
    assert {(one.kind, one.value) for one in told[-1].coincidences} == {("evaluator", "e1"), ("evaluator", "e2")}
    assert (told[-1].evaluators_before, told[-1].evaluators_after) == (["e1"], ["e2"])
    assert decode_change(encode_change(told[-1])) == told[-1]


def test_the_traces_to_open_are_the_worst_the_typical_and_alike_ones_from_before() -> None:
    rng = Random(3)
    points: list[Point] = []
    for i in range(900):
        tenant = rng.choice(["acme", "other-co"])
        bad = i >= ONSET and tenant == "acme"
        value = min(1.0, max(0.0, rng.gauss(0.3 if bad else 0.8, 0.08)))
        slices = {"service": "shop", "tenant": tenant}
        points.append(Point("m", f"t{i}-{tenant}", "", i * MINUTE, value, None, 1.0, slices, "e"))
    change = run(points)[-1]
    values = {one.trace_id: one.value or 0.0 for one in points}
    assert all(trace.endswith("acme") for trace in [*change.traces, *change.typical_traces, *change.contrast_traces])
    assert max(values[trace] for trace in change.traces) < min(values[trace] for trace in change.typical_traces)
    assert all(int(trace[1:4]) < ONSET + 5 for trace in change.contrast_traces)
