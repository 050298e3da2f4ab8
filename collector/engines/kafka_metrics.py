"""What the Kafka engine says of itself."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from collector.core.telemetry import Telemetry


class KafkaMetrics:
    """The instruments that all parts of an engine share."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._lag = telemetry.gauge(
            "driftline_stage_lag_records", "Records in our partitions that the stage has yet to read.", ["stage"],
            unit="records",
        )  # fmt: skip
        self._backlog = telemetry.gauge(
            "driftline_retention_ratio", "Unread part of what retention keeps of the inbox; past 0.8 senders wait.",
            unit="ratio",
        )  # fmt: skip
        self._leaderless = telemetry.gauge(
            "driftline_leaderless_partitions", "Partitions of a log that no broker leads: what belongs there waits.",
            ["topic"], unit="partitions",
        )  # fmt: skip
        self._commits = telemetry.histogram(
            "driftline_commit_seconds", "Time of a group commit.", buckets=(0.001, 0.01, 0.1, 1, 10), unit="seconds"
        )
        self._rebalances = telemetry.counter(
            "driftline_rebalances", "Times that partitions came to a stage from another worker or anew.", ["stage"]
        )
        self._restored = telemetry.counter(
            "driftline_restored_state_bytes", "State read back for partitions that came.", unit="bytes"
        )

    def lag(self, records: int, stage: str) -> None:
        self._lag.set(records, stage)

    def leaderless(self, partitions: int, topic: str) -> None:
        self._leaderless.set(partitions, topic)

    def backlog(self, ratio: float) -> None:
        self._backlog.set(ratio)

    def gone(self, stage: str) -> None:
        self._lag.remove(stage)

    def rebalanced(self, stage: str) -> None:
        self._rebalances.add(1, stage)

    def restored(self, size: int) -> None:
        self._restored.add(size)

    @contextmanager
    def commit_seconds(self) -> Iterator[None]:
        """Measures what happens within, also if it fails."""
        began = time.monotonic()
        try:
            yield
        finally:
            self._commits.observe(time.monotonic() - began)
