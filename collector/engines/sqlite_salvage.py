"""What can still be read of a damaged database, into a new one; and what cannot.

A damaged page makes the rows on it unreadable, and those on the pages that only it leads to. All others are found by
reading from both ends up to the damage, and by halving what lies between until nothing more is found.
"""

import sqlite3
from collections.abc import Generator, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from collector.core.errors import StoreError
from collector.engines.sqlite_copy import open_to_read
from collector.engines.sqlite_damage import first_fault, remove
from collector.engines.sqlite_schema import OLDEST_VERSION, tables_of

_LOG = "log_"
HIGHEST_OFFSET = 2**62
_MOST_PIECES = (
    2**17
)  # that a damaged stretch is taken apart into: every offset of a stretch that is no longer than this

Range = tuple[int, int]
"""First and last offset, both in it."""


@dataclass
class Salvaged:
    """What became of a table.

    Attributes:
        lost: of a log, the stretches of offsets that could not be read. Those at its beginning may have been trimmed.
        gaps: of another table, in how many places its rows could not be read on from one to the next.
    """

    table: str
    kept: int = 0
    lost: list[Range] = field(default_factory=list)
    gaps: int = 0

    @property
    def is_whole(self) -> bool:
        return not self.lost and not self.gaps

    @property
    def lost_count(self) -> int:
        return sum(last - first + 1 for first, last in self.lost)


def salvage(damaged: Path, target: Path) -> list[Salvaged]:
    """Write a new database with every row of `damaged` that can be read, and its schema; `damaged` is only read.

    Raises:
        StoreError: nothing of it can be read; the new one cannot be written.
    """
    remove(target)
    try:
        target.touch(mode=0o600)
        with closing(open_to_read(damaged)) as old, closing(sqlite3.connect(target, isolation_level=None)) as new:
            tables = _tables(old, damaged)
            _begin(old, new)
            told = [_copy_table(old, new, table) for table in tables if table != "sqlite_sequence"]
            told += [_keep_sequences(old, new)] if "sqlite_sequence" in tables else []
            new.execute("COMMIT")
            new.execute("PRAGMA synchronous = FULL")
            new.execute("PRAGMA journal_mode = DELETE")
            if found := first_fault(new, "integrity_check"):
                raise StoreError(f"{target} is not whole: {found}")
    except (OSError, sqlite3.Error) as error:
        remove(target)
        raise StoreError(f"{target} cannot be written: {error}") from None
    except BaseException:
        remove(target)
        raise
    return told


def _tables(old: sqlite3.Connection, path: Path) -> list[str]:
    try:
        old.execute("PRAGMA writable_schema = ON")  # else a file that is shorter than it should be is not read at all
        found = [name for (name,) in old.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")]
        (version,) = old.execute("PRAGMA user_version").fetchone()
        reason = "its list of tables is damaged"
    except sqlite3.Error as error:
        found, version, reason = [], OLDEST_VERSION, str(error)
    if not tables_of(max(version, OLDEST_VERSION)) <= set(found):
        raise StoreError(f"nothing can be read of {path} ({reason}); restore a backup, or move it away to begin anew")
    return found


def _begin(old: sqlite3.Connection, new: sqlite3.Connection) -> None:
    """An empty database with the schema, version and page size of the old one."""
    marks = {
        name: old.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_size", "user_version", "application_id")
    }
    new.execute(f"PRAGMA page_size = {marks.pop('page_size')}")
    new.execute("PRAGMA journal_mode = OFF")  # it is whole at the end, or it is removed
    new.execute("BEGIN")
    for (statement,) in old.execute("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'"):
        new.execute(statement)
    for name, value in marks.items():
        new.execute(f"PRAGMA {name} = {value}")


def _copy_table(old: sqlite3.Connection, new: sqlite3.Connection, table: str) -> Salvaged:
    told = Salvaged(table)
    is_log = table.startswith(_LOG)
    for row in _log_rows(old, table, told) if is_log else _other_rows(old, table, told):
        places = ", ".join("?" * len(row))
        told.kept += new.execute(f"INSERT OR IGNORE INTO {table} VALUES ({places})", row).rowcount  # noqa: S608
    if is_log:
        told.lost = _joined([*told.lost, *_missing(new, table, _highest_offset(old, table))])
    return told


def _missing(new: sqlite3.Connection, table: str, highest: int) -> Iterator[Range]:
    """Offsets have no gaps but where rubbish was read as nothing; what was trimmed is before the first that is left."""
    pairs = f"SELECT offset, lead(offset) OVER (ORDER BY offset) FROM {table}"  # noqa: S608
    for offset, following in new.execute(pairs):
        if following is None and highest < HIGHEST_OFFSET:
            following = highest + 1
        if following is not None and following > offset + 1:
            yield offset + 1, following - 1


def _log_rows(old: sqlite3.Connection, table: str, told: Salvaged) -> Iterator[tuple[Any, ...]]:
    stretches = [(1, _highest_offset(old, table))]
    piece = None
    while stretches:
        unread: list[Range] = []
        yield from _from_both_ends(old, table, stretches.pop(), unread)
        for first, last in unread:
            piece = piece or max(1, (last - first + 1) // _MOST_PIECES)
            if last - first < piece:
                told.lost.append((first, last))
            else:
                middle = (first + last) // 2
                stretches += [(middle + 1, last), (first, middle)]


def _highest_offset(old: sqlite3.Connection, table: str) -> int:
    with suppress(sqlite3.DatabaseError):
        for (highest,) in old.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (table,)):
            return int(highest)
    return HIGHEST_OFFSET


def _from_both_ends(
    old: sqlite3.Connection, table: str, stretch: Range, unread: list[Range]
) -> Iterator[tuple[Any, ...]]:
    """The rows from the first on and from the last back, up to where they cannot be read; adds what is between."""
    first, last = stretch
    query = f"SELECT * FROM {table} WHERE offset BETWEEN ? AND ? ORDER BY offset"  # noqa: S608
    try:
        for row in old.execute(query, (first, last)):
            _refuse_outside(row[0], first, last)
            yield row
            first = row[0] + 1
        return
    except sqlite3.DatabaseError:
        pass
    with suppress(sqlite3.DatabaseError):
        for row in old.execute(f"{query} DESC", (first, last)):
            _refuse_outside(row[0], first, last)
            yield row
            last = row[0] - 1
        return
    if first <= last:
        unread.append((first, last))


def _refuse_outside(offset: int, first: int, last: int) -> None:
    """Where a page of elsewhere stands, rows are out of order."""
    if not first <= offset <= last:
        raise sqlite3.DatabaseError(f"{offset} is out of order")


def _joined(ranges: list[Range]) -> list[Range]:
    """
    >>> _joined([(5, 6), (1, 2), (2, 4), (9, 9)])
    [(1, 6), (9, 9)]
    """
    joined: list[Range] = []
    for first, last in sorted(ranges):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = joined[-1][0], max(last, joined[-1][1])
        else:
            joined.append((first, last))
    return joined


def _other_rows(old: sqlite3.Connection, table: str, told: Salvaged) -> Iterator[tuple[Any, ...]]:
    """From both ends; and if there is damage between, of the state also from both ends of what each stage has."""
    if table != "state":
        told.gaps += not (yield from _either_way(old, f"SELECT * FROM {table} ORDER BY", "rowid", "rowid DESC"))  # noqa: S608
        return
    ways = "stage, key", "stage DESC, key DESC"
    if not (yield from _either_way(old, "SELECT * FROM state ORDER BY", *ways)):
        stages: list[str] = []
        with suppress(sqlite3.DatabaseError):
            stages += (stage for (stage,) in old.execute("SELECT stage FROM stages ORDER BY rowid"))
        for stage in stages:
            yield from _either_way(old, "SELECT * FROM state WHERE stage = ? ORDER BY", *ways, stage)
        told.gaps += 1


def _either_way(
    old: sqlite3.Connection, query: str, there: str, back: str, *values: str
) -> Generator[tuple[Any, ...], None, bool]:
    """The rows in one order, and if they cannot all be read, in the other; returns whether one way was enough."""
    for order in (there, back):
        with suppress(sqlite3.DatabaseError):
            yield from old.execute(f"{query} {order}", values)
            return True
    return False


def _keep_sequences(old: sqlite3.Connection, new: sqlite3.Connection) -> Salvaged:
    """Offsets are never used again, not even those of records that are lost: stages know how far they are."""
    told = Salvaged("sqlite_sequence")
    known = dict(new.execute("SELECT name, seq FROM sqlite_sequence"))
    try:
        for name, highest in old.execute("SELECT name, seq FROM sqlite_sequence"):
            known[name] = max(known.get(name, 0), highest)
    except sqlite3.DatabaseError:
        told.gaps = 1
    for log, position in new.execute("SELECT log, max(next_offset) FROM stages GROUP BY log"):
        known[_LOG + log] = max(known.get(_LOG + log, 0), position - 1)
    new.execute("DELETE FROM sqlite_sequence")
    new.executemany("INSERT INTO sqlite_sequence VALUES (?, ?)", known.items())
    told.kept = len(known)
    return told
