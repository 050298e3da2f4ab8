"""Appends from any thread, none of which ever waits: a thread of its own hands them to an idempotent producer.

kafka-python's producer does not survive every failure: a record that the broker refuses, or one that could not be sent
for long, can leave it unable to send anything again. So after any failure it is thrown away; what it had not yet had
acknowledged fails with it, and whoever handed it in sends it again.
"""

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import Any

from kafka import TopicPartition

from collector.core.engine import Record
from collector.core.errors import DriftlineError, Overloaded, Rejected, StoreError
from collector.engines.kafka_clients import ANSWER_SECONDS, SEND_SECONDS, Clients, leaderless
from collector.engines.kafka_metrics import KafkaMetrics

KIND_HEADER = "kind"

_log = logging.getLogger(__name__)
_TURN_SECONDS = 0.25  # how soon the thread sees that a producer failed or that time is over
_PATIENCE_SECONDS = SEND_SECONDS + 5  # the producer itself should have said before that it cannot
_CLOSE_SECONDS = 10.0
_ASK_SECONDS = 1.0  # between two looks at how many partitions there are
_RECORD_BYTES = 128  # what a small record takes in memory besides its bytes


def record_size(record: Record) -> int:
    """The bytes of a record that count against a topic's limit."""
    return len(record.value) + len(record.key) + len(record.kind)


def check_size(topic: str, limit: int, record: Record) -> None:
    """Raises Rejected (`too_large`)."""
    if (size := record_size(record)) > limit:
        raise Rejected("too_large", f"a record of {size} bytes for {topic}, which takes {limit} at most")


def send(producer: Any, topic: str, record: Record) -> Any:
    """Hand a record to a producer; kafka-python's future of it."""
    headers = [(KIND_HEADER, record.kind.encode())] if record.kind else None
    try:
        return producer.send(topic, record.value, record.key or None, headers, record.partition)
    except ValueError:  # a partition that is newer than what the producer knows
        producer.learn(topic, record.partition)
        return producer.send(topic, record.value, record.key or None, headers, record.partition)


class _Job:
    """An append on its way."""

    def __init__(self, topic: str, records: Sequence[Record]) -> None:
        self.topic, self.records = topic, records
        self.size = sum(record_size(record) + _RECORD_BYTES for record in records)
        self.done: Future[None] = Future()
        self.missing = len(records)  # acknowledgements
        self.give_up_at = time.monotonic() + _PATIENCE_SECONDS


class Appender:
    """Takes appends until `close`.

    Args:
        topics: the topics it may be asked for, with the partitions they have.
        limits: the largest record of each, in bytes.
        max_unsent_bytes: what it holds at most before it says Overloaded.
    """

    def __init__(
        self,
        clients: Clients,
        topics: Mapping[str, int],
        limits: Mapping[str, int],
        max_unsent_bytes: int,
        metrics: KafkaMetrics,
    ) -> None:
        self.partitions = dict(topics)
        self._clients, self._limits, self._most, self._metrics = clients, limits, max_unsent_bytes, metrics
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._unsent_bytes = 0
        self._in_flight: dict[int, _Job] = {}  # in the order in which they were handed over
        self._producer: Any = None
        self._failure = ""  # of the producer at hand
        self._gone: dict[TopicPartition, float] = {}  # without leader, with when that was first seen
        self.problem = ""  # why records cannot be appended at present
        self._asked_at = 0.0
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="driftline-append", daemon=True)
        self._thread.start()

    def append(self, topic: str, records: Sequence[Record]) -> "Future[None]":
        """Hand records in.

        Raises:
            Overloaded: too much waits already.
            StoreError: after `close`; or nobody leads one of the partitions, and that for longer than it takes to find
                a new leader. What waited for it would take the room of what others can take.

        In the future also Rejected, for all records of the call.
        """
        job = _Job(topic, records)
        try:
            for record in records:
                check_size(topic, self._limits[topic], record)
        except Rejected as error:
            job.done.set_exception(error)
            return job.done
        with self._lock:
            if self._closed:
                raise StoreError("the store is closed")
            if self._gone:
                self._check_leaders(topic, records)
            if self._unsent_bytes and self._unsent_bytes + job.size > self._most:
                raise Overloaded("unsent", f"{self._unsent_bytes} bytes wait for Kafka to take them")
            self._unsent_bytes += job.size
            self._jobs.put(job)
        return job.done

    def learn(self, topic: str, partitions: int) -> None:
        """A topic has at least so many partitions."""
        with self._lock:
            self.partitions[topic] = max(self.partitions[topic], partitions)

    def close(self) -> None:
        """Send what was handed in, for as long as that may take and no longer; the rest fails. Safe twice."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self._jobs.put(None)
        self._thread.join()

    # --- the thread ---

    def _run(self) -> None:
        while (job := self._next()) is not None:
            if job is not _NOTHING:
                self._hand_over(job)
            self._look_after_producer()
        until = time.monotonic() + _CLOSE_SECONDS
        while self._in_flight and not self._failure and time.monotonic() < until:
            time.sleep(0.01)
        self._drop_producer("the store was closed before Kafka had taken it")

    def _next(self) -> _Job | None:
        try:
            return self._jobs.get(timeout=_TURN_SECONDS)
        except Empty:
            return _NOTHING

    def _hand_over(self, job: _Job) -> None:
        if not job.done.set_running_or_notify_cancel():
            self._release(job)  # whoever handed it in has given up
            return
        with self._lock:
            self._in_flight[id(job)] = job
        if not job.records:
            self._finish(job, None)
            return
        try:
            producer = self._producer_at_hand(job)
            for record in job.records:
                future = send(producer, job.topic, record)
                future.add_callback(self._acknowledged, job)
                future.add_errback(self._refused, job, producer)
        except DriftlineError as error:
            self._finish(job, error)
        except Exception as error:  # whatever it is, who waits must hear of it
            self._finish(job, self._clients.trouble(error))
            self._failure = str(error)

    def _check_leaders(self, topic: str, records: Sequence[Record]) -> None:
        """Raises StoreError."""
        before = time.monotonic() - ANSWER_SECONDS
        for record in records:
            if record.partition is not None and self._gone.get((topic, record.partition), before) < before:
                raise StoreError(f"no broker leads partition {record.partition} of {topic}")

    def _producer_at_hand(self, job: _Job) -> Any:
        """Raises StoreError if there is none in the time that the job has."""
        while (trouble := self._get_well()) is not None:
            if self._closed or time.monotonic() >= job.give_up_at:
                raise trouble
        return self._producer

    def _get_well(self) -> StoreError | None:
        """Have a producer; returns why there can be none at present."""
        if self._producer is None:
            try:
                self._producer = self._clients.appending_producer()
            except StoreError as error:
                self._say_trouble(str(error))
                return error
            self._say_well()
        return None

    def _look_after_producer(self) -> None:
        with self._lock:
            oldest = next(iter(self._in_flight.values()), None)
        if oldest is not None and time.monotonic() >= oldest.give_up_at:
            self._failure = f"no acknowledgement within {_PATIENCE_SECONDS:.0f} s"
        if self._failure:
            self._say_trouble(self._failure)
            self._drop_producer(self._failure)
        elif self._producer is None:
            self._get_well()  # also while nobody appends: it knows the partitions, and who appends may wait for it
        elif time.monotonic() - self._asked_at >= _ASK_SECONDS:
            self._asked_at = time.monotonic()
            self._ask_partitions(self._producer)

    def _ask_partitions(self, producer: Any) -> None:
        gone: list[TopicPartition] = []
        for topic in list(self.partitions):
            try:
                numbers = producer.partitions_for(topic)
                self.learn(topic, len(numbers))
                missing = leaderless(producer._metadata, [TopicPartition(topic, number) for number in numbers])
            except Exception as error:  # nothing that was asked for depends on it
                _log.debug("partitions of %s: %s", topic, error)
                return
            self._metrics.leaderless(len(missing), topic)
            gone += missing
        for topic, number in set(gone) - set(self._gone):
            _log.warning("no broker leads partition %d of %s: what belongs there waits", number, topic)
        now = time.monotonic()
        self._gone = {place: self._gone.get(place, now) for place in gone}

    def _drop_producer(self, reason: str) -> None:
        if self._producer is not None:
            self._producer.abandon()
            self._producer = None
        with self._lock:
            failed = list(self._in_flight.values())
        for job in failed:
            self._finish(job, self._clients.trouble(ConnectionError(reason)))
        self._failure = ""

    # --- also on the producer's thread ---

    def _acknowledged(self, job: _Job, metadata: Any) -> None:
        with self._lock:
            job.missing -= 1
            if job.missing:
                return
        self._finish(job, None)

    def _refused(self, job: _Job, producer: Any, error: BaseException) -> None:
        if producer is self._producer:  # what an abandoned one still has to say is no news
            self._failure = f"{type(error).__name__}: {error}"
        self._finish(job, self._clients.trouble(error))

    def _finish(self, job: _Job, error: Exception | None) -> None:
        with self._lock:
            if self._in_flight.pop(id(job), None) is None:
                return
        self._release(job)
        if error is None:
            job.done.set_result(None)
        else:
            job.done.set_exception(error)

    def _release(self, job: _Job) -> None:
        with self._lock:
            self._unsent_bytes -= job.size

    def _say_trouble(self, problem: str) -> None:
        """Said once, when it begins."""
        said, self.problem = self.problem, problem
        if not said:
            _log.warning("appends to Kafka fail, and are tried again when they are handed in again: %s", problem)

    def _say_well(self) -> None:
        if self.problem:
            self.problem = ""
            _log.warning("appending to Kafka again")


_NOTHING = _Job("", ())
