"""What the deliverer must not forget: each change that somebody is still to hear of, and which ones are done with.

The `changes` log repeats itself: a record may come again after a restart of its writer. A short memory of finished
changes keeps such a repetition from paging a second time.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias

import orjson

from alerts.history import Delivery, added, from_json, to_json
from alerts.schedule import Leg
from drift.base import Change, decode_change, encode_change

REMEMBERED_CHANGES = 2000  # repetitions come within minutes; this is weeks of pages
_PREFIX = "alerts/"

Fate: TypeAlias = Literal["new", "updated", "resolved", "duplicate", "unmatched"]


@dataclass(slots=True)
class Told:
    """A change as it was last heard of, how far each notifier is with it, and what was done."""

    change: Change
    legs: dict[str, Leg] = field(default_factory=dict)
    deliveries: tuple[Delivery, ...] = ()

    @property
    def over(self) -> bool:
        return self.change.status == "resolved"

    def leg(self, notifier: str) -> Leg:
        return self.legs.setdefault(notifier, Leg())

    def arrived(self, notifier: str, kind: Literal["firing", "reminder", "resolved"], now_ns: int) -> None:
        """A notification arrived. If the change came back while its end was being told, its beginning is told anew."""
        leg = self.leg(notifier)
        leg.arrived(kind, now_ns)
        if leg.resolved and not self.over:
            self.legs[notifier] = Leg()

    def record(self, delivery: Delivery) -> None:
        self.deliveries = added(self.deliveries, delivery)

    def update(self, change: Change) -> None:
        was_over, self.change = self.over, change
        if was_over == self.over:
            return
        for name, leg in self.legs.items():
            if leg.resolved:
                self.legs[name] = Leg()
            else:
                leg.changed_state()


class Finished(NamedTuple):
    """What is remembered of a change that everybody heard the end of."""

    sequence: int
    resolved_ns: int
    deliveries: tuple[Delivery, ...] = ()


class Journal:
    """The changes in progress, by id, and the last that were finished."""

    def __init__(self) -> None:
        self._told: dict[str, Told] = {}
        self._finished: dict[str, Finished] = {}  # by id, oldest first
        self._dirty: set[str] = set()

    def __iter__(self) -> Iterator[Told]:
        return iter(self._told.values())

    def get(self, change_id: str) -> Told | None:
        return self._told.get(change_id)

    def deliveries(self, change_id: str) -> tuple[Delivery, ...]:
        """What was done to tell of a change, oldest first; may be asked by any thread."""
        told, finished = self._told.get(change_id), self._finished.get(change_id)
        return told.deliveries if told is not None else finished.deliveries if finished is not None else ()

    def touch(self, change_id: str) -> None:
        """Something of this change is to be stored anew."""
        self._dirty.add(change_id)

    def accept(self, change: Change) -> Fate:
        """Take a record; one that is older than what is known, or equal, changes nothing."""
        told = self._told.get(change.id)
        over = change.status == "resolved"
        if told is not None:
            if (change.sequence, over) <= (told.change.sequence, told.over):
                return "duplicate"
            told.update(change)
        elif change.id in self._finished and change.sequence <= self._finished[change.id].sequence:
            return "duplicate"
        elif over:  # an end without a beginning: nobody was told, so nobody is to hear of it
            self._finish(change, ())
            return "unmatched"
        else:
            before = self._finished.pop(change.id, None)
            self._told[change.id] = Told(change, deliveries=before.deliveries if before is not None else ())
        self.touch(change.id)
        return "resolved" if over else "new" if told is None else "updated"

    def finish(self, change_id: str) -> None:
        """Everybody heard the end."""
        told = self._told[change_id]
        self._finish(told.change, told.deliveries)
        del self._told[change_id]  # only now: who asks meanwhile finds it in one place or in both

    def _finish(self, change: Change, deliveries: tuple[Delivery, ...]) -> None:
        self._finished.pop(change.id, None)
        self._finished[change.id] = Finished(change.sequence, change.resolved_ns or change.detected_ns, deliveries)
        self.touch(change.id)
        while len(self._finished) > REMEMBERED_CHANGES:
            oldest = next(iter(self._finished))
            del self._finished[oldest]
            self.touch(oldest)

    def take_state(self) -> dict[str, bytes | None]:
        """What changed since the last call; None: to be deleted."""
        state = {_PREFIX + change_id: self._encode(change_id) for change_id in self._dirty}
        self._dirty.clear()
        return state

    def restore(self, state: Mapping[str, bytes]) -> int:
        """Take over stored state in place of what is known; returns how many entries could not be read."""
        self._told, self._finished, self._dirty = {}, {}, set()
        unreadable = 0
        for key, data in state.items():
            if key.startswith(_PREFIX):
                try:
                    self._decode(key.removeprefix(_PREFIX), data)
                except (ValueError, TypeError, KeyError, AttributeError):
                    unreadable += 1
        self._told = dict(sorted(self._told.items(), key=lambda item: (item[1].change.detected_ns, item[0])))
        self._finished = dict(sorted(self._finished.items(), key=lambda item: (item[1].resolved_ns, item[0])))
        return unreadable

    def _encode(self, change_id: str) -> bytes | None:
        if told := self._told.get(change_id):
            legs = {name: leg.to_json() for name, leg in told.legs.items()}
            change = orjson.Fragment(encode_change(told.change))
            return orjson.dumps({"change": change, "legs": legs, "deliveries": to_json(told.deliveries)})
        if finished := self._finished.get(change_id):
            kept = [finished.sequence, finished.resolved_ns]
            return orjson.dumps({"finished": kept, "deliveries": to_json(finished.deliveries)})
        return None

    def _decode(self, change_id: str, data: bytes) -> None:
        fields = orjson.loads(data)
        deliveries = from_json(fields.get("deliveries", ()))
        if "finished" in fields:
            sequence, resolved_ns = fields["finished"]
            self._finished[change_id] = Finished(int(sequence), int(resolved_ns), deliveries)
            return
        legs = {name: Leg.from_json(leg) for name, leg in fields["legs"].items()}
        change = decode_change(orjson.dumps(fields["change"]))
        if change.id != change_id:
            raise ValueError(f"the change {change.id!r} is stored under {change_id!r}")
        self._told[change_id] = Told(change, legs, deliveries)
