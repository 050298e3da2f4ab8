"""Stores for tests: made, filled and read.

Run as a program, it writes the fixture of the present schema version: `python -m tests.collector.engines.stores`.
"""

import gzip
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from collector.core.clock import Clock, FakeClock, SystemClock
from collector.core.engine import LOGS, SCORES, SPANS, TRACES_KIND, Entry, Partition, Record
from collector.core.telemetry import Telemetry
from collector.engines.sqlite import SqliteEngine, SqliteSubscription, StoreConfig
from collector.engines.sqlite_schema import SCHEMA_VERSION, tables_of

FIXTURES = Path(__file__).parents[2] / "data" / "store"


class Owner:
    """A listener that remembers what it owns."""

    def __init__(self) -> None:
        self.owned: dict[int, Partition] = {}

    def assigned(self, partition: Partition) -> None:
        self.owned[partition.number] = partition

    def revoked(self, partition: Partition) -> None:
        del self.owned[partition.number]


def engine(folder: Path, clock: Clock | None = None, **settings: object) -> SqliteEngine:
    config = StoreConfig.model_validate({"path": folder / "store.db", **settings})
    return SqliteEngine(config, clock or SystemClock(), Telemetry())


@contextmanager
def opened(folder: Path, clock: Clock | None = None, **settings: object) -> Iterator[SqliteEngine]:
    under = engine(folder, clock, **settings)
    try:
        yield under
    finally:
        under.close()


def subscribe(
    under: SqliteEngine, stage: str = "stage", log: str = SPANS, most: int = 100
) -> tuple[SqliteSubscription, Partition, list[Entry]]:
    owner = Owner()
    subscription = under.subscribe(stage, log, owner)
    entries = [entry for _, batch in subscription.poll(0, most) for entry in batch]
    return subscription, owner.owned[0], entries


def append(under: SqliteEngine, *values: bytes, log: str = SPANS) -> None:
    under.append(log, [Record(value, key=b"k", kind=TRACES_KIND) for value in values]).result(10)


def consume(under: SqliteEngine, stage: str = "stage", log: str = SPANS) -> None:
    """Commit, as `stage`, that all there is in a log was read."""
    subscription, partition, _ = subscribe(under, stage, log, 0)
    ((end,),) = rows(under.path, f"SELECT coalesce(max(offset), 0) + 1 FROM log_{log}")
    transaction = partition.transaction()
    transaction.offset(end)
    transaction.commit()
    subscription.close()


def rows(path: Path, query: str, *values: object) -> list[Any]:
    """Straight from the file, past everything that might hide a double."""
    with closing(sqlite3.connect(path, timeout=30)) as connection:
        return list(connection.execute(query, values))


def offsets(path: Path, log: str = SPANS) -> list[int]:
    return [offset for (offset,) in rows(path, f"SELECT offset FROM log_{log} ORDER BY offset")]


def damage(path: Path, page: int, at: int = 0, content: bytes = b"\xa5" * 16384) -> None:
    """Overwrite a page of a database, counted from 1, from its byte `at` on."""
    page_bytes = int.from_bytes(path.read_bytes()[16:18], "big")
    with path.open("r+b") as file:
        file.seek((page - 1) * page_bytes + at)
        file.write(content[: page_bytes - at])


def leaf_pages(path: Path, table: str) -> list[int]:
    """The pages that hold the rows of a table, in their order; the table must be longer than a page."""
    ((root,),) = rows(path, "SELECT rootpage FROM sqlite_schema WHERE name = ?", table)
    content = path.read_bytes()
    page_bytes = int.from_bytes(content[16:18], "big")
    page = content[(root - 1) * page_bytes : root * page_bytes]
    assert page[0] == 5, "not an interior page of a table"
    cells = int.from_bytes(page[3:5], "big")
    places = [int.from_bytes(page[12 + 2 * number :][:2], "big") for number in range(cells)]
    return [*(int.from_bytes(page[place:][:4], "big") for place in places), int.from_bytes(page[8:12], "big")]


def logs_of(version: int) -> list[str]:
    """The logs that a store of this version has."""
    return [log for log in LOGS if f"log_{log}" in tables_of(version)]


def fill_fixture(under: SqliteEngine, version: int = SCHEMA_VERSION) -> None:
    """Something in every log that a version has, and what a stage commits."""
    for log in logs_of(version):
        kind = TRACES_KIND if log == SPANS else ""
        under.append(log, [Record(f"{log} {n}".encode(), key=b"k%d" % n, kind=kind) for n in range(3)]).result(10)
    subscription, partition, _ = subscribe(under, "score")
    transaction = partition.transaction()
    transaction.append(SCORES, [Record(b"scores 3", key=b"k3")])
    transaction.put("position", b"{}")
    transaction.put("trace:ab", b"[1]")
    transaction.offset(3)
    transaction.commit()
    subscription.close()


def fixture_path(version: int) -> Path:
    return FIXTURES / f"schema-{version}.db.gz"


def unpack_fixture(version: int, folder: Path) -> Path:
    path = folder / "store.db"
    path.write_bytes(gzip.decompress(fixture_path(version).read_bytes()))
    return path


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        with opened(Path(folder), FakeClock()) as under:
            fill_fixture(under)
        content = gzip.compress((Path(folder) / "store.db").read_bytes(), mtime=0)
    fixture_path(SCHEMA_VERSION).write_bytes(content)


if __name__ == "__main__":
    main()
