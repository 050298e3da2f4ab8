"""How near the inbox is to losing what nobody has read: retention drops the oldest records, read or not.

Who receives looks, every few seconds, at what the readers have committed and at what the brokers keep. When what is not
read takes most of what retention allows, senders are told to wait: they keep it then, and nothing is dropped.
"""

import logging
import threading
import time
from collections.abc import Sequence

from collector.core.engine import TICK_KIND, Record
from collector.core.errors import Overloaded, StoreError
from collector.engines.kafka_clients import Clients, Retained
from collector.engines.kafka_metrics import KafkaMetrics

MOST_RATIO = 0.8
"""Of what retention allows may be unread; past it senders are told to wait."""

_log = logging.getLogger(__name__)
_LOOK_SECONDS = 5.0
_RETRY_AFTER_SECONDS = 30.0


class Backlog:
    """Looks, on a thread of its own, until `close`.

    Args:
        groups: the consumer groups that must have read a record before it may go.
        size_bytes: what retention keeps of a partition.
        seconds: how long retention keeps a record.
    """

    def __init__(
        self,
        clients: Clients,
        metrics: KafkaMetrics,
        topic: str,
        groups: Sequence[str],
        size_bytes: int,
        seconds: float,
    ) -> None:
        self._clients, self._metrics, self._topic, self._groups = clients, metrics, topic, groups
        self._size_bytes, self._seconds = size_bytes, seconds
        self._ratio = 0.0
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="driftline-backlog", daemon=True)
        self._thread.start()

    def admit(self, records: Sequence[Record]) -> None:
        """Raises Overloaded. Ticks may always come: by them what waits is evaluated."""
        if self._ratio >= MOST_RATIO and any(record.kind != TICK_KIND for record in records):
            raise Overloaded(
                "backlog",
                f"what is not evaluated takes {self._ratio:.0%} of what {self._topic} may keep",
                _RETRY_AFTER_SECONDS,
            )

    def look(self) -> None:
        """Measure once. Raises StoreError, and then what was measured before stays in force."""
        partitions = self._clients.retained(self._topic, self._groups, time.time() - MOST_RATIO * self._seconds)
        ratio = max((self._of(one) for one in partitions.values()), default=0.0)
        if (ratio >= MOST_RATIO) != (self._ratio >= MOST_RATIO):
            _log.warning(
                "unread records take %.0f%% of what %s may keep: senders are told to %s",
                *(100 * ratio, self._topic, "wait" if ratio >= MOST_RATIO else "go on"),
            )
        self._ratio = ratio
        self._metrics.backlog(ratio)

    def close(self) -> None:
        self._closing.set()
        self._thread.join()

    def _of(self, partition: Retained) -> float:
        if partition.read < partition.old:  # something unread is so old that its time is nearly over
            return 1.0
        kept = partition.end - partition.first
        unread = partition.end - max(partition.read, partition.first)
        return unread / kept * partition.size_bytes / self._size_bytes if kept else 0.0

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                self.look()
            except StoreError as error:  # who appends hears of that soon enough
                _log.debug("the backlog cannot be measured: %s", error)
            self._closing.wait(_LOOK_SECONDS)
