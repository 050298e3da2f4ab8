"""What the service holds, as another process may look at it while that runs: its logs, and the state of its stages."""

from collections.abc import Iterator

from collector.core.engine import Entry
from collector.engines import sqlite_reader
from driftline.config import Config

# kafka_reader is imported late: 15 MB that a service without Kafka need not carry.


def read_log(config: Config, log: str, stage: str | None = None) -> Iterator[Entry]:
    """Everything that is in a log now.

    Args:
        stage: leave out what this stage needs no more.

    Raises:
        StoreError: there is none, or it cannot be read.
    """
    if config.cluster is None:
        return sqlite_reader.read_log(config.store.path, log, stage)
    from collector.engines import kafka_reader

    return kafka_reader.read_log(config.cluster, log, stage)


def read_state(config: Config, stage: str) -> Iterator[tuple[str, bytes]]:
    """What a stage has committed of its state; of several partitions, some keys may come more than once.

    Raises:
        StoreError: there is none, or it cannot be read.
    """
    if config.cluster is None:
        return sqlite_reader.read_state(config.store.path, stage)
    from collector.engines import kafka_reader

    return kafka_reader.read_state(config.cluster, stage)
