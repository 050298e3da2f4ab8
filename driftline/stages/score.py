"""Spans in, decisions and scores out: assembles traces and has them evaluated."""

from collections.abc import Callable, Iterable, Sequence

import orjson

from collector.assemble import Assembler, Memory, Ready
from collector.core.clock import Clock
from collector.core.engine import (
    DECISIONS,
    EVENTS_KIND,
    SCORES,
    SPANS,
    TICK_KIND,
    TRACES_KIND,
    Engine,
    Entry,
    Partition,
    Record,
    Transaction,
)
from collector.core.errors import Overloaded, Rejected, StoreError
from collector.core.telemetry import Telemetry
from collector.sample import Sampler
from collector.wire.split import split_logs, split_traces
from driftline.evaluate import Evaluator
from driftline.pipeline import Stage
from scorers.ledger import Decision

END_OF_INPUT = b"end"
"""The value of a tick that says that nothing more will come: what is open is evaluated as it is."""

_OUR_EVENT = b"\x62\x18gen_ai.evaluation.result"
"""Field 12 (event_name) of a log record: our own results, or another evaluator's, sent back to us by a collector. They
are about a trace, not part of it, and would revise it for ever."""

_POSITION = "position"
_MEMORY = "trace:"
_TRACES_AT_ONCE = 32  # a few hundred kB of them: what a scorer's next trace needs is then still in the cache
_EVALUATIONS_PER_COMMIT = 1000  # bounds what a crash makes us do again, and how far metrics lag behind a backlog


class ScoreStage(Stage):
    """One worker a partition; see `Worker`."""

    def __init__(
        self,
        engine: Engine,
        assembler: Callable[[], Assembler],
        sampler: Sampler,
        evaluator: Evaluator,
        clock: Clock,
        telemetry: Telemetry,
    ) -> None:
        super().__init__("score", engine, SPANS, telemetry)
        self._new_assembler, self._sampler, self._evaluator, self._clock = assembler, sampler, evaluator, clock
        self._workers: dict[int, Worker] = {}
        self._sampled_out = telemetry.counter(
            "driftline_sampled_out_spans", "Spans left out because of their trace id alone.", ["rule"]
        )
        self._unreadable = telemetry.counter(
            "driftline_unreadable_records", "Records of the inbox that could not be read, left out.", ["reason"]
        )

    def assigned(self, partition: Partition) -> None:
        worker = Worker(partition, self._new_assembler(), self._sampler, self._evaluator)
        worker.touched(self._clock.monotonic())
        self._workers[partition.number] = worker

    def revoked(self, partition: Partition) -> None:
        del self._workers[partition.number]

    def process(self, partition: int, entries: Sequence[Entry]) -> None:
        worker = self._workers[partition]
        worker.touched(self._clock.monotonic())
        for entry in entries:
            try:
                worker.take(entry)
            except Rejected as error:
                self._unreadable.add(1, error.reason)
            if len(worker.batch) >= _EVALUATIONS_PER_COMMIT:
                self._finish(worker)
        self._finish(worker)

    def rest(self) -> None:
        """Nothing comes in: let event time go on with the clock, by a record of its own so that a replay does too."""
        for worker in self._workers.values():
            if (tick := worker.tick(self._clock.monotonic())) is not None:
                self._append_tick(tick)

    def _append_tick(self, tick: Record) -> None:
        # Not again and again here: if there is no room, it is this stage's own reading that makes some. The next rest
        # makes a tick anew.
        try:
            self._engine.append(SPANS, [tick]).result()
        except (StoreError, Overloaded) as error:
            self.wait_after(error)

    def _finish(self, worker: "Worker") -> None:
        done, sampled_out = worker.batch, worker.sampled_out
        if self.commit(worker.transaction()):
            self._evaluator.record(done)
            if sampled_out:
                self._sampled_out.add(sampled_out, "sample.rate")
            worker.assembler.publish()


class Worker:
    """What one partition of spans needs: its assembler, and what was evaluated but not yet committed."""

    def __init__(self, partition: Partition, assembler: Assembler, sampler: Sampler, evaluator: Evaluator) -> None:
        self.assembler = assembler
        self.batch = evaluator.batch()
        self.sampled_out = 0
        self._partition, self._sampler, self._evaluator = partition, sampler, evaluator
        state = partition.state()
        self._processed = partition.committed
        self._recalling = False
        self._touched = 0.0
        self._newest_when_touched_ns = 0
        self._bits: dict[str, int] = {}  # a bit for each scorer that ever gave a score here
        if _POSITION in state:
            position = orjson.loads(state[_POSITION])
            self._processed = position["processed"]
            self._recalling = self._processed > partition.committed
            self._bits = {name: 1 << at for at, name in enumerate(position["scorers"])}
            assembler.restore(_memories(state.items()), position["clock"])

    def take(self, entry: Entry) -> None:
        """Add one record, and evaluate what became ready by it."""
        if entry.offset >= self._processed:
            self._end_recall()
        if not self._recalling:
            self._processed = entry.offset + 1
        self._add(entry)
        if not self._recalling:
            self._evaluate(self.assembler.ready())
            if entry.kind == TICK_KIND and entry.value == END_OF_INPUT:
                self._evaluate(self.assembler.finish())

    def transaction(self) -> Transaction:
        """Everything since the last one. The offset is that of the oldest record which something held still needs."""
        transaction = self._partition.transaction()
        done, self.batch, self.sampled_out = self.batch, self._evaluator.batch(), 0
        transaction.append(DECISIONS, done.sheets)
        transaction.append(SCORES, done.points)
        low = self.assembler.low_watermark()
        for trace_id, memory in self.assembler.take_memories().items():
            if memory is None:
                transaction.delete(_MEMORY + trace_id.hex())
            else:
                transaction.put(_MEMORY + trace_id.hex(), _memory_to_bytes(memory))
        position = {
            "processed": self._processed,
            "clock": self.assembler.clock.to_json(),
            "scorers": list(self._bits),
        }
        transaction.put(_POSITION, orjson.dumps(position))
        transaction.offset(min(low, self._processed))
        return transaction

    def touched(self, monotonic: float) -> None:
        """Something came in."""
        self._touched = monotonic
        self._newest_when_touched_ns = 0

    def tick(self, monotonic: float) -> Record | None:
        """The record that moves event time on, once so much time went by without input that a trace is due.

        It moves as far as that time goes, so that everything that is due by then is evaluated at once.
        """
        self._end_recall()
        if not self._newest_when_touched_ns:
            self._newest_when_touched_ns = self.assembler.clock.now_ns
        due_ns = self.assembler.next_due_ns()
        reached_ns = self._newest_when_touched_ns + round((monotonic - self._touched) * 1e9)
        if due_ns is None or due_ns > reached_ns or due_ns <= self.assembler.clock.now_ns:
            return None
        return Record(str(reached_ns).encode(), kind=TICK_KIND, partition=self._partition.number)

    def _end_recall(self) -> None:
        """Everything that was processed before the restart was read again."""
        if self._recalling:
            self._recalling = False
            self.assembler.recalled()

    def _add(self, entry: Entry) -> None:
        if entry.kind == TRACES_KIND:
            slices = split_traces(entry.value).slices
            kept = [item for item in slices if not self._sampler.never(item.trace_id)]
            self.sampled_out += 0 if self._recalling else len(slices) - len(kept)
            self.assembler.add_spans(entry.offset, kept)
        elif entry.kind == EVENTS_KIND:
            events = split_logs(entry.value).slices
            kept_events = [
                item for item in events if _OUR_EVENT not in item.raw and not self._sampler.never(item.trace_id)
            ]
            self.assembler.add_events(entry.offset, kept_events)
        elif entry.kind == TICK_KIND and entry.value != END_OF_INPUT:
            self.assembler.add_tick(entry.offset, int(entry.value))

    def _evaluate(self, ready: Iterable[Ready]) -> None:
        items = [(item, self._told(item)) for item in ready]
        for first in range(0, len(items), _TRACES_AT_ONCE):
            some = items[first : first + _TRACES_AT_ONCE]
            for (item, _), decisions in zip(some, self._evaluator.evaluate(some, self.batch), strict=True):
                self.assembler.scored(item, item.scored | self._scored(decisions))

    def _told(self, ready: Ready) -> Sequence[str]:
        """The scorers that gave a score to an earlier revision."""
        return [name for name, bit in self._bits.items() if ready.scored & bit] if ready.scored else ()

    def _scored(self, decisions: Sequence[Decision]) -> int:
        """The scorers that gave a score, as bits."""
        bits = 0
        for decision in decisions:
            if decision.score is not None and decision.score.value is not None:
                bits |= self._bits.setdefault(decision.scorer, 1 << len(self._bits))
        return bits


def _memory_to_bytes(memory: Memory) -> bytes:
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
