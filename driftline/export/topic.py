"""Rows into a Kafka topic, one JSON object a message, acknowledged by the brokers."""

import logging
from collections.abc import Callable, Sequence
from typing import Any

import orjson

from collector.core.errors import StoreError
from driftline.export.config import KafkaExportConfig
from driftline.export.rows import Row

_ROWS_AT_ONCE = 500  # bounds what waits in the producer
_OUR_DEFAULTS = {
    # A broker that is gone is noticed in time for the service to stop: the stage itself tries again for ever.
    "bootstrap_timeout_ms": 5_000,
    "max_block_ms": 5_000,
    "request_timeout_ms": 10_000,
    "delivery_timeout_ms": 15_000,
    "linger_ms": 5,
    "metrics_enabled": False,
}

_log = logging.getLogger(__name__)


class Topic:
    """Sends rows to one topic. What was sent but not acknowledged is sent again, so that a row may come twice.

    Args:
        key: the key of a row's message.
        connect: makes the producer; kafka-python's unless a test brings its own.
    """

    def __init__(
        self,
        config: KafkaExportConfig,
        topic: str,
        key: Callable[[Row], bytes],
        connect: Callable[[KafkaExportConfig], Any] | None = None,
    ) -> None:
        self._config, self._topic, self._key = config, topic, key
        self._connect = connect or connect_producer
        self._producer: Any = None

    def send(self, rows: Sequence[Row]) -> int:
        """Returns once the brokers have the rows: how many were too large for them and were left out.

        Raises:
            StoreError: the brokers do not take them now; some may have arrived.
        """
        from kafka.errors import KafkaError

        try:
            if self._producer is None:
                self._producer = self._connect(self._config)
            return sum(
                self._send_some(rows[first : first + _ROWS_AT_ONCE]) for first in range(0, len(rows), _ROWS_AT_ONCE)
            )
        except (KafkaError, OSError) as error:
            self.close()  # the next attempt begins with new connections and a new producer id
            problem = f"{type(error).__name__}: {error}"
            raise StoreError(f"export.kafka: the topic {self._topic} does not take rows: {problem}") from error

    def close(self) -> None:
        """Safe to call twice."""
        if self._producer is not None:
            producer, self._producer = self._producer, None
            producer.close(timeout=1)

    def _send_some(self, rows: Sequence[Row]) -> int:
        from kafka.errors import MessageSizeTooLargeError, RecordListTooLargeError

        too_large = 0
        sent: list[tuple[Row, Any]] = []
        for row in rows:
            try:
                sent.append((row, self._producer.send(self._topic, key=self._key(row), value=orjson.dumps(row))))
            except MessageSizeTooLargeError:
                too_large += self._left_out(row)
        self._producer.flush(timeout=_OUR_DEFAULTS["delivery_timeout_ms"] / 1000)
        for row, future in sent:
            try:
                future.get(timeout=0)
            except (MessageSizeTooLargeError, RecordListTooLargeError):
                too_large += self._left_out(row)
        return too_large

    def _left_out(self, row: Row) -> int:
        _log.error("export.kafka: the row %s is too large for the topic %s and was left out", row["id"], self._topic)
        return 1


def connect_producer(config: KafkaExportConfig) -> Any:
    """A kafka-python producer whose messages are acknowledged by every replica that is in sync.

    Raises:
        KafkaError: no broker answers.
    """
    from kafka import KafkaProducer

    settings = {**_OUR_DEFAULTS, "client_id": "driftline-export", **config.client_options()}
    return KafkaProducer(bootstrap_servers=list(config.brokers), acks="all", **settings)
