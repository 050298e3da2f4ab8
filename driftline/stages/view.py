"""Decisions and changes into the view that people query."""

import sqlite3
from collections.abc import Callable, Sequence

from collector.core.engine import Engine, Entry
from collector.core.errors import DriftlineError, StoreError
from collector.core.telemetry import Telemetry
from collector.engines.sqlite_damage import is_damage
from driftline.pipeline import Stage


class ViewStage(Stage):
    """Writes one log into the view: `write` is one of the view's `add_...`.

    Every view has all partitions: where several processes have one, each reads under a name of its own (`reader`).
    The view remembers by itself how far it is; the offset committed here only tells the engine what may be trimmed.
    `tidy` is called after each batch and while there is none, for retention.
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

    def process(self, partition: int, entries: Sequence[Entry]) -> None:
        self.retrying(lambda: self._try(lambda: self._write(partition, entries)))
        self.commit_offset(partition, entries)
        self.rest()

    def rest(self) -> None:
        self.retrying(lambda: self._try(self._tidy))

    def _try(self, write: Callable[[], None]) -> None:
        try:
            write()
        except sqlite3.Error as error:
            if is_damage(error):
                raise DriftlineError(
                    f"the view is damaged: {error}; stop the service and run `driftline repair`"
                ) from None
            raise StoreError(f"the view cannot be written: {error}") from None
