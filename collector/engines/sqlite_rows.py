"""Many rows into SQLite at little cost."""

import sqlite3
from collections.abc import Sequence
from itertools import chain

_ROWS_PER_STATEMENT = 64


def insert_rows(connection: sqlite3.Connection, head: str, rows: Sequence[tuple[object, ...]], tail: str = "") -> None:
    """`executemany` of `INSERT ... VALUES`, many rows a statement.

    Each step of a statement lets go of the interpreter lock and takes it again, which costs more than the row itself
    while other threads work.
    """
    if not rows:
        return
    row = f"({', '.join('?' * len(rows[0]))})"
    whole = len(rows) - len(rows) % _ROWS_PER_STATEMENT
    statement = f"{head} VALUES {', '.join([row] * _ROWS_PER_STATEMENT)} {tail}"
    for first in range(0, whole, _ROWS_PER_STATEMENT):
        connection.execute(statement, tuple(chain.from_iterable(rows[first : first + _ROWS_PER_STATEMENT])))
    connection.executemany(f"{head} VALUES {row} {tail}", rows[whole:])
