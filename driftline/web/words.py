"""How moments, ages, numbers and sizes are written on the page."""

from datetime import UTC, datetime
from math import isfinite

from alerts.plain import clean
from drift.base import RATES, Change, Estimate

_STEPS = ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "min"), (60, "min", 60, ""), (1, "s", 1, ""))
_RATIO_UNITS = ("", "ratio", "1")


def moment(at_ns: int) -> str:
    """A moment in UTC, to the second.

    >>> moment(1_700_000_000_000_000_000)
    '2023-11-14 22:13:20 UTC'
    """
    try:
        return datetime.fromtimestamp(at_ns // 1_000_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (OverflowError, ValueError, OSError):
        return "an unknown time"


def clock_time(at_ns: int, now_ns: int) -> str:
    """A moment in a table: the time of day, with the date only if that is another.

    >>> clock_time(1_700_000_000_000_000_000, 1_700_000_001_000_000_000), clock_time(0, 10**18)
    ('22:13:20', '1970-01-01 00:00')
    """
    stamp = moment(at_ns)
    return stamp[11:19] if stamp[:10] == moment(now_ns)[:10] else stamp[:16]


def age(at_ns: int, now_ns: int) -> str:
    """How long ago a moment was, in at most two units.

    >>> age(0, 95_000_000_000), age(0, 12_000_000_000_000), age(60_000_000_000, 0)
    ('1 min ago', '3 h 20 min ago', 'in 1 min')
    """
    seconds = abs(now_ns - at_ns) // 1_000_000_000
    if seconds < 1:
        return "just now"
    words = _span(seconds)
    return f"{words} ago" if at_ns <= now_ns else f"in {words}"


def _span(seconds: int) -> str:
    size, unit, inner, inner_unit = next(step for step in _STEPS if seconds >= step[0])
    rest = seconds % size // inner
    return f"{seconds // size} {unit}" + (f" {rest} {inner_unit}" if rest and inner_unit else "")


def duration(nanoseconds: int) -> str:
    """The length of a trace.

    >>> duration(845_000_000), duration(3_210_000_000), duration(125_000_000_000)
    ('845 ms', '3.21 s', '2 min 5 s')
    """
    seconds = max(nanoseconds, 0) / 1e9
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.2f} s"
    return f"{seconds // 60:.0f} min {seconds % 60:.0f} s"


def count(number: float) -> str:
    """A number of things.

    >>> count(1234567), count(float("nan"))
    ('1,234,567', 'unknown')
    """
    return f"{number:,.0f}" if isfinite(number) else "unknown"


def value(number: float | None, unit: str = "") -> str:
    """A score in its unit.

    >>> value(0.8312), value(12.5, "seconds"), value(None)
    ('0.831', '12.5 seconds', '–')
    """
    if number is None or not isfinite(number):
        return "–"
    if unit in _RATIO_UNITS:
        return f"{number:.3f}"
    return f"{number:,.4g} {clean(unit)}" if abs(number) < 1000 else f"{number:,.0f} {clean(unit)}"


def percent(part: float) -> str:
    """A part of a whole.

    >>> percent(0.914), percent(-0.001)
    ('91%', '0%')
    """
    return f"{round(100 * part)}%" if isfinite(part) else "–"


def level(number: float | None, statistic: str, unit: str = "") -> str:
    """The level of a series: a pass rate in percent, a mean in its unit.

    >>> level(0.8312, "pass_rate"), level(0.8312, "mean", "ratio")
    ('83.1%', '0.831')
    """
    if number is None or not isfinite(number):
        return "–"
    return f"{100 * number:.1f}%" if statistic in RATES else value(number, unit)


def interval(estimate: Estimate, statistic: str, unit: str = "") -> str:
    """The 95% interval of a level.

    >>> interval(Estimate(0.8, 0.75, 0.85, 100), "pass_rate")
    '75.0% to 85.0%'
    """
    return f"{level(estimate.lower, statistic)} to {level(estimate.upper, statistic)}" + (
        f" {clean(unit)}" if statistic not in RATES and unit not in _RATIO_UNITS else ""
    )


def size(change: Change, unit: str = "") -> str:
    """By how much a level moved, without its sign: `13.2 percentage points lower (95% interval 10.1 to 16.3)`."""
    sign = -1 if change.size.value < 0 else 1
    low, high = sorted((sign * change.size.lower, sign * change.size.upper))
    way = "lower" if change.direction == "down" else "higher"
    rate = change.statistic in RATES
    middle, low_text, high_text = (
        f"{100 * x:.1f}" if rate else f"{x:.3g}" for x in (sign * change.size.value, low, high)
    )
    unit_text = " percentage points" if rate else f" {clean(unit)}" if unit not in _RATIO_UNITS else ""
    return f"{middle}{unit_text} {way} (95% interval {low_text} to {high_text})"


def text(raw: object, runes: int = 120) -> str:
    """A name or an explanation from a trace: one line, printable, not too long."""
    return clean(raw, runes)
