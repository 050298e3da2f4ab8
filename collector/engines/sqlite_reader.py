"""The embedded engine as another process may look at it: no claim, no offset, nothing is held back for it."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from collector.core.engine import LOGS, Entry
from collector.core.errors import StoreError

_ENTRIES_AT_ONCE = 256


def read_log(path: Path, log: str, stage: str | None = None) -> Iterator[Entry]:
    """What a log holds now, oldest first, a few hundred records in memory at a time. Safe while the service runs.

    Args:
        path: of the store.
        log: its name.
        stage: begin where this stage would after a restart.

    Raises:
        StoreError: there is no such store, or it cannot be read.
    """
    if log not in LOGS:
        raise ValueError(f"{log!r} is not one of the logs {', '.join(LOGS)}")
    query = f"SELECT offset, value, key, kind FROM log_{log} WHERE offset >= ? ORDER BY offset LIMIT ?"  # noqa: S608
    with _reading(path) as connection:
        found = connection.execute("SELECT next_offset FROM stages WHERE stage = ?", (stage,)).fetchone()
        position = 0 if found is None else found[0]
        while rows := connection.execute(query, (position, _ENTRIES_AT_ONCE)).fetchall():
            yield from (Entry(*row) for row in rows)
            position = rows[-1][0] + 1


def read_state(path: Path, stage: str) -> Iterator[tuple[str, bytes]]:
    """What a stage has committed of its state, in no order. Safe while the service runs.

    Raises:
        StoreError: there is no such store, or it cannot be read.
    """
    with _reading(path) as connection:
        yield from connection.execute("SELECT key, value FROM state WHERE stage = ?", (stage,))


@contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    if not path.is_file():
        raise StoreError(f"there is no store {path}; has `driftline serve` run with this configuration?")
    try:
        with closing(sqlite3.connect(path, timeout=30)) as connection:
            connection.execute("PRAGMA query_only = ON")
            yield connection
    except sqlite3.Error as error:
        raise StoreError(f"the store {path} cannot be read: {error}") from None


def end_of_log(path: Path, log: str) -> int:
    """The offset after the newest record; 0 if there is none.

    Raises:
        StoreError: the store cannot be read.
    """
    try:
        with closing(sqlite3.connect(path, timeout=30)) as connection:
            (newest,) = connection.execute(f"SELECT max(offset) FROM log_{log}").fetchone()  # noqa: S608
    except sqlite3.Error as error:
        raise StoreError(f"the store {path} cannot be read: {error}") from None
    return 0 if newest is None else int(newest) + 1
