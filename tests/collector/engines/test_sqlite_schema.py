"""Versions of the store: every past one is brought to the present one, whole, and what is not ours is refused."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from collector.core.clock import FakeClock
from collector.core.engine import LOGS, SCORES
from collector.core.errors import StoreError
from collector.engines import sqlite_schema
from collector.engines.sqlite_schema import MIGRATIONS, OLDEST_VERSION, SCHEMA_VERSION
from tests.collector.engines.stores import (
    FIXTURES,
    append,
    fill_fixture,
    fixture_path,
    logs_of,
    opened,
    rows,
    subscribe,
    unpack_fixture,
)

VERSIONS = range(OLDEST_VERSION, SCHEMA_VERSION + 1)
PAST = VERSIONS[:-1]


def everything(path: Path) -> dict[str, list[object]]:
    """All rows of all tables, and what describes them."""
    schema = rows(path, "SELECT type, name, sql FROM sqlite_schema ORDER BY name")
    tables = {name: rows(path, f"SELECT * FROM {name} ORDER BY 1, 2") for kind, name, _ in schema if kind == "table"}
    header = [rows(path, f"PRAGMA {name}") for name in ("user_version", "application_id")]
    return {"sqlite_schema": schema, "header": header, **tables}


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    """A store that this version made, filled as the fixtures are."""
    with opened(tmp_path / "fresh", FakeClock()) as under:
        fill_fixture(under)
    return tmp_path / "fresh" / "store.db"


def test_every_version_has_a_stored_file_and_every_step_a_migration() -> None:
    assert {path.name for path in FIXTURES.iterdir()} == {fixture_path(version).name for version in VERSIONS}
    assert set(MIGRATIONS) == set(VERSIONS[1:])


def test_the_stored_file_of_this_version_is_what_this_version_makes(tmp_path: Path, fresh: Path) -> None:
    """Who changes a table without a new version fails here."""
    assert everything(unpack_fixture(SCHEMA_VERSION, tmp_path)) == everything(fresh)


@pytest.mark.parametrize("version", PAST)
def test_a_store_of_a_past_version_becomes_what_this_version_makes_and_goes_on(tmp_path: Path, version: int) -> None:
    with opened(tmp_path / "fresh", FakeClock()) as under:
        fill_fixture(under, version)
    fresh = tmp_path / "fresh" / "store.db"
    path = unpack_fixture(version, tmp_path)
    before = everything(path)
    with opened(tmp_path) as under:
        assert everything(path) == everything(fresh)
        append(under, b"new")
        subscription, partition, entries = subscribe(under, "score")
        assert [entry.value for entry in entries] == [b"spans 2", b"new"]
        assert partition.state() == {"position": b"{}", "trace:ab": b"[1]"}
        subscription.close()
    kept = tmp_path / f"store.db.v{version}"
    assert everything(kept) == before, "the store is kept as it was"
    assert kept.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("version", PAST)
def test_a_migration_that_fails_leaves_the_store_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: int
) -> None:
    path = unpack_fixture(version, tmp_path)
    before = everything(path)

    def fail(connection: sqlite3.Connection) -> None:
        MIGRATIONS[SCHEMA_VERSION](connection)
        connection.execute("DROP TABLE state")
        raise sqlite3.OperationalError("disk I/O error")

    with monkeypatch.context() as broken:
        broken.setattr(sqlite_schema, "MIGRATIONS", {**MIGRATIONS, SCHEMA_VERSION: fail})
        with pytest.raises(StoreError, match="disk I/O error"):
            opened(tmp_path).__enter__()
    assert everything(path) == before
    with opened(tmp_path):
        pass
    assert rows(path, "PRAGMA user_version") == [(SCHEMA_VERSION,)]


@pytest.mark.parametrize("version", [OLDEST_VERSION - 1, SCHEMA_VERSION + 1])
def test_a_version_that_cannot_be_read_is_refused_and_left_alone(tmp_path: Path, version: int) -> None:
    path = unpack_fixture(SCHEMA_VERSION, tmp_path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {version}")
    before = path.read_bytes()
    with pytest.raises(StoreError, match=f"schema version {version}, this Driftline reads {OLDEST_VERSION} to"):
        opened(tmp_path).__enter__()
    assert path.read_bytes() == before


def test_the_database_of_another_program_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    for statement in (
        "CREATE TABLE letters (x)",
        "PRAGMA application_id = 7",
        f"PRAGMA user_version = {SCHEMA_VERSION}",
    ):
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(statement)
        before = path.read_bytes()
        with pytest.raises(StoreError, match=r"store\.db is a database of another program"):
            opened(tmp_path).__enter__()
        assert path.read_bytes() == before


def test_offsets_go_on_behind_those_of_the_past_version(tmp_path: Path) -> None:
    unpack_fixture(OLDEST_VERSION, tmp_path)
    with opened(tmp_path) as under:
        for log in LOGS:
            append(under, b"new", log=log)
    ends = {log: rows(tmp_path / "store.db", f"SELECT max(offset) FROM log_{log}")[0][0] for log in LOGS}
    filled = logs_of(OLDEST_VERSION)
    assert ends == {log: 1 if log not in filled else 5 if log == SCORES else 4 for log in LOGS}
