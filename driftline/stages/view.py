"""Decisions and changes into the view that people query."""

import sqlite3
from collections.abc import Callable, Sequence

from collector.core.engine import Engine, Entry, Partition
from collector.core.errors import StoreError
from collector.core.telemetry import Telemetry
from driftline.pipeline import Stage


class ViewStage(Stage):
    """Writes one log into the view: `write` is one of the view's `add_...`.

    Every view has all partitions: where several processes have one, each reads under a name of its own (`reader`).
    The view remembers by itself how far it is; the offset committed here only tells the engine what may be trimmed.
    `tidy` is called after each batch, for retention.
    """

    def __init__(
        self,
        engine: Engine,
        log: str,
        write: Callable[[int, Sequence[Entry]], None],
        tidy: Callable[[], None],
        telemetry: Telemetry,
        rebuild: bool,
        reader: str = "",
    ) -> None:
        super().__init__(f"view-{log}{reader}", engine, log, telemetry, from_start=rebuild)
        self._write, self._tidy = write, tidy
        self._partitions: dict[int, Partition] = {}

    def assigned(self, partition: Partition) -> None:
        self._partitions[partition.number] = partition

    def revoked(self, partition: Partition) -> None:
        del self._partitions[partition.number]

    def process(self, partition: int, entries: Sequence[Entry]) -> None:
        if not self.retrying(lambda: self._try_write(partition, entries)):
            return
        transaction = self._partitions[partition].transaction()
        transaction.offset(entries[-1].offset + 1)
        if self.commit(transaction):
            self._tidy()

    def _try_write(self, partition: int, entries: Sequence[Entry]) -> None:
        try:
            self._write(partition, entries)
        except sqlite3.Error as error:
            raise StoreError(f"the view cannot be written: {error}") from None
