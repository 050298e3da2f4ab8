"""Spans in, complete traces out: undecoded slices wait here until their trace is ready.

Everything is decided on event time, by what the log holds and in its order, so that reading the same records again
gives the same traces at the same places, and a restart can rebuild what was open by reading them again.

- A trace is *ready* when its root has ended and it has been quiet for `quiet`, or at `max_age`.
- A ready trace stays for `revision_window`: a span that comes later makes it ready again, as its next revision. Each
  revision waits longer than the one before, so that a run of hours costs no evaluation for each of its spans.
- A trace that was let go is known by its id for a long while yet: what comes of it then is too late, and no new trace.
- Of two spans with one id the one that says more is kept, whichever came first.
- Memory is bounded by `max_open`: past it, the traces that were evaluated longest ago are let go first, then the
  oldest open ones are given up as they are, marked incomplete.
- Waiting is measured on the event clock; for times that are far from it see `collector.plausible`.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from heapq import heappop, heappush

from collector.assemble_config import AssembleConfig
from collector.core.event_clock import EventClock
from collector.core.model import LogSlice, SpanSlice
from collector.core.telemetry import Telemetry
from collector.let_go import LetGo
from collector.plausible import Plausible
from collector.waiting import NO_MOVES, Held, Memory, Moved, Moves, Ready, says_more, unfinished
from collector.waits import Waits

_SLICE_OVERHEAD_BYTES = 350  # measured: a SpanSlice with its ids and its place in the dictionaries
_SLACK = 1.1  # over the limit, while records are read again, before it is looked what can go


class Assembler:
    """Assembles the traces of one partition. Feed records in order, then take what is ready."""

    def __init__(self, config: AssembleConfig, telemetry: Telemetry) -> None:
        self._waits = Waits(config.quiet, config.max_age, config.lateness)
        self.revision_window_ns = round(config.revision_window * 1e9)
        self.max_bytes = config.max_open  # whoever has several assemblers shares it out among them
        self.max_span_bytes = 4 * config.max_value
        self._max_spans = config.max_spans
        self.clock = EventClock()
        self._held: OrderedDict[bytes, Held] = OrderedDict()  # in order of first offset
        self._due: list[tuple[int, bytes]] = []
        self._closed: OrderedDict[bytes, int] = OrderedDict()  # evaluated and not changed since, oldest first
        self._memories: dict[bytes, Memory] = {}
        self._forgotten: list[tuple[int, bytes]] = []
        self._changed: set[bytes] = set()
        self.let_go = LetGo(config.max_let_go)
        self._bytes = 0
        self._next_offset = 0
        self._restored = self.clock.to_json()
        self._plausible = Plausible(self.clock, telemetry)
        self._duplicates = telemetry.counter(
            "driftline_duplicate_spans",
            "Spans and log records that came twice: the same, or another one with its id, which was left_out or "
            "replaced the first.",
            ["outcome"],
        )
        self._excess = telemetry.counter("driftline_excess_spans", "Spans left out because their trace has too many.")
        self._late = telemetry.counter(
            "driftline_late_spans", "Spans and log records that came after their trace was evaluated.", ["outcome"]
        )
        self._evicted = telemetry.counter("driftline_evicted_traces", "Traces let go early for memory.", ["stage"])

    @property
    def open_traces(self) -> int:
        """Traces that wait to be evaluated."""
        return len(self._held) - len(self._closed)

    @property
    def held_bytes(self) -> int:
        """Memory of waiting and revisable spans."""
        return self._bytes

    # --- in ---

    @property
    def watermark_ns(self) -> int:
        """Event time: everything up to here is taken to have arrived."""
        return self.clock.now_ns - self._waits.lateness_ns

    def reading(self, offset: int) -> None:
        """The record at `offset` comes next; everything before it was read, or need not be."""
        self._next_offset = offset

    def add_spans(self, offset: int, slices: Iterable[SpanSlice], moved: Moves = NO_MOVES) -> None:
        """Add the spans of a record; `moved` if another partition held them."""
        self._next_offset = offset + 1
        for item in slices:
            arrived_ns = self.clock.now_ns
            self._advance(item.end_ns)
            start_ns, end_ns = self._plausible.waiting(item.start_ns, item.end_ns)
            held = self._hold(item.trace_id, offset, start_ns, arrived_ns)
            if held is None:
                continue
            if told := item.span_id not in moved.get(item.trace_id, (item.span_id,)):
                held.late.discard(item.span_id)
            known = held.spans.get(item.span_id)
            if known is not None and not self._replaces(item, known):
                continue
            if known is None and len(held.spans) >= self._max_spans:
                self._excess.add()
                continue
            held.spans[item.span_id] = item
            held.first_start_ns = min(held.first_start_ns, start_ns)
            held.last_end_ns = max(held.last_end_ns, end_ns)
            held.event_ns = max(held.event_ns, self._plausible.told(item.end_ns))
            held.has_root = held.has_root or (not item.parent_id and not unfinished(item))
            self._grown(held, offset, len(item.raw) - (-_SLICE_OVERHEAD_BYTES if known is None else len(known.raw)))
            if known is None and held.fresh and held.revision >= 0 and not told:
                held.late.add(item.span_id)

    def add_events(self, offset: int, slices: Iterable[LogSlice]) -> None:
        self._next_offset = offset + 1
        for item in slices:
            start_ns, _ = self._plausible.waiting(item.time_ns, item.time_ns)
            held = self._hold(item.trace_id, offset, start_ns, self.clock.now_ns)
            if held is None:
                continue
            if item.raw in held.events:
                self._duplicates.add(1, "same")
                continue
            if len(held.events) >= self._max_spans:
                self._excess.add()
                continue
            held.events[item.raw] = item
            self._grown(held, offset, len(item.raw) + _SLICE_OVERHEAD_BYTES)

    def add_tick(self, offset: int, event_ns: int) -> None:
        """Event time has come at least this far though no span said so."""
        self._next_offset = offset + 1
        self.clock.now_ns = max(self.clock.now_ns, event_ns)

    # --- out ---

    def ready(self) -> Iterator[Ready]:
        """Traces that are due, in order of event time. To be called after every record, so that order is fixed."""
        watermark = self.watermark_ns
        while self._due and self._due[0][0] <= watermark:
            due, trace_id = heappop(self._due)
            held = self._held.get(trace_id)
            if held is None or held.scheduled_ns != due:
                continue
            held.scheduled_ns = None
            now_due = self._waits.due_ns(held)
            if now_due > due:  # in its turn then, also if that is now: a restart may find it with another entry
                self._schedule(held, now_due)
            elif held.fresh:
                yield self._close(held, incomplete=not held.has_root)
        self._expire(watermark)
        yield from self._evict()
        self._drop_memories()

    def again(self, trace_id: bytes) -> Ready | None:
        """An evaluated trace as its next revision, though nothing came; None if it is gone or will come by itself."""
        held = self._held.get(trace_id)
        if held is None or held.fresh:
            return None
        self._closed.pop(trace_id, None)  # it goes to the end
        return self._close(held, incomplete=not held.has_root)

    def finish(self) -> Iterator[Ready]:
        """Everything that is still open, in order of event time: the input has ended."""
        for held in sorted(self._held.values(), key=lambda held: (self._waits.due_ns(held), held.trace_id)):
            if held.fresh:
                yield self._close(held, incomplete=not held.has_root)

    def scored(self, ready: Ready, bits: int) -> None:
        """Remember of a trace that was taken, as bits that mean nothing here, which scorers it has scores of."""
        memory, held = self._memories.get(ready.trace_id), self._held.get(ready.trace_id)
        if memory is not None:  # it is gone if the trace was let go and no record of it will be read again
            memory.scored = bits
        if held is not None:
            held.scored = bits

    def next_due_ns(self) -> int | None:
        """The event time at which `ready` will next have something, as the clock must reach it."""
        return self._due[0][0] + self._waits.lateness_ns if self._due else None

    # --- progress and restart ---

    def low_watermark(self) -> int:
        """The offset to read from after a restart: of the oldest record that anything held still needs."""
        return next((held.first_offset for held in self._held.values()), self._next_offset)

    def take_memories(self) -> dict[bytes, Memory | None]:
        """What changed since the last call; None: to be deleted."""
        changed = {trace_id: self._memories.get(trace_id) for trace_id in self._changed}
        self._changed.clear()
        return changed

    @property
    def recall_clock_ns(self) -> int:
        """Event time before the record at `low_watermark`: reading on from there, all is believed as it was."""
        return next((held.arrived_ns for held in self._held.values()), self.clock.now_ns)

    def restore(self, memories: dict[bytes, Memory], clock: object, recall_clock_ns: int | None = None) -> None:
        """Begin again, with what `take_memories`, `clock.to_json` and `recall_clock_ns` gave.

        Then add the records up to the last processed one, without asking for what is ready, and call `recalled`.
        """
        self._memories = dict(memories)
        self.clock.load_json(clock)
        self._restored = self.clock.to_json()
        if recall_clock_ns is not None:
            self.clock.load_json([recall_clock_ns, 0, 0, 0])
        self._forgotten = sorted((m.last_offset, trace_id) for trace_id, m in memories.items() if m.forgotten)

    def recalled(self) -> None:
        """All processed records were read again: time is what it was, evaluated traces are in their order again."""
        self.clock.load_json(self._restored)
        self._turn_back()
        for trace_id, memory in list(self._memories.items()):
            if trace_id not in self._held and not memory.forgotten:  # its records are gone: nothing can revise it
                self._put_memory(trace_id, replace(memory, forgotten=True))
                heappush(self._forgotten, (memory.last_offset, trace_id))
        closed = sorted((h.closed_at_ns, h.trace_id) for h in self._held.values() if not h.fresh)
        self._closed = OrderedDict((trace_id, at_ns) for at_ns, trace_id in closed)

    def spare(self) -> None:
        """While records are read again: let go of evaluated traces that take more memory than there may be."""
        if self._bytes <= self.max_bytes * _SLACK:
            return
        for trace_id in [held.trace_id for held in self._held.values() if not held.fresh]:
            if self._bytes <= self.max_bytes:
                return
            self._evicted.add(1, "revisable")
            self._forget(trace_id)

    # --- moving to another partition, when there are more of them ---

    def move_out(self, goes: Callable[[bytes], bool]) -> list[Moved]:
        """Let go of the traces whose id `goes`, for `adopt` in another partition, then `add_spans` and `add_events`."""
        moved: list[Moved] = []
        for trace_id in [trace_id for trace_id in self._held if goes(trace_id)]:
            held = self._held.pop(trace_id)
            self._bytes -= held.size_bytes
            self._closed.pop(trace_id, None)
            if self._memories.pop(trace_id, None) is not None:
                self._changed.add(trace_id)
            known = held.revision, held.closed_at_ns, held.scored, held.fresh, frozenset(held.late)
            moved.append(Moved(trace_id, *known, list(held.spans.values()), list(held.events.values())))
        return moved

    def adopt(self, offset: int, moved: Moved, scored: int) -> None:
        """Take over what is known of an evaluated trace; the record at `offset` holds it, and its spans.

        What becomes of it, by what there is of the trace here and what the record holds:

        ===============================  ================================  =============================================
        here                             in the record                     then
        ===============================  ================================  =============================================
        no longer revisable, or read     anything                          nothing: the record is too late, or was
        before (`last_offset`)                                             taken in before a restart
        nothing new                      all of it was evaluated           revisable as it was there, until it is old
        nothing new                      spans that were not evaluated     they are a revision, due as any other
        a late span that came first      anything                          that span is one too: the revision holds both
        ===============================  ================================  =============================================

        Args:
            scored: as `Moved.scored`, in the bits of whoever calls `scored` here.
        """
        memory, held = self._memories.get(moved.trace_id), self._held.get(moved.trace_id)
        if memory is not None and (memory.forgotten or memory.last_offset >= offset):
            return  # it can no longer be revised, or this is read again after a restart
        if held is not None:
            held.late.update(held.spans if held.revision < 0 else ())  # new, unless the record holds them too
            held.revision, held.scored = max(held.revision, moved.revision), held.scored | scored
        late = held is not None and held.fresh  # a span of it was here first
        fresh = moved.fresh or late
        # Up to here everything was evaluated: what the record holds was too, or it is a late correction.
        last_offset = (held.first_offset if held is not None and late else offset) - 1 if fresh else offset
        revision = moved.revision if memory is None else max(moved.revision, memory.revision)
        self._put_memory(moved.trace_id, Memory(revision, last_offset, moved.closed_at_ns, False, scored))
        if not fresh:
            self._closed[moved.trace_id] = moved.closed_at_ns

    # --- inside ---

    def _advance(self, end_ns: int) -> None:
        before_ns = self.clock.now_ns
        self.clock.advance(end_ns)
        if self.clock.now_ns < before_ns:
            self._turn_back()

    def _turn_back(self) -> None:
        """The clock had run ahead of the world, and so did everything that was measured on it."""
        now_ns = self.clock.now_ns
        for held in self._held.values():
            held.last_end_ns, held.first_start_ns = min(held.last_end_ns, now_ns), min(held.first_start_ns, now_ns)
            held.closed_at_ns = min(held.closed_at_ns, now_ns)
            if held.fresh:
                self._schedule(held, self._waits.due_ns(held))
        self._closed = OrderedDict((trace_id, min(at_ns, now_ns)) for trace_id, at_ns in self._closed.items())

    def _hold(self, trace_id: bytes, offset: int, start_ns: int, arrived_ns: int) -> Held | None:
        """The trace to add to; None if it can no longer be revised."""
        held = self._held.get(trace_id)
        if held is None:
            memory = self._memories.get(trace_id)
            if memory is None and trace_id in self.let_go:
                memory = Memory(0, offset, self.clock.now_ns, True, 0)
                heappush(self._forgotten, (offset, trace_id))
            if memory is not None and memory.forgotten:
                self._late.add(1, "too_late")
                self._put_memory(trace_id, replace(memory, last_offset=max(offset, memory.last_offset)))
                return None
            held = self._held[trace_id] = Held(trace_id, offset, offset, start_ns, arrived_ns)
            self._bytes += held.size_bytes
            if memory is not None:
                held.revision, held.closed_at_ns = memory.revision, memory.closed_at_ns
                held.scored = memory.scored
        held.last_offset = offset  # of whatever was seen of it, also what is not kept
        return held

    def _replaces(self, item: SpanSlice, known: SpanSlice) -> bool:
        """Whether a span is kept in place of one with its id: a span that was sent before it ended comes again."""
        if item.raw == known.raw:
            self._duplicates.add(1, "same")
            return False
        replaces = says_more(item, known)
        self._duplicates.add(1, "replaced" if replaces else "left_out")
        return replaces

    def _grown(self, held: Held, offset: int, by_bytes: int) -> None:
        held.size_bytes += by_bytes
        self._bytes += by_bytes
        memory = self._memories.get(held.trace_id)
        if memory is not None and offset <= memory.last_offset:
            held.fresh = False  # read again after a restart: this was evaluated before
            return
        held.fresh = True
        if held.revision >= 0:
            self._late.add(1, "revised")
            self._closed.pop(held.trace_id, None)
        self._schedule(held, self._waits.due_ns(held))

    def _schedule(self, held: Held, due_ns: int) -> None:
        if held.scheduled_ns is None or due_ns < held.scheduled_ns:
            held.scheduled_ns = due_ns
            heappush(self._due, (due_ns, held.trace_id))

    def _close(self, held: Held, incomplete: bool) -> Ready:
        held.revision += 1
        held.fresh = False
        late, held.late = frozenset(held.late), set()
        self._closed[held.trace_id] = held.closed_at_ns = self.clock.now_ns
        self._remember(held, forgotten=False)
        spans, events, size = list(held.spans.values()), list(held.events.values()), held.size_bytes
        at_ns = held.event_ns or max(0, held.first_start_ns)
        return Ready(held.trace_id, held.revision, spans, events, incomplete, at_ns, held.scored, size, late)

    def _remember(self, held: Held, forgotten: bool) -> None:
        memory = Memory(held.revision, held.last_offset, held.closed_at_ns, forgotten, held.scored)
        self._put_memory(held.trace_id, memory)
        if forgotten:
            heappush(self._forgotten, (memory.last_offset, held.trace_id))

    def _put_memory(self, trace_id: bytes, memory: Memory) -> None:
        self._memories[trace_id] = memory
        self._changed.add(trace_id)

    def _expire(self, watermark: int) -> None:
        while self._closed:
            trace_id, closed_at_ns = next(iter(self._closed.items()))
            if closed_at_ns + self.revision_window_ns > watermark:
                return
            self._forget(trace_id)

    def _evict(self) -> Iterator[Ready]:
        while self._bytes > self.max_bytes and self._closed:
            self._evicted.add(1, "revisable")
            self._forget(next(iter(self._closed)))
        while self._bytes > self.max_bytes and self._held:
            held = next(iter(self._held.values()))
            self._evicted.add(1, "open")
            yield self._close(held, incomplete=True)
            self._forget(held.trace_id)

    def _forget(self, trace_id: bytes) -> None:
        self._closed.pop(trace_id, None)
        if (held := self._held.pop(trace_id, None)) is None:
            return  # it was adopted, and none of its spans came with it
        self._bytes -= held.size_bytes
        self._remember(held, forgotten=True)

    def _drop_memories(self) -> None:
        """Of traces that were let go, once no record of them will be read again."""
        low = self.low_watermark()
        while self._forgotten and self._forgotten[0][0] < low:
            _, trace_id = heappop(self._forgotten)
            memory = self._memories[trace_id]
            if memory.last_offset < low:
                del self._memories[trace_id]
                self._changed.add(trace_id)
                self.let_go.add(trace_id)
            else:
                heappush(self._forgotten, (memory.last_offset, trace_id))
