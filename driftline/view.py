"""What people query: a SQLite file built by reading the logs like any other consumer, and rebuilt if it is gone.

It holds the current sheet of every trace, its scores, the counts of all decisions, and every change. Each batch is
written together with the offset it came from, so that a record is counted once however often it is read.
"""

import re
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from operator import itemgetter
from pathlib import Path
from typing import Any

import orjson

from collector.core.engine import CHANGES, DECISIONS, Entry
from collector.core.errors import StoreError
from collector.engines.sqlite_rows import insert_rows
from driftline.records import Sheet, read_sheet

VIEW_VERSION = 2
_PAGE_BYTES = 16384  # several sheets a page
_IDS_PER_QUERY = 500
_HEX = re.compile(r"(?:[0-9a-fA-F]{2})+", re.ASCII)
# Rows stand in the order they come in, and indexes of small keys lead to them: a batch writes few pages.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS progress (log TEXT PRIMARY KEY, next_offset INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS traces (id INTEGER PRIMARY KEY, trace_id BLOB NOT NULL UNIQUE, event_ns INTEGER NOT NULL,
    sheet BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS traces_by_time ON traces (event_ns);
CREATE TABLE IF NOT EXISTS scorers (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS scores (scorer INTEGER NOT NULL, event_ns INTEGER NOT NULL, trace INTEGER NOT NULL,
    span_id TEXT NOT NULL, value REAL NOT NULL, passed INTEGER, PRIMARY KEY (scorer, event_ns, trace, span_id)
    ) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS funnel (scorer TEXT NOT NULL, decision TEXT NOT NULL, reason TEXT NOT NULL,
    count INTEGER NOT NULL, PRIMARY KEY (scorer, decision, reason)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS changes (id TEXT PRIMARY KEY, detected_ns INTEGER NOT NULL, change BLOB NOT NULL)
    WITHOUT ROWID;
"""


def remove_view(path: Path) -> None:
    """Remove a view with the files that SQLite keeps beside it, as far as they are there."""
    for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
        path.with_name(name).unlink(missing_ok=True)


def view_path(store: Path) -> Path:
    """Where the view of a store is kept: beside it.

    >>> view_path(Path("data/driftline.db")).as_posix()
    'data/driftline.view.db'
    """
    return store.with_name(f"{store.stem}.view{store.suffix}")


class View:
    """One writer, any number of readers (each thread that asks gets a connection of its own)."""

    def __init__(self, path: Path, read_only: bool = False) -> None:
        self.path = path
        self._local = threading.local()
        self._lock = threading.Lock()  # the writer is shared by the stages that write
        if read_only:
            if not path.is_file():
                raise StoreError(f"there is no view {path}; has `driftline serve` run with this store?")
            return
        self._writer = self._create()

    @property
    def empty(self) -> bool:
        """True if nothing was ever written: the logs must be read from their beginning."""
        return not self._rows("SELECT 1 FROM progress LIMIT 1")

    # --- in ---

    def add_sheets(self, entries: Sequence[Entry]) -> None:
        with self._batch(DECISIONS, entries) as fresh:
            current: dict[bytes, tuple[Sheet, bytes]] = {}
            counts: Counter[tuple[str, str, str]] = Counter()
            for entry in fresh:
                new = orjson.loads(entry.value)
                trace_id = bytes.fromhex(new["trace_id"])
                if trace_id in current:
                    _count(counts, current[trace_id][0], -1)
                _count(counts, new, 1)
                current[trace_id] = new, entry.value
            known = self._known(current)
            for number, old in known.values():
                _count(counts, old, -1)
                self._retract_scores(number, old)
            self._put_sheets(current, {trace_id: number for trace_id, (number, _) in known.items()})
            self._add_to_funnel(counts)

    def add_changes(self, entries: Sequence[Entry]) -> None:
        with self._batch(CHANGES, entries) as fresh:
            for entry in fresh:
                change = orjson.loads(entry.value)
                self._writer.execute(
                    "INSERT INTO changes VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET change = excluded.change",
                    (change["id"], change["detected_ns"], entry.value),
                )

    def forget_before(self, event_ns: int) -> None:
        """Retention: drop traces, scores and changes that are older. The funnel keeps counting them."""
        with self._lock:
            for scorer in self._scorer_ids().values():
                self._writer.execute("DELETE FROM scores WHERE scorer = ? AND event_ns < ?", (scorer, event_ns))
            self._writer.execute("DELETE FROM traces WHERE event_ns < ?", (event_ns,))
            self._writer.execute("DELETE FROM changes WHERE detected_ns < ?", (event_ns,))

    def close(self) -> None:
        self._writer.close()

    # --- out ---

    def sheet(self, trace_id: str) -> Sheet | None:
        """The current sheet of a trace; none for what is no trace id."""
        if not _HEX.fullmatch(trace_id):
            return None
        rows = self._rows("SELECT sheet FROM traces WHERE trace_id = ?", bytes.fromhex(trace_id))
        return read_sheet(rows[0][0]) if rows else None

    def recent(self, limit: int) -> list[Sheet]:
        """The newest traces by event time."""
        rows = self._rows("SELECT sheet FROM traces ORDER BY event_ns DESC LIMIT ?", limit)
        return [read_sheet(row[0]) for row in rows]

    def trace_count(self) -> int:
        return int(self._rows("SELECT count(*) FROM traces")[0][0])

    def scores(self, scorer: str, since_ns: int, limit: int) -> list[dict[str, Any]]:
        """The newest scores of a scorer."""
        rows = self._rows(
            "SELECT scores.event_ns, lower(hex(traces.trace_id)), span_id, value, passed "
            "FROM scores JOIN traces ON traces.id = trace "
            "WHERE scorer = (SELECT id FROM scorers WHERE name = ?) AND scores.event_ns >= ? "
            "ORDER BY scores.event_ns DESC LIMIT ?",
            *(scorer, since_ns, limit),
        )
        names = ("event_ns", "trace_id", "span_id", "value", "passed")
        return [dict(zip(names, row, strict=True)) for row in rows]

    def funnel(self) -> list[tuple[str, str, str, int]]:
        """(scorer, decision, reason, count): each candidate in its one current decision."""
        return self._rows("SELECT scorer, decision, reason, count FROM funnel WHERE count > 0 ORDER BY 1, 4 DESC, 2, 3")

    def change_count(self) -> int:
        return int(self._rows("SELECT count(*) FROM changes")[0][0])

    def changes(self, limit: int = 1000) -> list[bytes]:
        """Encoded changes, newest first."""
        rows = self._rows("SELECT change FROM changes ORDER BY detected_ns DESC, id LIMIT ?", limit)
        return [row[0] for row in rows]

    # --- inside ---

    def _create(self) -> sqlite3.Connection:
        try:
            writer = self._connect()
            (version,) = writer.execute("PRAGMA user_version").fetchone()
            if version not in (0, VIEW_VERSION):
                writer.close()
                remove_view(self.path)  # the logs have all that it had
                writer = self._connect()
            writer.executescript(f"{_SCHEMA} PRAGMA user_version = {VIEW_VERSION};")
        except (sqlite3.Error, OSError) as error:
            raise StoreError(
                f"the view {self.path} cannot be opened: {error}; it may be deleted, it is rebuilt"
            ) from None
        return writer

    def _connect(self) -> sqlite3.Connection:
        self.path.touch(mode=0o600, exist_ok=True)
        writer = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=30)
        writer.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
        writer.execute("PRAGMA journal_mode = WAL")
        # NORMAL can lose the newest batches in a power cut; the logs still have them, and so does `progress`.
        writer.execute("PRAGMA synchronous = NORMAL")
        return writer

    def _batch(self, log: str, entries: Sequence[Entry]) -> "_Batch":
        return _Batch(self._writer, self._lock, log, entries)

    def _known(self, trace_ids: Iterable[bytes]) -> dict[bytes, tuple[int, Sheet]]:
        """Of those traces that are here already: the number of the row, and the sheet that is to be replaced."""
        known: dict[bytes, tuple[int, Sheet]] = {}
        wanted = list(trace_ids)
        for first in range(0, len(wanted), _IDS_PER_QUERY):
            some = wanted[first : first + _IDS_PER_QUERY]
            places = ", ".join("?" * len(some))
            query = f"SELECT trace_id, id, sheet FROM traces WHERE trace_id IN ({places})"  # noqa: S608
            for trace_id, number, sheet in self._writer.execute(query, some):
                known[trace_id] = number, orjson.loads(sheet)
        return known

    def _retract_scores(self, number: int, old: Sheet) -> None:
        self._writer.executemany(
            "DELETE FROM scores WHERE scorer = (SELECT id FROM scorers WHERE name = ?) AND event_ns = ? AND trace = ?",
            [(row[0], old["event_ns"], number) for row in old["rows"]],
        )

    def _put_sheets(self, current: Mapping[bytes, tuple[Sheet, bytes]], numbers: dict[bytes, int]) -> None:
        (highest,) = self._writer.execute("SELECT coalesce(max(id), 0) FROM traces").fetchone()
        scorers = self._scorer_ids()
        sheets: list[tuple[int, bytes, int, bytes]] = []
        scores: list[tuple[int, int, int, str, float, bool | None]] = []
        for trace_id, (new, value) in current.items():
            number = numbers.get(trace_id)
            if number is None:
                highest += 1
                number = highest
            event_ns = new["event_ns"]
            sheets.append((number, trace_id, event_ns, value))
            for name, _, _, _, told, rest in new["rows"]:
                if told is not None and told[0] is not None:
                    scorer = scorers.get(name) or self._new_scorer(name, scorers)
                    span_id = rest.get("span_id", "") if rest is not None else ""
                    scores.append((scorer, event_ns, number, span_id, told[0], told[1]))
        insert_rows(self._writer, "INSERT OR REPLACE INTO traces", sheets)
        scores.sort(key=itemgetter(0))  # one scorer after the other, as the table has them: fewer pages to look up
        insert_rows(self._writer, "INSERT OR REPLACE INTO scores", scores)

    def _scorer_ids(self) -> dict[str, int]:
        return dict(self._writer.execute("SELECT name, id FROM scorers"))

    def _new_scorer(self, name: str, known: dict[str, int]) -> int:
        number = self._writer.execute("INSERT INTO scorers (name) VALUES (?)", (name,)).lastrowid
        assert number is not None
        known[name] = number
        return number

    def _add_to_funnel(self, counts: Mapping[tuple[str, str, str], int]) -> None:
        self._writer.executemany(
            "INSERT INTO funnel VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count",
            [(*key, count) for key, count in counts.items() if count],
        )

    def _rows(self, query: str, *values: object) -> list[Any]:
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = sqlite3.connect(self.path, isolation_level=None, timeout=30)
            connection.execute("PRAGMA query_only = ON")
            self._local.connection = connection
        with closing(connection.execute(query, values)) as cursor:
            return list(cursor)


def _count(counts: Counter[tuple[str, str, str]], sheet: Sheet, by: int) -> None:
    for scorer, _, decision, reason, _, _ in sheet["rows"]:
        counts[scorer, decision, reason] += by


class _Batch:
    """A transaction on the view that also moves its offset; gives only the entries that were not written before."""

    def __init__(self, writer: sqlite3.Connection, lock: threading.Lock, log: str, entries: Sequence[Entry]) -> None:
        self._writer, self._lock, self._log, self._entries = writer, lock, log, entries

    def __enter__(self) -> Sequence[Entry]:
        self._lock.acquire()
        try:
            self._writer.execute("BEGIN IMMEDIATE")
            row = self._writer.execute("SELECT next_offset FROM progress WHERE log = ?", (self._log,)).fetchone()
        except BaseException:
            self._lock.release()
            raise
        written = row[0] if row else 0
        return [entry for entry in self._entries if entry.offset >= written]

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        try:
            if error is None:
                self._writer.execute(
                    "INSERT INTO progress VALUES (?, ?) ON CONFLICT DO UPDATE SET next_offset = excluded.next_offset",
                    (self._log, self._entries[-1].offset + 1),
                )
                self._writer.execute("COMMIT")
        finally:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            self._lock.release()
