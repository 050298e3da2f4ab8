"""Event time where nothing comes in: it goes on with the clock, by a record, so that it does in a replay too."""

from collections.abc import Callable
from concurrent.futures import Future

from collector.core.engine import TICK_KIND, Engine, Entry, Record
from collector.core.errors import Overloaded, Rejected, StoreError
from collector.core.event_clock import EventClock
from driftline.pipeline import RETRY_SECONDS

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
        self._none_until = 0.0

    def touched(self, monotonic: float) -> None:
        """Something came in."""
        self._touched = monotonic
        self._newest_when_touched_ns = 0
        self._ticked = False

    def due(self, monotonic: float) -> Record | None:
        """The record that moves event time on, once so much time went by without input that something is due.

        It moves as far as that time goes, so that everything that is due by then is evaluated at once. No other is made
        before something was read, or `wait` was called.
        """
        if self._ticked or monotonic < self._none_until:
            return None
        if not self._newest_when_touched_ns:
            self._newest_when_touched_ns = self._clock.now_ns
        due_ns = self._next_due_ns()
        reached_ns = self._newest_when_touched_ns + round((monotonic - self._touched) * 1e9)
        if due_ns is None or due_ns > reached_ns or due_ns <= self._clock.now_ns:
            return None
        self._ticked = True
        return Record(str(reached_ns).encode(), kind=TICK_KIND, partition=self._partition)

    def wait(self, until: float) -> None:
        """The record that `due` gave could not be appended: another may be made, from then on."""
        self._ticked, self._none_until = False, until


class TickSender:
    """Appends ticks without waiting for them: a partition that cannot be written holds up no other."""

    def __init__(self, engine: Engine, log: str, say: Callable[[BaseException], None]) -> None:
        self._engine, self._log, self._say = engine, log, say
        self._sent: list[tuple[Ticks, Future[None]]] = []  # on their way to the log

    def send(self, ticks: Ticks, monotonic: float) -> None:
        """Append a tick if one is due."""
        if (tick := ticks.due(monotonic)) is None:
            return
        try:
            self._sent.append((ticks, self._engine.append(self._log, [tick])))
        except (StoreError, Overloaded) as error:  # the stage's own reading may be what makes room
            self._say(error)
            ticks.wait(monotonic + RETRY_SECONDS)

    def look_after(self, monotonic: float) -> None:
        """Have those that could not be appended made anew, a little later."""
        done = [sent for sent in self._sent if sent[1].done()]
        self._sent = [sent for sent in self._sent if not sent[1].done()]
        for ticks, future in done:
            try:
                future.result()
            except (StoreError, Overloaded) as error:
                self._say(error)
                ticks.wait(monotonic + RETRY_SECONDS)


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
