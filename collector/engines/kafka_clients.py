"""kafka-python's clients, made the way the engine needs them: bounded waits, nothing left behind, one kind of error."""

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.errors import KafkaError, KafkaTimeoutError, LeaderNotAvailableError, UnsupportedCodecError
from kafka.net.compat import KafkaNetClient

from collector.core.errors import StoreError
from collector.engines.kafka_config import INSTALL_CODECS, KafkaEngineConfig

T = TypeVar("T")

ANSWER_SECONDS = 5.0  # for brokers to answer a question
SEND_SECONDS = 20.0  # for records to be acknowledged, a new leader included; then the sender hears of it
_ANSWER_MS = round(ANSWER_SECONDS * 1000)
_REQUEST_SECONDS = 10.0  # for one request; a broker that died is not waited for longer
_BATCH_BYTES = 256 * 2**10  # requests are long: 16 kB, the default, would make nearly each a batch of its own
_ALSO_SECURITY = "; so it is too where a certificate, password or mechanism in `options` does not fit"
_NOBODY = -1  # kafka-python's leader of a partition that has none
_LEARN_SECONDS = 0.05  # between two looks at whether new partitions are known
_RETRY_MILLISECONDS = 20  # kafka-python sleeps so long where a commit follows the last one closely
_SHARED = {
    "bootstrap_timeout_ms": _ANSWER_MS,
    "request_timeout_ms": round(_REQUEST_SECONDS * 1000),
    "reconnect_backoff_max_ms": 1000,  # its 30 s would be the time without service after a broker's restart
    "metadata_max_age_ms": 10_000,  # how soon new partitions are seen
    "metrics_enabled": False,
    "allow_auto_create_topics": False,
}
_READING = {
    "session_timeout_ms": 20_000,  # how long the work of a worker that died waits
    "heartbeat_interval_ms": 1_000,  # by which others learn that somebody wants to join
    "fetch_max_bytes": 16 * 2**20,
    "max_partition_fetch_bytes": 4 * 2**20,
}


@dataclass(frozen=True, slots=True)
class Retained:
    """A partition as the brokers keep it; all but the size are offsets.

    Attributes:
        read: up to where everybody has read.
        old: up to where records are from before some time.
    """

    first: int
    end: int
    read: int
    old: int
    size_bytes: int


class Producer(KafkaProducer):  # type: ignore[misc]  # kafka-python has no types
    """kafka-python's, whose waits for the transaction's coordinator end; its own last until there is an answer."""

    def send_offsets(self, offsets: Mapping[Any, Any], membership: Any, seconds: float) -> None:
        """`send_offsets_to_transaction`, with a limit. Raises KafkaError."""
        self._await(self._transaction_manager.send_offsets_to_transaction(offsets, membership), seconds)

    def commit(self, seconds: float) -> None:
        """`commit_transaction`, with a limit: past it the outcome is not known. Raises KafkaError."""
        self._await(self._transaction_manager.begin_commit(), seconds)

    def learn(self, topic: str, number: int) -> None:
        """Ask for the partitions of a topic again, until this one is among them. Raises KafkaTimeoutError."""
        deadline = Deadline(ANSWER_SECONDS)
        while number not in self.partitions_for(topic):
            if not deadline.left():
                raise KafkaTimeoutError(f"{topic} has no partition {number}")
            self._metadata.request_update()
            self._sender.wakeup()
            time.sleep(_LEARN_SECONDS)

    def _await(self, result: Any, seconds: float) -> None:
        self._sender.wakeup()
        if not result.wait(timeout_ms=seconds * 1000):
            raise KafkaTimeoutError(f"no answer from the transaction's coordinator within {seconds:.0f} s")

    def abandon(self) -> None:
        """Stop at once, whatever is unsent; `close` would wait for it, and fail if it cannot be sent."""
        self._unregister_cleanup()
        self._closed = True
        self._sender.force_close()


class Clients:
    """Makes clients for one cluster. Every method that makes one or asks raises StoreError if no broker answers."""

    def __init__(self, config: KafkaEngineConfig) -> None:
        self._config = config
        self._options = config.client_options()
        self._asking = threading.Lock()
        self._asker: Any = None

    def trouble(self, error: BaseException) -> StoreError:
        """What a person should read."""
        text = " ".join(str(error).split())
        name = type(error).__name__
        if isinstance(error, UnsupportedCodecError):
            text += f"; {INSTALL_CODECS}"
        elif (
            isinstance(error, KafkaTimeoutError) and self._options.get("security_protocol", "PLAINTEXT") != "PLAINTEXT"
        ):
            text += _ALSO_SECURITY
        return StoreError(f"kafka at {', '.join(self._config.brokers)}: {text if name in text else f'{name}: {text}'}")

    def admin(self) -> Any:
        return self._make(KafkaAdminClient)

    def group_consumer(self, group: str) -> Any:
        return self._make(
            KafkaConsumer,
            group_id=group,
            isolation_level="read_committed",
            partition_assignment_strategy=(CooperativeStickyAssignor,),
        )

    def lone_consumer(self, isolation_level: str) -> Any:
        return self._make(KafkaConsumer, group_id=None, isolation_level=isolation_level)

    def appending_producer(self) -> Any:
        return self._make(Producer, linger_ms=2)

    def transactional_producer(self, transactional_id: str) -> Any:
        """With its transactions initialised: whatever an earlier one of the same id left open is decided by then."""
        producer = self._make(
            Producer,
            transactional_id=transactional_id,
            transaction_timeout_ms=round(self._config.transaction_timeout * 1000),
            retry_backoff_ms=_RETRY_MILLISECONDS,
        )
        try:
            producer.init_transactions()
        except KafkaError as error:
            producer.abandon()
            raise self.trouble(error) from None
        return producer

    def first_offsets(self, places: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """The oldest records that are still there. (A consumer that reads would have to wait for its fetch to end.)"""
        return self._ask(places, lambda asker: dict(asker.beginning_offsets(list(places), timeout_ms=_ANSWER_MS)))

    def end_offsets(self, places: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """The ends as they are, open transactions included."""
        return self._ask(places, lambda asker: dict(asker.end_offsets(list(places), timeout_ms=_ANSWER_MS)))

    def retained(self, topic: str, groups: Sequence[str], old: float) -> dict[int, Retained]:
        """What the brokers keep of each partition, and what all `groups` have read of it.

        Args:
            old: Unix seconds; records from before then are told apart.
        """
        admin = self.admin()
        try:
            sizes: dict[int, int] = {}
            for broker in admin.describe_log_dirs([topic]):
                for folder in broker["log_dirs"]:
                    for known in folder["topics"]:
                        for one in known["partitions"]:
                            number = one["partition_index"]
                            sizes[number] = max(sizes.get(number, 0), one["partition_size"])
            places = [TopicPartition(topic, number) for number in sizes]
            committed = admin.list_group_offsets(dict.fromkeys(groups, places))
        except (KafkaError, OSError) as error:
            raise self.trouble(error) from None
        finally:
            admin.close()
        first, end = self.first_offsets(places), self.end_offsets(places)
        since = dict.fromkeys(places, round(old * 1000))
        newer = self._ask(places, lambda asker: asker.offsets_for_times(since, timeout_ms=_ANSWER_MS))
        return {
            place.partition: Retained(
                first[place],
                end[place],
                max(0, min(committed[group][place].offset for group in groups)),  # -1: nothing yet
                found.offset if (found := newer.get(place)) else end[place],
                sizes[place.partition],
            )
            for place in places
        }

    def leaderless(self, places: Sequence[TopicPartition]) -> list[TopicPartition]:
        """Those that no broker leads, as far as is known: they can neither be read nor written."""
        return self._ask((), lambda asker: leaderless(asker._cluster, places))

    def close(self) -> None:
        with self._asking:
            if self._asker is not None:
                self._asker.close(autocommit=False, timeout_ms=_ANSWER_MS)
                self._asker = None

    def _ask(self, places: Sequence[TopicPartition], question: Callable[[Any], T]) -> T:
        with self._asking:
            if self._asker is None:
                self._asker = self.lone_consumer("read_uncommitted")
            try:
                if gone := leaderless(self._asker._cluster, places):  # else it would wait for that, and all with it
                    raise LeaderNotAvailableError(f"no broker leads partition {gone[0].partition} of {gone[0].topic}")
                return question(self._asker)
            except KafkaError as error:
                raise self.trouble(error) from None
            except KeyError as error:  # so kafka-python says that a partition lost its leader meanwhile
                raise self.trouble(LeaderNotAvailableError(f"no broker leads {error}")) from None

    def _make(self, kind: Any, **ours: Any) -> Any:
        defaults = {**_SHARED, **(_READING if kind is KafkaConsumer else {})}
        settings = {**defaults, **self._options, **self._fixed(kind), **ours}
        known = {name: value for name, value in settings.items() if name in kind.DEFAULT_CONFIG}
        made: list[Any] = []

        def net_client(**options: Any) -> Any:
            made.append(KafkaNetClient(**options))
            return made[-1]

        try:
            return kind(bootstrap_servers=list(self._config.brokers), kafka_client=net_client, **known)
        except (KafkaError, OSError) as error:
            for client in made:  # a consumer that does not come up leaves its thread behind
                with suppress(Exception):
                    client.close()
            raise self.trouble(error) from None

    def _fixed(self, kind: Any) -> dict[str, Any]:
        if kind is KafkaConsumer:
            return {"enable_auto_commit": False, "auto_offset_reset": "earliest"}
        compression = self._config.compression
        return {
            "enable_idempotence": True,
            "acks": "all",
            "max_in_flight_requests_per_connection": 5,
            "batch_size": _BATCH_BYTES,
            "max_block_ms": _ANSWER_MS,
            "delivery_timeout_ms": round(SEND_SECONDS * 1000),
            "max_request_size": self._config.max_record + 2**20,  # a batch's own bytes; records are measured before
            "compression_type": None if compression == "none" else compression,
        }


def leaderless(cluster: Any, places: Iterable[TopicPartition]) -> list[TopicPartition]:
    """Those that no broker leads, as kafka-python's `cluster` knows it; where there are some it looks again soon."""
    gone = [place for place in places if cluster.leader_for_partition(place) == _NOBODY]
    if gone:
        cluster.request_update()
    return gone


class Deadline:
    """How much is left of a time."""

    def __init__(self, seconds: float) -> None:
        self._at = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds, never negative."""
        return max(0.0, self._at - time.monotonic())

    def left_ms(self) -> int:
        return round(self.left() * 1000)
