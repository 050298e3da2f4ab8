"""Event time where nothing comes in: it goes on with the clock, by a record, so that it does in a replay too."""

from collections.abc import Callable

from collector.core.engine import TICK_KIND, Entry, Record
from collector.core.errors import Rejected
from collector.core.event_clock import EventClock

END_OF_INPUT = b"end"
"""The value of a tick that says that nothing more will come: what is open is evaluated as it is."""

_LONGEST_TICK = 19  # digits of a time that fits 64 bits


class Ticks:
    """Of one partition.

    Args:
        next_due_ns: the event time at which something is due next, None if nothing is.
    """

    def __init__(self, partition: int, clock: EventClock, next_due_ns: Callable[[], int | None]) -> None:
        self._partition, self._clock, self._next_due_ns = partition, clock, next_due_ns
        self._touched = 0.0
        self._newest_when_touched_ns = 0
        self._ticked = False

    def touched(self, monotonic: float) -> None:
        """Something came in."""
        self._touched = monotonic
        self._newest_when_touched_ns = 0
        self._ticked = False

    def due(self, monotonic: float) -> Record | None:
        """The record that moves event time on, once so much time went by without input that something is due.

        It moves as far as that time goes, so that everything that is due by then is evaluated at once.
        """
        if self._ticked:
            return None
        if not self._newest_when_touched_ns:
            self._newest_when_touched_ns = self._clock.now_ns
        due_ns = self._next_due_ns()
        reached_ns = self._newest_when_touched_ns + round((monotonic - self._touched) * 1e9)
        if due_ns is None or due_ns > reached_ns or due_ns <= self._clock.now_ns:
            return None
        return Record(str(reached_ns).encode(), kind=TICK_KIND, partition=self._partition)

    def ticked(self) -> None:
        """The record of `due` is in the log: no other is needed before it was read."""
        self._ticked = True


def tick_ns(entry: Entry) -> int | None:
    """The event time that a tick says; None for the end of the input.

    Raises:
        Rejected: it says none.
    """
    if entry.value == END_OF_INPUT:
        return None
    if not entry.value.isdigit() or len(entry.value) > _LONGEST_TICK:
        raise Rejected("malformed", f"a tick is {entry.value!r:.40}; it must be nanoseconds")
    return int(entry.value)
