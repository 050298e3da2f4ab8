"""How often something may be done: a budget for each period, spent evenly, and never more than it.

A budget is not spent until it is gone and then refused to whoever comes later in the day: that would be no sample of
the day. Instead, the share of the candidates that are scored goes down to what the rest of the budget can bear until
the end of the period:

    rate = min(1, (budget - spent) / (end of period - now) / candidates a second)

The rate in force is fixed before a candidate is looked at and is recorded with its score, so that an estimate that
weighs by one over it stays unbiased, although the rate follows the traffic. Like every sampling here it is applied to
the hash of the trace id. Time is event time, so that a replay decides alike.

Where a burst spends the budget all the same, what is left is refused (`over_budget`): the limit is hard.

Workers share a budget by partitions, each a fixed share, so that together they never spend more than the whole, and
need no word between them.
"""

import math
from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import BeforeValidator

from collector.core.frequency import Frequency, parse_frequency

_SECOND = 10**9
_RUNS_AT_PACE = 20  # candidates are counted over the time for which the budget has so many runs, or one period
_LEAST_SEEN = 1 / 10  # of that time: before it has passed, candidates count as if it had
_LAST_STRETCH = 1 / 100  # of the period: what is left then may be spent as it comes
_STEPS_PER_HALVING = 8
_MOST_STEPS = 255
_MARK = "\0"  # is in no name


def parse_limit(value: Any) -> Frequency:
    """A budget of evaluations, over all workers.

    >>> parse_limit("600 per hour")
    Frequency(count=600.0, seconds=3600)

    Raises:
        ValueError: not a whole number of evaluations per period.
    """
    if isinstance(value, Frequency):
        return value
    limit = parse_frequency(value, "evaluations", ("minute", "hour", "day", "week", "month"), "600 per hour")
    if not limit.count.is_integer():
        raise ValueError(f"{value!r:.80} is not a whole number of evaluations; use a longer period")
    return limit


Limit = Annotated[Frequency, BeforeValidator(parse_limit, json_schema_input_type=str)]


def rate_of_step(step: int) -> float:
    """Rates are told in steps, `2 ** (-step / 8)`: fine enough to spend a budget, and a small number to remember.

    >>> rate_of_step(0), rate_of_step(8)
    (1.0, 0.5)
    """
    return float(2.0 ** (-step / _STEPS_PER_HALVING))


class Allowance:
    """One budget in one partition.

    Args:
        limit: how much may be spent in each period, over all partitions.
    """

    __slots__ = ("_elapsed_ns", "_limit", "_now_ns", "_number", "_partitions", "_recent", "_spent")

    def __init__(self, limit: Frequency) -> None:
        self._limit = limit
        self._number, self._partitions = 0, 1
        self._now_ns = 0  # event time of the last candidate; never goes back
        self._elapsed_ns = 0.0  # how much of the time over which candidates are counted has been seen
        self._recent = 0.0  # candidates over that time, older ones fading
        self._spent = 0.0  # in the period of `_now_ns`

    def share(self, number: int, partitions: int) -> None:
        """This is partition `number` of so many."""
        self._number, self._partitions = number, partitions

    def step(self, now_ns: int, candidates: int = 1) -> int:
        """A candidate came: the rate at which it and others like it are scored now, as a step.

        Args:
            now_ns: event time; an earlier one than before counts as the same.
            candidates: how many came together, to be decided on alike: the operations of a trace.
        """
        self._come_to(now_ns)
        self._recent += candidates
        pace_ns = self._pace_ns
        seen_ns = pace_ns * -math.expm1(-max(self._elapsed_ns / pace_ns, _LEAST_SEEN))
        affordable = max(self.budget - self._spent, 0.0) / max(self._left_ns, self._period_ns * _LAST_STRETCH)
        wanted = self._recent / seen_ns
        if affordable >= wanted or affordable == 0:  # where nothing is left, `spend` will say so
            return 0
        return min(math.ceil(_STEPS_PER_HALVING * math.log2(wanted / affordable)), _MOST_STEPS)

    def spend(self, now_ns: int, cost: float = 1.0) -> bool:
        """Take `cost` out of what is left for this period; False, and nothing is taken, if it is not there."""
        self._come_to(now_ns)
        if self._spent + cost > self.budget:
            return False
        self._spent += cost
        return True

    @property
    def budget(self) -> float:
        """What this partition may spend in the period: whole numbers that add up to the limit over all partitions.

        Where the limit does not divide, another partition has one more in each period.
        """
        whole, n = math.floor(self._limit.count), self._partitions
        if n == 1:
            return self._limit.count
        turn = (self._number + self._now_ns // self._period_ns) % n
        return float((turn + 1) * whole // n - turn * whole // n)

    def forgettable(self, now_ns: int) -> bool:
        """Whether nothing of it matters any more at this event time: a period has begun since it was last asked."""
        return now_ns // self._period_ns > self._now_ns // self._period_ns

    def to_json(self) -> list[float]:
        limit = self._limit
        return [self._now_ns, self._elapsed_ns, self._recent, self._spent, limit.count, limit.seconds]

    def load_json(self, raw: list[float]) -> None:
        """Take over what `to_json` gave; under another limit than then, begin anew."""
        now_ns, elapsed_ns, recent, spent, count, seconds = raw
        if (count, seconds) == (self._limit.count, self._limit.seconds):
            self._now_ns, self._elapsed_ns, self._recent, self._spent = int(now_ns), elapsed_ns, recent, spent

    @property
    def _period_ns(self) -> int:
        return round(self._limit.seconds * _SECOND)

    @property
    def _pace_ns(self) -> float:
        return self._period_ns * min(_RUNS_AT_PACE / max(self.budget, 1.0), 1.0)

    @property
    def _left_ns(self) -> int:
        return self._period_ns - self._now_ns % self._period_ns

    def _come_to(self, now_ns: int) -> None:
        passed = now_ns - self._now_ns
        if passed <= 0:
            return
        if self._now_ns:
            self._elapsed_ns = min(self._elapsed_ns + passed, self._period_ns)
            self._recent *= math.exp(-passed / self._pace_ns)
        if now_ns // self._period_ns > self._now_ns // self._period_ns:
            self._spent = 0.0
        self._now_ns = now_ns


def mark(name: str, step: int) -> str:
    """What is remembered of a trace that met the limit of this name, so that a revision of it is decided alike."""
    return f"{name}{_MARK}{step}"


def marked_step(name: str, marks: Iterable[str]) -> int | None:
    """The step that `mark` was given for this name, None if the trace never met that limit."""
    head = f"{name}{_MARK}"
    return next((int(found.removeprefix(head)) for found in marks if found.startswith(head)), None)
