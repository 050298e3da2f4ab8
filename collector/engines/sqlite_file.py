"""The file of the embedded engine, made ready: checked, of this version, private to its owner."""

import logging
import sqlite3
from pathlib import Path

from collector.engines.sqlite_copy import copy_store
from collector.engines.sqlite_damage import check_at_start, damaged, failure, refuse_lost_content, was_left_open
from collector.engines.sqlite_schema import SCHEMA_VERSION, create, migrate, version_of

_PAGE_BYTES = 16384  # requests are long: fewer pages each

_log = logging.getLogger(__name__)


def open_store(path: Path) -> sqlite3.Connection:
    """The connection of the one that writes.

    Raises:
        StoreError: the file cannot be opened, is damaged, is another program's, or of a newer version.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        refuse_lost_content(path)
        path.touch(mode=0o600, exist_ok=True)
        left_open = was_left_open(path)
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30)
    except (sqlite3.Error, OSError) as error:
        raise failure(path, "cannot be opened", error) from None
    try:
        _prepare(connection, path, left_open)
    except BaseException as error:
        connection.close()
        if isinstance(error, sqlite3.Error | OSError):
            raise failure(path, "cannot be opened", error) from None
        raise
    return connection


def make_private(path: Path) -> None:
    """Take from all but its owner the right to read a database that is known to be ours, and what is kept beside it.

    Raises:
        OSError: that cannot be done.
    """
    for one in (path, *(path.with_name(path.name + suffix) for suffix in ("-wal", "-shm"))):
        mode = one.stat().st_mode if one.exists() else 0
        if mode & 0o077:
            one.chmod(mode & 0o700)
            _log.warning("%s could be read by others (mode %o); now only its owner can", one, mode & 0o777)


def _prepare(connection: sqlite3.Connection, path: Path, left_open: bool) -> None:
    version = version_of(connection, path)
    make_private(path)
    connection.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA journal_size_limit = 67108864")
    if version == 0:
        create(connection)
        return
    if found := check_at_start(connection, path, left_open):
        raise damaged(path, found)
    if version < SCHEMA_VERSION:
        kept = path.with_name(f"{path.name}.v{version}")
        copy_store(path, kept)
        migrate(connection)
        _log.info(
            "%s was brought from schema version %d to %d; as it was, it is kept in %s",
            *(path, version, SCHEMA_VERSION, kept),
        )
