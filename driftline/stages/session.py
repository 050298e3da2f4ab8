"""Turns in, decisions and scores on sessions out; each partition with the sessions whose key belongs to it.

A session lives in one partition. When there are more partitions than before, those that now live elsewhere move there
through the log, in the transaction that also lets go of them here; turns that a producer still sent by the old count go
after them.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial

from collector.core.clock import Clock
from collector.core.engine import (
    DEAD_LETTERS,
    DECISIONS,
    MOVED_KIND,
    SCORES,
    STRAY_KIND,
    TICK_KIND,
    TURNS,
    Engine,
    Entry,
    Partition,
    Record,
)
from collector.core.errors import Rejected
from collector.core.telemetry import Telemetry
from collector.quota import Allowances
from collector.sessions import ReadySession, Sessions
from collector.turns import decode_turn
from collector.wire.route import partition_of
from driftline.evaluate import Batch
from driftline.evaluate_session import SessionEvaluator
from driftline.pipeline import Stage, put_state
from driftline.stages.ticks import Ticks, TickSender, tick_ns

_PARTITIONS = "partitions"  # a key of the state: as in `_Owned`


@dataclass(slots=True)
class _Owned:
    """A partition with its sessions, and what goes out with the next commit."""

    partition: Partition
    sessions: Sessions
    ticks: Ticks
    batch: Batch
    allowances: Allowances
    partitions: int  # how many there were when its sessions were last looked through
    guests: bool = False  # whether there may be sessions that live elsewhere
    behind_seconds: float = 0.0  # how long what is read now has waited
    outgoing: list[tuple[str, Record]] = field(default_factory=list)


class SessionStage(Stage):
    def __init__(
        self,
        engine: Engine,
        sessions: Callable[[], Sessions],
        evaluator: SessionEvaluator,
        clock: Clock,
        telemetry: Telemetry,
    ) -> None:
        super().__init__("session", engine, TURNS, telemetry)
        self._new_sessions, self._evaluator, self._clock = sessions, evaluator, clock
        self._ask_partitions = partial(engine.partitions, TURNS)
        self._owned: dict[int, _Owned] = {}
        self._ticks = TickSender(engine, TURNS, self.say)
        self._max_bytes = 0
        self._open = telemetry.gauge("driftline_open_sessions", "Sessions that wait for their end.")
        self._held_bytes = telemetry.gauge(
            "driftline_held_session_bytes", "Memory of waiting and revisable sessions.", unit="bytes"
        )
        self._behind = telemetry.gauge(
            "driftline_session_behind_seconds",
            "How long the turns of sessions that are worked on have waited for it.",
            unit="seconds",
        )
        self._unreadable = telemetry.counter(
            "driftline_unreadable_turns", "Records of turns that could not be read, left out.", ["reason"]
        )

    def assigned(self, partition: Partition) -> None:
        sessions, state = self._new_sessions(), partition.state()
        self._max_bytes = sessions.max_bytes
        sessions.restore(state.items())
        ticks = Ticks(partition.number, sessions.clock, sessions.next_due_ns)
        ticks.touched(self._clock.monotonic())
        partitions = int(state.get(_PARTITIONS, b"0")) or self._ask_partitions()
        allowances = self._evaluator.allowances()
        allowances.load(state)
        allowances.share(partition.number, partitions)
        self._owned[partition.number] = _Owned(
            partition, sessions, ticks, self._evaluator.batch(), allowances, partitions
        )
        self._share_memory()

    def revoked(self, partition: Partition) -> None:
        del self._owned[partition.number]
        self._share_memory()
        self._publish()

    def process(self, partition: int, entries: Sequence[Entry]) -> None:
        owned = self._owned[partition]
        owned.behind_seconds = self._waited_seconds(entries[0])
        self._move_out(owned)
        for entry in entries:
            try:
                self._take(owned, entry)
            except (Rejected, ValueError) as error:
                reason = error.reason if isinstance(error, Rejected) else "malformed"
                self._unreadable.add(1, reason)
                key = f"{TURNS}/{partition}/{entry.offset}".encode()
                owned.outgoing.append((DEAD_LETTERS, Record(entry.value, key=key, kind=reason)))
        self._commit(owned, entries[-1].offset + 1)
        owned.behind_seconds = 0.0
        owned.ticks.touched(self._clock.monotonic())

    def _waited_seconds(self, entry: Entry) -> float:
        waited = max(0.0, (self._clock.now_ns() - entry.at_ns) / 1e9) if entry.at_ns else 0.0
        self._behind.set(waited)
        return waited

    def rest(self) -> None:
        if self.idle.is_set():
            self._behind.set(0)
        self._ticks.look_after(self._clock.monotonic())
        for owned in self._owned.values():
            self._move_out(owned)
            if owned.outgoing:
                self._commit(owned, None)
            self._ticks.send(owned.ticks, self._clock.monotonic())

    def _take(self, owned: _Owned, entry: Entry) -> None:
        """Raises Rejected, ValueError: it cannot be read."""
        sessions = owned.sessions
        if entry.kind == TICK_KIND:
            at_ns = tick_ns(entry)
            self._evaluate(owned, sessions.finish() if at_ns is None else sessions.tick(at_ns))
        elif entry.kind == MOVED_KIND:
            owned.guests = True
            self._evaluate(owned, sessions.adopt(entry.value))
        elif entry.kind not in ("", STRAY_KIND):
            raise Rejected("unknown_kind", f"a record of turns is of the kind {entry.kind!r:.40}")
        else:
            told = decode_turn(entry.value)
            home = partition_of(told.key, owned.partitions)
            if home != owned.partition.number and not entry.kind:
                record = Record(entry.value, key=told.key, kind=STRAY_KIND, partition=home)
                owned.outgoing.append((TURNS, record))
                return
            # Whoever sent a stray here may have known of more partitions.
            owned.guests = owned.guests or home != owned.partition.number
            self._evaluate(owned, sessions.add(told))

    def _evaluate(self, owned: _Owned, ready: Iterable[ReadySession]) -> None:
        for one in ready:
            owned.allowances.now_ns = owned.sessions.clock.now_ns
            owned.sessions.scored(
                one.key, self._evaluator.evaluate(one, owned.batch, owned.allowances, owned.behind_seconds)
            )

    def _move_out(self, owned: _Owned) -> None:
        partitions, number = max(self._ask_partitions(), owned.partitions), owned.partition.number
        if partitions == owned.partitions and not owned.guests:
            return
        owned.partitions, owned.guests = partitions, False
        owned.allowances.share(number, partitions)
        owned.outgoing += [
            (TURNS, Record(packed, key=key, kind=MOVED_KIND, partition=partition_of(key, partitions)))
            for key, packed in owned.sessions.move_out(lambda key: partition_of(key, partitions) != number)
        ]

    def _commit(self, owned: _Owned, next_offset: int | None) -> None:
        transaction = owned.partition.transaction()
        done, owned.batch = owned.batch, self._evaluator.batch()
        self.append(transaction, DECISIONS, done.sheets)
        self.append(transaction, SCORES, done.points)
        for log, record in owned.outgoing:
            self.append(transaction, log, [record])
        owned.outgoing = []
        put_state(transaction, owned.sessions.take_state())
        put_state(transaction, owned.allowances.take_changes())
        transaction.put(_PARTITIONS, str(owned.partitions).encode())
        if next_offset is not None:
            transaction.offset(next_offset)
        self.commit(transaction)
        self._evaluator.record(done)
        self._publish()

    def _share_memory(self) -> None:
        """All partitions of this process together have the memory of one."""
        for owned in self._owned.values():
            owned.sessions.max_bytes = self._max_bytes // len(self._owned)

    def _publish(self) -> None:
        every = [owned.sessions for owned in self._owned.values()]
        self._open.set(sum(one.open_sessions for one in every))
        self._held_bytes.set(sum(one.held_bytes for one in every))
