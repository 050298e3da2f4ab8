"""The engine contract: what the pipeline may ask of the thing that keeps its data.

An engine offers three things and no more:

- *logs*: `append` is durable once its future is done; a `Subscription` reads them in partitions by offset;
- *keyed state* that is owned together with a partition of a log;
- one *transaction* that commits outputs, state and offset together, and fails with `Fenced` if the partition has
  a newer owner.

Nothing above this line knows whether that is one SQLite file or Kafka.
"""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol

SPANS = "spans"
"""The inbox: accepted OTLP requests. `Record.kind` is one of the kinds below."""

DECISIONS = "decisions"
"""The ledger: for each revision of a trace, its summary and the decision on every scorer."""

SCORES = "scores"
"""One point per score, keyed by metric and service: what the watchers read."""

CHANGES = "changes"
"""What the watchers found: a change opened, updated or resolved."""

TURNS = "turns"
"""What sessions are made of, if a scorer asks for them: a turn for each trace that has one, keyed by session."""

DEAD_LETTERS = "dead_letters"
"""Messages that could never be accepted. `Record.kind` is the reason, the key says where it came from."""

LOGS = (SPANS, DECISIONS, SCORES, CHANGES, DEAD_LETTERS, TURNS)

TRACES_KIND = "traces"  # value: protobuf ExportTraceServiceRequest
EVENTS_KIND = "logs"  # value: protobuf ExportLogsServiceRequest
MOVED_KIND = "moved"  # what another partition held: traces (see `collector.wire.moved`), in scores a series, in turns
# a session
STRAY_KIND = "stray"  # in scores and turns: what was sent to another partition before, as any others
TICK_KIND = "tick"  # value: decimal nanoseconds; event time has come at least this far though no span said so


@dataclass(slots=True)  # not frozen: made for every score, and frozen costs four times as much
class Record:
    """Something to append. It lands in `partition`, or in the one that its key belongs to; there, in order."""

    value: bytes
    key: bytes = b""
    kind: str = ""
    partition: int | None = None


@dataclass(slots=True)  # not frozen: made for every score, and frozen costs four times as much
class Entry:
    """Something read back. Offsets grow within a partition but may have gaps.

    `at_ns` is when it was appended, by the clock of what keeps the log; 0 if that does not tell.
    """

    offset: int
    value: bytes
    key: bytes
    kind: str
    at_ns: int = 0


class Transaction(Protocol):
    """Collects what belongs together; nothing happens until `commit`."""

    def append(self, log: str, records: Iterable[Record]) -> None:
        """Raises Rejected (`too_large`) if the log cannot take one of them; then none is added."""
        ...

    def put(self, key: str, value: bytes) -> None:
        """Raises Rejected (`too_large`)."""
        ...

    def delete(self, key: str) -> None: ...

    def offset(self, next_offset: int) -> None:
        """Where reading must begin after a restart."""
        ...

    def commit(self) -> None:
        """Make it all durable, or none of it.

        Raises:
            Fenced: the partition has a newer owner, and this process has nothing left to do.
            Lost: the partition has a newer owner; whatever else this process owns must be asked for again.
            StoreError: the store could not be written; the same commit may be tried again.
        """
        ...


class Partition(Protocol):
    """A partition of a log that this process owns now, with the state that belongs to it."""

    @property
    def number(self) -> int: ...

    @property
    def committed(self) -> int:
        """The offset that the last transaction left: where reading begins."""
        ...

    def state(self) -> Mapping[str, bytes]:
        """All keyed state as of the last commit."""
        ...

    def transaction(self) -> Transaction: ...


class Listener(Protocol):
    """Told of ownership, from within `Subscription.poll`."""

    def assigned(self, partition: Partition) -> None: ...

    def revoked(self, partition: Partition) -> None: ...


class Subscription(Protocol):
    """One stage's reading of one log."""

    def poll(self, timeout_seconds: float, max_records: int) -> Sequence[tuple[int, Sequence[Entry]]]:
        """What is new, as (partition number, entries in order); waits up to the timeout for something.

        Raises:
            Lost: partitions went to other workers; whoever goes on must subscribe anew.
        """
        ...

    def close(self) -> None: ...


class Engine(Protocol):
    @property
    def problem(self) -> str:
        """Why records cannot be appended or read at present, for people; empty if nothing is known."""
        ...

    def partitions(self, log: str) -> int:
        """How many partitions a log has; it may grow, and never shrinks."""
        ...

    def append(self, log: str, records: Sequence[Record]) -> "Future[None]":
        """Append in order; the future is done when the records are durable.

        Raises (here or in the future):
            Overloaded: no room now.
            Rejected: `too_large`: the log can never take one of the records; none was appended.
            StoreError: the store could not be written.
        """
        ...

    def subscribe(self, stage: str, log: str, listener: Listener, from_start: bool = False) -> Subscription:
        """Read `log` as `stage`, from where its last transaction left, or from the oldest record if `from_start`.

        Stages have separate offsets and separate state.
        """
        ...

    def close(self) -> None:
        """Finish what was handed in, then stop. Safe to call twice."""
        ...
