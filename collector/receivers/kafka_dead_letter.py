"""Messages that cannot be read, kept in a topic of their own for people to look at."""

from collections.abc import Callable
from typing import Any

from kafka import KafkaProducer
from kafka.errors import KafkaError

from collector.core.errors import StoreError
from collector.receivers.kafka_config import KafkaConfig

_SEND_SECONDS = 30.0


class DeadLetterTopic:
    """Sends a message as it came to `kafka.dead_letter`, with where it came from and why in its headers.

    Returns once the brokers have it, so that the offset of the message is committed only then.
    """

    def __init__(self, config: KafkaConfig, topic: str, connect: Callable[[KafkaConfig], Any] | None = None) -> None:
        self._config = config
        self._topic = topic
        self._connect = connect or connect_producer
        self._producer: Any = None

    def __call__(self, topic: str, partition: int, offset: int, reason: str, payload: bytes) -> None:
        """
        Raises:
            StoreError: the brokers do not take it now.
        """
        headers = [
            ("driftline.topic", topic.encode()),
            ("driftline.partition", str(partition).encode()),
            ("driftline.offset", str(offset).encode()),
            ("driftline.reason", reason.encode()),
        ]
        try:
            if self._producer is None:
                self._producer = self._connect(self._config)
            self._producer.send(self._topic, value=payload, headers=headers).get(_SEND_SECONDS)
        except (KafkaError, OSError) as error:
            raise StoreError(
                f"the dead-letter topic {self._topic} does not take messages: {type(error).__name__}: {error}"
            ) from error

    def close(self) -> None:
        if self._producer is not None:
            self._producer.close(timeout=_SEND_SECONDS)
            self._producer = None


def connect_producer(config: KafkaConfig) -> Any:
    """A kafka-python producer that reaches the brokers the way the consumer does.

    Raises:
        KafkaError: no broker answers.
    """
    shared = {name: value for name, value in config.client_options().items() if name in KafkaProducer.DEFAULT_CONFIG}
    return KafkaProducer(**{**shared, "bootstrap_servers": list(config.brokers), "acks": "all"})
