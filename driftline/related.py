"""Which traces belong together, as the view has it: those that continue another, and the sessions of a session id."""

import sqlite3
from collections.abc import Iterable, Iterator

from driftline.records import Sheet

LINKED, SESSION = 0, 1  # kinds of a row: the key is the id of the trace that is continued, or the session's id
_MOST_FOUND = 100
RELATED_SCHEMA = """
CREATE TABLE IF NOT EXISTS related (kind INTEGER NOT NULL, key BLOB NOT NULL, trace_id BLOB NOT NULL,
    event_ns INTEGER NOT NULL, PRIMARY KEY (kind, key, trace_id)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS related_by_time ON related (event_ns);
"""
NEWEST_RELATED = f"SELECT trace_id FROM related WHERE kind = ? AND key = ? ORDER BY event_ns DESC LIMIT {_MOST_FOUND}"  # noqa: S608


def put_related(writer: sqlite3.Connection, sheets: Iterable[tuple[bytes, Sheet]]) -> None:
    """Write what new sheets say of others."""
    rows = [row for trace_id, new in sheets for row in _rows(trace_id, new)]
    if rows:
        writer.executemany("INSERT OR REPLACE INTO related VALUES (?, ?, ?, ?)", rows)


def _rows(trace_id: bytes, new: Sheet) -> Iterator[tuple[int, bytes, bytes, int]]:
    for linked in new.get("links", ()):
        yield LINKED, bytes.fromhex(linked), trace_id, new["event_ns"]
    if new.get("target") == "session":
        yield SESSION, session_key(new["session_id"]), trace_id, new["event_ns"]


def session_key(session_id: str) -> bytes:
    return session_id.encode("utf-8", "surrogatepass")
