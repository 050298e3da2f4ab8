"""A program that works on a store and kills itself: at its n-th statement, or when a file has grown to n bytes.

    python -m tests.collector.engines.killed statements|migration|bytes FOLDER

It forks a child for every n, which works in FOLDER/n, until one comes to its end. A child tells in FOLDER/n/told what
was acknowledged to it: `spans N` (that many are safe) and `scores N` (so many were read, and their scores are safe).
"""

import os
import resource
import signal
import sqlite3
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from collector.core.clock import FakeClock
from collector.core.engine import SCORES, SPANS, Record
from collector.engines.sqlite_schema import OLDEST_VERSION
from tests.collector.engines.stores import append, opened, subscribe, unpack_fixture

REQUESTS = 4
SPANS_PER_REQUEST = 2
SPANS_AT_A_TIME = 3  # so that a turn ends within a request
_BYTES_BEFORE = 100_000
_BYTES_APART = 21_011  # less than a page, and no part of one: every place in a page of the log comes
Told = Callable[[str, int], None]


def span(number: int) -> bytes:
    return b"span %d " % number + bytes([number]) * 4000


def score(value: bytes) -> bytes:
    return b"score of " + value[:8]


def work(folder: Path, told: Told) -> None:
    """Requests come in, a stage reads them and commits scores, a sum and its offset; what was read is trimmed."""
    clock = FakeClock()
    with opened(folder, clock) as under:
        for request in range(REQUESTS):
            first = request * SPANS_PER_REQUEST
            append(under, *(span(first + number) for number in range(SPANS_PER_REQUEST)))
            told("spans", first + SPANS_PER_REQUEST)
            if request % 2:
                turn(folder, told, SPANS_AT_A_TIME, under)
                clock.advance(2)  # time to look for what may go


def turn(folder: Path, told: Told, most: int, under: Any) -> None:
    subscription, partition, entries = subscribe(under, "score", SPANS, most)
    count = int(partition.state().get("count", b"0"))
    transaction = partition.transaction()
    transaction.append(SCORES, [Record(score(entry.value)) for entry in entries])
    transaction.put("count", b"%d" % (count + len(entries)))
    transaction.put(f"seen {count}", b"")
    transaction.delete(f"seen {count - most}")
    transaction.offset(entries[-1].offset + 1)
    transaction.commit()
    told("scores", count + len(entries))
    subscription.close()


def migrate(folder: Path, told: Told) -> None:
    if not (folder / "store.db").exists():
        unpack_fixture(OLDEST_VERSION, folder)
        (folder / "store.db").chmod(0o600)
    with opened(folder):
        told("migrated", 1)


def at_statement(number: int) -> None:
    """Have this process killed when it begins its `number`-th statement, on whatever connection."""
    left = number
    connect = sqlite3.connect

    def count(statement: str) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def traced(*args: Any, **options: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*args, **options)
        connection.set_trace_callback(count)
        return connection

    sqlite3.connect = traced  # type: ignore[assignment]


def at_bytes(number: int) -> None:
    """Have this process killed when it writes to a file past so many bytes: in the midst of a page, as it comes."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (number, number))
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)


def run(child: Callable[[Path, Told], None], limit: Callable[[int], None], folder: Path, number: int) -> int:
    """The signal that the child for one n was killed by; 0 if it came to its end."""
    folder.mkdir(parents=True)
    process = os.fork()
    if process == 0:
        code = 70
        try:
            file = os.open(folder / "told", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            limit(number)

            def told(what: str, count: int) -> None:
                os.write(file, f"{what} {count}\n".encode())

            child(folder, told)
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(process, 0)
    if not os.WIFSIGNALED(status) and os.WEXITSTATUS(status) != 0:
        raise SystemExit(f"the child for {number} failed")
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


def numbers(first: int, step: int) -> Iterator[int]:
    while True:
        yield first
        first += step


MODES = {
    "statements": (work, at_statement, 1, 1),
    "migration": (migrate, at_statement, 1, 1),
    "bytes": (work, at_bytes, _BYTES_BEFORE, _BYTES_APART),
}

if __name__ == "__main__":
    mode, into = sys.argv[1], Path(sys.argv[2])
    child, limit, first, step = MODES[mode]
    for number in numbers(first, step):
        if run(child, limit, into / str(number), number) == 0:
            break
