"""Logs and state in a cluster as another process may look at them: no group, no offset, nothing is held back for it."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

from kafka import TopicPartition
from kafka.errors import KafkaError

from collector.core.engine import LOGS, Entry
from collector.core.errors import StoreError
from collector.engines.kafka_clients import ANSWER_SECONDS, Clients
from collector.engines.kafka_config import KafkaEngineConfig
from collector.engines.kafka_subscription import entry_of

_POLL_MS = 1000
_ANSWER_MS = round(ANSWER_SECONDS * 1000)


def read_log(config: KafkaEngineConfig, log: str, stage: str | None = None) -> Iterator[Entry]:
    """What is committed of a log now; each partition in its order, the partitions as they come.

    Args:
        config: of the cluster.
        log: its name.
        stage: begin where this stage would after a restart, in each partition.

    Raises:
        StoreError: there is no such topic, or the brokers do not answer.
    """
    if log not in LOGS:
        raise ValueError(f"{log!r} is not one of the logs {', '.join(LOGS)}")
    yield from map(entry_of, _records(config, config.topic(log), stage))


def read_state(config: KafkaEngineConfig, stage: str) -> Iterator[tuple[str, bytes]]:
    """What a stage has committed of its state, a partition's after another's.

    Raises:
        StoreError: there is no such topic, or the brokers do not answer.
    """
    newest: dict[tuple[int, bytes], bytes | None] = {}
    for record in _records(config, config.state_topic(stage)):
        newest[record.partition, record.key] = record.value
    return ((key.decode(), value) for (_, key), value in newest.items() if value is not None)


def _records(config: KafkaEngineConfig, topic: str, stage: str | None = None) -> Iterator[Any]:
    clients = Clients(config)
    try:
        with closing(clients), closing(clients.lone_consumer("read_committed")) as consumer:
            numbers = consumer.partitions_for_topic(topic)
            if not numbers:
                raise StoreError(f"there is no topic {topic}; has `driftline topics apply` run?")
            places = [TopicPartition(topic, number) for number in numbers]
            ends = consumer.end_offsets(places, timeout_ms=_ANSWER_MS)
            consumer.assign(places)
            consumer.seek_to_beginning(*places)
            for place, offset in _committed(clients, config, places, stage).items():
                consumer.seek(place, offset)
            while any(consumer.position(place, timeout_ms=_ANSWER_MS) < ends[place] for place in places):
                for records in consumer.poll(timeout_ms=_POLL_MS).values():
                    yield from records
    except (KafkaError, OSError) as error:
        raise clients.trouble(error) from None


def _committed(
    clients: Clients, config: KafkaEngineConfig, places: Sequence[TopicPartition], stage: str | None
) -> dict[TopicPartition, int]:
    """Where a stage would go on, in those partitions whose records from there on are all kept."""
    if stage is None:
        return {}
    group = config.stage_group(stage)
    with closing(clients.admin()) as admin:
        found = admin.list_group_offsets({group: list(places)})[group]
    return {
        place: found[place].offset
        for place, first in clients.first_offsets(places).items()
        if place in found and found[place].offset > first  # -1: nothing yet
    }
