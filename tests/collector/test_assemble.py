"""Assembly: what is ready when, what a late span does, and that a restart finds the same."""

import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanMessage

from collector.assemble import Assembler
from collector.assemble_config import AssembleConfig
from collector.core.model import LogSlice, Origin, SpanSlice
from collector.core.telemetry import Telemetry
from collector.waiting import Moved, Ready

SECOND = 1_000_000_000
T0 = 1_700_000_000 * SECOND
ORIGIN = Origin(b"", b"")


def trace_id(number: int) -> bytes:
    return number.to_bytes(16, "big")


def span(trace: int, number: int, start: float, end: float, root: bool = False, raw: bytes = b"x" * 100) -> SpanSlice:
    return SpanSlice(
        trace_id=trace_id(trace),
        span_id=number.to_bytes(8, "big"),
        parent_id=b"" if root else (1).to_bytes(8, "big"),
        start_ns=T0 + round(start * SECOND),
        end_ns=T0 + round(end * SECOND),
        status_code=0,
        trace_state="",
        raw=raw,
        origin=ORIGIN,
    )


def event(trace: int, at: float, raw: bytes = b"log") -> LogSlice:
    return LogSlice(trace_id(trace), (1).to_bytes(8, "big"), T0 + round(at * SECOND), raw, ORIGIN)


def assembler(**settings: object) -> Assembler:
    defaults = {"quiet": "5s", "max_age": "60s", "lateness": 0, "revision_window": "10m", "max_open": "64MiB"}
    return Assembler(AssembleConfig.model_validate(defaults | settings), Telemetry())


def test_a_trace_is_ready_once_its_root_ended_and_it_was_quiet() -> None:
    under = assembler()
    under.add_spans(0, [span(1, 2, 0, 1), span(1, 1, 0, 2, root=True)])
    assert list(under.ready()) == []
    under.add_tick(99, T0 + 7 * SECOND - 1)
    assert list(under.ready()) == []
    under.add_tick(99, T0 + 7 * SECOND)
    (ready,) = under.ready()
    assert (ready.trace_id, ready.revision, len(ready.spans), ready.incomplete) == (trace_id(1), 0, 2, False)
    assert ready.event_ns == T0 + 2 * SECOND


def test_a_trace_without_a_root_is_given_up_at_max_age_and_says_so() -> None:
    under = assembler()
    under.add_spans(0, [span(1, 2, 0, 1)])
    under.add_tick(99, T0 + 60 * SECOND - 1)
    assert list(under.ready()) == []
    under.add_tick(99, T0 + 60 * SECOND)
    (ready,) = under.ready()
    assert ready.incomplete


def test_a_trace_that_never_falls_quiet_is_evaluated_at_max_age() -> None:
    under = assembler()
    under.add_spans(0, [span(1, 1, 0, 1, root=True)])
    found: list[Ready] = []
    for second in range(2, 62):
        under.add_spans(second, [span(1, second, second, second)])
        found += under.ready()
    assert [item.revision for item in found] == [0]


def test_a_late_span_makes_the_next_revision_with_everything_in_it() -> None:
    under = assembler()
    under.add_spans(0, [span(1, 1, 0, 1, root=True)])
    under.add_tick(99, T0 + 10 * SECOND)
    assert [item.revision for item in under.ready()] == [0]
    under.add_spans(1, [span(1, 2, 0, 0.5)])
    (revised,) = under.ready()
    assert (revised.revision, len(revised.spans)) == (1, 2)
    assert revised.late == {revised.spans[1].span_id}, "what no earlier evaluation can have told"


def adopted(under: Assembler, offset: int, late: set[int]) -> None:
    """Spans 1 and 2 of trace 1 come from another partition, where it was evaluated before these late ones came."""
    spans = [span(1, 1, 0, 1, root=True), span(1, 2, 0, 0.5)]
    new = frozenset(one.span_id for at, one in enumerate(spans, 1) if at in late)
    moved = Moved(spans[0].trace_id, 0, T0, 0, True, new, spans, [])
    under.adopt(offset, moved, 0)
    under.add_spans(offset, spans, {moved.trace_id: new})


@pytest.mark.parametrize("late", [set(), {2}])
def test_of_spans_that_another_partition_held_those_are_new_that_were_not_evaluated_there(late: set[int]) -> None:
    under = assembler()
    adopted(under, 0, late)
    under.add_tick(1, T0 + 10 * SECOND)
    (revised,) = under.ready()
    assert (revised.revision, revised.late) == (1, {span(1, number, 0, 1).span_id for number in late})
    under.add_spans(2, [span(1, 3, 0, 0.5)])
    (again,) = under.ready()
    assert (again.revision, again.late) == (2, {span(1, 3, 0, 1).span_id})


@pytest.mark.parametrize("first", [2, 3])
def test_a_span_that_came_before_the_rest_of_its_trace_moved_is_new_unless_it_was_evaluated_there(first: int) -> None:
    under = assembler()
    under.add_spans(0, [span(1, first, 0, 0.5)])
    adopted(under, 1, set())
    under.add_tick(2, T0 + 10 * SECOND)
    (revised,) = under.ready()
    assert (revised.revision, revised.late) == (1, {span(1, 3, 0, 1).span_id} if first == 3 else set())


def test_an_open_trace_that_moves_to_where_a_part_of_it_was_evaluated_is_new() -> None:
    under = assembler()
    under.add_spans(0, [span(1, 1, 0, 1, root=True)])
    under.add_tick(1, T0 + 10 * SECOND)
    list(under.ready())
    under.add_spans(2, [span(1, 2, 0, 0.5)], {})
    (revised,) = under.ready()
    assert revised.late == {span(1, 2, 0, 1).span_id}


def test_what_was_told_of_the_scores_comes_back_with_the_next_revision_also_after_a_restart() -> None:
    under = assembler()
    under.add_spans(0, [span(1, 1, 0, 2, root=True)])
    under.add_tick(1, T0 + 10 * SECOND)
    for ready in under.ready():
        under.scored(ready, 5)
    memories = {key: memory for key, memory in under.take_memories().items() if memory is not None}
    again = assembler()
    again.restore(memories, under.clock.to_json())
    again.add_spans(0, [span(1, 1, 0, 2, root=True)])
    again.recalled()
    for one in (under, again):
        one.add_spans(2, [span(1, 2, 3, 4)])
        one.add_tick(3, T0 + 20 * SECOND)
        assert [(ready.revision, ready.scored) for ready in one.ready()] == [(1, 5)]


def test_a_late_log_record_revises_too() -> None:
    under = assembler()
    under.add_spans(0, [span(1, 1, 0, 1, root=True)])
    under.add_tick(99, T0 + 10 * SECOND)
    list(under.ready())
    under.add_events(1, [event(1, 0.5)])
    (revised,) = under.ready()
    assert (revised.revision, len(revised.events)) == (1, 1)


def test_the_same_span_or_log_record_twice_changes_nothing() -> None:
    telemetry = Telemetry()
    under = Assembler(AssembleConfig(lateness=0), telemetry)
    for offset in range(3):
        under.add_spans(offset, [span(1, 1, 0, 1, root=True)])
        under.add_events(offset, [event(1, 0.5)])
    under.add_tick(99, T0 + 100 * SECOND)
    (ready,) = under.ready()
    assert (len(ready.spans), len(ready.events)) == (1, 1)
    under.add_spans(3, [span(1, 1, 0, 1, root=True)])
    under.add_events(3, [event(1, 0.5)])
    assert list(under.ready()) == []
    assert outcomes(telemetry, "driftline_duplicate_spans") == {"same": 6}


def outcomes(telemetry: Telemetry, name: str) -> dict[str, float]:
    return {labels[0]: count for labels, count in telemetry.counter(name, "", ["outcome"]).values().items()}


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_of_two_spans_with_one_id_the_one_that_ended_later_is_kept_whichever_came_first(order: tuple[int, int]) -> None:
    telemetry = Telemetry()
    under = Assembler(AssembleConfig(lateness=0), telemetry)
    both = span(1, 1, 0, 0, root=True, raw=b"begun"), span(1, 1, 0, 3, root=True, raw=b"done")
    for offset, which in enumerate(order):
        under.add_spans(offset, [both[which]])
    under.add_tick(99, T0 + 100 * SECOND)
    (ready,) = under.ready()
    assert [item.raw for item in ready.spans] == [b"done"]
    assert outcomes(telemetry, "driftline_duplicate_spans") == {"replaced" if order == (0, 1) else "left_out": 1}


def test_a_span_that_says_more_than_the_one_that_was_evaluated_makes_a_revision_and_one_that_says_less_none() -> None:
    under = assembler()
    under.add_spans(0, [span(1, 1, 0, 1, root=True, raw=b"short")])
    under.add_tick(1, T0 + 10 * SECOND)
    assert len(list(under.ready())) == 1
    under.add_spans(2, [span(1, 1, 0, 1, root=True, raw=b"sho")])
    assert list(under.ready()) == []
    under.add_spans(3, [span(1, 1, 0, 1, root=True, raw=b"longer")])
    assert [(item.revision, item.spans[0].raw) for item in under.ready()] == [(1, b"longer")]


def test_a_replaced_span_counts_its_memory_once() -> None:
    under = assembler()
    under.add_spans(0, [span(1, 1, 0, 1, raw=b"x" * 1000)])
    before = under.held_bytes
    under.add_spans(1, [span(1, 1, 0, 2, raw=b"x" * 400)])
    assert under.held_bytes == before - 600


def test_a_root_that_was_sent_before_it_ended_has_not_ended() -> None:
    message = SpanMessage(trace_id=trace_id(1), span_id=(1).to_bytes(8, "big"), start_time_unix_nano=T0)
    under = assembler()
    under.add_spans(0, [span(1, 1, 0, 0, root=True, raw=message.SerializeToString())])
    under.add_tick(1, T0 + 30 * SECOND)
    assert list(under.ready()) == []
    message.end_time_unix_nano = T0 + 31 * SECOND
    under.add_spans(2, [span(1, 1, 0, 31, root=True, raw=message.SerializeToString())])
    under.add_tick(3, T0 + 36 * SECOND)
    (ready,) = under.ready()
    assert (ready.revision, ready.incomplete, len(ready.spans)) == (0, False, 1)


def test_a_root_that_comes_after_max_age_makes_the_trace_whole() -> None:
    under = assembler()
    under.add_spans(0, [span(1, 2, 0, 1)])
    under.add_tick(1, T0 + 60 * SECOND)
    assert [item.incomplete for item in under.ready()] == [True]
    under.add_spans(2, [span(1, 1, 0, 300, root=True)])
    under.add_tick(3, T0 + 305 * SECOND)
    assert [(item.revision, item.incomplete, len(item.spans)) for item in under.ready()] == [(1, False, 2)]


@pytest.mark.parametrize("root", [False, True])
def test_a_run_of_hours_is_evaluated_a_few_times_not_once_for_each_late_span(root: bool) -> None:
    under = assembler(revision_window="1h")
    found: list[Ready] = []
    if root:
        under.add_spans(0, [span(1, 1, 0, 1, root=True)])
    for number in range(2, 722):  # two hours, a span each ten seconds
        under.add_spans(number, [span(1, number, number * 10 - 1, number * 10)])
        found += under.ready()
    found += under.finish()
    assert len(found) < 130, "about once in `max_age`, which is a minute here"
    assert len(found[-1].spans) == 720 + root


def test_a_trace_with_several_roots_and_orphans_is_one_trace() -> None:
    under = assembler()
    orphan = span(1, 4, 0, 1)
    orphan.parent_id = (77).to_bytes(8, "big")
    under.add_spans(0, [span(1, 1, 0, 1, root=True), orphan, span(1, 3, 0, 2, root=True)])
    under.add_tick(1, T0 + 7 * SECOND)
    (ready,) = under.ready()
    assert (len(ready.spans), ready.incomplete) == (3, False)


def test_a_span_of_a_trace_that_was_let_go_long_ago_is_too_late_also_after_a_restart() -> None:
    telemetry = Telemetry()
    config = AssembleConfig.model_validate({"lateness": 0, "revision_window": "1m"})
    under = Assembler(config, telemetry)
    for number in range(1, 300):
        under.add_spans(number, [span(number, 1, number * 10, number * 10 + 1, root=True)])
        list(under.ready())
    memories = {key: memory for key, memory in under.take_memories().items() if memory is not None}
    assert trace_id(1) not in memories
    state = under.let_go.take_state()
    again = Assembler(config, telemetry)
    again.restore(memories, under.clock.to_json())
    again.let_go.restore((key, value) for key, value in state.items() if value is not None)
    again.recalled()
    for one in (under, again):
        one.add_spans(300, [span(1, 2, 10, 11), span(1, 3, 10, 11)])
        one.add_tick(301, T0 + 10_000 * SECOND)
        assert trace_id(1) not in {ready.trace_id for ready in one.ready()}
    assert outcomes(telemetry, "driftline_late_spans") == {"too_late": 4}


def test_after_the_revision_window_a_trace_is_let_go() -> None:
    under = assembler(revision_window="1m")
    under.add_spans(0, [span(1, 1, 0, 1, root=True)])
    under.add_tick(99, T0 + 10 * SECOND)
    list(under.ready())
    assert under.low_watermark() == 0
    under.add_tick(99, T0 + 80 * SECOND)
    list(under.ready())
    assert under.low_watermark() == 100


def test_past_the_memory_limit_evaluated_traces_go_first_then_the_oldest_open_one_as_it_is() -> None:
    under = assembler(max_open="16KiB")
    under.add_spans(0, [span(1, 1, 0, 1, root=True, raw=b"x" * 4000)])
    under.add_tick(99, T0 + 10 * SECOND)
    assert len(list(under.ready())) == 1
    under.add_spans(1, [span(2, 1, 10, 11, raw=b"x" * 4000)])
    under.add_spans(2, [span(3, 1, 10, 11, raw=b"x" * 4000)])
    assert list(under.ready()) == []
    under.add_spans(3, [span(4, 1, 10, 11, raw=b"x" * 4000)])
    assert list(under.ready()) == []
    assert under.low_watermark() == 1, "the evaluated trace 1 was let go"
    under.add_spans(4, [span(5, 1, 10, 11, raw=b"x" * 4000)])
    assert [(item.trace_id, item.incomplete) for item in under.ready()] == [(trace_id(2), True)]


def test_spans_past_the_limit_of_a_trace_are_left_out_and_counted() -> None:
    telemetry = Telemetry()
    under = Assembler(AssembleConfig(lateness=0, max_spans=3), telemetry)
    under.add_spans(0, [span(1, number, 0, 1, root=number == 1) for number in range(1, 6)])
    under.add_tick(99, T0 + 100 * SECOND)
    (ready,) = under.ready()
    assert len(ready.spans) == 3
    assert telemetry.counter("driftline_excess_spans", "").total() == 2


def test_finish_gives_all_that_is_open_in_order_of_event_time() -> None:
    under = assembler()
    under.add_spans(0, [span(2, 1, 3, 4, root=True), span(1, 1, 0, 1, root=True), span(3, 2, 0, 1)])
    assert [(item.trace_id[-1], item.incomplete) for item in under.finish()] == [(1, False), (2, False), (3, True)]
    assert list(under.finish()) == []


def _traffic(seed: int) -> list[list[SpanSlice]]:
    """Records with spans of overlapping traces, some late, some twice, some without a root."""
    rng = random.Random(seed)
    arrivals: list[tuple[float, SpanSlice]] = []
    for trace in range(1, 25):
        begin = rng.uniform(0, 200)
        for number in range(1, rng.randint(2, 6)):
            root = number == 1 and rng.random() < 0.9
            end = begin + rng.uniform(0, 3)
            delay = rng.choice([0, 0, 0, 1, 8, 40, 150, 900])
            arrivals.append((end + delay, span(trace, number, begin, end, root=root)))
    arrivals += [(at + rng.uniform(0, 50), item) for at, item in rng.sample(arrivals, 5)]
    arrivals.sort(key=lambda pair: pair[0])
    items = [item for _, item in arrivals]
    return [items[at : at + 3] for at in range(0, len(items), 3)]


def _summary(ready: Ready) -> tuple[bytes, int, frozenset[bytes], bool, int, frozenset[bytes]]:
    spans = frozenset(item.span_id for item in ready.spans)
    return ready.trace_id, ready.revision, spans, ready.incomplete, ready.event_ns, ready.late


@given(seed=st.integers(0, 10_000), stop_at=st.integers(0, 40), window=st.sampled_from(["20s", "2m", "1h"]))
@settings(max_examples=200, deadline=None)
@example(seed=669, stop_at=3, window="20s")
@example(seed=5816, stop_at=9, window="20s")
def test_a_restart_anywhere_gives_what_an_undisturbed_run_gives(seed: int, stop_at: int, window: str) -> None:
    _assert_a_restart_changes_nothing(_traffic(seed), stop_at, window)


def _assert_a_restart_changes_nothing(records: list[list[SpanSlice]], stop_at: int, window: str) -> None:
    undisturbed = assembler(revision_window=window)
    expected = []
    for offset, record in enumerate(records):
        undisturbed.add_spans(offset, record)
        expected += [_summary(item) for item in undisturbed.ready()]

    first, found, kept = assembler(revision_window=window), [], {}
    let_go: dict[str, bytes | None] = {}
    stop_at = min(stop_at, len(records))
    low, clock, began = 0, first.clock.to_json(), first.recall_clock_ns
    for offset, record in enumerate(records[:stop_at]):
        first.add_spans(offset, record)
        found += [_summary(item) for item in first.ready()]
        low, clock, began = first.low_watermark(), first.clock.to_json(), first.recall_clock_ns
        for trace, memory in first.take_memories().items():
            if memory is None:
                kept.pop(trace, None)
            else:
                kept[trace] = memory
        let_go |= first.let_go.take_state()
    second = assembler(revision_window=window)
    second.restore(kept, clock, began)
    second.let_go.restore((key, value) for key, value in let_go.items() if value is not None)
    for offset in range(low, stop_at):
        second.add_spans(offset, records[offset])
    second.recalled()
    for offset in range(stop_at, len(records)):
        second.add_spans(offset, records[offset])
        found += [_summary(item) for item in second.ready()]
    assert found == expected


@given(seed=st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_every_span_ends_up_in_the_last_revision_of_its_trace(seed: int) -> None:
    under = assembler(revision_window="1h")
    last: dict[bytes, frozenset[bytes]] = {}
    sent: dict[bytes, set[bytes]] = {}
    for offset, record in enumerate(_traffic(seed)):
        under.add_spans(offset, record)
        for item in record:
            sent.setdefault(item.trace_id, set()).add(item.span_id)
        last |= {ready.trace_id: frozenset(s.span_id for s in ready.spans) for ready in under.ready()}
    last |= {ready.trace_id: frozenset(s.span_id for s in ready.spans) for ready in under.finish()}
    assert last == {trace: frozenset(spans) for trace, spans in sent.items()}


def test_memory_of_let_go_traces_is_deleted_once_no_record_of_them_is_read_again() -> None:
    under = assembler(revision_window="30s")
    kept: dict[bytes, object] = {}
    for offset in range(200):
        under.add_spans(offset, [span(offset, 1, offset * 2, offset * 2 + 1, root=True)])
        list(under.ready())
        for trace, memory in under.take_memories().items():
            kept.pop(trace, None) if memory is None else kept.update({trace: memory})
    assert len(kept) < 30


def test_one_clock_far_ahead_does_not_close_the_traces_of_others() -> None:
    under = assembler()
    under.add_spans(0, [span(1, 1, 0, 1, root=True)])
    under.add_spans(1, [span(9, 1, 10**9, 10**9 + 1, root=True)])
    assert list(under.ready()) == []
    under.add_spans(2, [span(1, 2, 0, 2)])
    under.add_tick(3, T0 + 7 * SECOND)
    assert {(ready.trace_id, len(ready.spans)) for ready in under.ready()} == {(trace_id(1), 2), (trace_id(9), 1)}


FAR = [-T0 / SECOND, -86_400 * 30, -7200, 7200, 86_400 * 30, 2.3e9]  # seconds from now: 1970 to 2096
YEAR_2100 = 2.4e9


def far_off(telemetry: Telemetry) -> float:
    return telemetry.counter("driftline_far_off_spans", "", ["direction"]).total()


@pytest.mark.parametrize("seconds", FAR)
def test_a_trace_of_another_time_is_evaluated_like_any_other_and_moves_no_clock(seconds: float) -> None:
    telemetry = Telemetry()
    under = Assembler(AssembleConfig(lateness=0), telemetry)
    under.add_spans(0, [span(1, 1, 0, 1, root=True)])
    under.add_spans(1, [span(2, 1, seconds, seconds + 1, root=True), span(2, 2, seconds, seconds)])
    assert list(under.ready()) == [], "it waits as long as any other"
    assert far_off(telemetry) == 2
    under.add_tick(2, T0 + 6 * SECOND)
    assert [(one.trace_id, len(one.spans)) for one in under.ready()] == [(trace_id(1), 1), (trace_id(2), 2)]
    assert under.clock.now_ns == T0 + 6 * SECOND
    under.add_tick(3, T0 + 4000 * SECOND)
    list(under.ready())
    assert under.low_watermark() == 4, "and is let go like any other"


def test_a_time_that_cannot_be_is_not_told_on_but_one_of_some_days_is() -> None:
    under = assembler()
    under.add_spans(0, [span(1, 1, 0, 1, root=True)])
    under.add_spans(1, [span(2, 1, YEAR_2100, YEAR_2100, root=True), span(3, 1, 86_400, 86_400, root=True)])
    told = {one.trace_id: (one.event_ns - T0) // SECOND for one in under.finish()}
    assert told == {trace_id(1): 1, trace_id(2): 1, trace_id(3): 86_400}


def test_a_child_on_a_host_whose_clock_is_hours_off_does_not_hurry_its_trace() -> None:
    under = assembler()
    under.add_spans(0, [span(1, 2, -10_800, -10_799), span(1, 3, 10_800, 10_801)])
    under.add_spans(1, [span(9, 1, 0, 1, root=True)])
    under.add_spans(2, [span(1, 1, 0, 3, root=True)])
    assert list(under.ready()) == []
    under.add_tick(3, T0 + 8 * SECOND)
    assert [len(one.spans) for one in under.ready() if one.trace_id == trace_id(1)] == [3]


def test_a_span_without_a_start_does_not_make_its_trace_old() -> None:
    under = assembler()
    under.add_spans(0, [span(1, 1, -T0 / SECOND, 1, root=True)])
    assert list(under.ready()) == []


def test_a_log_record_without_a_time_does_not_make_its_trace_old_and_alone_it_has_a_time() -> None:
    under = assembler()
    under.add_spans(0, [span(9, 1, 0, 1, root=True)])
    under.add_events(1, [event(1, -T0 / SECOND)])
    assert list(under.ready()) == []
    under.add_tick(2, T0 + 61 * SECOND)
    assert {one.trace_id: one.event_ns for one in under.ready()} == {
        trace_id(9): T0 + SECOND,
        trace_id(1): T0 + SECOND,
    }


def test_a_first_span_from_the_future_holds_nothing_up_once_the_clock_is_put_right() -> None:
    under = assembler()
    under.add_spans(0, [span(1, 1, YEAR_2100, YEAR_2100 + 1, root=True)])
    found = []
    for number in range(600):
        under.add_spans(number + 1, [span(2 + number, 1, number, number + 1, root=True)])
        found += [one.trace_id for one in under.ready()]
    assert found == [trace_id(number) for number in range(1, len(found) + 1)]
    assert len(found) > 590
    assert under.open_traces < 10


@given(seed=st.integers(0, 10_000), stop_at=st.integers(0, 40), far=st.lists(st.sampled_from(FAR), max_size=6))
@settings(max_examples=100, deadline=None)
def test_a_restart_among_times_that_are_far_off_gives_what_an_undisturbed_run_gives(
    seed: int, stop_at: int, far: list[float]
) -> None:
    rng = random.Random(seed)
    records = _traffic(seed)
    for number, seconds in enumerate(far):
        odd = span(rng.choice([3, 5, 100 + number]), 50 + number, seconds, seconds + 1, root=rng.random() < 0.5)
        records[rng.randrange(len(records))].append(odd)
    _assert_a_restart_changes_nothing(records, stop_at, "2m")


@pytest.mark.parametrize("quiet", ["5", "-1s", "soon"])
def test_a_duration_without_a_unit_is_refused(quiet: str) -> None:
    with pytest.raises(ValueError, match="duration with a unit"):
        AssembleConfig.model_validate({"quiet": quiet})
