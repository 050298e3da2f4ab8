"""At most so many traces of each class: a quota, so that what is rare is seen whole and what is common costs little.

    sample: {quota: {by: [service, prompt], at_most: 100 per hour}}

Each combination of slice values is a class of its own, and so is each keep rule within it: errors have their own quota.
`collector.allowance` says how a quota is spent.
"""

from collections import OrderedDict
from collections.abc import Collection, Mapping
from dataclasses import replace

import orjson

from collector.allowance import Allowance, mark, marked_step, rate_of_step
from collector.core.frequency import Frequency
from collector.core.model import Slices
from collector.sample import Admission, QuotaConfig

QUOTA = ""
"""The name of the quota among the names of scorers, for `collector.allowance.mark`."""

MOST_CLASSES = 1000
_OTHER = "[]"
_LIMIT_KEY, _QUOTA_KEY = "limit:", "quota:"


class Allowances:
    """All budgets of one partition: those of scorers by name, and those of classes as they appear.

    They change with each evaluation and are kept with the offset. There are at most `MOST_CLASSES` classes at a time;
    a new one takes the place of that which was not seen for longest if that has nothing to remember, and shares one
    budget with others like it if not.
    """

    def __init__(self, limits: Mapping[str, Frequency], quota: QuotaConfig | None = None) -> None:
        self._by_scorer = {name: Allowance(limit) for name, limit in limits.items()}
        self.quota = quota
        self._classes: OrderedDict[str, Allowance] = OrderedDict()
        self._changed: set[str] = set()
        self._place = (0, 1)
        self.now_ns = 0  # event time

    def of_scorer(self, name: str) -> Allowance | None:
        """None if it has no limit."""
        return self._by_scorer.get(name)

    def of_class(self, slices: Slices, rule: str) -> Allowance:
        """That of the class of a trace.

        Raises:
            ValueError: there is no quota.
        """
        if self.quota is None:
            raise ValueError("no quota is configured")
        key = orjson.dumps([rule, *(slices.get(name, "") for name in self.quota.by)]).decode()
        if key not in self._classes and len(self._classes) >= MOST_CLASSES:
            oldest = next(iter(self._classes))
            if self._classes[oldest].forgettable(self.now_ns):
                del self._classes[oldest]
                self._changed.add(oldest)
            else:
                key = _OTHER
        if key not in self._classes:
            self._classes[key] = Allowance(self.quota.at_most)
            self._classes[key].share(*self._place)
        self._classes.move_to_end(key)
        self._changed.add(key)
        return self._classes[key]

    def share(self, number: int, partitions: int) -> None:
        """As `Allowance.share`."""
        self._place = (number, partitions)
        for allowance in (*self._by_scorer.values(), *self._classes.values()):
            allowance.share(number, partitions)

    def take_changes(self) -> dict[str, bytes | None]:
        """What is to be kept of what changed since the last call, by keys of the state; None: to be deleted."""
        found: dict[str, bytes | None] = {
            _LIMIT_KEY + name: orjson.dumps(allowance.to_json()) for name, allowance in self._by_scorer.items()
        }
        for key in self._changed:
            kept = self._classes.get(key)
            found[_QUOTA_KEY + key] = None if kept is None else orjson.dumps(kept.to_json())
        self._changed.clear()
        return found

    def load(self, state: Mapping[str, bytes]) -> None:
        """Take over what `take_changes` gave, out of all that is kept."""
        for name, allowance in self._by_scorer.items():
            if (raw := state.get(_LIMIT_KEY + name)) is not None:
                allowance.load_json(orjson.loads(raw))
        if self.quota is None:
            return
        kept = [(orjson.loads(raw), key) for key, raw in state.items() if key.startswith(_QUOTA_KEY)]
        for raw, key in sorted(kept):  # the first number says when it was last asked
            allowance = self._classes[key.removeprefix(_QUOTA_KEY)] = Allowance(self.quota.at_most)
            allowance.load_json(raw)


def within_quota(
    admission: Admission, slices: Slices, marks: Collection[str], allowances: Allowances
) -> tuple[Admission, list[str]]:
    """The admission as the quota of its class leaves it, and what is to be remembered of that.

    A revision is decided as the trace was, and takes nothing more.
    """
    earlier = marked_step(QUOTA, marks)
    budget = allowances.of_class(slices, admission.rule)
    step = budget.step(allowances.now_ns) if earlier is None else earlier
    limited = replace(admission, rate=admission.rate * rate_of_step(step), rule="sample.quota") if step else admission
    if earlier is None and limited.includes() and not budget.spend(allowances.now_ns):
        return replace(admission, rate=0.0, rule="sample.quota"), []
    return limited, [mark(QUOTA, step)]
