"""The loop of every stage: read one log, do the work, commit outputs, state and offset together.

The one commit order, for every stage: take a batch; do the work; commit what came of it with the state it left and the
offset to continue from, in one transaction; only then let metrics and other observers know. A stage that is killed
between any two of these does the same work again, from the same records, with the same result.
"""

import logging
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from collector.core.engine import (
    CHANGES,
    DECISIONS,
    SCORES,
    SPANS,
    TURNS,
    Engine,
    Entry,
    Partition,
    Record,
    Subscription,
    Transaction,
)
from collector.core.errors import DriftlineError, Lost, Rejected, StoreError
from collector.core.telemetry import Telemetry

_log = logging.getLogger(__name__)
_POLL_SECONDS = 0.1  # how soon a stage notices that it should stop, or that time has come for a waiting trace
_GATHER_SECONDS = 0.1  # after a small batch: what comes meanwhile shares the next commit
RETRY_SECONDS = 1.0  # between tries to commit while the store cannot be written
_RECORDS_PER_POLL = {SPANS: 256, SCORES: 1024, TURNS: 1024, DECISIONS: 1024, CHANGES: 64}


class Stopped(Exception):
    """What was done cannot be committed any more: nothing may be done on top of it. The next start does it again."""


class Stage(ABC):
    """A thread that reads one log. `stop` is safe twice and without `start`; it returns when the thread has ended."""

    def __init__(self, name: str, engine: Engine, log: str, telemetry: Telemetry, from_start: bool = False) -> None:
        self.name = name
        self.failure: Exception | None = None
        self.idle = threading.Event()
        self.owned: dict[int, Partition] = {}
        self._engine, self._log, self._from_start = engine, log, from_start
        self._stopping = threading.Event()
        self._subscription: Subscription | None = None
        self._thread = threading.Thread(target=self._run, name=f"driftline-{name}", daemon=True)
        self._retries = telemetry.counter("driftline_commit_retries", "Commits tried again.", ["stage"])
        self._too_large = telemetry.counter(
            "driftline_too_large_records", "Records that the log can never take, left out.", ["stage", "log"]
        )
        self._heartbeat = telemetry.counter(
            "driftline_stage_loops", "Turns of each stage's loop: its heartbeat.", ["stage"]
        )
        # The moment and not the age: it is told at a scrape, and a thread that hangs sets nothing any more.
        self._busy_since = telemetry.gauge(
            "driftline_stage_busy_since_timestamp_seconds",
            "When the stage began what it works on, or last committed a part of it; absent while there is no work.",
            ["stage"],
            unit="seconds",
        )

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        if self._subscription is not None:
            self._subscription.close()
            self._subscription = None

    def drain(self) -> None:
        """Work through everything there is, on the caller's thread: for replay, instead of `start`."""
        if self._subscription is None:
            self._subscription = self._engine.subscribe(self.name, self._log, self, self._from_start)
        while batches := self._subscription.poll(0, _RECORDS_PER_POLL[self._log]):
            self._turn(batches)

    def assigned(self, partition: Partition) -> None:
        """Take over a partition with its state; here, where there is none, it is only kept in `owned`."""
        self.owned[partition.number] = partition

    def revoked(self, partition: Partition) -> None:
        """Let go of a partition: somebody else owns it."""
        del self.owned[partition.number]

    @abstractmethod
    def process(self, partition: int, entries: Sequence[Entry]) -> None:
        """Work through a batch and commit."""

    def rest(self) -> None:  # noqa: B027  most stages have nothing to do then
        """Called after each turn of the loop, also when there was nothing to read."""

    def finish(self) -> None:  # noqa: B027  most stages have nothing to do then
        """Called once when the stage stops, while it still owns its partitions."""

    def _run(self) -> None:
        try:
            with suppress(Stopped):
                while not self._stopping.is_set():
                    self._subscription = self._engine.subscribe(self.name, self._log, self, self._from_start)
                    try:
                        self._work(self._subscription)
                    except Lost as error:
                        self._retries.add(1, self.name)
                        _log.warning("%s begins again: %s", self.name, error)
                        self._subscription.close()
            with suppress(Stopped):
                self.finish()
        except Exception as error:
            if not isinstance(error, DriftlineError):  # which says all there is to say in its one line
                _log.exception("stage %s failed", self.name)
            self.failure = error

    def _work(self, subscription: Subscription) -> None:
        most = _RECORDS_PER_POLL[self._log]
        while not self._stopping.is_set():
            batches = subscription.poll(_POLL_SECONDS, most)
            self._turn(batches)
            self.rest()
            if not batches:
                self.idle.set()
            elif sum(len(entries) for _, entries in batches) < most / 2:
                self._stopping.wait(_GATHER_SECONDS)

    def _turn(self, batches: Sequence[tuple[int, Sequence[Entry]]]) -> None:
        self._heartbeat.add(1, self.name)
        if batches:
            self.idle.clear()
        try:
            for partition, entries in batches:
                self._busy_since.set(time.time(), self.name)
                self.process(partition, entries)
        finally:
            self._busy_since.remove(self.name)

    def commit(self, transaction: Transaction) -> None:
        """Commit, trying again for as long as the store cannot be written.

        Raises:
            Stopped: the stage is to stop before it could.
        """
        self.retrying(transaction.commit)
        if (self.name,) in self._busy_since.values():
            self._busy_since.set(time.time(), self.name)

    def commit_offset(self, partition: int, entries: Sequence[Entry]) -> None:
        """Commit that the batch was worked through, and nothing else. Raises Stopped."""
        transaction = self.owned[partition].transaction()
        transaction.offset(entries[-1].offset + 1)
        self.commit(transaction)

    def retrying(self, write: Callable[[], None]) -> None:
        """Call `write` until it does not raise StoreError.

        Raises:
            Stopped: the stage is to stop before that.
        """
        while True:
            try:
                return write()
            except StoreError as error:
                if self.wait_after(error):
                    raise Stopped from None

    def wait_after(self, error: StoreError) -> bool:
        """Say why it cannot go on, and wait a little; True if it was stopped meanwhile."""
        self.say(error)
        return self._stopping.wait(RETRY_SECONDS)

    def say(self, error: BaseException) -> None:
        """Count and say that something has to be tried again."""
        self._retries.add(1, self.name)
        _log.error("%s waits: %s", self.name, error)

    def append(self, transaction: Transaction, log: str, records: Sequence[Record]) -> None:
        """Add records to a transaction. One that the log can never take must not stop the others: it is left out."""
        try:
            transaction.append(log, records)
        except Rejected as error:
            if len(records) > 1:
                for record in records:
                    self.append(transaction, log, [record])
                return
            self._too_large.add(1, self.name, log)
            _log.error("%s leaves out a record: %s", self.name, error)


def put_state(transaction: Transaction, changed: Mapping[str, bytes | None]) -> None:
    """Add changed state to a transaction; None deletes."""
    for key, value in changed.items():
        if value is None:
            transaction.delete(key)
        else:
            transaction.put(key, value)
