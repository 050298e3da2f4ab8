"""The worst slice among all combinations of attributes: a regression of `model=X` with `language=de` and nowhere else.

Within each value of a monitor's first attribute, its *anchor*, every slice of up to so many of the other attributes is
a series. Single attributes have theirs as they appear, as without combinations. Of combinations there may be millions:
those with most traffic are watched, found by a table of fixed size (`drift.heavy`), once each slice that holds them is
watched too; their first level is learned from what such a slice remembers of them. Traffic alone decides that, never
a score, so the stakes stay predictable (`drift.budget`).

**What multiplicity costs.** All combinations that a point can be in stake together what one slice stakes. The
expected number of false pages is bounded as before, over all of them; the other series hardly notice; and a
combination needs the logarithm of the number of combinations in points more.

**Which is told.** One change has one cause and shows in many of these series. Evidence grows fastest where the cause
is: of slices that hold one another the one that is the cause carries the most information, since traffic that did not
change dilutes it (the data processing inequality of Kullback and Leibler's divergence, 1951). So of one anchor the
series with most evidence is asked first, one at a time, and must stand by itself (`drift.nested`). What does not is
no change: its evidence is taken back if the change that explains it is told already, and it is held, to be asked
again as points come, if not. As bets are bounded, a slice that holds the cause may be ahead of it by a little: it
waits for one within that carries all of it, until its evidence is ten times what is enough. So the evidence of a cause
counts once, also for other series that change in that round (`drift.rounds`). Holding back can only make alarms fewer.

Source of the idea, on stored data: Chung, Kraska, Polyzotis, Tae, Whang, "Slice Finder", ICDE 2019 (the smallest
description first, and effects held against the rest).
"""

from collections.abc import Iterable, Iterator
from itertools import chain, combinations
from math import comb
from typing import Any, Literal

import orjson

from drift.base import Change, Point
from drift.budget import Budget
from drift.episode import Episode
from drift.estimate import Sums
from drift.heavy import HeavyHitters
from drift.nested import compatible, falls_outside, inside, parted, stronger_than_rest
from drift.plan import Plan
from drift.recent import OTHER, Record, Slices
from drift.route import UNKNOWN, Monitor, SliceKey
from drift.saved import VERSION, versioned
from drift.scale import Scale
from drift.series import Series

_PLACES, _LEAST_PLACES = 2, 256  # in the table, for each combination that may be watched, and in all
_LEAST_MET = 32
_CLEARLY_MORE = 2  # times the traffic, to take another's place
_MOST_CELLS = 10_000
_NEAR = 0.01  # evidence that is worth keeping
_PATIENCE = 10.0  # times the evidence that is enough, up to which a slice within is waited for
_WORTH_WAITING = 1.0 / 64.0  # evidence of that slice


class Cell(Series):
    """A series that is told of only if no slice that holds it, or that it holds, explains its change."""

    def __init__(self, plan: Plan, slices: dict[str, str], monitor: "CombinationMonitor") -> None:
        super().__init__(plan, slices)
        self.monitor = monitor
        self.pairs = tuple(slices.items())[1:]
        self.stake = monitor.stake if len(self.pairs) > 1 else 1.0
        self.held_at = 0  # points when it was first held, 0 if it is not
        self.ask_at = 0  # points at which it is asked again
        self.spent = False  # whether its evidence is of a change that was told elsewhere

    @property
    def rising(self) -> float:
        return 0.0 if self.points < self.ask_at else super().rising

    def prepare(self, threshold: float) -> Episode | None:
        if self.points < self.ask_at:
            return None
        if not self.monitor.leads(self):
            self.ask_at = self.points + 1
            return None
        episode = super().prepare(threshold)
        if episode is None:
            return None
        found = self.monitor.explanation(self, episode)
        if found is None:
            self.held_at = 0
            return episode
        self.spent = found == "told"
        self.held_at = 0 if self.spent else self.held_at or self.points
        self.ask_at = self.points + max(self.plan.min_points, (self.points - self.held_at) // 2 if self.held_at else 0)
        return None

    def update(self, record: Record, now_ns: int, budget: Budget) -> Change | None:
        if self.spent and self.detector is not None:
            self.detector.clear()
        self.spent = False
        return super().update(record, now_ns, budget)

    def recall(self, records: Iterable[Record]) -> None:
        """Learn from what another series remembers of these traces; with a frozen reference, an onset may lie in it."""
        records = list(records)
        if self.plan.reference is not None and records:
            self._begin(self.plan.reference, records[0][0])
        for record in records:
            self.recent.append(record)
        self.points = len(records)
        if self.detector is None and self.points >= self.plan.warmup:
            self._learn()

    def _scale_of(self, values: list[float]) -> Scale:
        """One for all that hold one another, so that their levels compare."""
        whole = self.monitor.whole(self)
        return whole.scale if whole is not None and whole.scale is not None else super()._scale_of(values)


class CombinationMonitor(Monitor):
    """A monitor of every combination of up to `plan.combinations` attributes within each value of the first."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        others = len(plan.by) - 1
        self.stake = 1.0 / sum(comb(others, size) for size in range(2, plan.combinations + 1))
        self.heavy = HeavyHitters(max(_LEAST_PLACES, _PLACES * plan.max_combinations))
        self._cells: dict[Slices, list[SliceKey]] = {}
        self._known: dict[str, Sums | None] = {}  # of series with a frozen reference
        self._watched = 0  # combinations among the series

    def make(self, slices: dict[str, str]) -> Cell:
        return Cell(self.plan, slices, self)

    def takers(self, record: Record, point: Point, now_ns: int) -> Iterator[tuple[Series, Record | None]]:
        cells = self._cells.get(record[4])
        if cells is None:
            if len(self._cells) >= _MOST_CELLS:
                self._cells.clear()
            cells = self._cells[record[4]] = list(self._keys_of(dict(record[4]), range(2, self.plan.combinations + 1)))
        for key in cells:
            self.heavy.add(key)
        return super().takers(record, point, now_ns)

    def put(self, series: Series) -> Series | None:
        key = _key(series.slices.items())
        early = self.series.get(key)
        self.series[key] = series
        self._watched += early is None and _is_combination(key)
        self.routes.clear()
        return early

    def drop(self, key: SliceKey) -> None:
        self._watched -= _is_combination(key)
        super().drop(key)

    def relatives(self, series: Series) -> Iterable[Series]:
        """All that a trace of `series` may be in too."""
        others = sorted(self._of_anchor(series), key=lambda other: other.key)
        return (other for other in others if other is not series and compatible(other.slices, series.slices))

    def whole(self, cell: Cell) -> Series | None:
        """The series of the anchor."""
        return self.series.get(_key(list(cell.slices.items())[:1]))

    def leads(self, cell: Cell) -> bool:
        """Whether no other series of its anchor has more evidence, of those that may be asked."""
        mine = (-cell.rising, cell.key)
        return all(mine <= (-other.rising, other.key) for other in self._of_anchor(cell) if other.rising)

    def explanation(self, cell: Cell, episode: Episode) -> Literal["told", "near"] | None:
        """Whether other slices explain this change of a series: one that is told already, or may be soon."""
        change, own = episode.change, (self._usual(cell) or episode.before, episode.after)
        same_way = [
            other
            for other in self._of_anchor(cell)
            if other.episode is not None and other.episode.change.direction == change.direction
        ]
        for parent in self._parents(_key(cell.slices.items())):
            whole = self._parted(parent, change.onset_ns, own)
            if not stronger_than_rest(own, whole, change.direction, episode.inflation):
                return "told" if any(_holds(other, cell) for other in same_way) else "near"
        told = [other.pairs for other in same_way if compatible(other.slices, cell.slices) and not _holds(other, cell)]
        since = list(cell.recent.records())[-episode.after.n :]
        if told and not falls_outside(episode.before, since, told, change.direction, episode.inflation):
            return "told"
        return "near" if cell.rising < _PATIENCE and self._waits(cell, episode, since) else None

    def _waits(self, cell: Cell, episode: Episode, since: list[Record]) -> bool:
        """Whether a slice within has evidence too, fell further than the rest, and nothing fell outside of it."""
        change, inflation = episode.change, episode.inflation
        for other in self._of_anchor(cell):
            if other is cell or not _holds(cell, other) or other.rising < _WORTH_WAITING:
                continue
            own = self._parted(other, change.onset_ns)
            if stronger_than_rest(
                own, self._parted(cell, change.onset_ns, own), change.direction, inflation
            ) and not falls_outside(episode.before, since, [other.pairs], change.direction, inflation):
                return True
        return False

    def _parted(self, series: Series, onset_ns: int, own: tuple[Sums, Sums] | None = None) -> tuple[Sums, Sums]:
        """All that is known of a series, before a time and since.

        Before, that is the whole of its frozen reference, if it has one: of that, a series remembers only the newest.
        Where a reference names no slices, a slice `own` of the series has the same one, and what is without it too.
        """
        before, since = parted(series.recent, onset_ns)
        usual = self._usual(series)
        if usual is not None:
            before = usual.copy()
            if own is not None and own[0] == usual:
                before.include(usual)
        return before, since

    def _usual(self, series: Series) -> Sums | None:
        """All of the frozen reference of a series; None if it learned from its stream."""
        if self.plan.reference is None:
            return None
        if series.key not in self._known:
            if len(self._known) >= _MOST_CELLS:
                self._known.clear()
            sums, records = Sums(), self.plan.reference.of(series.slices, series.last_ns)
            for record in records if len(records) >= self.plan.warmup else ():
                sums.add(record[1], record[2])
            self._known[series.key] = sums if sums.n else None
        return self._known[series.key]

    def review(self, now_ns: int) -> tuple[list[SliceKey], list[Series]]:
        """Give the places to the combinations with most traffic; one whose change lasts, or is near, keeps its own."""
        free = self.plan.max_combinations - self._watched
        idle = [_key(one.slices.items()) for one in self._all_cells() if not one.episode and one.rising < _NEAR]
        weakest = sorted(((self.heavy.count(key), key) for key in idle if _is_combination(key)), reverse=True)
        gone: list[SliceKey] = []
        begun: list[Series] = []
        for key, count in self.heavy.most(_LEAST_MET):
            if key in self.series:
                continue
            if not free and not (weakest and count > _CLEARLY_MORE * weakest[-1][0]):
                break
            cell = self._begin(key, now_ns)
            if cell is None:
                continue
            begun.append(cell)
            if free:
                free -= 1
            else:
                gone.append(weakest.pop()[1])
        for one in begun:
            self.put(one)
        return gone, begun

    def take_state(self) -> bytes:
        holds = {
            cell.key: [cell.held_at, cell.ask_at, int(cell.spent)]
            for cell in self._all_cells()
            if cell.held_at or cell.ask_at > cell.points
        }
        state = {"v": VERSION, "fingerprint": self.plan.fingerprint, "met": self.heavy.to_json(), "holds": holds}
        return orjson.dumps(state)

    def read_state(self, data: bytes) -> dict[str, Any] | None:
        raw = versioned(data)
        if raw["fingerprint"] != self.plan.fingerprint:
            return None
        met = HeavyHitters(self.heavy.size)
        met.load_json(raw["met"])
        holds = {str(key): (held_at, ask_at, spent) for key, (held_at, ask_at, spent) in raw["holds"].items()}
        if any(type(number) is not int or number < 0 for hold in holds.values() for number in hold):
            raise ValueError("a series is held from and until numbers of points")
        return {"met": met, "holds": holds}

    def use_state(self, read: dict[str, Any] | None) -> None:
        if read is None:
            return
        self.heavy = read["met"]
        for cell in self._all_cells():
            cell.held_at, cell.ask_at, spent = read["holds"].get(cell.key, (0, 0, 0))
            cell.spent = bool(spent)

    def _begin(self, key: SliceKey, now_ns: int) -> Cell | None:
        """A new combination, None if it is not the time: what holds it is not watched, or has changed.

        One of which a frozen reference has too little learns from what holds it, as without.
        """
        parents = list(self._parents(key))
        if len(parents) < len(key) // 2 - 1 or any(one.detector is None for one in parents):
            return None
        cell = self.make(dict(zip(key[::2], key[1::2], strict=True)))
        cell.last_ns = now_ns
        held = self._usual(cell) is not None  # so it knows what is usual, whatever lasts
        if not held and any(one.episode is not None for one in parents):
            return None
        known = [[record for record in _came(one) if inside(cell.pairs, record)] for one in parents]
        longest = max(known, key=len)
        cell.recall(longest)
        return cell

    def _keys(self, slices: dict[str, str]) -> list[SliceKey]:
        """The anchor and single attributes, and those combinations that are watched."""
        watched = (key for key in self._keys_of(slices, range(2, self.plan.combinations + 1)) if key in self.series)
        return [*self._keys_of(slices, range(2)), *watched]

    def _keys_of(self, slices: dict[str, str], sizes: Iterable[int]) -> Iterator[SliceKey]:
        first, *others = self.plan.by
        anchor = first, slices.get(first, UNKNOWN)
        present = [(name, slices[name]) for name in others if name in slices]
        for size in sizes:
            for some in combinations(present, size):
                yield _key((anchor, *some))

    def _ensure(self, key: SliceKey) -> Series:
        found = self.series.get(key)
        if found is None:
            if len(self.series) - self._watched >= self.plan.max_series:
                key = tuple(OTHER if place % 2 else name for place, name in enumerate(key))
                if key in self.series:
                    return self.series[key]
            found = self.series[key] = self.make(dict(zip(key[::2], key[1::2], strict=True)))
        return found

    def _parents(self, key: SliceKey) -> Iterator[Series]:
        """The series that hold this one and have one attribute fewer."""
        for place in range(2, len(key), 2):
            parent = self.series.get(key[:place] + key[place + 2 :])
            if parent is not None:
                yield parent

    def _of_anchor(self, series: Series) -> Iterator[Cell]:
        anchor = next(iter(series.slices.items()))
        return (cell for cell in self._all_cells() if next(iter(cell.slices.items())) == anchor)

    def _all_cells(self) -> Iterator[Cell]:
        return (series for series in self.series.values() if isinstance(series, Cell))


def _key(pairs: Iterable[tuple[str, str]]) -> SliceKey:
    """Names and values in turn."""
    return tuple(chain.from_iterable(pairs))


def _came(series: Series) -> list[Record]:
    """What is remembered of the points that came, without those of a frozen reference."""
    return list(series.raw_records())[-series.points :]


def _is_combination(key: SliceKey) -> bool:
    return len(key) > 4


def _holds(one: Series, other: Series) -> bool:
    return one.slices.items() <= other.slices.items()
