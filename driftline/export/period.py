"""A period of event time, as people write it on the command line."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from collector.core.errors import UserError
from collector.core.settings import parse_duration
from driftline.export.rows import rfc3339

_SECOND_NS = 1_000_000_000
_LATEST_NS = 2**63 - 1
_DURATION = re.compile(r"[0-9].*[a-z]")  # a moment ends with a digit or Z


@dataclass(frozen=True)
class Period:
    """From one moment on and before another, in Unix nanoseconds."""

    from_ns: int = 0
    to_ns: int = _LATEST_NS

    def __str__(self) -> str:
        begin = "the beginning" if self.from_ns == 0 else rfc3339(self.from_ns)
        return f"{begin} to {'now' if self.to_ns == _LATEST_NS else rfc3339(self.to_ns)}"


def parse_period(begin: str | None, end: str | None, now_ns: int) -> Period:
    """The period between what `--from` and `--to` say; without them it has no end there.

    Raises:
        UserError: one is no moment, or the end is not after the beginning.
    """
    from_ns = 0 if begin is None else parse_moment("--from", begin, now_ns)
    to_ns = _LATEST_NS if end is None else parse_moment("--to", end, now_ns)
    if to_ns <= from_ns:
        raise UserError(f"--to: {end or 'now'!r} is not after --from {begin or 'the beginning'!r}")
    return Period(from_ns, to_ns)


def parse_moment(option: str, text: str, now_ns: int) -> int:
    """A day, a moment, or how long ago.

    >>> [parse_moment("--to", text, 86_400 * 10**9) // 10**9 for text in ("1970-01-02", "1970-01-01T01:00+01:00", "2h")]
    [86400, 0, 79200]

    Raises:
        UserError: none of them, named with its option.
    """
    try:
        if _DURATION.fullmatch(text):
            return max(0, now_ns - round(parse_duration(text) * _SECOND_NS))
        moment = datetime.fromisoformat(text)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
        whole = round(moment.replace(microsecond=0).timestamp())
    except (ValueError, OverflowError):
        allowed = "a day such as 2026-03-01, a moment such as 2026-03-01T12:00Z (UTC unless it says otherwise), or 24h"
        raise UserError(f"{option}: {text[:80]!r} is not {allowed}") from None
    return min(max(0, whole * _SECOND_NS + moment.microsecond * 1000), _LATEST_NS)
