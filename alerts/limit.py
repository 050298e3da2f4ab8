"""At most so many messages to a notifier in any stretch of time: `30 per hour`. What is over it waits, nothing is lost.

Counted in a window that slides: in no hour, whenever it begins, are there more. Time is handed in.
"""

from collections.abc import Sequence
from typing import Annotated, Any

import orjson
from pydantic import BeforeValidator, Field

from collector.core.frequency import Frequency, parse_frequency
from collector.core.settings import Settings

MOST_MESSAGES = 1000  # each is remembered for a period
_NANOSECONDS = 1_000_000_000


def parse_rate_limit(value: Any) -> Frequency:
    """A limit of messages.

    >>> parse_rate_limit("30 per hour")
    Frequency(count=30.0, seconds=3600)

    Raises:
        ValueError: not a whole number of messages, from 1 to 1000, per minute, hour, day or week.
    """
    if isinstance(value, Frequency):
        return value
    limit = parse_frequency(value, "messages", ("minute", "hour", "day", "week"), "30 per hour")
    if not limit.count.is_integer() or limit.count > MOST_MESSAGES:
        raise ValueError(f"{value!r:.80} is not a whole number of messages from 1 to {MOST_MESSAGES} per period")
    return limit


RateLimit = Annotated[Frequency, BeforeValidator(parse_rate_limit, json_schema_input_type=str)]


class Limited(Settings):
    """The limit of a notifier that people read."""

    rate_limit: RateLimit | None = Field(
        parse_rate_limit("30 per hour"), description="messages at most, such as `30 per hour`; null: no limit"
    )


class Window:
    """When one notifier was last sent something, as far back as its limit looks; without a limit, nothing."""

    def __init__(self, limit: Frequency | None) -> None:
        self.limit = limit
        self._sent_ns: list[int] = []  # oldest first
        self._dirty = False

    def room(self, now_ns: int) -> int | None:
        """How many more messages may be sent now; None: any number."""
        if self.limit is None:
            return None
        return max(0, int(self.limit.count) - len(self._recent(now_ns)))

    def free_ns(self, now_ns: int, more: int = 0) -> int:
        """When the next message may be sent, at the earliest, if `more` are sent now."""
        if self.limit is None:
            return now_ns
        sent = [*self._recent(now_ns), *[now_ns] * more]
        over = len(sent) - int(self.limit.count)
        return now_ns if over < 0 else sent[over] + self._period_ns

    def add(self, now_ns: int) -> None:
        """A message was sent."""
        if self.limit is not None:
            self._sent_ns = [*self._recent(now_ns), now_ns][-2 * MOST_MESSAGES :]
            self._dirty = True

    def take_state(self) -> bytes | None:
        """What to store; None if nothing changed since the last call."""
        dirty, self._dirty = self._dirty, False
        return orjson.dumps(self._sent_ns) if dirty else None

    def restore(self, state: bytes | None) -> bool:
        """Go on from stored state, or from nothing; False if it cannot be read."""
        self._sent_ns, self._dirty = [], False
        try:
            stored = orjson.loads(state) if state is not None else []
        except ValueError:
            return False
        if not isinstance(stored, list) or not all(type(at_ns) is int for at_ns in stored):
            return False
        self._sent_ns = sorted(stored)[-2 * MOST_MESSAGES :]
        return True

    @property
    def _period_ns(self) -> int:
        return 0 if self.limit is None else round(self.limit.seconds * _NANOSECONDS)

    def _recent(self, now_ns: int) -> Sequence[int]:
        """Those of the last period; one that a clock which went back puts in the future counts as sent now."""
        return [min(at_ns, now_ns) for at_ns in self._sent_ns if at_ns > now_ns - self._period_ns]
