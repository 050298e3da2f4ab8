"""A partition of a log that this process owns, with its state in memory, and the transactions on it."""

import uuid
from collections.abc import Iterable, Mapping
from typing import Protocol

from kafka import TopicPartition

from collector.core.engine import Record
from collector.core.errors import Lost, StoreError
from collector.engines.kafka_append import check_size
from collector.engines.kafka_commit import Commit, InDoubt


class Owner(Protocol):
    """What a partition needs of its subscription."""

    def topic(self, log: str) -> str: ...

    def limit(self, topic: str) -> int: ...

    def commit(self, partition: "KafkaPartition", commit: Commit) -> None:
        """Raises Lost, StoreError, InDoubt."""
        ...

    def is_leaderless(self, partition: "KafkaPartition") -> bool:
        """Whether no broker leads it, or its state."""
        ...

    def last_mark(self, partition: "KafkaPartition") -> str:
        """The mark of the partition's last commit, with none under way any more. Raises StoreError."""
        ...


class KafkaPartition:
    """See `collector.core.engine.Partition`."""

    def __init__(
        self, owner: Owner, place: TopicPartition, state_topic: str | None, committed: int, state: dict[str, bytes]
    ) -> None:
        self.place, self.state_topic = place, state_topic
        self.committed = committed
        self.lost = False
        self._owner, self._state = owner, state
        self._doubted: KafkaTransaction | None = None

    @property
    def number(self) -> int:
        return int(self.place.partition)

    def state(self) -> Mapping[str, bytes]:
        return dict(self._state)

    def transaction(self) -> "KafkaTransaction":
        return KafkaTransaction(self, self._owner)

    def commit(self, transaction: "KafkaTransaction") -> None:
        """Raises Lost, StoreError."""
        try:
            self._commit(transaction)
        except StoreError as error:
            # Trying again would hold up the other partitions; anew, this one waits unread until somebody leads it.
            if self._owner.is_leaderless(self):
                raise Lost(str(error)) from None
            raise

    def _commit(self, transaction: "KafkaTransaction") -> None:
        """Raises Lost, StoreError."""
        if self._doubted is not None:
            self._resolve(self._doubted)
        if transaction.done:
            return
        try:
            self._owner.commit(self, transaction.collected())
        except InDoubt as error:
            self._doubted = transaction
            raise StoreError(f"{error}; whether it was committed is found out before the next try") from None
        self._adopt(transaction)

    def _resolve(self, doubted: "KafkaTransaction") -> None:
        """Find out whether it had been committed: then its mark is there, unless another owner committed since.

        In that case it looks as if it had not been, but no commit of ours is accepted any more.
        """
        committed = self._owner.last_mark(self) == doubted.mark
        self._doubted = None
        if committed:
            self._adopt(doubted)

    def _adopt(self, transaction: "KafkaTransaction") -> None:
        transaction.done = True
        if transaction.next_offset is not None:
            self.committed = transaction.next_offset
        for key, value in transaction.changes.items():
            if value is None:
                self._state.pop(key, None)
            else:
                self._state[key] = value


class KafkaTransaction:
    """See `collector.core.engine.Transaction`; a record that its topic would refuse is Rejected where it is added."""

    def __init__(self, partition: KafkaPartition, owner: Owner) -> None:
        self.mark = uuid.uuid4().hex
        self.done = False
        self.next_offset: int | None = None
        self.changes: dict[str, bytes | None] = {}
        self._partition, self._owner = partition, owner
        self._outputs: list[tuple[str, Record]] = []

    def append(self, log: str, records: Iterable[Record]) -> None:
        """Raises Rejected (`too_large`)."""
        topic = self._owner.topic(log)
        limit = self._owner.limit(topic)
        outputs = [(topic, record) for record in records]
        for _, record in outputs:
            check_size(topic, limit, record)
        self._outputs += outputs

    def put(self, key: str, value: bytes) -> None:
        """Raises Rejected (`too_large`), and ValueError for a stage that was not declared to keep state."""
        topic = self._state_topic()
        check_size(topic, self._owner.limit(topic), Record(value, key.encode()))
        self.changes[key] = value

    def delete(self, key: str) -> None:
        """Raises ValueError for a stage that was not declared to keep state."""
        self._state_topic()
        self.changes[key] = None

    def offset(self, next_offset: int) -> None:
        self.next_offset = next_offset

    def commit(self) -> None:
        """Raises Lost, StoreError."""
        if self._partition.lost:
            raise Lost(f"partition {self._partition.number} of {self._partition.place.topic} went to another worker")
        if not self.done:
            self._partition.commit(self)

    def collected(self) -> Commit:
        """What there is to commit, as things are now."""
        partition = self._partition
        topic, number = partition.state_topic or "", partition.number
        state = [
            (topic, Record(value, key.encode(), partition=number))
            for key, value in self.changes.items()
            if value is not None
        ]
        gone = [(topic, number, key.encode()) for key, value in self.changes.items() if value is None]
        # Without a new offset the old one is committed again: it is what the group's generation is checked with.
        next_offset = partition.committed if self.next_offset is None else self.next_offset
        return Commit([*self._outputs, *state], gone, partition.place, next_offset, self.mark)

    def _state_topic(self) -> str:
        if self._partition.state_topic is None:
            raise ValueError(f"the stage that reads {self._partition.place.topic} was declared without state")
        return self._partition.state_topic
