"""One stage's reading of one log: partitions that come and go with their state, and the commits on them.

Everything happens on the thread that polls. A partition that is taken away is lost at once, and the listener is told in
the next `poll`. One that comes is restored a piece at each `poll`, unread meanwhile; the listener is told when that is
done.
"""

import logging
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from kafka import TopicPartition

from collector.core.engine import Entry, Listener
from collector.core.errors import Lost, StoreError
from collector.engines.kafka_append import KIND_HEADER
from collector.engines.kafka_clients import Clients, Deadline
from collector.engines.kafka_commit import Commit, Committer, Stale
from collector.engines.kafka_config import KafkaEngineConfig
from collector.engines.kafka_group import GroupMember
from collector.engines.kafka_metrics import KafkaMetrics
from collector.engines.kafka_partition import KafkaPartition
from collector.engines.kafka_state import StateRestorer

_log = logging.getLogger(__name__)
_SETTLE_SECONDS = 5.0  # for a rebalance that a commit comes upon; others may need longer, then it is tried again
_AGAIN_SECONDS = 1.0  # between two tries to restore what nobody leads
_LAG_SECONDS = 5.0  # between two looks at the lag


class KafkaSubscription:
    """See `collector.core.engine.Subscription`. `poll` also raises Lost, if this member was thrown out of the group.

    Nothing is asked of the brokers before the first `poll`, and no trouble of theirs comes out of one: it is said once
    in the log, and there is nothing to read until it is over.

    Args:
        has_state: whether the stage has a state topic.
        limit: the largest record that a topic takes.
        learn: told of each partition that comes, before it is read; may raise StoreError.
    """

    def __init__(
        self,
        config: KafkaEngineConfig,
        clients: Clients,
        metrics: KafkaMetrics,
        stage: str,
        log: str,
        listener: Listener,
        from_start: bool,
        has_state: bool,
        limit: Callable[[str], int],
        learn: Callable[[str, int], None],
    ) -> None:
        self.topic, self.limit, self._learn = config.topic, limit, learn
        self._clients = clients
        self._metrics, self._stage, self._listener, self._from_start = metrics, stage, listener, from_start
        self._log_topic = config.topic(log)
        self._state_topic = config.state_topic(stage) if has_state else None
        self._group = GroupMember(clients, config.stage_group(stage), self._log_topic)
        self._committer = Committer(clients, f"{config.stage_group(stage)}-{uuid.uuid4().hex}")
        self._restorer = StateRestorer(clients, self._state_topic or "", metrics.restored)
        self._new: set[int] = set()  # ours, and nothing was done about it yet
        self._starts: dict[int, int] = {}  # being restored: where reading will begin
        self._owned: dict[int, KafkaPartition] = {}
        self._to_tell: list[KafkaPartition] = []  # lost, and the listener was not told yet
        self._restore_at = 0.0  # when to look again at those that could not be restored
        self._lag_at = 0.0
        self.problem = ""  # why there is nothing to read at present
        self.closed = False

    # --- the contract ---

    def poll(self, timeout_seconds: float, max_records: int) -> Sequence[tuple[int, Sequence[Entry]]]:
        deadline = Deadline(timeout_seconds)
        trouble: StoreError | None = None
        polled: dict[TopicPartition, list[Any]] = {}
        try:
            # While state is being restored the time is spent on that.
            polled = self._group.poll(0 if self._can_restore() else deadline.left_ms(), max_records)
        except StoreError as error:
            trouble = error
        self._take_moves()
        self._tell()
        readable = set(self._owned)  # what else was read is read again, from where it was committed
        try:
            self._restore(deadline)
            self._measure_lag()
        except StoreError as error:  # what was read is passed on all the same: it is not read again
            trouble = error
        self._say(trouble)
        batches = [
            (place.partition, [entry_of(record) for record in records])
            for place, records in polled.items()
            if place.partition in readable and records
        ]
        if trouble is not None and not batches:
            time.sleep(deadline.left())
        return batches

    def close(self) -> None:
        """Let go of everything and leave the group. Safe twice."""
        if self.closed:
            return
        self.closed = True
        self._lose(list(self._owned))
        self._tell()
        self._restorer.close()
        self._committer.drop()
        self._group.leave()
        self._metrics.gone(self._stage)

    # --- for partitions and their transactions ---

    def commit(self, partition: KafkaPartition, commit: Commit) -> None:
        """Raises Lost, StoreError, InDoubt."""
        with self._metrics.commit_seconds():
            try:
                # Also while a rebalance is under way: the brokers take it until the next generation has begun.
                self._committer.commit(commit, self._group.membership)
            except Stale as error:
                self._settle(partition)
                raise StoreError(f"the group {self._group.group} was rebalancing: {error}") from None

    def last_mark(self, partition: KafkaPartition) -> str:
        """Raises StoreError."""
        self._committer.settle()
        committed = self._group.committed(partition.number)
        return "" if committed is None else str(committed.metadata)

    def is_leaderless(self, partition: KafkaPartition) -> bool:
        places = [partition.place]
        if self._state_topic is not None:
            places.append(TopicPartition(self._state_topic, partition.number))
        try:
            return bool(self._clients.leaderless(places))
        except StoreError:
            return False  # nobody answers: that will be over sooner

    # --- partitions that go ---

    def _take_moves(self) -> None:
        """Raises Lost if partitions are held that others may have had meanwhile."""
        for came, numbers in self._group.moves():
            if came:
                self._new.update(numbers)
                self._restore_at = 0.0
                self._metrics.rebalanced(self._stage)
            else:
                self._lose(numbers)
        if overtaken := self._group.overtaken([*self._new, *self._starts, *self._owned]):
            self._lose(overtaken)
            raise Lost(f"the group {self._group.group} had gone on without this worker")

    def _lose(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            self._new.discard(number)
            if self._starts.pop(number, None) is not None:
                self._restorer.drop(number)
            if (partition := self._owned.pop(number, None)) is not None:
                partition.lost = True
                self._to_tell.append(partition)

    def _tell(self) -> None:
        while self._to_tell:
            self._listener.revoked(self._to_tell.pop(0))

    def _settle(self, partition: KafkaPartition) -> None:
        """Complete a rebalance that is under way, which takes polling; nothing is read meanwhile.

        Raises:
            Lost: the partition went to another worker.
            StoreError: it takes longer, or the brokers do not answer.
        """
        deadline = Deadline(_SETTLE_SECONDS)
        while not partition.lost and not self._group.settled:
            if not deadline.left():
                raise StoreError(f"the group {self._group.group} is rebalancing")
            try:
                self._group.pump()
            finally:
                self._take_moves()
                self._group.resume(self._owned)
        if partition.lost:
            raise Lost(f"partition {partition.number} of {self._log_topic} went to another worker")

    # --- partitions that come ---

    def _restore(self, deadline: Deadline) -> None:
        """Raises StoreError; the next time goes on."""
        if self._new and self._can_restore():
            self._start_restoring()
        if not self._starts:
            return
        if self._state_topic is None:
            restored: dict[int, dict[str, bytes]] = {number: {} for number in self._starts}
        else:
            restored = dict(self._restorer.advance(deadline.left()))
        for number, state in sorted(restored.items()):
            place = TopicPartition(self._log_topic, number)
            partition = KafkaPartition(self, place, self._state_topic, self._starts.pop(number), state)
            self._owned[number] = partition
            self._listener.assigned(partition)
        self._group.resume(restored)

    def _can_restore(self) -> bool:
        return bool(self._starts or (self._new and time.monotonic() >= self._restore_at))

    def _start_restoring(self) -> None:
        """Find out where reading begins, then begin to restore, in this order.

        The committed offsets are stable: no commit of an earlier owner is under way any more, nor can one still come.
        So whatever state went with them lies before the end that the state topic has from then on.
        """
        self._group.hold(self._new)
        trouble: StoreError | None = None
        for number in sorted(self._new):
            try:
                (first,) = self._clients.first_offsets([TopicPartition(self._log_topic, number)]).values()
                self._learn(self._log_topic, number)
                start = self._start(number, first)
                if self._state_topic is not None:
                    self._restorer.add({number})
            except StoreError as error:  # one that nobody leads must not hold up the others
                trouble = error
                continue
            self._group.seek(number, start)  # whatever was read before now is read again
            self._starts[number] = start
            self._new.discard(number)
        if trouble is not None:
            self._restore_at = time.monotonic() + _AGAIN_SECONDS
            if not self._starts and not self._owned:
                raise trouble

    def _start(self, number: int, first: int) -> int:
        if self._from_start or (committed := self._group.committed(number)) is None:
            return first
        if committed.offset < first:
            _log.warning(
                "%s: retention dropped %d records of partition %d of %s before they were read",
                *(self._stage, first - committed.offset, number, self._log_topic),
            )
        return max(first, int(committed.offset))

    # --- what people see ---

    def _measure_lag(self) -> None:
        if time.monotonic() - self._lag_at >= _LAG_SECONDS:
            self._lag_at = time.monotonic()
            self._metrics.lag(self._group.lag(self._owned), self._stage)

    def _say(self, trouble: StoreError | None) -> None:
        """Said once when it begins, and once when it is over."""
        if trouble is not None and not self.problem:
            _log.warning("%s waits: %s", self._stage, trouble)
        elif trouble is None and self.problem:
            _log.warning("%s goes on", self._stage)
        self.problem = "" if trouble is None else str(trouble)


def entry_of(record: Any) -> Entry:
    """A record of kafka-python as the contract has it."""
    kind = next((value or b"" for name, value in record.headers if name == KIND_HEADER), b"")
    at_ns = max(0, record.timestamp or 0) * 1_000_000
    return Entry(record.offset, record.value or b"", record.key or b"", kind.decode(errors="replace"), at_ns)
