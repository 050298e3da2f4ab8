"""Membership of a consumer group: what came, what went, and the generation that commits carry.

Rebalances are cooperative (KIP-429). kafka-python runs its callbacks on a thread of its own while `poll` waits; here
they only take notes, which are read on the thread that polls.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

from kafka import ConsumerRebalanceListener, TopicPartition
from kafka.errors import KafkaError
from kafka.structs import MemberState

from collector.core.errors import StoreError
from collector.engines.kafka_clients import ANSWER_SECONDS, Clients
from collector.kafka_client import JOIN_SECONDS, go_on_joining

_ANSWER_MS = round(ANSWER_SECONDS * 1000)
_JOIN_MS = round(JOIN_SECONDS * 1000)


class GroupMember:
    """A member that reads one topic. Every method that asks the brokers raises StoreError if they do not answer."""

    def __init__(self, clients: Clients, group: str, topic: str) -> None:
        self.group = group
        self._clients, self._topic = clients, topic
        self._consumer: Any = None
        self._notes: deque[tuple[bool, list[int]]] = deque()
        self._member_of: dict[int, str] = {}  # the member id under which each partition came
        self.membership: Any = None
        """As of the last rebalance that was completed here: what commits are checked with.

        The consumer's own idea would not do: it runs ahead while a rebalance is under way, and turns into "no
        generation", which the brokers check nothing against, when the consumer learns that it was thrown out.
        """

    def poll(self, timeout_ms: int, max_records: int) -> dict[TopicPartition, list[Any]]:
        """Read, join if need be, and complete rebalances; then look at `moves`.

        It may take `JOIN_SECONDS` longer while a rebalance is under way.
        """
        with _Translated(self._clients):
            if self._consumer is None:
                self._consumer = self._clients.group_consumer(self.group)
                self._consumer.subscribe([self._topic], listener=_Notes(self._notes))
                # Else a leader that does not know the partitions yet gives them to nobody, and all rejoin at once.
                self._consumer.partitions_for_topic(self._topic)
            go_on_joining(self._consumer)
            self._free_slot()
            polled = self._read(timeout_ms, max_records)
            if not polled and go_on_joining(self._consumer):
                polled = self._read(_JOIN_MS, max_records)
            return polled

    def pump(self) -> None:
        """Let a rebalance go on without reading anything from partitions that are ours already."""
        with _Translated(self._clients):
            self._consumer.pause(*self._consumer.assignment())
            go_on_joining(self._consumer)
            self._consumer.poll(timeout_ms=_JOIN_MS, max_records=1)

    def moves(self) -> Iterator[tuple[bool, list[int]]]:
        """What came (True) or went since the last time, in order."""
        while self._notes:
            came, numbers = self._notes.popleft()
            if not came:
                self.forget(numbers)
            yield came, numbers

    def overtaken(self, held: Iterable[int]) -> list[int]:
        """Those of the partitions held that others may have had meanwhile; call when all `moves` are done.

        kafka-python may find out that it was thrown out in the middle of joining again. It then keeps what it had as if
        nothing had happened, under another member id.
        """
        if self._consumer is None:
            return []
        now = self._consumer.group_metadata()
        if now.state != MemberState.STABLE:
            return []
        self.membership = now
        return [number for number in held if self._member_of.setdefault(number, now.member_id) != now.member_id]

    def forget(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            self._member_of.pop(number, None)

    @property
    def settled(self) -> bool:
        """Whether the group, as far as known here, is where `membership` says."""
        if self._consumer is None or self.membership is None:
            return False
        now = self._consumer.group_metadata()
        return bool(now.state == MemberState.STABLE and now[:3] == self.membership[:3])

    def hold(self, numbers: Iterable[int]) -> None:
        """Stop reading from partitions."""
        with _Translated(self._clients):
            self._consumer.pause(*[self._place(number) for number in numbers])

    def seek(self, number: int, offset: int) -> None:
        self._consumer.seek(self._place(number), offset)

    def resume(self, numbers: Iterable[int]) -> None:
        mine = self._consumer.assignment()
        self._consumer.resume(*[place for number in numbers if (place := self._place(number)) in mine])

    def committed(self, number: int) -> Any:
        """The offset last committed, with its metadata; None if there is none.

        No commit is under way any more when this returns: the brokers are asked for what is stable, because the
        consumer reads what is committed.
        """
        with _Translated(self._clients):
            return self._consumer.committed(self._place(number), metadata=True, timeout_ms=_ANSWER_MS)

    def lag(self, numbers: Iterable[int]) -> int:
        """Records yet to read, as of the last fetch."""
        lag = 0
        with _Translated(self._clients):
            for place in map(self._place, numbers):
                end, position = self._consumer.highwater(place), self._consumer.position(place, timeout_ms=0)
                lag += max(0, end - position) if end is not None and position is not None else 0
        return lag

    def leave(self) -> None:
        """Safe twice."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            with suppress(KafkaError, OSError):
                consumer.close(autocommit=False, timeout_ms=_ANSWER_MS)

    def _read(self, timeout_ms: int, max_records: int) -> dict[TopicPartition, list[Any]]:
        """Raises KafkaError."""
        try:
            polled: dict[TopicPartition, list[Any]] = self._consumer.poll(timeout_ms, max_records)
        except KafkaError:
            # A batch that cannot be unpacked stays in hand, and the next poll would look in it for ever. It is fetched
            # again.
            self._consumer._fetcher._next_partition_records = None
            raise
        return polled

    def _free_slot(self) -> None:
        """Let records that were set aside while their partition was paused be read again.

        kafka-python takes them up only where none are in hand, and keeps in hand those that are used up: a partition
        that was paused while another was read to its end would never be read again.
        """
        fetcher = self._consumer._fetcher
        if not fetcher._next_partition_records:
            fetcher._next_partition_records = None

    def _place(self, number: int) -> TopicPartition:
        return TopicPartition(self._topic, number)


class _Translated:
    """Turns kafka-python's errors into StoreError."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, KafkaError | OSError) and not isinstance(error, StoreError):
            raise self._clients.trouble(error) from None


class _Notes(ConsumerRebalanceListener):  # type: ignore[misc]  # kafka-python has no types
    """Writes down what happens to partitions. Nothing here may ask a broker: this is the thread that would answer."""

    def __init__(self, notes: deque[tuple[bool, list[int]]]) -> None:
        self._notes = notes

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        self._notes.append((False, sorted(place.partition for place in revoked)))

    def on_partitions_lost(self, lost: Iterable[TopicPartition]) -> None:
        self.on_partitions_revoked(lost)

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        self._notes.append((True, sorted(place.partition for place in assigned)))
