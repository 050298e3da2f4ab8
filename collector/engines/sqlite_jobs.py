"""What the embedded engine's writer does: each job is a piece of a group commit."""

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import Future

from collector.core.engine import Record
from collector.core.errors import Fenced
from collector.engines.sqlite_rows import insert_rows


class Job(ABC):
    """A piece of a group commit."""

    def __init__(self) -> None:
        self.done: Future[None] = Future()

    @property
    def logs(self) -> Collection[str]:
        """The logs that it appends to."""
        return ()

    @abstractmethod
    def apply(self, connection: sqlite3.Connection) -> None:
        """Write, inside the group's transaction. Fenced: nothing was written."""


class Append(Job):
    def __init__(self, log: str, records: Sequence[Record], at_ns: int) -> None:
        super().__init__()
        self.log, self.records, self.at_ns = log, records, at_ns

    @property
    def logs(self) -> Collection[str]:
        return (self.log,)

    def apply(self, connection: sqlite3.Connection) -> None:
        _insert(connection, self.log, self.records, self.at_ns)


class SqliteTransaction(Job):
    """Outputs, state and offset of one stage, committed together."""

    def __init__(self, submit: Callable[[Job], None], stage: str, epoch: int, at_ns: int) -> None:
        super().__init__()
        self._submit, self._stage, self._epoch, self._at_ns = submit, stage, epoch, at_ns
        self._outputs: list[tuple[str, list[Record]]] = []
        self._state: dict[str, bytes | None] = {}
        self._offset: int | None = None

    @property
    def logs(self) -> Collection[str]:
        return {log for log, records in self._outputs if records}

    def append(self, log: str, records: Iterable[Record]) -> None:
        self._outputs.append((log, list(records)))

    def put(self, key: str, value: bytes) -> None:
        self._state[key] = value

    def delete(self, key: str) -> None:
        self._state[key] = None

    def offset(self, next_offset: int) -> None:
        self._offset = next_offset

    def commit(self) -> None:
        self.done = Future()
        self._submit(self)
        self.done.result()

    def apply(self, connection: sqlite3.Connection) -> None:
        # The check comes before the first write, so a fenced transaction leaves nothing behind in its group.
        (epoch,) = connection.execute("SELECT epoch FROM stages WHERE stage = ?", (self._stage,)).fetchone()
        if epoch != self._epoch:
            raise Fenced(f"another process took over {self._stage!r}; this one stops")
        for log, records in self._outputs:
            _insert(connection, log, records, self._at_ns)
        insert_rows(
            connection,
            "INSERT INTO state",
            [(self._stage, key, value) for key, value in self._state.items() if value is not None],
            "ON CONFLICT DO UPDATE SET value = excluded.value",
        )
        connection.executemany(
            "DELETE FROM state WHERE stage = ? AND key = ?",
            [(self._stage, key) for key, value in self._state.items() if value is None],
        )
        if self._offset is not None:
            connection.execute("UPDATE stages SET next_offset = ? WHERE stage = ?", (self._offset, self._stage))


class Claim(Job):
    """Become the owner of a stage: whoever owned it before is fenced from now on."""

    def __init__(self, stage: str, log: str, from_start: bool) -> None:
        super().__init__()
        self._stage, self._log, self._from_start = stage, log, from_start
        self.epoch = 0
        self.committed = 0

    def apply(self, connection: sqlite3.Connection) -> None:
        connection.execute("INSERT OR IGNORE INTO stages VALUES (?, ?, 0, 0)", (self._stage, self._log))
        connection.execute("UPDATE stages SET epoch = epoch + 1 WHERE stage = ?", (self._stage,))
        if self._from_start:
            connection.execute("UPDATE stages SET next_offset = 0 WHERE stage = ?", (self._stage,))
        self.epoch, self.committed = connection.execute(
            "SELECT epoch, next_offset FROM stages WHERE stage = ?", (self._stage,)
        ).fetchone()


def _insert(connection: sqlite3.Connection, log: str, records: Iterable[Record], at_ns: int) -> None:
    rows = [(record.key, record.kind, record.value, at_ns) for record in records]
    insert_rows(connection, f"INSERT INTO log_{log} (key, kind, value, at_ns)", rows)
