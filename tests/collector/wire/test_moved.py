"""Traces that move to another partition are the same there: open ones open, evaluated ones known, late ones revised."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from collector.assemble import Assembler
from collector.core.errors import Rejected
from collector.core.model import LogSlice, SpanSlice
from collector.waiting import Ready
from collector.wire.moved import pack, unpack
from collector.wire.route import MAX_PART_BYTES
from collector.wire.split import split_logs, split_traces
from tests.collector.test_assemble import SECOND, T0, assembler, event, trace_id
from tests.collector.test_assemble import span as short_span

NAMES = ["groundedness", "refusal"]


def span(trace: int, number: int, start: float, end: float, root: bool = False, padding: int = 0) -> SpanSlice:
    """One whose bytes say what the slice says."""
    one = short_span(trace, number, start, end, root)
    message = Span(trace_id=one.trace_id, span_id=one.span_id, parent_span_id=one.parent_id, name="x" * padding)
    message.start_time_unix_nano, message.end_time_unix_nano = one.start_ns, one.end_ns
    one.raw = message.SerializeToString()
    return one


def logged(trace: int, at: float) -> LogSlice:
    one = event(trace, at)
    message = LogRecord(trace_id=one.trace_id, span_id=one.span_id, time_unix_nano=one.time_ns)
    one.raw = message.SerializeToString()
    return one


def names_of(bits: int) -> Sequence[str]:
    return [name for at, name in enumerate(NAMES) if bits >> at & 1]


def move(source: Assembler, target: Assembler, offset: int) -> int:
    """Everything that `source` holds, as the record or records from `offset` on; the next offset."""
    for record in pack(source.move_out(lambda trace: True), names_of):
        arrived = unpack(record)
        for moved, names in arrived.known:
            target.adopt(offset, moved, sum(1 << NAMES.index(name) for name in names))
        late = {moved.trace_id: moved.late for moved, _ in arrived.known}
        target.add_spans(offset, split_traces(arrived.traces).slices, late)
        target.add_events(offset, split_logs(arrived.logs).slices)
        offset += 1
    return offset


def closed(under: Assembler, seconds: float) -> list[Ready]:
    under.add_tick(900, T0 + round(seconds * SECOND))
    return list(under.ready())


def test_an_open_trace_is_completed_where_it_went() -> None:
    source, target = assembler(), assembler()
    source.add_spans(0, [span(1, 2, 0, 1)])
    source.add_events(1, [logged(1, 0.5)])
    target.add_spans(0, [span(1, 1, 0, 2, root=True)])  # came there before the rest was moved
    move(source, target, 1)
    assert (source.open_traces, source.held_bytes, source.low_watermark()) == (0, 0, 2)
    assert closed(source, 100) == []
    (ready,) = closed(target, 20)
    assert (ready.revision, len(ready.spans), len(ready.events), ready.incomplete) == (0, 2, 1, False)


def test_an_evaluated_trace_is_not_evaluated_again_but_revised_by_a_late_span() -> None:
    source, target = assembler(), assembler()
    source.add_spans(0, [span(1, 1, 0, 2, root=True)])
    (ready,) = closed(source, 20)
    source.scored(ready, 0b10)
    move(source, target, 5)
    assert closed(target, 30) == []
    target.add_spans(6, [span(1, 2, 1, 1.5)])
    (revised,) = closed(target, 60)
    assert (revised.revision, len(revised.spans), revised.scored) == (1, 2, 0b10)


def test_a_late_span_that_was_not_evaluated_before_the_move_is_after_it() -> None:
    source, target = assembler(), assembler()
    source.add_spans(0, [span(1, 1, 0, 2, root=True)])
    assert len(closed(source, 20)) == 1
    source.add_spans(1, [span(1, 2, 1, 1.5)])
    move(source, target, 5)
    (revised,) = closed(target, 60)
    assert (revised.revision, revised.late) == (1, {span(1, 2, 1, 1.5).span_id}), "what nobody was told of"


def test_a_late_log_record_that_was_not_evaluated_before_the_move_is_after_it_and_no_span_is_new() -> None:
    source, target = assembler(), assembler()
    source.add_spans(0, [span(1, 1, 0, 2, root=True)])
    assert len(closed(source, 20)) == 1
    source.add_events(1, [logged(1, 1)])
    move(source, target, 5)
    (revised,) = closed(target, 60)
    assert (revised.revision, revised.late) == (1, frozenset())


def test_late_spans_are_new_once_wherever_the_trace_moves_and_whoever_restarts() -> None:
    source, target, restarted = assembler(), assembler(), assembler()
    source.add_spans(0, [span(1, number, 0, 2, number == 1, MAX_PART_BYTES) for number in (1, 2)])
    assert len(closed(source, 20)) == 1
    late = [span(1, number, 1, 1.5, False, MAX_PART_BYTES) for number in (3, 4)]
    source.add_spans(1, late)
    assert move(source, target, 5) == 9, "they take several records"
    target.add_spans(9, late)  # they were sent twice
    move(target, restarted, 20)
    records = list(pack(restarted.move_out(lambda trace: True), names_of))

    def read(under: Assembler) -> None:
        for offset, record in enumerate(records, 30):
            arrived = unpack(record)
            for moved, _ in arrived.known:
                under.adopt(offset, moved, 0)
            new = {moved.trace_id: moved.late for moved, _ in arrived.known}
            under.add_spans(offset, split_traces(arrived.traces).slices, new)

    read(restarted)
    memories = {key: one for key, one in restarted.take_memories().items() if one is not None}
    again = assembler()
    again.restore(memories, restarted.clock.to_json())
    read(again)
    again.recalled()
    for under in (restarted, again):
        (revised,) = closed(under, 60)
        assert revised.late == {one.span_id for one in late}
        under.add_spans(40, [span(1, 5, 1, 1.5)])
        assert [one.late for one in closed(under, 200)] == [{span(1, 5, 1, 1.5).span_id}]


def test_after_a_restart_the_record_is_read_again_and_changes_nothing() -> None:
    source, target = assembler(), assembler()
    source.add_spans(0, [span(1, 1, 0, 2, root=True)])
    source.add_spans(1, [span(2, 1, 0, 3)])
    assert len(closed(source, 8)) == 1
    records = list(pack(source.move_out(lambda trace: True), names_of))
    assert len(records) == 1

    def read(under: Assembler) -> None:
        arrived = unpack(records[0])
        for moved, _ in arrived.known:
            under.adopt(7, moved, 0)
        under.add_spans(7, split_traces(arrived.traces).slices)

    read(target)
    assert closed(target, 8) == []
    memories = {key: value for key, value in target.take_memories().items() if value is not None}
    assert [one.revision for one in memories.values()] == [0]
    again = assembler()
    again.restore(memories, target.clock.to_json())
    assert target.low_watermark() == 7
    read(again)
    again.recalled()
    assert [(one.trace_id, one.revision) for one in closed(again, 100)] == [(trace_id(2), 0)]


@given(st.lists(st.integers(0, MAX_PART_BYTES), min_size=1, max_size=8), st.booleans())
def test_long_traces_take_several_records_and_lose_nothing(paddings: list[int], evaluated: bool) -> None:
    source, target = assembler(), assembler()
    spans = [span(1, number, 0, 2, number == 1, padding) for number, padding in enumerate(paddings, 1)]
    source.add_spans(0, spans)
    if evaluated:
        assert len(closed(source, 20)) == 1
    end = move(source, target, 5)
    assert end - 5 <= 1 + sum(paddings) // MAX_PART_BYTES * 2
    ready = closed(target, 20)
    if evaluated:
        assert ready == []
        target.add_events(50, [logged(1, 1)])
        ready = closed(target, 60)
    (one,) = ready
    assert sorted(item.raw for item in one.spans) == sorted(item.raw for item in spans)
    assert one.revision == int(evaluated)


@pytest.mark.parametrize(
    "value",
    [b"", b"\0" * 12, b"\0\0\0\1\0\0\0\0\0\0\0\0[", b"\0\0\0\2\0\0\0\0\0\0\0\0{}x", b"\0\0\0\3" + b"\0" * 8 + b"[1]"],
)
def test_what_is_no_such_record_is_refused(value: bytes) -> None:
    with pytest.raises(Rejected) as error:
        unpack(value)
    assert error.value.reason == "malformed"
