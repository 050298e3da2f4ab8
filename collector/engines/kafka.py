"""The Kafka engine: logs are topics, state is compacted topics, and workers share both as consumer groups.

A commit is one Kafka transaction. What is in flight on a worker that dies is aborted by the brokers, and the partition
goes, with its state, to another one.
"""

import importlib.util
import logging
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future

from kafka.errors import KafkaError

from collector.core.clock import Clock
from collector.core.engine import LOGS, SPANS, Listener, Record
from collector.core.errors import StoreError, UserError
from collector.core.telemetry import Telemetry
from collector.engines.kafka_append import Appender
from collector.engines.kafka_backlog import Backlog
from collector.engines.kafka_clients import Clients
from collector.engines.kafka_config import KafkaEngineConfig
from collector.engines.kafka_metrics import KafkaMetrics
from collector.engines.kafka_subscription import KafkaSubscription
from collector.engines.kafka_topics import APPLY, Topic, existing, obstacles, record_limit

__all__ = ["KafkaEngine", "KafkaEngineConfig"]

_log = logging.getLogger(__name__)


class KafkaEngine:
    """See the module; one a process.

    Args:
        clock: as other engines take it; nothing here needs one, records carry the time of their producer.
        stages: the stages that keep state, with the log that each reads. Others can read too, without state.

    Raises:
        UserError: topics are missing or are not as they must be; says what to run.
        StoreError: the cluster does not answer.
    """

    def __init__(
        self,
        config: KafkaEngineConfig,
        clock: Clock,
        telemetry: Telemetry,
        stages: Mapping[str, str],
    ) -> None:
        self._config, self._stages = config, stages
        self._clients = Clients(config)
        self._metrics = KafkaMetrics(telemetry)
        self._open: list[KafkaSubscription] = []
        self._lock = threading.Lock()
        self._closed = False
        if importlib.util.find_spec("crc32c") is None:
            _log.warning("Kafka is 30 times slower without the package crc32c; please install it")
        found = self._look_at_topics()
        self._limits = {name: record_limit(topic) for name, topic in found.items()}
        logs = {config.topic(log): found[config.topic(log)].partitions for log in LOGS}
        spans = config.topic(SPANS)
        self._backlog = Backlog(
            self._clients,
            self._metrics,
            spans,
            [config.stage_group(stage) for stage, log in stages.items() if log == SPANS],
            int(found[spans].configs["retention.bytes"]),
            int(found[spans].configs["retention.ms"]) / 1000,
        )
        self._appender = Appender(self._clients, logs, self._limits, config.max_unsent, self._metrics)

    @property
    def problem(self) -> str:
        with self._lock:
            troubled = [one.problem for one in self._open if one.problem]
        return self._appender.problem or next(iter(troubled), "")

    def partitions(self, log: str) -> int:
        return self._appender.partitions[self._config.topic(log)]

    def append(self, log: str, records: Sequence[Record]) -> "Future[None]":
        """See the contract; in the future also Rejected (`too_large`), and then none of the records was appended."""
        if log == SPANS:
            self._backlog.admit(records)
        return self._appender.append(self._config.topic(log), records)

    def subscribe(self, stage: str, log: str, listener: Listener, from_start: bool = False) -> KafkaSubscription:
        """Read `log` as `stage`, sharing its partitions with the other workers; see the contract."""
        has_state = stage in self._stages
        if has_state and self._stages[stage] != log:
            raise ValueError(f"stage {stage!r} was declared to read {self._stages[stage]}, not {log}")
        subscription = KafkaSubscription(
            self._config,
            self._clients,
            self._metrics,
            stage,
            log,
            listener,
            from_start,
            has_state,
            self._limits.__getitem__,
            self._learn,
        )
        with self._lock:
            if self._closed:
                raise StoreError("the store is closed")
            self._open = [one for one in self._open if not one.closed] + [subscription]
        return subscription

    def close(self) -> None:
        """Send what was handed in, leave the groups. Safe twice. Stages must have stopped polling."""
        with self._lock:
            self._closed = True
            subscriptions, self._open = self._open, []
        for subscription in subscriptions:
            subscription.close()
        self._backlog.close()
        self._appender.close()
        self._clients.close()

    def _learn(self, topic: str, number: int) -> None:
        """Whoever has a partition must know of all there are: the home of a key depends on their number.

        Raises:
            StoreError: the brokers do not answer.
        """
        if number >= self._appender.partitions[topic]:
            self._appender.learn(topic, self._existing([topic])[topic].partitions)

    def _look_at_topics(self) -> dict[str, Topic]:
        config = self._config
        names = [config.topic(log) for log in LOGS] + [config.state_topic(stage) for stage in self._stages]
        found = self._existing(names)
        if problems := obstacles(config, found, self._stages):
            raise UserError(*problems, f"kafka: '{APPLY}' makes the topics")
        return found

    def _existing(self, names: list[str]) -> dict[str, Topic]:
        admin = self._clients.admin()
        try:
            return existing(names, admin)
        except (KafkaError, OSError) as error:
            raise self._clients.trouble(error) from None
        finally:
            admin.close()
