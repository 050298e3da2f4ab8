"""State back from its compacted topic, a partition for a partition of the log."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from kafka import TopicPartition
from kafka.errors import KafkaError

from collector.engines.kafka_clients import ANSWER_SECONDS, Clients, Deadline

_RECORDS_PER_POLL = 10_000  # a state is many small records


class _Restoring:
    """One partition on its way back."""

    def __init__(self, end: int) -> None:
        self.end = end
        self.state: dict[str, bytes] = {}


class StateRestorer:
    """Reads state a piece at a time, so that the caller can do other things, stay in its group above all.

    It reads up to where the topic ended when a partition was added, open transactions of an earlier owner included:
    they are waited for, whichever way they end. Every commit before that moment is in what comes out.
    """

    def __init__(self, clients: Clients, topic: str, restored_bytes: Callable[[int], None]) -> None:
        self._clients, self._topic, self._restored_bytes = clients, topic, restored_bytes
        self._consumer: Any = None
        self._restoring: dict[int, _Restoring] = {}

    def add(self, numbers: set[int]) -> None:
        """Begin to restore more partitions. Raises StoreError if the brokers do not answer; then none was added."""
        if not numbers:
            return
        if self._consumer is None:
            self._consumer = self._clients.lone_consumer("read_committed")
        ends = self._clients.end_offsets([self._place(number) for number in numbers])
        for number in numbers:
            self._restoring[number] = _Restoring(ends[self._place(number)])
        self._assign()
        self._consumer.seek_to_beginning(*[self._place(number) for number in numbers])

    def drop(self, number: int) -> None:
        """It is not ours any more."""
        if self._restoring.pop(number, None) is not None:
            self._assign()

    def advance(self, timeout_seconds: float) -> Mapping[int, dict[str, bytes]]:
        """Go on for some time; what is complete is handed over and forgotten here.

        Raises:
            StoreError: the brokers do not answer; calling again goes on.
        """
        if not self._restoring:
            return {}
        deadline = Deadline(timeout_seconds)
        try:
            done = self._complete()
            while not done:
                self._read(deadline.left_ms())
                done = self._complete()
                if not deadline.left():
                    break
        except (KafkaError, OSError) as error:
            raise self._clients.trouble(error) from None
        if done:
            restored = {number: self._restoring.pop(number).state for number in done}
            self._restored_bytes(
                sum(len(key) + len(value) for state in restored.values() for key, value in state.items())
            )
            self._assign()
            return restored
        return {}

    def close(self) -> None:
        """Forget everything. Safe twice."""
        self._restoring.clear()
        if self._consumer is not None:
            with suppress(KafkaError, OSError):
                self._consumer.close(autocommit=False, timeout_ms=round(ANSWER_SECONDS * 1000))
            self._consumer = None

    def _read(self, timeout_ms: int) -> None:
        for place, records in self._consumer.poll(timeout_ms=timeout_ms, max_records=_RECORDS_PER_POLL).items():
            if (restoring := self._restoring.get(place.partition)) is None:
                continue
            state = restoring.state
            for record in records:
                key = record.key.decode()
                if record.value is None:
                    state.pop(key, None)
                else:
                    state[key] = record.value

    def _complete(self) -> list[int]:
        """By position, not by record: the topic may end with markers, aborted records, or what was compacted away."""
        return [
            number
            for number, restoring in self._restoring.items()
            if restoring.end == 0 or (self._position(number) or 0) >= restoring.end
        ]

    def _position(self, number: int) -> int | None:
        position: int | None = self._consumer.position(self._place(number), timeout_ms=round(ANSWER_SECONDS * 1000))
        return position

    def _assign(self) -> None:
        """Read what is to be restored, each partition on from where it is; leave the brokers when there is nothing."""
        if self._restoring:
            self._consumer.assign([self._place(number) for number in self._restoring])
        else:
            self.close()

    def _place(self, number: int) -> TopicPartition:
        return TopicPartition(self._topic, number)
