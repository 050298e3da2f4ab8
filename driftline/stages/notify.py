"""Changes in, alerts out: hands changes to the deliverer and gives it its turns."""

from collections.abc import Sequence

from alerts.deliver import Deliverer
from alerts.history import Delivery
from collector.core.clock import Clock
from collector.core.engine import CHANGES, Engine, Entry, Partition
from collector.core.telemetry import Telemetry
from drift.base import decode_change
from driftline.pipeline import Stage, put_state


class NotifyStage(Stage):
    """Changes are in one partition, so that one process tells of them all: it groups, repeats and retries.

    What is pending is committed with the offset before it is sent, and again after: no alert is lost on the way."""

    def __init__(self, engine: Engine, deliverer: Deliverer, clock: Clock, telemetry: Telemetry) -> None:
        super().__init__("notify", engine, CHANGES, telemetry)
        self._deliverer, self._clock = deliverer, clock

    def assigned(self, partition: Partition) -> None:
        super().assigned(partition)
        self._deliverer.restore(partition.state())

    def revoked(self, partition: Partition) -> None:
        super().revoked(partition)
        self._deliverer.restore({})  # another process tells of them from now on

    def process(self, partition: int, entries: Sequence[Entry]) -> None:
        for entry in entries:
            self._deliverer.accept(decode_change(entry.value))
        self._save(self.owned[partition], entries[-1].offset + 1)
        self._deliver()

    def rest(self) -> None:
        self._deliver()

    def finish(self) -> None:
        self._deliverer.close(self._clock.now_ns())
        self._save_all()

    def deliveries(self, change_id: str) -> Sequence[Delivery]:
        """What was done to tell of a change; nothing where another process tells of it. May be asked by any thread."""
        return self._deliverer.deliveries(change_id)

    def _deliver(self) -> None:
        self._deliverer.run_due(self._clock.now_ns())
        self._save_all()

    def _save_all(self) -> None:
        for partition in self.owned.values():
            self._save(partition, None)

    def _save(self, partition: Partition, next_offset: int | None) -> None:
        state = self._deliverer.take_state()
        if not state and next_offset is None:
            return
        transaction = partition.transaction()
        put_state(transaction, state)
        if next_offset is not None:
            transaction.offset(next_offset)
        self.commit(transaction)
