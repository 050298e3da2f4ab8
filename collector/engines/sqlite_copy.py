"""A checked copy of a store, consistent while others write to it: for backups, and before a migration."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from collector.core.engine import LOGS
from collector.core.errors import StoreError
from collector.engines.sqlite_damage import BESIDE, beside, first_fault, is_damage, remove, sync_folder
from collector.engines.sqlite_schema import version_of

_PAGES_PER_STEP = 4096


def open_to_read(path: Path) -> sqlite3.Connection:
    """A connection that cannot write.

    Raises:
        sqlite3.Error: it cannot be opened.
    """
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, timeout=30)


def count_records(store: Path) -> dict[str, int]:
    """How many records each log has."""
    with closing(open_to_read(store)) as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
        logs = [log for log in LOGS if f"log_{log}" in tables]  # an older version has fewer
        return {log: connection.execute(f"SELECT count(*) FROM log_{log}").fetchone()[0] for log in logs}  # noqa: S608


def copy_store(source: Path, target: Path, progress: Callable[[int, int], None] = lambda done, whole: None) -> int:
    """Copy a store as it is at this moment; `target` is replaced by the whole copy, or left alone.

    `progress` is told of the pages copied and of all of them. Returns the size of the copy in bytes.

    Raises:
        StoreError: the source is no store, or damaged; the copy cannot be written, or is not whole.
    """
    part = target.with_name(f"{target.name}.partial")
    try:
        remove(part)
        part.touch(mode=0o600)
        _copy(source, part, progress)
        with part.open("rb") as file:
            os.fsync(file.fileno())
        size = part.stat().st_size
        for end in BESIDE:  # of a database that was there before: it would be taken for a part of this one
            beside(target, end).unlink(missing_ok=True)
        part.replace(target)
        sync_folder(target.parent)
    except (OSError, sqlite3.Error) as error:
        remove(part)
        raise StoreError(f"{target} cannot be written: {error}") from None
    except BaseException:
        remove(part)
        raise
    return size


def _copy(source: Path, part: Path, progress: Callable[[int, int], None]) -> None:
    with closing(_connect(source)) as origin, closing(sqlite3.connect(part, isolation_level=None)) as copy:
        try:
            # In a transaction: what others write meanwhile is not seen, and copying need not begin anew for it.
            origin.execute("BEGIN")
            if version_of(origin, source) == 0:
                raise StoreError(f"{source} is empty, it is no store of Driftline's")
            origin.backup(
                copy, pages=_PAGES_PER_STEP, progress=lambda _, left, whole: progress(whole - left, max(whole, 1))
            )
        except sqlite3.DatabaseError as error:
            if is_damage(error):
                raise _useless(source, str(error)) from None
            raise
        copy.execute("PRAGMA journal_mode = DELETE")  # one file, that can be read from a medium that is read-only
        if found := first_fault(copy, "integrity_check"):
            raise _useless(source, found)


def _connect(source: Path) -> sqlite3.Connection:
    try:
        return open_to_read(source)
    except sqlite3.Error as error:
        raise StoreError(f"{source} cannot be read: {error}") from None


def _useless(source: Path, found: str) -> StoreError:
    return StoreError(f"no copy was made of {source}: {found}; of a damaged store `driftline repair` saves what it can")
