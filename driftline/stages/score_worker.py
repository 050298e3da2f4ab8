"""What one partition of spans needs: its assembler, and what came of it that is not committed yet.

Every trace has one home, the partition of its id. What comes in elsewhere (other producers key as they like) is handed
on to its home, and when there are more partitions than before, so is what is held here and now lives elsewhere. Both
travel through the log, in the transaction that also lets go of them here.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

import orjson

from collector.assemble import Assembler
from collector.core.engine import (
    DEAD_LETTERS,
    DECISIONS,
    EVENTS_KIND,
    MOVED_KIND,
    SCORES,
    SPANS,
    TICK_KIND,
    TRACES_KIND,
    TURNS,
    Entry,
    Partition,
    Record,
    Transaction,
)
from collector.core.errors import Rejected
from collector.core.model import LogSlice, SpanSlice
from collector.sample import Sampler
from collector.tenancy import claim, tenant_of, tenant_of_record, trace_id_of
from collector.waiting import NO_MOVES, Memory, Moved, Moves, Ready
from collector.wire.moved import pack, unpack
from collector.wire.route import partition_of, route
from collector.wire.split import split_logs, split_traces
from driftline.evaluate import Batch, Evaluator
from driftline.pipeline import put_state
from driftline.stages.answer_state import AnswerState
from driftline.stages.ticks import END_OF_INPUT, Ticks, tick_ns

_OUR_EVENT = b"\x62\x18gen_ai.evaluation.result"
"""Field 12 (event_name) of a log record: our own results, or another evaluator's, sent back to us by a collector. They
are about a trace, not part of it, and would revise it for ever."""

_POSITION = "position"
_MEMORY = "trace:"
_TRACES_AT_ONCE = 32  # a few hundred kB of them: what a scorer's next trace needs is then still in the cache
_BYTES_AT_ONCE = 8 * 2**20  # where traces are huge, fewer: decoded they take several times as much

_Slice = TypeVar("_Slice", SpanSlice, LogSlice)


class Worker:
    """See the module.

    Args:
        partitions: how many partitions a log has now.
    """

    def __init__(
        self,
        partition: Partition,
        assembler: Assembler,
        sampler: Sampler,
        evaluator: Evaluator,
        partitions: Callable[[str], int],
    ) -> None:
        self.assembler = assembler
        self.batch = evaluator.batch()
        self.sampled_out = 0
        self.behind_seconds = 0.0  # how long what is read now has waited
        self._partition, self._sampler, self._evaluator = partition, sampler, evaluator
        self._ask_partitions = partitions
        self._partitions = partitions(SPANS)
        self._outgoing: list[tuple[str, Record]] = []  # to other partitions, and what nobody can read
        state = partition.state()
        self._answers = AnswerState(assembler.revision_window_ns, state)
        self._processed = partition.committed
        assembler.reading(partition.committed)
        self._recalling = False
        self.ticks = Ticks(partition.number, assembler.clock, assembler.next_due_ns)
        self._clock: object = None  # of the last commit, while its records are read again
        self._recall_clock_ns: int | None = None  # and where that began
        self._guests = False  # whether traces are held that may live elsewhere
        self._bits: dict[str, int] = {}  # a bit for each mark that was ever made here
        self._allowances = evaluator.allowances()
        if _POSITION in state:
            position = orjson.loads(state[_POSITION])
            self._processed = position["processed"]
            self._recalling = self._processed > partition.committed
            self._partitions = position.get("partitions", 1)
            self._bits = {name: 1 << at for at, name in enumerate(position["scorers"])}
            self._clock = position["clock"]
            self._recall_clock_ns = position.get("recall_clock")
            assembler.restore(_memories(state.items()), self._clock, self._recall_clock_ns)
            assembler.let_go.restore(state.items())
            if not self._recalling:
                assembler.recalled()
        self._allowances.load(state)
        self._allowances.share(partition.number, self._partitions)

    def take(self, entry: Entry) -> None:
        """Add one record, and evaluate what became ready by it.

        Raises:
            Rejected: it cannot be read; it is among the dead letters then.
        """
        if self._recalling and entry.offset >= self._processed:
            self._end_recall()
        recalled = self._recalling
        if not recalled:
            self._processed = entry.offset + 1
        self.assembler.reading(entry.offset + 1)
        try:
            self._add(entry)
        except Rejected as error:
            if not recalled:
                key = f"{SPANS}/{self._partition.number}/{entry.offset}".encode()
                self._outgoing.append((DEAD_LETTERS, Record(entry.value, key=key, kind=error.reason)))
            raise
        finally:
            if recalled and entry.offset + 1 >= self._processed:
                self._end_recall()
            elif recalled:
                self.assembler.spare()
        if not self._recalling:
            self._evaluate(self.assembler.ready())
            if entry.kind == TICK_KIND and entry.value == END_OF_INPUT:
                self._evaluate(self.assembler.finish())
                self._end_turns()

    @property
    def recalling(self) -> bool:
        """Whether it reads once more what was worked through before a restart."""
        return self._recalling

    def move_out(self) -> bool:
        """Hand on what lives elsewhere now that there are more partitions; whether there is something to commit."""
        partitions = max(self._ask_partitions(SPANS), self._partitions)
        if self._recalling or (partitions == self._partitions and not self._guests):
            return False
        self._partitions, self._guests = partitions, False
        self._allowances.share(self._partition.number, partitions)
        moved: dict[tuple[int, bytes], list[Moved]] = {}
        for trace in self.assembler.move_out(lambda owned: not self._lives_here(trace_id_of(owned))):
            home = partition_of(trace_id_of(trace.trace_id), partitions), tenant_of(trace.trace_id).encode()
            moved.setdefault(home, []).append(trace)
        for (number, tenant), traces in moved.items():
            self._outgoing += [
                (SPANS, Record(part, key=tenant, kind=MOVED_KIND, partition=number))
                for part in pack(traces, self._names)
            ]
        return True

    def transaction(self, append: Callable[[Transaction, str, Sequence[Record]], None]) -> Transaction:
        """Everything since the last one. The offset is that of the oldest record which something held still needs.

        Args:
            append: adds records to the transaction.
        """
        transaction = self._partition.transaction()
        done, self.batch, self.sampled_out = self.batch, self._evaluator.batch(), 0
        append(transaction, DECISIONS, done.sheets)
        append(transaction, SCORES, done.points)
        append(transaction, TURNS, self._turns(done))
        for log, record in self._outgoing:
            append(transaction, log, [record])
        self._outgoing = []
        low = self.assembler.low_watermark()
        for trace_id, memory in self.assembler.take_memories().items():
            if memory is None:
                transaction.delete(_MEMORY + trace_id.hex())
            else:
                transaction.put(_MEMORY + trace_id.hex(), memory_to_bytes(memory))
        put_state(transaction, self.assembler.let_go.take_state())
        self._answers.save(transaction)
        position = {
            "processed": self._processed,
            "clock": self._clock if self._recalling else self.assembler.clock.to_json(),
            "recall_clock": self._recall_clock_ns if self._recalling else self.assembler.recall_clock_ns,
            "scorers": list(self._bits),
            "partitions": self._partitions,
        }
        transaction.put(_POSITION, orjson.dumps(position))
        put_state(transaction, self._allowances.take_changes())
        transaction.offset(min(low, self._processed))
        return transaction

    def _end_recall(self) -> None:
        """Everything that was processed before the restart was read again."""
        self._recalling = False
        self.assembler.recalled()

    def _add(self, entry: Entry) -> None:
        """Raises Rejected."""
        kind = entry.kind or TRACES_KIND  # the Collector's Kafka exporter writes traces, and gives them no kind
        tenant = tenant_of_record(entry.kind, entry.key)
        if kind == TRACES_KIND:
            slices = split_traces(entry.value, self.assembler.max_span_bytes).slices
            self._add_spans(entry.offset, self._ours(kind, entry.value, slices, tenant), tenant)
        elif kind == EVENTS_KIND:
            events = split_logs(entry.value, self.assembler.max_span_bytes).slices
            self._add_events(entry.offset, self._ours(kind, entry.value, events, tenant), tenant)
        elif kind == MOVED_KIND:
            self._add_moved(entry)
        elif kind != TICK_KIND:
            raise Rejected("unknown_kind", f"a record of the inbox is of the kind {kind!r:.40}")
        elif (at_ns := tick_ns(entry)) is not None:
            self.assembler.add_tick(entry.offset, at_ns)

    def _add_spans(self, offset: int, slices: Sequence[SpanSlice], tenant: bytes, moved: Moves = NO_MOVES) -> None:
        kept = [item for item in slices if not self._sampler.never(item.trace_id)]
        self.sampled_out += 0 if self._recalling else len(slices) - len(kept)
        every = slices if self._evaluator.gathers_sessions else kept
        claim(every, tenant)
        self.assembler.add_spans(offset, every, moved)

    def _add_events(self, offset: int, slices: Sequence[LogSlice], tenant: bytes) -> None:
        kept = [item for item in slices if _OUR_EVENT not in item.raw and not self._never(item.trace_id)]
        claim(kept, tenant)
        self.assembler.add_events(offset, kept)

    def _add_moved(self, entry: Entry) -> None:
        """Raises Rejected."""
        # All of it is taken in, also what does not seem to live here: whoever sent it may know of more partitions. If
        # it was of fewer, it moves on as it came, with what is known of it.
        arrived = unpack(entry.value)
        for moved, names in arrived.known:
            if not self._never(trace_id_of(moved.trace_id)):
                self.assembler.adopt(entry.offset, moved, self._bits_of(names))
        most, late = self.assembler.max_span_bytes, {moved.trace_id: moved.late for moved, _ in arrived.known}
        self._add_spans(entry.offset, split_traces(arrived.traces, most).slices, entry.key, late)
        self._add_events(entry.offset, split_logs(arrived.logs, most).slices, entry.key)
        self._guests = True

    def _never(self, trace_id: bytes) -> bool:
        """Whether the id alone says that nothing is to be done with a trace."""
        return not self._evaluator.gathers_sessions and self._sampler.never(trace_id)

    def _turns(self, done: Batch) -> list[Record]:
        partitions = self._ask_partitions(TURNS) if done.turns else 1
        return [Record(turn, key=key, partition=partition_of(key, partitions)) for key, turn in done.turns]

    def _end_turns(self) -> None:
        """The end of the input is also that of what becomes of it. (Turns come before it: `transaction` sees to it.)"""
        if self._evaluator.gathers_sessions:
            self._outgoing += [
                (TURNS, Record(END_OF_INPUT, kind=TICK_KIND, partition=number))
                for number in range(self._ask_partitions(TURNS))
            ]

    def _lives_here(self, trace_id: bytes) -> bool:
        return self._partitions == 1 or partition_of(trace_id, self._partitions) == self._partition.number

    def _ours(self, kind: str, body: bytes, slices: Sequence[_Slice], tenant: bytes) -> Sequence[_Slice]:
        """Those of a request whose trace lives here; the others go to where it does."""
        if self._partitions == 1:
            return slices
        ours = [item for item in slices if self._lives_here(item.trace_id)]
        if len(ours) < len(slices) and not self._recalling:
            self._outgoing += [
                (SPANS, Record(part, key=tenant, kind=kind, partition=number))
                for number, part in route(kind, body, self._partitions)
                if number != self._partition.number
            ]
        return ours

    def _evaluate(self, ready: Iterable[Ready]) -> None:
        """Evaluate these, then those that what they told calls for once more."""
        answers = self._answers.answers
        self._evaluate_some(ready)
        while again := answers.take_again():
            found = [self.assembler.again(bytes.fromhex(trace_id)) for trace_id in again]
            self._evaluate_some([one for one in found if one is not None])

    def _evaluate_some(self, ready: Iterable[Ready]) -> None:
        answers = self._answers.answers
        answers.now_ns = self.assembler.clock.now_ns
        items = [(item, self._names(item.scored)) for item in ready]
        self._allowances.now_ns = self.assembler.clock.now_ns
        for some in _groups(items):
            found = self._evaluator.evaluate(some, self.batch, self._allowances, answers, self.behind_seconds)
            for (item, _), marks in zip(some, found, strict=True):
                self.assembler.scored(item, item.scored | self._bits_of(marks))

    def _names(self, scored: int) -> Sequence[str]:
        """The marks of earlier revisions."""
        return [name for name, bit in self._bits.items() if scored & bit] if scored else ()

    def _bits_of(self, names: Iterable[str]) -> int:
        bits = 0
        for name in names:
            bits |= self._bits.setdefault(name, 1 << len(self._bits))
        return bits


def _groups(items: Sequence[tuple[Ready, Sequence[str]]]) -> Iterator[Sequence[tuple[Ready, Sequence[str]]]]:
    """What is evaluated together."""
    first = size = 0
    for at, (ready, _) in enumerate(items):
        size += ready.size_bytes
        if at > first and (at - first == _TRACES_AT_ONCE or size > _BYTES_AT_ONCE):
            yield items[first:at]
            first, size = at, ready.size_bytes
    if first < len(items):
        yield items[first:]


def memory_to_bytes(memory: Memory) -> bytes:
    return orjson.dumps(
        [memory.revision, memory.last_offset, memory.closed_at_ns, memory.forgotten, str(memory.scored)]
    )


def _memories(state: Iterable[tuple[str, bytes]]) -> dict[bytes, Memory]:
    return {
        bytes.fromhex(key.removeprefix(_MEMORY)): _memory_from_bytes(value)
        for key, value in state
        if key.startswith(_MEMORY)
    }


def _memory_from_bytes(value: bytes) -> Memory:
    revision, last_offset, closed_at_ns, forgotten, scored = orjson.loads(value)
    return Memory(revision, last_offset, closed_at_ns, forgotten, int(scored))
