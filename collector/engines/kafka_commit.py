"""The one commit: outputs, state and offset in a Kafka transaction, fenced by the consumer's generation (KIP-447)."""

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from kafka import OffsetAndMetadata, TopicPartition
from kafka.errors import (
    CommitFailedError,
    FencedInstanceIdError,
    IllegalGenerationError,
    KafkaTimeoutError,
    UnknownMemberIdError,
)

from collector.core.engine import Record
from collector.core.errors import StoreError
from collector.engines.kafka_append import send
from collector.engines.kafka_clients import ANSWER_SECONDS, SEND_SECONDS, Clients, Deadline

_log = logging.getLogger(__name__)
_STALE = (CommitFailedError, FencedInstanceIdError, IllegalGenerationError, UnknownMemberIdError)


@dataclass(slots=True)
class Commit:
    """What a transaction commits. `mark` goes with the offset, and tells later whether this very commit was made."""

    sends: Sequence[tuple[str, Record]]
    tombstones: Sequence[tuple[str, int, bytes]]  # topic, partition, key
    place: TopicPartition
    next_offset: int
    mark: str


class Stale(Exception):
    """The group has gone on to another generation: nothing was committed."""


class InDoubt(Exception):
    """Whether the commit was made is not known. `settle`, then look for its mark."""


class Committer:
    """The transactional producer of one subscription.

    A producer that failed in any way is thrown away: initialising the next one, of the same id, makes the brokers end
    what it had begun, by abort or, if that had already been decided, by commit. Nothing of it can arrive later.
    """

    def __init__(self, clients: Clients, transactional_id: str) -> None:
        self._clients, self._id = clients, transactional_id
        self._producer: Any = None

    def commit(self, commit: Commit, membership: Any) -> None:
        """All of it or nothing.

        Raises:
            Stale: `membership` is not of the group's present generation.
            StoreError: nothing was committed; try again.
            InDoubt: it may or may not have been committed.
        """
        producer = self.settle()
        deadline = Deadline(SEND_SECONDS)
        try:
            producer.begin_transaction()
            self.reached("begun")
            self._send(producer, commit, deadline)
            self.reached("sent")
            offset = OffsetAndMetadata(commit.next_offset, commit.mark, -1)
            producer.send_offsets({commit.place: offset}, membership, deadline.left())
            self.reached("offset")
        except _STALE as error:
            self.drop()
            with suppress(StoreError):  # else the transaction's timeout ends it
                self.settle()
            raise Stale(str(error)) from None
        except Exception as error:  # of whatever kind, as kafka-python's states are many: this producer is done with
            self.drop()
            raise self._clients.trouble(error) from None
        try:
            producer.commit(deadline.left() + ANSWER_SECONDS)
        except Exception as error:
            self.drop()
            raise InDoubt(str(self._clients.trouble(error))) from None
        self.reached("committed")

    def settle(self) -> Any:
        """A producer with nothing open; what an earlier one had left open is decided. Raises StoreError."""
        if self._producer is None:
            self._producer = self._clients.transactional_producer(self._id)
        return self._producer

    def drop(self) -> None:
        """Throw the producer away, at once. Safe twice."""
        if self._producer is not None:
            self._producer.abandon()
            self._producer = None

    def reached(self, step: str) -> None:
        """For tests, which die between the steps."""

    def _send(self, producer: Any, commit: Commit, deadline: Deadline) -> None:
        """Hand over all records and wait until each is acknowledged.

        The commit alone would not do: a record that kafka-python gives up on in time leaves its transaction as it is,
        and the commit would go through without it.
        """
        futures = [send(producer, topic, record) for topic, record in commit.sends]
        futures += [producer.send(topic, None, key, None, partition) for topic, partition, key in commit.tombstones]
        for future in futures:
            if not future.is_done:
                future.get(timeout=deadline.left())
            if not future.succeeded():
                raise future.exception or KafkaTimeoutError("a record was not acknowledged")
