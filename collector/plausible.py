"""Times that cannot be: of a host whose clock is wrong or in another time zone, or never set.

They cannot say how long a trace has waited. The event clock at their arrival stands in for them.
"""

from collector.core.event_clock import EventClock
from collector.core.telemetry import Telemetry

_HOUR_NS = 3600 * 10**9
_WEEK_NS = 7 * 24 * _HOUR_NS


class Plausible:
    """The times of spans and log records beside a clock that was advanced by them."""

    def __init__(self, clock: EventClock, telemetry: Telemetry) -> None:
        self._clock = clock
        self._far_off = telemetry.counter(
            "driftline_far_off_spans",
            "Spans and log records whose time is more than an hour from event time, by which they are not waited for.",
            ["direction"],
        )

    def waiting(self, start_ns: int, end_ns: int) -> tuple[int, int]:
        """Start and end of a span, to reckon by how long its trace has waited: within about an hour of the clock."""
        now_ns = self._clock.now_ns
        if -_HOUR_NS <= end_ns - now_ns <= _HOUR_NS or now_ns < 0:
            return (start_ns if end_ns - start_ns <= _HOUR_NS else end_ns), end_ns
        self._far_off.add(1, ("ahead" if end_ns > now_ns else "behind") if end_ns else "unset")
        return now_ns, now_ns

    def told(self, end_ns: int) -> int:
        """The end of a span, to be told to all who look at its trace later: within a week of the clock.

        What comes after a long silence, or is sent again days later, keeps its time.
        """
        return end_ns if -_WEEK_NS <= end_ns - self._clock.now_ns <= _WEEK_NS else self._clock.now_ns
