"""What is in a store's file: its tables, its version, and how a file of an earlier version becomes one of this.

To change the schema: change `TABLES`, add one to `SCHEMA_VERSION`, add the migration that makes the same of a file of
the version before, and keep such a file as a fixture: a test asks for it.
"""

import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path

from collector.core.engine import LOGS
from collector.core.errors import StoreError

OLDEST_VERSION = 2
SCHEMA_VERSION = 4
APPLICATION_ID = 0x44524654
"""In the file's header: "DRFT". Says that a database is a store of ours, whatever its tables are called."""

_LOG = """(offset INTEGER PRIMARY KEY AUTOINCREMENT, key BLOB NOT NULL, kind TEXT NOT NULL, value BLOB NOT NULL, \
at_ns INTEGER NOT NULL)"""
_STAGES = "(stage TEXT PRIMARY KEY, log TEXT NOT NULL, next_offset INTEGER NOT NULL, epoch INTEGER NOT NULL)"
_STATE = "(stage TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (stage, key)) WITHOUT ROWID"
TABLES = {**{f"log_{log}": _LOG for log in LOGS}, "stages": _STAGES, "state": _STATE}


ADDED: Mapping[str, int] = {"log_turns": 4}
"""The version that each table came with, if the oldest has it not."""


def tables_of(version: int) -> set[str]:
    """The tables of a store of a version."""
    return {name for name in TABLES if ADDED.get(name, 0) <= version}


def _to_3(connection: sqlite3.Connection) -> None:
    """The file says whose it is."""
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")


def _to_4(connection: sqlite3.Connection) -> None:
    """The log of turns, of which sessions are made."""
    connection.execute(f"CREATE TABLE log_turns {_LOG}")


MIGRATIONS: Mapping[int, Callable[[sqlite3.Connection], None]] = {3: _to_3, 4: _to_4}
"""By the version that each leads to, from the one before. Each runs in the one transaction of all of them."""


def version_of(connection: sqlite3.Connection, path: Path) -> int:
    """The schema version of a store, 0 of a new file.

    Raises:
        StoreError: it is another program's, or of a version that this Driftline cannot read.
    """
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if version > SCHEMA_VERSION or 0 < version < OLDEST_VERSION:
        oldest = "" if OLDEST_VERSION == SCHEMA_VERSION else f"{OLDEST_VERSION} to "
        raise StoreError(f"{path} has schema version {version}, this Driftline reads {oldest}{SCHEMA_VERSION}")
    if application != (APPLICATION_ID if version > 2 else 0) or (version == 0 and tables):
        raise StoreError(f"{path} is a database of another program")
    return int(version)


def create(connection: sqlite3.Connection) -> None:
    """Make a new file a store of this version, unless somebody else did so meanwhile."""
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        if connection.execute("PRAGMA user_version").fetchone() == (0,):
            for name, columns in TABLES.items():
                connection.execute(f"CREATE TABLE {name} {columns}")
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def migrate(connection: sqlite3.Connection) -> None:
    """Bring a store to this version: all of it in one transaction, so that a kill leaves it as it was."""
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        for target in range(version + 1, SCHEMA_VERSION + 1):
            MIGRATIONS[target](connection)
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
