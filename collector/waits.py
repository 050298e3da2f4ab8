"""How long a trace is waited for."""

from collector.waiting import Held

_MOST_DOUBLINGS = 32  # of the wait before a revision; more makes no difference to any `max_age`


class Waits:
    """For all traces of an assembler.

    Args:
        quiet_seconds: how long a trace whose root has ended must be quiet.
        max_age_seconds: how long one is waited for at most.
        lateness_seconds: how far the watermark trails the newest span.
    """

    def __init__(self, quiet_seconds: float, max_age_seconds: float, lateness_seconds: float) -> None:
        self._quiet_ns, self._max_age_ns = round(quiet_seconds * 1e9), round(max_age_seconds * 1e9)
        self.lateness_ns = round(lateness_seconds * 1e9)

    def due_ns(self, held: Held) -> int:
        """When a trace should be evaluated: a function of what it holds alone, so that a restart finds the same."""
        quiet = held.last_end_ns + self._quiet_ns
        if held.revision >= 0:
            # Two at once, then less and less often: a run of hours, or one without a root, has thousands of late spans.
            wait = min(self._quiet_ns * (2 ** min(max(0, held.revision - 1), _MOST_DOUBLINGS) - 1), self._max_age_ns)
            since = held.closed_at_ns - self.lateness_ns  # the watermark then
            return max(quiet, since + (wait if held.has_root else self._max_age_ns))
        oldest = held.first_start_ns + self._max_age_ns
        return min(quiet, oldest) if held.has_root else oldest
