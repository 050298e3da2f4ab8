"""Rows gathered into Parquet files, each row in exactly one of them whatever happens in between.

Before a file is written, the plan for it (the first offset and the last) is committed; after it was written, the offset
is, and the plan is gone. Who is killed in between finds the plan, gathers the same records, and writes the same files
under the same names over what is there.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson

from collector.core.clock import Clock
from collector.core.engine import Engine, Entry, Partition
from collector.core.errors import StoreError
from collector.core.telemetry import Telemetry
from driftline.export.config import ParquetExportConfig
from driftline.export.parquet import part_path, record_batch, write_part
from driftline.export.rows import by_day
from driftline.export.stage import ExportStage, Source

_STEM, _PLAN = "stem", "plan"
_ENTRIES_AT_ONCE = 64  # by how much a file may be longer than it should
_MOST_BYTES = 32 * 2**20  # of gathered columns, for rows that are unusually long


class Gathering:
    """What will be the next files of one partition.

    Attributes:
        stem: in the names of all files that come from one store, so that another store's never replace them.
        plan: the offsets (first, one past the last) of the files that were being written when the process was killed.
    """

    def __init__(self, partition: Partition, stem: str, plan: tuple[int, int] | None, began: float) -> None:
        self.partition, self.stem, self.plan, self.began = partition, stem, plan, began
        self.first: int | None = None
        self.next = 0
        self.rows = 0
        self.size_bytes = 0
        self.days: dict[str, list[Any]] = {}

    def add(self, form: str, entries: Sequence[Entry], rows: list[dict[str, Any]]) -> None:
        if self.first is None:
            self.first = entries[0].offset
        self.next = entries[-1].offset + 1
        self.rows += len(rows)
        for date, some in by_day(rows).items():
            batch = record_batch(form, some)
            self.size_bytes += batch.nbytes
            self.days.setdefault(date, []).append(batch)

    def split(self, entries: Sequence[Entry]) -> tuple[Sequence[Entry], Sequence[Entry]]:
        """Some entries to add now, and the others; of those that a plan does not hold, none are added."""
        within = entries[:_ENTRIES_AT_ONCE]
        if self.plan is not None:
            within = [entry for entry in within if entry.offset < self.plan[1]]
        return within, entries[len(within) :]


class FileStage(ExportStage):
    """See the module. A file is written every so many rows, and every so many seconds if there is anything."""

    def __init__(
        self, config: ParquetExportConfig, source: Source, engine: Engine, clock: Clock, telemetry: Telemetry
    ) -> None:
        super().__init__("parquet", source, engine, telemetry)
        self._config, self._clock = config, clock
        self._gathering: dict[int, Gathering] = {}

    def assigned(self, partition: Partition) -> None:
        state = partition.state()
        stem = state[_STEM].decode() if _STEM in state else uuid4().hex[:12]
        plan = tuple(orjson.loads(state[_PLAN])) if _PLAN in state else None
        self._gathering[partition.number] = Gathering(partition, stem, plan, self._clock.monotonic())

    def revoked(self, partition: Partition) -> None:
        del self._gathering[partition.number]

    def process(self, partition: int, entries: Sequence[Entry]) -> None:
        while entries:
            gathering = self._gathering[partition]
            some, entries = gathering.split(entries)
            if some:
                gathering.add(self._source.form, some, self.rows_of(some))
            if self._is_due(gathering) or not some:
                self._write(gathering)

    def rest(self) -> None:
        for gathering in list(self._gathering.values()):
            if self._is_due(gathering):
                self._write(gathering)

    def finish(self) -> None:
        for gathering in list(self._gathering.values()):
            if gathering.plan is None:
                self._write(gathering)

    def _is_due(self, gathering: Gathering) -> bool:
        if gathering.plan is not None:
            return gathering.next == gathering.plan[1]
        waited = self._clock.monotonic() - gathering.began
        full = gathering.rows >= self._config.max_rows or gathering.size_bytes >= _MOST_BYTES
        return full or (gathering.first is not None and waited >= self._config.every)

    def _write(self, gathering: Gathering) -> None:
        """Write what was gathered, and begin anew. Raises Stopped."""
        if gathering.rows and gathering.plan is None:
            self._plan(gathering)
        self.retrying(lambda: self._try_write(gathering))
        transaction = gathering.partition.transaction()
        transaction.delete(_PLAN)
        if gathering.first is not None:
            transaction.offset(gathering.next)
        self.commit(transaction)
        self.wrote(gathering.rows)
        number, now = gathering.partition.number, self._clock.monotonic()
        self._gathering[number] = Gathering(gathering.partition, gathering.stem, None, now)

    def _plan(self, gathering: Gathering) -> None:
        assert gathering.first is not None
        plan = gathering.first, gathering.next
        transaction = gathering.partition.transaction()
        transaction.put(_STEM, gathering.stem.encode())
        transaction.put(_PLAN, orjson.dumps(plan))
        self.commit(transaction)
        gathering.plan = plan

    def _try_write(self, gathering: Gathering) -> None:
        for date, batches in gathering.days.items():
            assert gathering.plan is not None
            name = f"{gathering.stem}-{gathering.partition.number}-{gathering.plan[0]:012}"
            path = part_path(self._config.path, self._source.form, date, name)
            try:
                write_part(path, self._source.form, batches)
            except OSError as error:
                raise StoreError(f"export.parquet: {_told(error, path)}") from None


def _told(error: OSError, path: Path) -> str:
    return f"{path} cannot be written: {error.strerror or error}"
