"""The operator's one knob, `false_pages: 1 per week`, as start mass for every point of every series.

A budgeted detector begins a new bet with each point. How much it stakes is its start mass `a_t`, and with evidence
`M_t = (M_{t-1} + a_t) L_t`, where E[L_t | past] <= 1 while nothing changed,

    E[M_T] <= E[a_1 + ... + a_T]      and, with alarms at M >= 1,      E[false alarms until T] <= E[a_1 + ... + a_T]

at any stopping time T, counting a detector that starts again at 0 after an alarm. The right side adds up over
detectors, however they depend on one another. So if the mass handed out to all detectors together never exceeds `rate
* elapsed event time`, with the rate in pages a nanosecond, then the expected number of false alarms over everything
does not either: at any traffic, for any number of series, without a correction for how often anybody looks. With a
constant share per point it is the classic Shiryaev-Roberts detector at an average run length of 1 / share. Series that
change together need less than 1 each, for the same budget: see `drift.rounds`, and `drift.pages` for what is one page.

What this needs: `a_t` must be predictable, that is, it must not depend on the value of the point it goes with. Ours
depends on when points came and on which series were ready before this one, not on the values. A page therefore
assumes that arrival times do not foretell scores (as they would if failing requests came in bursts of their own; that
is autocorrelation, which the detector tempers).

What is approximate: the level that L_t is held against is estimated, see `drift.detectors.mean`. Detectors that are
not budgeted (river's) spend nothing and promise nothing.
"""

from dataclasses import dataclass
from typing import Any

from collector.core.frequency import PERIOD_SECONDS, parse_frequency

_SECOND = 10**9

_LONGEST_GAP_NS = 300 * _SECOND  # a longer silence leaves its share of the budget unspent
_POT_SHARE = 1 / 64  # spreads what a gap earned over about this many updates, for scores that share one end time


@dataclass(frozen=True, slots=True)
class FalsePages:
    """How many false pages the operator accepts, over everything that is watched."""

    pages: float
    seconds: float

    @property
    def per_ns(self) -> float:
        return self.pages / (self.seconds * _SECOND)

    @property
    def per_week(self) -> float:
        return self.pages * PERIOD_SECONDS["week"] / self.seconds


def parse_false_pages(value: Any) -> FalsePages:
    """The budget in a text such as `1 per week` or `0.5 per day`; a month is 30 days.

    >>> parse_false_pages("2 per month").per_week
    0.4666666666666667

    Raises:
        ValueError: not such a text; the message says what one looks like.
    """
    if isinstance(value, FalsePages):
        return value
    found = parse_frequency(value, "pages", ("hour", "day", "week", "month"), "1 per week")
    return FalsePages(found.count, found.seconds)


class Budget:
    """Earns start mass as event time passes and hands it out, point by point; alarms are at evidence 1.

    Several watchers that share one budget have a fixed `share` of it each: what they spend together is then bounded by
    the whole, without a word between them.
    """

    __slots__ = ("_per_ns", "_pot", "share_of_all", "spent")

    def __init__(self, false_pages: FalsePages) -> None:
        self._per_ns = false_pages.per_ns
        self._pot = 0.0
        self.share_of_all = 1.0  # greater than 0, at most 1; may change at any time
        self.spent = 0.0  # expected number of false pages handed out so far, at most

    def earn(self, elapsed_ns: int) -> None:
        """Event time moved on; never negative, and no more than five minutes count."""
        self._pot += self._per_ns * self.share_of_all * min(max(elapsed_ns, 0), _LONGEST_GAP_NS)

    def share(self, part: float = 1.0) -> float:
        """The start mass of the next update of one budgeted detector, or a part of it, at most 1."""
        mass = self._pot * _POT_SHARE * part
        self._pot -= mass
        self.spent += mass
        return mass

    def to_json(self) -> list[float]:
        return [self._pot, self.spent]

    def load_json(self, raw: object) -> None:
        """Take over what `to_json` gave; ValueError if it is not."""
        if type(raw) is not list or len(raw) != 2 or any(type(v) not in (int, float) or v < 0 for v in raw):
            raise ValueError(f"budget is {raw!r:.80}; two numbers, not negative, are needed")
        self._pot, self.spent = float(raw[0]), float(raw[1])
