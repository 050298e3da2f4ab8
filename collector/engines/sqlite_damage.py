"""Is a database whole? Asked at every start; and what is said and done if it is not."""

import fcntl
import logging
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from collector.core.errors import StoreError

# A check reads all there is: half a second a GiB from the cache, more from a disk. Whoever closed a database in order
# has left it in order, so that a stop and a start take a second more at most. After a crash it is worth more, but not
# that senders wait for minutes; `driftline repair` checks all, however long it takes.
_SECONDS_AFTER_A_STOP = 1.0
_SECONDS_AFTER_A_CRASH = 30.0
# Every open connection to a database in WAL mode holds a shared lock on these bytes of its file.
_SHARED_LOCK_AT, _SHARED_LOCK_BYTES = 0x40000002, 510
_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
BESIDE = ("-wal", "-shm")

_log = logging.getLogger(__name__)


def was_left_open(path: Path) -> bool:
    """True if nobody closed the database: its write-ahead log is still there. Ask before it is opened."""
    wal = beside(path, "-wal")
    return wal.is_file() and wal.stat().st_size > 0


def refuse_lost_content(path: Path) -> None:
    """SQLite takes an empty file for a new database and deletes the write-ahead log that belonged to the lost one.

    Raises:
        StoreError: there is a write-ahead log, and nothing that it could belong to.
    """
    if was_left_open(path) and (not path.is_file() or path.stat().st_size == 0):
        raise StoreError(
            f"{path} is {'empty' if path.is_file() else 'not there'}, and its write-ahead log {beside(path, '-wal')} "
            "is not: its content was lost; restore a backup, or move both away to begin anew"
        )


def is_damage(error: Exception) -> bool:
    """True if SQLite says that the file is not what it should be, rather than locked, full or not allowed."""
    code = getattr(error, "sqlite_errorcode", None)
    return isinstance(code, int) and code & 0xFF in _DAMAGE


def failure(path: Path, what: str, error: Exception) -> StoreError:
    """The one line for the operator: the store `what` ("cannot be read"), or is damaged and what to do about it."""
    if is_damage(error):
        return damaged(path, str(error))
    return StoreError(f"store.path: {path} {what}: {error}")


def damaged(path: Path, found: str) -> StoreError:
    return StoreError(
        f"store.path: {path} is damaged ({found}); stop the service and run `driftline repair`, or restore a backup"
    )


def check_at_start(connection: sqlite3.Connection, path: Path, left_open: bool) -> str:
    """What is wrong with a database, in a line; empty if nothing was found in the time that there is."""
    seconds = _SECONDS_AFTER_A_CRASH if left_open else _SECONDS_AFTER_A_STOP
    try:
        return first_fault(connection, "quick_check", seconds)
    except TimeoutError:
        _log.info("%s was checked in part, %g s are too little for all; `driftline repair` checks it", path, seconds)
        return ""


def first_fault(connection: sqlite3.Connection, check: str, seconds: float | None = None) -> str:
    """The first thing that is wrong with a database, in a line, as `quick_check` or `integrity_check` finds it.

    Raises:
        TimeoutError: nothing was found yet after `seconds`.
    """
    try:
        with _interrupted_after(connection, seconds):
            (found,) = connection.execute(f"PRAGMA {check}(1)").fetchone()
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
            raise TimeoutError from None
        if is_damage(error):
            return str(error)
        raise
    return "" if found == "ok" else " ".join(found.removeprefix("*** in database main ***").split())


@contextmanager
def _interrupted_after(connection: sqlite3.Connection, seconds: float | None) -> Iterator[None]:
    if seconds is None:
        yield
        return
    timer = threading.Timer(seconds, connection.interrupt)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()


def refuse_if_open(path: Path) -> None:
    """Raises StoreError if another process has the database open; this one must not have it open itself."""
    try:
        with path.open("r+b") as file:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, _SHARED_LOCK_BYTES, _SHARED_LOCK_AT)
    except BlockingIOError:
        raise StoreError(f"store.path: {path} is open in another process; stop the service first") from None
    except OSError as error:
        raise StoreError(f"store.path: {path} cannot be opened: {error.strerror}") from None


def set_aside(path: Path, why: str) -> Path:
    """Rename a database with what belongs to it; returns the new name. What was set aside before is kept."""
    aside = path.with_name(f"{path.name}.{why}")
    number = 1
    while any(one.exists() for one in (aside, *(beside(aside, end) for end in BESIDE))):
        number += 1
        aside = path.with_name(f"{path.name}.{why}-{number}")
    path.rename(aside)  # first: a log without its file is noticed at the next start, a file without its log is not
    for end in BESIDE:
        if beside(path, end).exists():
            beside(path, end).rename(beside(aside, end))
    sync_folder(path.parent)
    return aside


def remove(path: Path) -> None:
    """Remove a database with the files that SQLite keeps beside it, as far as they are there."""
    for file in (path, *(beside(path, end) for end in BESIDE)):
        file.unlink(missing_ok=True)


def beside(path: Path, end: str) -> Path:
    """The file that SQLite keeps beside a database, by the end of its name: `-wal` or `-shm`."""
    return path.with_name(path.name + end)


def sync_folder(folder: Path) -> None:
    """Make renames in a folder durable."""
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
