"""What people query: a SQLite file built by reading the logs like any other consumer, and rebuilt if it is gone.

It holds the current sheet of every trace, its scores, the counts of all decisions, and every change. Each batch is
written together with the offset it came from, so that a record is counted once however often it is read.
"""

import logging
import re
import sqlite3
import threading
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from operator import itemgetter
from pathlib import Path
from typing import Any

import orjson

from collector.core.engine import CHANGES, DECISIONS, Entry
from collector.core.errors import StoreError
from collector.engines.sqlite_damage import check_at_start, remove, set_aside, was_left_open
from collector.engines.sqlite_file import make_private
from collector.engines.sqlite_rows import insert_rows
from collector.tenancy import owned_id
from driftline.records import Sheet, read_sheet
from driftline.related import LINKED, NEWEST_RELATED, RELATED_SCHEMA, SESSION, put_related, session_key
from driftline.versions import ALL_VERSIONS, VERSIONS_SCHEMA, SeenSince, put_versions

VIEW_VERSION = 5
_PAGE_BYTES = 16384  # several sheets a page
_IDS_PER_QUERY = 500
_AFTER_ANY_TENANT = b"\xff"
_ROWS_PER_STEP = 2000  # of what is forgotten: who writes meanwhile waits milliseconds
_log = logging.getLogger(__name__)
_HEX = re.compile(r"(?:[0-9a-fA-F]{2})+", re.ASCII)
# Rows stand in the order they come in, and indexes of small keys lead to them: a batch writes few pages.
_SCHEMA = (
    """
CREATE TABLE IF NOT EXISTS identity (name TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS progress (log TEXT NOT NULL, partition INTEGER NOT NULL, next_offset INTEGER NOT NULL,
    PRIMARY KEY (log, partition)) WITHOUT ROWID;
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
    + RELATED_SCHEMA
    + VERSIONS_SCHEMA
)


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
        self._readers: dict[threading.Thread, sqlite3.Connection] = {}
        self._reading = threading.Lock()
        self._lock = threading.Lock()  # the writer is shared by the stages that write
        if read_only:
            if not path.is_file():
                raise StoreError(f"there is no view {path}; has `driftline serve` run with this store?")
            return
        self._writer = self._create()

    @property
    def empty(self) -> bool:
        """True if nothing was ever written."""
        return not self._rows("SELECT 1 FROM progress LIMIT 1")

    @property
    def identity(self) -> str:
        """The name of this file, new with every new file."""
        return str(self._rows("SELECT name FROM identity")[0][0])

    def is_new_to(self, log: str) -> bool:
        """True if nothing of a log was ever written: it must be read from its beginning."""
        return not self._rows("SELECT 1 FROM progress WHERE log = ?", log)

    def next_offset(self, log: str, partition: int = 0) -> int:
        """How far a log was taken in: the offset of the first record that was not."""
        rows = self._rows("SELECT next_offset FROM progress WHERE log = ? AND partition = ?", log, partition)
        return int(rows[0][0]) if rows else 0

    # --- in ---

    def add_sheets(self, partition: int, entries: Sequence[Entry]) -> None:
        """Take entries of a partition of the decisions."""
        with self._batch(DECISIONS, partition, entries) as fresh:
            current: dict[bytes, tuple[Sheet, bytes]] = {}
            counts: Counter[tuple[str, str, str]] = Counter()
            for entry in fresh:
                new = orjson.loads(entry.value)
                trace_id = owned_id(new["trace_id"], new.get("tenant", ""))
                if trace_id not in current or new["revision"] >= current[trace_id][0]["revision"]:
                    current[trace_id] = new, entry.value
            known = self._known(current)
            for trace_id, (_, old) in list(known.items()):
                if old["revision"] > current[trace_id][0]["revision"]:  # came first, from another partition
                    del known[trace_id], current[trace_id]
            for new, _ in current.values():
                _count(counts, new, 1)
            for number, old in known.values():
                _count(counts, old, -1)
                self._retract_scores(number, old)
            self._put_sheets(current, {trace_id: number for trace_id, (number, _) in known.items()})
            self._add_to_funnel(counts)

    def add_changes(self, partition: int, entries: Sequence[Entry]) -> None:
        """Take entries of a partition of the changes."""
        with self._batch(CHANGES, partition, entries) as fresh:
            for entry in fresh:
                change = orjson.loads(entry.value)
                self._writer.execute(
                    "INSERT INTO changes VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET change = excluded.change",
                    (change["id"], change["detected_ns"], entry.value),
                )

    def forget_before(self, event_ns: int) -> None:
        """Retention: drop traces, scores and changes that are older. The funnel keeps counting them."""
        key = "scorer, event_ns, trace, span_id"
        for scorer in self._scorer_ids().values():
            self._forget("scores", key, "scorer = ? AND event_ns < ?", scorer, event_ns)
        self._forget("traces", "id", "event_ns < ?", event_ns)
        self._forget("related", "kind, key, trace_id", "event_ns < ?", event_ns)
        self._forget("changes", "id", "detected_ns < ?", event_ns)
        self._forget("versions", "service, version", "last_ns < ?", event_ns)

    def _forget(self, table: str, key: str, where: str, *values: int) -> None:
        some = f"SELECT {key} FROM {table} WHERE {where} LIMIT {_ROWS_PER_STEP}"  # noqa: S608
        forgotten = _ROWS_PER_STEP
        while forgotten == _ROWS_PER_STEP:
            with self._lock:
                forgotten = self._writer.execute(f"DELETE FROM {table} WHERE ({key}) IN ({some})", values).rowcount  # noqa: S608

    def close(self) -> None:
        """Nobody may be reading any more. What the write-ahead log holds is in the file then."""
        for connection in (*self._readers.values(), self._writer):
            connection.close()

    # --- out ---

    def sheet(self, trace_id: str) -> Sheet | None:
        """The current sheet of a trace; none for what is no trace id.

        If several tenants have a trace of that id, it is that of the first by name; the sheet says whose it is.
        """
        if not _HEX.fullmatch(trace_id):
            return None
        query = "SELECT sheet FROM traces WHERE trace_id >= ? AND trace_id < ? ORDER BY trace_id LIMIT 1"
        rows = self._rows(query, bytes.fromhex(trace_id), bytes.fromhex(trace_id) + _AFTER_ANY_TENANT)
        return read_sheet(rows[0][0]) if rows else None

    def continued_by(self, trace_id: str) -> list[str]:
        """The ids of traces that say they continue this one, the newest first."""
        return self._related(LINKED, bytes.fromhex(trace_id))

    def sessions(self, session_id: str) -> list[str]:
        """What is kept of a session was recorded under these ids, the newest first; `sheet` gives each."""
        return self._related(SESSION, session_key(session_id))

    def versions(self) -> list[SeenSince]:
        """The versions of services that are known, and since when each is seen."""
        return [SeenSince(*row) for row in self._rows(ALL_VERSIONS)]

    def _related(self, kind: int, key: bytes) -> list[str]:
        return [bytes(row[0]).hex() for row in self._rows(NEWEST_RELATED, kind, key)]

    def recent(self, limit: int) -> list[Sheet]:
        """The newest traces by event time."""
        rows = self._rows("SELECT sheet FROM traces ORDER BY event_ns DESC LIMIT ?", limit)
        return [read_sheet(row[0]) for row in rows]

    def sheets_between(self, from_ns: int, to_ns: int) -> Iterator[Sheet]:
        """The current sheets of traces that ended from one moment on and before another, by that time.

        All as of the first one, however long the reading takes.
        """
        query = "SELECT sheet FROM traces WHERE event_ns >= ? AND event_ns < ? ORDER BY event_ns, trace_id"
        with closing(self._reader()) as connection:
            for row in connection.execute(query, (from_ns, to_ns)):
                yield read_sheet(row[0])

    def earliest_ns(self) -> int | None:
        """The event time of the oldest trace that is kept; None if there is none."""
        (row,) = self._rows("SELECT min(event_ns) FROM traces")
        return None if row[0] is None else int(row[0])

    def latest_ns(self) -> int | None:
        """The event time of the newest trace that is kept; None if there is none."""
        (row,) = self._rows("SELECT max(event_ns) FROM traces")
        return None if row[0] is None else int(row[0])

    def newest_since_ns(self, count: int, before_ns: int = 2**63 - 1) -> int:
        """The event time since which no more than `count` traces ended before `before_ns`; 0 if there are no more."""
        query = "SELECT event_ns FROM traces WHERE event_ns < ? ORDER BY event_ns DESC LIMIT 1 OFFSET ?"
        rows = self._rows(query, before_ns, count)
        return int(rows[0][0]) + 1 if rows else 0

    def trace_count(self) -> int:
        return int(self._rows("SELECT count(*) FROM traces")[0][0])

    def scores(self, scorer: str, since_ns: int, limit: int) -> list[dict[str, Any]]:
        """The newest scores of a scorer."""
        rows = self._rows(
            "SELECT scores.event_ns, lower(hex(substr(traces.trace_id, 1, 16))), span_id, value, passed "
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
            left_open = was_left_open(self.path)
            writer = self._connect()
            if found := check_at_start(writer, self.path, left_open):
                writer.close()
                aside = set_aside(self.path, "damaged")
                _log.warning("the view %s is damaged (%s): it is rebuilt, and kept as %s", self.path, found, aside)
                writer = self._connect()
            (version,) = writer.execute("PRAGMA user_version").fetchone()
            if version not in (0, VIEW_VERSION):
                writer.close()
                remove(self.path)  # the logs have all that it had
                writer = self._connect()
            make_private(self.path)
            writer.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
            writer.execute("PRAGMA journal_mode = WAL")
            # A batch must be durable before its offset is committed in the store: it is not read again after that.
            writer.execute("PRAGMA synchronous = FULL")
            writer.executescript(f"{_SCHEMA} PRAGMA user_version = {VIEW_VERSION};")
            writer.execute(
                "INSERT INTO identity SELECT ? WHERE NOT EXISTS (SELECT 1 FROM identity)", (uuid.uuid4().hex[:16],)
            )
        except (sqlite3.Error, OSError) as error:
            raise StoreError(
                f"the view {self.path} cannot be opened: {error}; it may be deleted, it is rebuilt"
            ) from None
        return writer

    def _connect(self) -> sqlite3.Connection:
        self.path.touch(mode=0o600, exist_ok=True)
        return sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=30)

    def _batch(self, log: str, partition: int, entries: Sequence[Entry]) -> "_Batch":
        return _Batch(self._writer, self._lock, log, partition, entries)

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
        put_related(self._writer, ((trace_id, new) for trace_id, (new, _) in current.items()))
        put_versions(self._writer, (new for new, _ in current.values()))
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

    def _reader(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=30)
        connection.execute("PRAGMA query_only = ON")
        return connection

    def _rows(self, query: str, *values: object) -> list[Any]:
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._new_reader()
        with closing(connection.execute(query, values)) as cursor:
            return list(cursor)

    def _new_reader(self) -> sqlite3.Connection:
        """The connection of this thread, which `close` closes."""
        self._local.connection = connection = self._reader()
        with self._reading:
            for thread in [thread for thread in self._readers if not thread.is_alive()]:
                self._readers.pop(thread).close()
            self._readers[threading.current_thread()] = connection
        return connection


def _count(counts: Counter[tuple[str, str, str]], sheet: Sheet, by: int) -> None:
    for scorer, _, decision, reason, _, _ in sheet["rows"]:
        counts[scorer, decision, reason] += by


class _Batch:
    """A transaction on the view that also moves its offset; gives only the entries that were not written before."""

    def __init__(
        self, writer: sqlite3.Connection, lock: threading.Lock, log: str, partition: int, entries: Sequence[Entry]
    ) -> None:
        self._writer, self._lock, self._entries = writer, lock, entries
        self._place = log, partition

    def __enter__(self) -> Sequence[Entry]:
        self._lock.acquire()
        try:
            self._writer.execute("BEGIN IMMEDIATE")
            query = "SELECT next_offset FROM progress WHERE log = ? AND partition = ?"
            row = self._writer.execute(query, self._place).fetchone()
        except BaseException:
            self._lock.release()
            raise
        written = row[0] if row else 0
        return [entry for entry in self._entries if entry.offset >= written]

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        try:
            if error is None:
                self._writer.execute(
                    "INSERT OR REPLACE INTO progress VALUES (?, ?, ?)",
                    (*self._place, self._entries[-1].offset + 1),
                )
                self._writer.execute("COMMIT")
        finally:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            self._lock.release()
