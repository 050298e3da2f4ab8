"""OTLP from Kafka topics, as the OpenTelemetry Collector's Kafka exporter fills them.

One thread polls; offsets are committed only after the inbox has said that the batch is durable, so that a crash reads
again what was not. Reading a message twice does no harm: its spans are known by their ids.
"""

import importlib.util
import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from kafka import KafkaConsumer, OffsetAndMetadata
from kafka.errors import KafkaError

from collector.core.errors import Overloaded, Rejected, StoreError
from collector.core.telemetry import Telemetry
from collector.kafka_client import JOIN_SECONDS, go_on_joining
from collector.receivers.accept import Acceptor, Encoding, Prepared
from collector.receivers.kafka_config import KafkaConfig
from collector.receivers.senders import Senders

__all__ = ["BatchInbox", "DeadLetter", "KafkaConfig", "KafkaReceiver"]

RECEIVER = "kafka"

BatchInbox: TypeAlias = Callable[[list[tuple[str, bytes, str]]], None]
"""Takes (kind, protobuf request, tenant) triples; returns when all are durable. Raises Overloaded or StoreError;
Rejected, if one can never be accepted, and then none was."""

DeadLetter: TypeAlias = Callable[[str, int, int, str, bytes], None]
"""Takes topic, partition, offset, reason and payload of a message that can never be accepted."""

MAX_BODY_BYTES = 64 * 2**20

_POLL_SECONDS = 0.5  # also how long `stop` may have to wait for
_CHECK_SECONDS = 15.0  # between two looks at the end of the topics
_ANSWER_SECONDS = 5.0  # for a broker to answer a question or a commit
_BACKOFF_SECONDS = (0.5, 30.0)
_ROOM_SECONDS = 1.0  # between two looks whether the inbox has room again
_OUR_DEFAULTS = {
    "auto_offset_reset": "earliest",
    "bootstrap_timeout_ms": 5_000,
    "fetch_max_bytes": 16 * 2**20,
    "max_partition_fetch_bytes": 4 * 2**20,  # 20 requests of a usual size in one go
    "metrics_enabled": False,
}

_NOT_CONNECTED = "not connected yet"
_WAITING = "waiting for the inbox"

_log = logging.getLogger(__name__)


class KafkaReceiver:
    """Reads the topics of a configuration into the inbox, from `start` to `stop`."""

    def __init__(
        self,
        config: KafkaConfig,
        inbox: BatchInbox,
        telemetry: Telemetry,
        dead_letter: DeadLetter,
        connect: Callable[[KafkaConfig], Any] | None = None,
        max_body_bytes: int = MAX_BODY_BYTES,
    ) -> None:
        """`connect` makes the consumer; kafka-python's unless a test brings its own."""
        self._config = config
        self._inbox = inbox
        self._dead_letter = dead_letter
        self._connect = connect or connect_consumer
        self._acceptor = Acceptor(RECEIVER, telemetry, max_body_bytes, config.tenants, any_form=True)
        self._senders = Senders("kafka", None, config.tenants)
        self._kinds = config.kinds()
        self._encoding: Encoding = "json" if config.encoding == "otlp_json" else "protobuf"
        self._lag = telemetry.gauge(
            "driftline_kafka_lag_messages", "Messages in our partitions not yet read.", ["topic"], unit="messages"
        )
        self._paused = telemetry.gauge(
            "driftline_kafka_paused", "1 while reading waits until the inbox takes what was read."
        )
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._problem = _NOT_CONNECTED
        self._check_at = 0.0
        self._next: dict[Any, int] = {}  # per partition, the offset after the last one that is safe

    @property
    def healthy(self) -> bool:
        """Whether brokers answer and the store works. That the inbox has no room just now is no trouble."""
        return not self._problem

    @property
    def problem(self) -> str:
        """What is wrong, empty if nothing is."""
        return self._problem

    def start(self) -> None:
        """Begin to read. A broker that cannot be reached is tried again until it can."""
        if importlib.util.find_spec("crc32c") is None:
            _log.warning("reading from Kafka is 30 times slower without the package crc32c; please install it")
        self._thread = threading.Thread(target=self._run, name="kafka-receiver", daemon=True)
        self._thread.start()

    def stop(self, timeout_seconds: float = 15.0) -> None:
        """Finish the batch at hand if the inbox takes it, then leave the group. Safe twice and without start."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout_seconds)

    # --- the thread ---

    def _run(self) -> None:
        delay, longest = _BACKOFF_SECONDS
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                self._consume()
            except (KafkaError, OSError) as error:
                self._trouble(f"Kafka at {', '.join(self._config.brokers)}: {type(error).__name__}: {error}")
            except Exception as error:
                _log.exception("the Kafka receiver failed and starts again")
                self._trouble(f"{type(error).__name__}: {error}")
            if time.monotonic() - began > longest:
                delay = _BACKOFF_SECONDS[0]  # it had worked for a while
            self._stopping.wait(delay)
            delay = min(delay * 2, longest)

    def _consume(self) -> None:
        consumer = self._connect(self._config)
        self._next.clear()
        try:
            self._check_at = 0.0
            while not self._stopping.is_set():
                polled = _poll(consumer, _POLL_SECONDS)
                if polled:
                    self._connected()
                    self._deliver(consumer, _Batch(self, polled))
                self._check_at_times(consumer)
        finally:
            consumer.close(autocommit=False, timeout_ms=round(_ANSWER_SECONDS * 1000))

    def _deliver(self, consumer: Any, batch: "_Batch") -> None:
        """Hand a batch on, however long that takes, then commit it."""
        delay, longest = _BACKOFF_SECONDS
        while True:
            try:
                batch.deliver(self._inbox, self._dead_letter)
                break
            except Overloaded as error:
                # No trouble: others are told 429. How long to wait is said to senders far away; to ask here costs
                # nothing, and what was paused for longer than needed would leave the stages without work.
                self._acceptor.refused(error.reason)
                pause = min(error.retry_after_seconds, _ROOM_SECONDS)
            except StoreError as error:
                self._acceptor.refused("store")
                self._trouble(f"{_WAITING}: {error}")
                pause, delay = delay, min(delay * 2, longest)
            self._paused.set(1)
            if not self._pause(consumer, pause, batch):
                return  # stopped: what was not stored is not committed either
        consumer.resume(*consumer.paused())
        self._paused.set(0)
        self._commit(consumer, batch.offsets)
        if self._problem.startswith(_WAITING):
            self._well()

    def _pause(self, consumer: Any, seconds: float, batch: "_Batch") -> bool:
        """Wait, but stay a member of the group, which takes polling; False if it is time to stop."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            consumer.pause(*consumer.assignment())
            # Only a partition that is newly ours can bring anything.
            batch.add(_poll(consumer, 0))
            self._check_at_times(consumer)  # how far behind one is, one wants to know just now
            if self._stopping.wait(min(left, _POLL_SECONDS)):
                return False
        return True

    def _commit(self, consumer: Any, offsets: dict[Any, int]) -> None:
        mine = consumer.assignment()
        self._next.update(offsets)
        commits = {
            partition: OffsetAndMetadata(offset, "", -1) for partition, offset in offsets.items() if partition in mine
        }
        if not commits:
            return
        try:
            consumer.commit(commits, timeout_ms=round(_ANSWER_SECONDS * 1000))
        except KafkaError as error:
            # The spans are safe; whoever owns the partition next reads them once more.
            _log.warning("offsets could not be committed, a few messages may be read twice: %s", error)

    def _check_at_times(self, consumer: Any) -> None:
        if time.monotonic() >= self._check_at and consumer.assignment():
            self._check(consumer)
            self._check_at = time.monotonic() + _CHECK_SECONDS

    def _check(self, consumer: Any) -> None:
        """Ask the brokers where the topics end: that gives the lag, and shows whether they answer."""
        partitions = sorted(consumer.assignment())
        timeout_ms = round(_ANSWER_SECONDS * 1000)
        try:
            ends = consumer.end_offsets(partitions, timeout_ms=timeout_ms)
            lags = dict.fromkeys(self._kinds, 0)
            for partition in partitions:
                position = self._next.get(partition)
                if position is None:
                    position = consumer.position(partition, timeout_ms=timeout_ms)
                lags[partition.topic] += max(0, ends[partition] - (position or 0))
        except KafkaError as error:
            self._trouble(f"Kafka at {', '.join(self._config.brokers)} does not answer: {type(error).__name__}")
            return
        for topic, lag in lags.items():
            self._lag.set(lag, topic)
        self._next = {partition: offset for partition, offset in self._next.items() if partition in partitions}
        if not self._problem.startswith(_WAITING):
            self._well()

    def prepare(self, record: Any) -> tuple[Prepared, str]:
        """A message as a request, with its tenant.

        Raises:
            Rejected: it can never be accepted.
        """
        tenant = self._senders.admit(b"", _header(record, self._senders.header)) if self._senders.header else ""
        return self._acceptor.prepare(self._kinds[record.topic], record.value, self._encoding), tenant

    def stored(self, prepared: Prepared, tenant: str) -> None:
        self._acceptor.stored(prepared, tenant)

    def buried(self, reason: str) -> None:
        self._acceptor.refused(reason)

    def _trouble(self, problem: str) -> None:
        """Said once, when it begins."""
        if not self._problem or self._problem == _NOT_CONNECTED:
            _log.warning("%s; trying again until it works", problem)
        self._problem = problem

    def _connected(self) -> None:
        """Brokers answer; where the topics end is found later, which a first batch that must wait would put off."""
        if self._problem == _NOT_CONNECTED:
            self._problem = ""

    def _well(self) -> None:
        if self._problem and self._problem != _NOT_CONNECTED:
            _log.warning("reading from Kafka again")
        self._problem = ""


class _Batch:
    """What was polled: requests for the inbox, and messages that nobody can read."""

    def __init__(self, receiver: KafkaReceiver, polled: dict[Any, Sequence[Any]]) -> None:
        self._receiver = receiver
        self._requests: list[tuple[Any, Prepared, str]] = []
        self._poison: list[tuple[Any, Rejected]] = []
        self.offsets: dict[Any, int] = {}
        self.add(polled)

    def add(self, polled: dict[Any, Sequence[Any]]) -> None:
        for partition, records in polled.items():
            for record in records:
                self.offsets[partition] = record.offset + 1
                if record.value is None:
                    continue  # a deletion marker, in a topic that is compacted by mistake
                try:
                    self._requests.append((record, *self._receiver.prepare(record)))
                except Rejected as error:
                    self._poison.append((record, error))

    def deliver(self, inbox: BatchInbox, dead_letter: DeadLetter) -> None:
        """Hand on what was not handed on before.

        Raises:
            Overloaded, StoreError: not all of it could be; call again.
        """
        try:
            self._hand_on(inbox, self._requests)
            self._requests.clear()
        except Rejected:  # one of them is at fault, and the others must not wait for it
            self._hand_on_one_by_one(inbox)
        while self._poison:
            record, error = self._poison[0]
            dead_letter(record.topic, record.partition, record.offset, error.reason, record.value)
            self._receiver.buried(error.reason)
            self._poison.pop(0)

    def _hand_on(self, inbox: BatchInbox, items: Sequence[tuple[Any, Prepared, str]]) -> None:
        """Raises Rejected, Overloaded, StoreError: none of them was taken."""
        bodies = [(request.kind, request.body, tenant) for _, request, tenant in items if not request.is_empty]
        try:
            if bodies:
                inbox(bodies)
        except TimeoutError as silence:  # an OSError, which would look like the network's
            raise StoreError("the inbox does not answer") from silence
        for _, request, tenant in items:
            self._receiver.stored(request, tenant)

    def _hand_on_one_by_one(self, inbox: BatchInbox) -> None:
        while self._requests:
            record = self._requests[0][0]
            try:
                self._hand_on(inbox, self._requests[:1])
            except Rejected as error:
                self._poison.append((record, error))
            self._requests.pop(0)


def _header(record: Any, name: bytes) -> bytes:
    """A header of a message; the last if it is there more than once, as in Kafka's own clients."""
    values = [value for key, value in record.headers or () if key.lower().encode("utf-8", "replace") == name]
    return values[-1] or b"" if values else b""


def _poll(consumer: Any, seconds: float) -> Any:
    """What came, within these seconds, or some more while partitions are shared out anew."""
    if go_on_joining(consumer):
        seconds = max(seconds, JOIN_SECONDS)
    return consumer.poll(timeout_ms=round(seconds * 1000))


def connect_consumer(config: KafkaConfig) -> Any:
    """A kafka-python consumer, subscribed.

    Raises:
        KafkaError: no broker answers.
    """
    settings = {**_OUR_DEFAULTS, **config.client_options()}
    return KafkaConsumer(
        *config.kinds(),
        bootstrap_servers=list(config.brokers),
        group_id=config.group,
        client_id=settings.pop("client_id", "driftline"),
        enable_auto_commit=False,
        **settings,
    )
