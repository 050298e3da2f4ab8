"""What made the traces of each service, bounded: what a series remembers of its points besides their slices.

A service tells any number of values: each trace may have instructions of its own. Of a kind the first values have a
place each; what comes when all are taken is `other`, until one has not been told for an hour of event time.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import orjson

from drift.recent import OTHER, Slices

PREFIX = "provenance."
"""Of attributes in the records of a series that hold what made the trace; a trace may have several values of one."""
TOLD = (PREFIX + "told", "yes")
"""In each record of a trace of which it is known at all what made it."""

MOST_VALUES = 32  # of a kind
MOST_SERVICES = 256
_MOST_KINDS = 24
_PERIOD_NS = 1_800_000_000_000
_IDLE_PERIODS = 2
_LONGEST = 300


def is_provenance(attribute: str) -> bool:
    """Whether it tells what made a trace, and so is no slice."""
    return attribute.startswith(PREFIX)


def as_text(pairs: tuple[tuple[str, str], ...]) -> str:
    """Kinds and values as a point carries them: a line each.

    >>> as_text((("model", "gpt 4"), ("version", "2")))
    'model gpt 4\\nversion 2'
    """
    return "\n".join(f"{kind} {value}" for kind, value in pairs)


class Provenance:
    """Gives each value its place, or folds it into `other`. All on event time and order: the same after a restart.

    In a period, taking the same text again gives the same and changes nothing: so callers may remember what they had.
    """

    NOTHING = b'{"v":1,"services":{}}'
    """The state before anything was told."""

    def __init__(self) -> None:
        self._services: dict[str, dict[str, dict[str, int]]] = {}  # service, kind, value, period it was last told in
        self._full: set[tuple[str, str]] = set()  # services and kinds without a place for the rest of the period
        self._period = -1
        self._changed = False
        self.folded: Counter[tuple[str, ...]] = (
            Counter()
        )  # values that found no place, by kind, since it was last emptied

    @staticmethod
    def period(now_ns: int) -> int:
        return now_ns // _PERIOD_NS

    def pairs(self, service: str, text: str, now_ns: int) -> Slices:
        """What a record is to hold of the text; nothing of an empty one."""
        if not text:
            return ()
        if service not in self._services and len(self._services) >= MOST_SERVICES:
            service = OTHER
        kinds = self._services.setdefault(service, {})
        period = self.period(now_ns)
        if period != self._period:
            self._full.clear()
            self._period = period
        found: dict[tuple[str, str], None] = {TOLD: None}
        for line in text.split("\n"):
            kind, _, value = line.partition(" ")
            if kind not in kinds and len(kinds) >= _MOST_KINDS:
                continue
            place = value[:_LONGEST]
            if not self._has_place(service, kind, kinds.setdefault(kind, {}), place):
                place = OTHER
                self.folded[(kind,)] += 1
            found[PREFIX + kind, place] = None
        return tuple(found)

    def _has_place(self, service: str, kind: str, values: dict[str, int], value: str) -> bool:
        """Whether the value has a place by now: of its own, a free one, or one that is idle."""
        last = values.get(value)
        if last is None and len(values) >= MOST_VALUES:
            if (service, kind) in self._full:
                return False
            oldest = min(values, key=lambda known: (values[known], known))
            if values[oldest] > self._period - _IDLE_PERIODS:
                self._full.add((service, kind))
                return False
            del values[oldest]
        if last is None or last < self._period:
            values[value] = self._period
            self._changed = True
        return True

    def take_state(self) -> bytes | None:
        """What must be written since the last call, if anything."""
        if not self._changed:
            return None
        self._changed = False
        return orjson.dumps({"v": 1, "services": self._services})

    def load(self, data: bytes) -> None:
        """Take over what `take_state` gave; ValueError or TypeError if it cannot be, and nothing was."""
        raw = orjson.loads(data)
        if type(raw) is not dict or raw.keys() != {"v", "services"} or raw["v"] != 1:
            raise ValueError("is no provenance of version 1")
        self._services = _checked(raw["services"])
        self._changed = False


def _checked(raw: Any) -> dict[str, dict[str, dict[str, int]]]:
    for kinds in _object(raw, MOST_SERVICES + 1).values():
        for values in _object(kinds, _MOST_KINDS).values():
            for period in _object(values, MOST_VALUES).values():
                if type(period) is not int or period < 0:
                    raise ValueError(f"a period is {period!r:.80}; it must be a whole number, not negative")
    return raw  # type: ignore[no-any-return]


def _object(raw: Any, most: int) -> Mapping[str, Any]:
    if type(raw) is not dict or len(raw) > most:
        raise ValueError(f"must hold objects of at most {most} names")
    return raw
