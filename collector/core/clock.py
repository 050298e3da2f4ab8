"""Wall-clock time as a thing that is handed in, so that tests can hold it still.

Only receivers, timeouts and self-metrics may ask a clock; scores, decisions and alarms run on event time.
"""

import time
from typing import Protocol


class Clock(Protocol):
    def now_ns(self) -> int:
        """Unix time in nanoseconds."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back, from an arbitrary start."""
        ...


class SystemClock:
    """The machine's clocks."""

    now_ns = staticmethod(time.time_ns)
    monotonic = staticmethod(time.monotonic)  # asked twice a score


class FakeClock:
    """A clock that moves only when told.

    >>> clock = FakeClock(now_ns=5_000_000_000)
    >>> clock.advance(1.5)
    >>> clock.now_ns(), clock.monotonic()
    (6500000000, 1.5)
    """

    def __init__(self, now_ns: int = 1_700_000_000_000_000_000) -> None:
        self._now_ns = now_ns
        self._monotonic = 0.0

    def now_ns(self) -> int:
        return self._now_ns

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, seconds: float) -> None:
        self._now_ns += round(seconds * 1e9)
        self._monotonic += seconds

    def set_wall(self, now_ns: int) -> None:
        """Somebody sets the machine's clock: the time that never goes back does not notice."""
        self._now_ns = now_ns
