"""The embedded engine: all logs and all state in one SQLite file, one partition each.

One thread writes. It takes everything that waits, appends and transactions alike, as one SQLite transaction (group
commit), and answers when that is on disk: write-ahead log, `synchronous=FULL`. Readers have connections of their own.
"""

import sqlite3
import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import closing, suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from pydantic import Field, field_validator

from collector.core.clock import Clock
from collector.core.engine import LOGS, SPANS, TICK_KIND, Entry, Listener, Record
from collector.core.errors import DriftlineError, Fenced, Overloaded, StoreError
from collector.core.settings import Duration, Settings, Size
from collector.core.shares import Shares
from collector.core.telemetry import Telemetry
from collector.engines.sqlite_damage import failure, is_damage
from collector.engines.sqlite_file import open_store
from collector.engines.sqlite_jobs import Append, Claim, Job, SqliteTransaction
from collector.engines.sqlite_retention import Trimmer

_PARTITION = 0
_JOBS_PER_COMMIT = 512  # bounds how long the first of a group waits for the last
_READ_BYTES = 8 * 2**20  # bounds what one poll brings into memory
_HOUSEKEEPING_SECONDS = 1.0
_RETRY_SECONDS = 5.0  # for senders, when too much waits to be evaluated
_TRIM_SECONDS = 0.01  # at least, after each commit; and as long as the commit took, so that it keeps up with any load
_ALL_SUBSCRIBED_SECONDS = 60.0  # after the start, every stage that runs here has subscribed


class StoreConfig(Settings):
    """Where everything is kept, how long and how much of it."""

    path: Path = Field(Path("driftline.db"), description="the SQLite file; its view is kept beside it")
    retention: Duration = Field(
        30 * 86400.0, gt=0, description="how long decisions, scores and changes can be asked for"
    )
    max_size: Size = Field(20 * 2**30, gt=0, description="past this, senders are told to wait")
    max_backlog: Size = Field(
        2**30, gt=0, description="accepted but not yet evaluated; past this, senders are told to wait"
    )

    @field_validator("path")
    @classmethod
    def _names_a_file(cls, path: Path) -> Path:
        if not path.name or path.is_dir():
            raise ValueError(f"'{path}' is a folder; a file is needed, such as {path / 'driftline.db'}")
        return path


class SqlitePartition:
    """The only partition of a log, as one stage owns it."""

    number = _PARTITION

    def __init__(self, engine: "SqliteEngine", stage: str, epoch: int, committed: int) -> None:
        self._engine, self._stage, self._epoch = engine, stage, epoch
        self.committed = committed

    def state(self) -> Mapping[str, bytes]:
        return dict(self._engine.rows("SELECT key, value FROM state WHERE stage = ?", self._stage))

    def transaction(self) -> SqliteTransaction:
        return SqliteTransaction(self._engine.submit, self._stage, self._epoch, self._engine.now_ns())


class SqliteSubscription:
    def __init__(self, engine: "SqliteEngine", log: str, partition: SqlitePartition, listener: Listener) -> None:
        self._engine, self._log, self._listener = engine, log, listener
        self._partition = partition
        self._position = partition.committed
        self._connection = engine.reader()
        self._assigned = False

    def poll(self, timeout_seconds: float, max_records: int) -> Sequence[tuple[int, Sequence[Entry]]]:
        if not self._assigned:
            self._assigned = True
            self._listener.assigned(self._partition)
        seen = self._engine.appends[self._log]
        entries = self._read(max_records)
        if not entries and timeout_seconds > 0:
            self._engine.wait_for_append(self._log, seen, timeout_seconds)
            entries = self._read(max_records)
        return [(_PARTITION, entries)] if entries else []

    def close(self) -> None:
        if self._assigned:
            self._assigned = False
            self._listener.revoked(self._partition)
        self._connection.close()

    def _read(self, max_records: int) -> list[Entry]:
        entries: list[Entry] = []
        size = 0
        log = f"log_{self._log}"
        query = f"SELECT offset, value, key, kind, at_ns FROM {log} WHERE offset >= ? ORDER BY offset LIMIT ?"  # noqa: S608
        try:
            with closing(self._connection.execute(query, (self._position, max_records))) as rows:
                for row in rows:
                    entries.append(Entry(*row))
                    size += len(row[1])
                    if size >= _READ_BYTES:
                        break
        except sqlite3.Error as error:
            raise failure(self._engine.path, "cannot be read", error) from None
        if entries:
            self._position = entries[-1].offset + 1
            self._engine.was_read(self._log, entries)
        return entries


class SqliteEngine:
    """See the module. Make a process; a second process that subscribes fences the first.

    Args:
        config: where the file is and how much it may hold. The file is created private to its owner.

    Raises:
        StoreError: the file cannot be opened, is damaged, is not ours, or was written by a newer version.
    """

    def __init__(self, config: StoreConfig, clock: Clock, telemetry: Telemetry) -> None:
        self.path = config.path
        self._config = config
        self._clock = clock
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        # One for each log: a commit wakes those who wait for what it brought, and no others.
        self._appended = {log: threading.Condition() for log in LOGS}
        self.appends = dict.fromkeys(LOGS, 0)  # group commits that appended to each log
        self._closed = False
        self._subscribed: set[str] = set()
        self._began = clock.monotonic()
        self._full = False
        self._shares = Shares(config.max_backlog, _RETRY_SECONDS)
        self._backlog = telemetry.gauge("driftline_backlog_bytes", "Accepted and not yet evaluated.", unit="bytes")
        self._store_bytes = telemetry.gauge("driftline_store_bytes", "Size of the store's content.", unit="bytes")
        self._commit_seconds = telemetry.histogram(
            "driftline_commit_seconds", "Time of a group commit.", buckets=(0.001, 0.01, 0.1, 1, 10), unit="seconds"
        )
        self._failures = telemetry.counter("driftline_store_failures", "Group commits that failed.", ["reason"])
        self._writer = open_store(config.path)
        self._trimmer = Trimmer(self._writer, config.retention, self.now_ns, self._readers)
        self._thread = threading.Thread(target=self._commit_loop, name="driftline-store", daemon=True)
        self._thread.start()

    # --- the contract ---

    @property
    def problem(self) -> str:
        return f"the store is at its limit of {self._config.max_size} bytes" if self._full else ""

    def partitions(self, log: str) -> int:
        return 1

    def append(self, log: str, records: Sequence[Record]) -> "Future[None]":
        job = Append(log, records, self.now_ns())
        if log == SPANS:
            sizes = _sizes((record.key, record.value) for record in records)
            self._admit(sizes, all(record.kind == TICK_KIND for record in records))
            job.done.add_done_callback(lambda done: self._gave_up(done, sizes))
        self.submit(job)
        return job.done

    def subscribe(self, stage: str, log: str, listener: Listener, from_start: bool = False) -> SqliteSubscription:
        """Read `log` as `stage`, from the oldest record if `from_start`, else from where its last transaction left."""
        claim = Claim(stage, log, from_start)
        self.submit(claim)
        claim.done.result()
        self._subscribed.add(stage)
        if log == SPANS:
            self._shares.reset(self._unread_bytes(claim.committed))
        return SqliteSubscription(self, log, SqlitePartition(self, stage, claim.epoch, claim.committed), listener)

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._jobs.put(None)
        self._thread.join()
        self._writer.close()

    # --- for the classes above ---

    def now_ns(self) -> int:
        return self._clock.now_ns()

    def submit(self, job: Job) -> None:
        if self._closed:
            raise StoreError(f"store.path: {self.path} is closed")
        self._jobs.put(job)

    def reader(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=30)
        connection.execute("PRAGMA query_only = ON")
        return connection

    def rows(self, query: str, *values: object) -> list[Any]:
        """Raises StoreError: it cannot be read."""
        try:
            with closing(self.reader()) as connection:
                return list(connection.execute(query, values))
        except sqlite3.Error as error:
            raise failure(self.path, "cannot be read", error) from None

    def wait_for_append(self, log: str, seen: int, timeout_seconds: float) -> None:
        with self._appended[log]:
            self._appended[log].wait_for(lambda: self.appends[log] != seen or self._closed, timeout_seconds)

    def was_read(self, log: str, entries: Sequence[Entry]) -> None:
        if log == SPANS:
            self._shares.give(_sizes((entry.key, entry.value) for entry in entries))
            self._backlog.set(self._shares.total_bytes)

    # --- inside ---

    def _admit(self, sizes: Mapping[bytes, int], ticks: bool) -> None:
        # Ticks are never refused for want of room: by them waiting traces are evaluated, which makes some.
        if self._full and not ticks:
            raise Overloaded("store_full", f"the store is at its limit of {self._config.max_size} bytes", 30)
        if ticks:
            self._shares.force(sizes)
        else:
            self._shares.take(sizes)
        self._backlog.set(self._shares.total_bytes)

    def _gave_up(self, done: "Future[None]", sizes: Mapping[bytes, int]) -> None:
        """What was not written will never be read: it is no backlog any more."""
        if done.cancelled() or done.exception() is not None:
            self._shares.give(sizes)
            self._backlog.set(self._shares.total_bytes)

    def _unread_bytes(self, position: int) -> Mapping[bytes, int]:
        query = f"SELECT key, sum(length(value)) FROM log_{SPANS} WHERE offset >= ? GROUP BY key"  # noqa: S608
        return dict(self.rows(query, position))

    def _commit_loop(self) -> None:
        next_look = self._clock.monotonic() + _HOUSEKEEPING_SECONDS
        while (group := self._next_group()) is not None:
            began = self._clock.monotonic()
            if group:
                self._commit(group)
            now = self._clock.monotonic()
            looks = now >= next_look
            if looks:
                next_look = now + _HOUSEKEEPING_SECONDS
                self._trimmer.begin()
            self._trim(now + max(now - began, _TRIM_SECONDS))
            if looks:
                self._measure()

    def _next_group(self) -> list[Job] | None:
        """Everything that waits, perhaps nothing after a while; None when it is time to end."""
        group: list[Job] = []
        try:
            job = self._jobs.get(timeout=_HOUSEKEEPING_SECONDS)
            while job is not None:
                group.append(job)
                if len(group) == _JOBS_PER_COMMIT:
                    return group
                job = self._jobs.get_nowait()
        except Empty:
            return group
        if group:
            self._jobs.put(None)  # what was handed in before the end is still done
            return group
        return None

    def _commit(self, group: list[Job]) -> None:
        began = self._clock.monotonic()
        # Who gave up before this is left out; who gives up from now on cannot take the future from us any more.
        group = [job for job in group if job.done.set_running_or_notify_cancel()]
        refused: list[tuple[Job, DriftlineError]] = []
        try:
            self._writer.execute("BEGIN IMMEDIATE")
            for job in group:
                try:
                    job.apply(self._writer)
                except Fenced as error:
                    refused.append((job, error))
            self._writer.execute("COMMIT")
        except Exception as error:  # whatever it is, those who wait must hear of it, and the next group must be tried
            self._abandon(group, error)
            return
        for job, fenced in refused:
            job.done.set_exception(fenced)
        for job in group:
            if not job.done.done():
                job.done.set_result(None)
        for log in {log for job in group for log in job.logs}:
            with self._appended[log]:
                self.appends[log] += 1
                self._appended[log].notify_all()
        self._commit_seconds.observe(self._clock.monotonic() - began)

    def _abandon(self, group: list[Job], error: Exception) -> None:
        with suppress(sqlite3.Error):
            self._writer.execute("ROLLBACK")
        self._failures.add(1, _reason(error))
        for job in group:
            job.done.set_exception(failure(self.path, "cannot be written", error))

    def _trim(self, until: float) -> None:
        """Drop what may go: all of it while nobody waits, else until `until`, on the clock of `monotonic`."""
        try:
            while self._trimmer.step():
                if self._clock.monotonic() >= until and not self._jobs.empty():
                    return
        except sqlite3.Error as error:
            self._failures.add(1, _reason(error))

    def _measure(self) -> None:
        try:
            pages, page_size, free = (
                self._writer.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("page_count", "page_size", "freelist_count")
            )
        except sqlite3.Error as error:
            self._failures.add(1, _reason(error))
            return
        size = (pages - free) * page_size
        self._full = size > self._config.max_size
        self._store_bytes.set(size)

    def _readers(self) -> Collection[str] | None:
        """The stages of this process, once all are known."""
        return None if self._clock.monotonic() - self._began < _ALL_SUBSCRIBED_SECONDS else self._subscribed


def _sizes(records: Iterable[tuple[bytes, bytes]]) -> Mapping[bytes, int]:
    """The bytes of records of the inbox, by the tenant that is their key."""
    sizes: dict[bytes, int] = {}
    for key, value in records:
        sizes[key] = sizes.get(key, 0) + len(value)
    return sizes


def _reason(error: Exception) -> str:
    """In a word of a closed set, for a metric."""
    if is_damage(error):
        return "damaged"
    said = str(error)
    return "full" if "full" in said else "locked" if "locked" in said else "other"
