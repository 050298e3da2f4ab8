"""Turns in, sessions out: what traces of one session id have in common, once no more of them come.

As in `assemble`, everything is decided on event time, by what the log holds and in its order.

- A session is *ready* when it was idle for `session_idle`.
- A ready session stays for `revision_window`: a trace that comes later, or a revision of one, makes it ready again.
- At `session_max_age` or `session_max_turns` it is evaluated as it is, marked incomplete, and let go; what comes after
  is another session of the same id.
- Memory is bounded by `max_sessions`: past it, those that were evaluated longest ago are let go first, then the oldest
  open ones are given up as they are, marked incomplete.

All state is kept with the engine, turn by turn, so that nothing need be read again after a restart.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from heapq import heappop, heappush

import orjson

from collector.assemble_config import AssembleConfig
from collector.core.event_clock import EventClock
from collector.core.model import Session
from collector.core.telemetry import Telemetry
from collector.let_go import LetGo
from collector.turns import Told, decode_turn, encode_turn

_SESSION_OVERHEAD_BYTES = 1_500
_TURN_OVERHEAD_BYTES = 2_500  # measured: a turn without its texts, with what is known of its trace
_SESSION, _TURN, _CLOCK = "session:", "turn:", "clock"


@dataclass(slots=True)
class Gathered:
    """A session that waits, or that was evaluated and may still be revised."""

    key: bytes
    id: str  # under which it is recorded: 32 hexadecimal digits
    place: int  # in the order of opening, and once it was evaluated of its last evaluation
    turns: dict[str, Told] = field(default_factory=dict)  # by trace id
    size_bytes: int = _SESSION_OVERHEAD_BYTES
    revision: int = -1  # the last one that was evaluated
    closed_at_ns: int = 0
    fresh: bool = True  # holds something that was not evaluated yet
    scored: list[str] = field(default_factory=list)  # the scorers that gave a score to an earlier revision
    scheduled_ns: int | None = None

    @property
    def first_start_ns(self) -> int:
        return min(told.turn.start_ns for told in self.turns.values())

    @property
    def last_end_ns(self) -> int:
        return max(told.turn.end_ns for told in self.turns.values())


@dataclass(frozen=True, slots=True)
class ReadySession:
    """A session to evaluate. `last` is its latest turn, whose slices are the session's."""

    key: bytes
    id: str
    revision: int
    session: Session
    last: Told
    upstream: float
    scored: Sequence[str]


class Sessions:
    """The sessions of one partition."""

    def __init__(self, config: AssembleConfig, telemetry: Telemetry) -> None:
        self._idle_ns = round(config.session_idle * 1e9)
        self._max_age_ns = round(config.session_max_age * 1e9)
        self._lateness_ns = round(config.lateness * 1e9)
        self._window_ns = round(config.revision_window * 1e9)
        self._max_turns = config.session_max_turns
        self.max_bytes = config.max_sessions  # whoever has several partitions shares it out among them
        self.clock = EventClock()
        self._held: OrderedDict[bytes, Gathered] = OrderedDict()  # in order of `place`
        self._closed: OrderedDict[bytes, int] = OrderedDict()  # evaluated and not changed since, oldest first
        self._due: list[tuple[int, bytes]] = []
        self._let_go = LetGo(config.max_let_go)
        self._place = 0
        self._bytes = 0
        self._changed: dict[str, bytes | None] = {}
        self._late = telemetry.counter(
            "driftline_late_turns", "Traces that came after their session was evaluated.", ["outcome"]
        )
        self._evicted = telemetry.counter("driftline_evicted_sessions", "Sessions let go early for memory.", ["stage"])

    @property
    def open_sessions(self) -> int:
        """Sessions that wait to be evaluated."""
        return len(self._held) - len(self._closed)

    @property
    def held_bytes(self) -> int:
        return self._bytes

    # --- in ---

    def add(self, told: Told) -> Iterator[ReadySession]:
        """Take a turn, after giving out what was due before it."""
        self.clock.advance(told.turn.end_ns)
        yield from self._take_due()
        yield from self._put(told)
        yield from self._take_due()
        yield from self._evict()

    def tick(self, event_ns: int) -> Iterator[ReadySession]:
        """Event time has come at least this far though no turn said so."""
        self.clock.now_ns = max(self.clock.now_ns, event_ns)
        yield from self._take_due()

    def finish(self) -> Iterator[ReadySession]:
        """Everything that is still open, in order of event time: the input has ended."""
        for held in sorted(self._held.values(), key=lambda held: (self._due_ns(held), held.key)):
            if held.fresh:
                yield self._close(held, incomplete=False)

    def scored(self, key: bytes, names: Iterable[str]) -> None:
        """Remember which scorers gave a score to a session that was taken."""
        held = self._held.get(key)
        if held is not None:  # it is gone if it was let go at once
            held.scored = sorted({*held.scored, *names})
            self._changed_head(held)

    def next_due_ns(self) -> int | None:
        """The event time at which there will next be something, as the clock must reach it."""
        return self._due[0][0] + self._lateness_ns if self._due else None

    # --- state ---

    def take_state(self) -> dict[str, bytes | None]:
        """What changed since the last call, by key; None: to be deleted."""
        changed, self._changed = self._changed, {}
        return {**changed, **self._let_go.take_state(), _CLOCK: orjson.dumps(self.clock.to_json())}

    def restore(self, state: Iterable[tuple[str, bytes]]) -> None:
        """Begin again with what `take_state` gave."""
        known = dict(state)
        self._let_go.restore(known.items())
        if (clock := known.get(_CLOCK)) is not None:
            self.clock.load_json(orjson.loads(clock))
        for head, turns in gathered_in(known.items()):
            self._install(head, turns)
        closed = sorted((held.place, held.key) for held in self._held.values() if not held.fresh)
        self._closed = OrderedDict((key, self._held[key].closed_at_ns) for _, key in closed)

    # --- moving to another partition, when there are more of them ---

    def move_out(self, goes: Callable[[bytes], bool]) -> Iterator[tuple[bytes, bytes]]:
        """Let go of the sessions whose key `goes`, each as (key, what `adopt` takes elsewhere)."""
        for key in [key for key in self._held if goes(key)]:
            held = self._held[key]
            turns = [encode_turn(told).decode() for told in held.turns.values()]
            yield key, orjson.dumps([key.hex(), _head_to(held).decode(), turns])
            self._drop(held)

    def adopt(self, value: bytes) -> Iterator[ReadySession]:
        """Take over a session from another partition.

        Raises:
            ValueError: it is none.
        """
        return self._take_over(*moved_in(value))

    def _take_over(self, moved: Gathered, turns: Sequence[Told]) -> Iterator[ReadySession]:
        here = self._held.get(moved.key)
        self._place += 1
        moved.place = self._place
        if here is not None:  # turns of it were here first: they go on in what is known of it
            self._drop(here)
        self._install(moved, turns)
        for told in turns:
            self._changed[_turn_name(moved.key, told)] = encode_turn(told)
        self._changed_head(moved)
        if not moved.fresh:
            self._closed[moved.key] = moved.closed_at_ns
        for told in here.turns.values() if here is not None else ():
            yield from self._put(told)

    # --- inside ---

    def _put(self, told: Told) -> Iterator[ReadySession]:
        key, trace_id = told.key, told.turn.trace_id
        held = self._held.get(key)
        known = held.turns.get(trace_id) if held is not None else None
        if known is not None and known.revision >= told.revision:
            return
        if known is None and told.revision > 0 and _raw(trace_id) in self._let_go:
            self._late.add(1, "too_late")
            return
        if held is None:
            self._place += 1
            held = self._held[key] = Gathered(key, _record_id(key, told), self._place)
            self._bytes += held.size_bytes
        size = _size(told) - (_size(known) if known is not None else 0)
        held.turns[trace_id] = told
        held.size_bytes += size
        self._bytes += size
        if held.revision >= 0 and not held.fresh:
            self._closed.pop(key, None)
        if held.revision >= 0:
            self._late.add(1, "revised")
        held.fresh = True
        self._changed[_turn_name(key, told)] = encode_turn(told)
        self._changed_head(held)
        if len(held.turns) >= self._max_turns:
            yield self._close(held, incomplete=True)
            self._forget(held)
        else:
            self._schedule(held)

    def _due_ns(self, held: Gathered) -> int:
        return due_ns(held, self._idle_ns, self._max_age_ns)

    def _schedule(self, held: Gathered) -> None:
        due_ns = self._due_ns(held)
        if held.scheduled_ns is None or due_ns < held.scheduled_ns:
            held.scheduled_ns = due_ns
            heappush(self._due, (due_ns, held.key))

    def _take_due(self) -> Iterator[ReadySession]:
        watermark = self.clock.now_ns - self._lateness_ns
        while self._due and self._due[0][0] <= watermark:
            due, key = heappop(self._due)
            held = self._held.get(key)
            if held is None or held.scheduled_ns != due:
                continue
            held.scheduled_ns = None
            now_due = self._due_ns(held)
            if now_due > due:  # in its turn then, also if that is now: a restart finds it with another entry
                self._schedule(held)
            elif held.fresh:
                too_old = now_due < held.last_end_ns + self._idle_ns
                yield self._close(held, incomplete=too_old)
                if too_old:
                    self._forget(held)
        while self._closed:
            key, closed_at_ns = next(iter(self._closed.items()))
            if closed_at_ns + self._window_ns > watermark:
                return
            self._forget(self._held[key])

    def _evict(self) -> Iterator[ReadySession]:
        while self._bytes > self.max_bytes and self._closed:
            self._evicted.add(1, "revisable")
            self._forget(self._held[next(iter(self._closed))])
        while self._bytes > self.max_bytes and self._held:
            held = next(iter(self._held.values()))
            self._evicted.add(1, "open")
            yield self._close(held, incomplete=True)
            self._forget(held)

    def _close(self, held: Gathered, incomplete: bool) -> ReadySession:
        held.revision += 1
        held.fresh = False
        held.closed_at_ns = self.clock.now_ns
        self._place += 1
        held.place = self._place
        self._held.move_to_end(held.key)
        self._closed[held.key] = held.closed_at_ns
        self._changed_head(held)
        told = sorted(held.turns.values(), key=lambda one: (one.turn.start_ns, one.turn.trace_id))
        last = max(told, key=lambda one: (one.turn.end_ns, one.turn.trace_id))
        incomplete = incomplete or any(one.turn.incomplete for one in told)
        session = Session(last.session_id, last.service, [one.turn for one in told], incomplete)
        upstream = min(one.upstream for one in told)
        return ReadySession(held.key, held.id, held.revision, session, last, upstream, tuple(held.scored))

    def _forget(self, held: Gathered) -> None:
        """Let go of it for good: a revision of one of its traces is too late now."""
        for trace_id in held.turns:
            self._let_go.add(_raw(trace_id))
        self._drop(held)

    def _drop(self, held: Gathered) -> None:
        self._closed.pop(held.key, None)
        del self._held[held.key]
        self._bytes -= held.size_bytes
        self._changed[_SESSION + held.key.hex()] = None
        for told in held.turns.values():
            self._changed[_turn_name(held.key, told)] = None

    def _install(self, held: Gathered, turns: Iterable[Told]) -> None:
        for told in turns:
            held.turns[told.turn.trace_id] = told
            held.size_bytes += _size(told)
        if not held.turns:
            return
        self._held[held.key] = held
        self._bytes += held.size_bytes
        self._place = max(self._place, held.place)
        if held.fresh:
            self._schedule(held)

    def _changed_head(self, held: Gathered) -> None:
        self._changed[_SESSION + held.key.hex()] = _head_to(held)


def due_ns(held: Gathered, idle_ns: int, max_age_ns: int) -> int:
    """The event time at which a session is to be evaluated if no more comes of it; lateness is waited for as well."""
    idle = held.last_end_ns + idle_ns
    return idle if held.revision >= 0 else min(idle, held.first_start_ns + max_age_ns)


def gathered_in(state: Iterable[tuple[str, bytes]]) -> list[tuple[Gathered, list[Told]]]:
    """The sessions of a state with their turns, which they do not hold yet; in order of their places."""
    turns: dict[bytes, list[Told]] = {}
    heads: list[Gathered] = []
    for name, value in state:
        if name.startswith(_SESSION):
            heads.append(_head_from(bytes.fromhex(name.removeprefix(_SESSION)), value))
        elif name.startswith(_TURN):
            turns.setdefault(bytes.fromhex(name.split(":")[1]), []).append(decode_turn(value))
    return [(head, turns.get(head.key, [])) for head in sorted(heads, key=lambda head: head.place)]


def moved_in(value: bytes) -> tuple[Gathered, list[Told]]:
    """The session that another partition let go of, and its turns.

    Raises:
        ValueError: it is none.
    """
    try:
        key, head, raw_turns = orjson.loads(value)
        moved = _head_from(bytes.fromhex(key), head)
        turns = [decode_turn(turn) for turn in raw_turns]
    except (TypeError, IndexError) as error:
        raise ValueError(f"not a session: {type(error).__name__}") from None
    if not turns:
        raise ValueError("a session without turns")
    return moved, turns


def _record_id(key: bytes, first: Told) -> str:
    """Two sessions of one id, one after the other was let go, are told apart by the trace that began them."""
    return blake2b(key + _raw(first.turn.trace_id), digest_size=16).hexdigest()


def _raw(trace_id: str) -> bytes:
    return trace_id.encode()


def _turn_name(key: bytes, told: Told) -> str:
    return f"{_TURN}{key.hex()}:{told.turn.trace_id}"


def _size(told: Told) -> int:
    turn = told.turn
    texts = len(turn.question or "") + len(turn.answer or "") + sum(len(use.arguments or "") for use in turn.tools)
    return _TURN_OVERHEAD_BYTES + texts


def _head_to(held: Gathered) -> bytes:
    return orjson.dumps([held.id, held.place, held.revision, held.closed_at_ns, held.fresh, held.scored])


def _head_from(key: bytes, value: bytes | str) -> Gathered:
    identity, place, revision, closed_at_ns, fresh, scored = orjson.loads(value)
    return Gathered(key, identity, place, revision=revision, closed_at_ns=closed_at_ns, fresh=fresh, scored=scored)
