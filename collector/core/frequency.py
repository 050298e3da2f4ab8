"""So many per period: `1 per week`, `600 per hour`."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

PERIOD_SECONDS = {"minute": 60, "hour": 3600, "day": 86400, "week": 604800, "month": 30 * 86400}
_FREQUENCY = re.compile(r"\s*(\d+(?:\.\d+)?)\s+(?:per|an|a)\s+([a-z]+)\s*")
_MOST = 1e9


@dataclass(frozen=True, slots=True)
class Frequency:
    """A number of something in each `seconds`."""

    count: float
    seconds: float

    @property
    def text(self) -> str:
        """As it is written in a configuration."""
        period = next(name for name, seconds in PERIOD_SECONDS.items() if seconds == self.seconds)
        return f"{self.count:g} per {period}"


def parse_frequency(value: Any, what: str, periods: Collection[str], example: str) -> Frequency:
    """The number and the period in a text; a month is 30 days.

    >>> parse_frequency("600 per hour", "runs", ("minute", "hour", "day"), "600 per hour")
    Frequency(count=600.0, seconds=3600)

    Args:
        value: what was given, of any type.
        what: is counted, for the message.
        periods: those that may be used, keys of `PERIOD_SECONDS`.
        example: what one looks like, for the message.

    Raises:
        ValueError: not such a text; the message says what one looks like.
    """
    found = _FREQUENCY.fullmatch(value) if isinstance(value, str) and len(value) < 100 else None
    if found is None or found[2] not in periods or not 0 < float(found[1]) < _MOST:
        *some, last = periods
        allowed = f"{', '.join(some)} or {last}"
        raise ValueError(f"{value!r:.80} is not a number of {what} per {allowed}, such as `{example}`")
    return Frequency(float(found[1]), PERIOD_SECONDS[found[2]])
