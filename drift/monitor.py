"""All monitors over all their series: points in, changes out.

Everything runs on event time and on the order of the points: the same points in the same order give the same changes,
with the same ids, wherever the watcher was stopped and restored in between.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import inf
from pathlib import Path

import orjson

from collector.core.errors import UserError
from collector.core.event_clock import EventClock
from collector.core.telemetry import Labels, Telemetry
from drift.attributes import Attributes
from drift.base import Change, Metric, Point
from drift.budget import Budget, FalsePages, parse_false_pages
from drift.gauges import Gauges
from drift.kept import read_kept, take_kept
from drift.kinds import monitor_of
from drift.pages import affordable, page_of, pay, service_of
from drift.plan import MonitorConfig, plans
from drift.provenance import Provenance
from drift.recent import Record
from drift.rounds import Rounds
from drift.route import Monitor, SliceKey
from drift.saved import (
    VERSION,
    WRONG,
    by_series,
    pack_series,
    retired,
    unpack_series,
    unreadable,
    versioned,
)
from drift.series import Series, SeriesStatus

__all__ = ["MonitorConfig", "Watcher"]

_CLOCK_KEY, _PROVENANCE_KEY = "watcher", "provenance"
_SWEEP_EVERY = 1024  # points between two looks for series that are idle
_LATEST_NS = 2**62
_MOST_WEIGHT = 1e15  # far over any sampling rate; its square must stay a number


class Watcher:
    """Watches points with all monitors under one budget of false pages.

    Args:
        monitors: the configured rules.
        false_pages: the budget, such as `1 per week`, over all series of all monitors together.
        metrics: what the scorers measure, by name.
        telemetry: where series show.
        base: the folder that relative files of monitors start from.

    Raises:
        UserError: every problem of the configuration, with its path.
    """

    def __init__(
        self,
        monitors: Sequence[MonitorConfig],
        false_pages: str | FalsePages,
        metrics: Mapping[str, Metric],
        telemetry: Telemetry,
        base: Path = Path(),
    ) -> None:
        try:
            self._false_pages = parse_false_pages(false_pages)
        except ValueError as error:
            raise UserError(f"false_pages: {error}") from error
        self._budget = Budget(self._false_pages)
        self._clock = EventClock()
        self._monitors: dict[str, Monitor] = {plan.name: monitor_of(plan) for plan in plans(monitors, metrics, base)}
        self._by_metric: dict[str, list[Monitor]] = {}
        for monitor in self._monitors.values():
            self._by_metric.setdefault(monitor.plan.metric, []).append(monitor)
        self._gauges = Gauges(telemetry)
        self._points = telemetry.counter(
            "driftline_points",
            "Scores that came to the watchers: watched, no_monitor, no_verdict, revised, or invalid",
            ("metric", "outcome"),
            fold=("metric",),
        )
        self._revised = telemetry.counter(
            "driftline_revised_points", "Scores that superseded an earlier one, too late for detectors", ("metric",)
        )
        self._outcomes: Counter[Labels] = Counter()  # since the last `take_state`
        self._folded = telemetry.counter(
            "driftline_folded_provenance", "Versions, prompts, tools and so on that became `other`", ("kind",)
        )
        self._provenance = Provenance()
        self._attributes = Attributes(self._provenance)
        self._rounds = Rounds()
        self._touched: dict[str, Series] = {}
        self._adopted: set[str] = set()  # whose state is to be written whole
        self._deleted: set[str] = set()
        self._pending: list[Change] = []
        self._taken = 0

    def update(self, point: Point) -> list[Change]:
        """Take the next score; returns what there is to tell of changes: opened, better known, or ended.

        A corrected score is counted but not watched: its first form was, and counting it twice would break the budget.
        """
        outcome, changes = self._watch(point)
        self._outcomes[point.metric, outcome] += 1
        if self._pending:
            changes, self._pending = self._pending + changes, []
        return changes

    def _watch(self, point: Point) -> tuple[str, list[Change]]:
        if not (0 <= point.at_ns < _LATEST_NS and 0.0 < point.probability <= 1.0 and -inf < (point.value or 0.0) < inf):
            return "invalid", []
        if point.corrects:
            return "revised", []
        if elapsed_ns := self._clock.advance(point.at_ns):  # the points of a trace share its time
            self._budget.earn(elapsed_ns)
        self._taken += 1
        changes = self._sweep() if self._taken % _SWEEP_EVERY == 0 else []
        monitors = self._by_metric.get(point.metric)
        if monitors is None:
            return "no_monitor", changes
        slices = self._attributes.of(point, self._clock.now_ns)
        outcome = "no_verdict"
        for monitor in monitors:
            x = monitor.plan.value(point)
            if x is None:
                continue
            record = (point.at_ns, x, min(1.0 / point.probability, _MOST_WEIGHT), point.trace_id, slices)
            if (monitor.plan.scale is not None and not 0.0 <= x <= 1.0) or not monitor.fits(record, point):
                outcome = "invalid"
                continue
            outcome = "watched" if outcome != "invalid" else outcome
            self._end(monitor, monitor.outdated(record, point), changes)
            self._feed(monitor, record, point, changes)
        return outcome, changes + self._round()

    def _end(self, monitor: Monitor, keys: Sequence[SliceKey], changes: list[Change]) -> None:
        """Stop watching these series; what they had changed cannot be followed."""
        for key in keys:
            series = monitor.series[key]
            change = series.end(self._clock.now_ns, "reconfigured")
            changes += [change] if change else []
            self._forget(monitor, key, series)

    def _feed(self, monitor: Monitor, record: Record, point: Point, changes: list[Change]) -> None:
        now_ns = self._clock.now_ns
        for series, its_record in monitor.takers(record, point, now_ns):
            self._touched[series.key] = series
            if its_record is None:
                continue
            self._update(series, its_record, changes)

    def _update(self, series: Series, record: Record, changes: list[Change]) -> None:
        change = series.update(record, self._clock.now_ns, self._budget)
        if change is not None:
            changes.append(self._decide(series, change)[0])
        if series.budgeted:
            self._rounds.note(series)

    def _round(self) -> list[Change]:
        """The changes that show by now, together; see `drift.pages` for what those are part of that are no pages."""
        changes: list[Change] = []
        found = self._rounds.take(self._clock.now_ns)
        for series, one in found:
            episode = series.episode
            if episode is None:
                continue
            if episode.weak:
                episode.found_with = self._rounds.page_for(service_of(series))
            change, page = self._decide(series, one, may_page=not self._rounds.pages and affordable(found))
            if change.paged:
                self._rounds.pages.setdefault(service_of(series), change.id)
                if episode.weak:
                    pay(series, found)
            self._touched[series.key] = series
            changes.append(change)
            if page is not None and page.episode is not None:
                changes.append(page.episode.accompany(change))
                self._touched[page.key] = page
        return changes

    def _decide(self, series: Series, change: Change, may_page: bool = False) -> tuple[Change, Series | None]:
        """Whether an active change is a page: large enough, and not part of one that was sent already and lasts.

        Returns it, and the series whose page it is part of. A change that was paged stays so. One that was not may
        become a page as it grows, or when the change it was part of has ended, unless it seems to end too. One with
        less than a whole unit of evidence is a page only if it `may_page`.
        """
        episode, monitor, page = series.episode, self._monitors[series.plan.name], None
        if episode is not None:
            episode.change = change = monitor.dressed(series, change)
        if episode is not None and not (change.paged and change.sequence > 0):
            either_way = monitor.plan.statistic == "share"
            page = page_of(series, episode, monitor.relatives(series), either_way, self._series())
            large = episode.size >= monitor.plan.min_effect and not episode.turning
            related = episode.found_with if episode.weak else ""
            if page is not None and page.episode is not None:
                related = page.episode.change.id
            paged = large and page is None and (may_page or not episode.weak)
            change = episode.mark(paged, "" if paged else related)
        self._gauges.show([series], self._clock.now_ns)
        return change, page

    def _sweep(self) -> list[Change]:
        """Forget series without points; their changes end, since nobody can say that they last."""
        changes: list[Change] = []
        now_ns = self._clock.now_ns
        for monitor in self._monitors.values():
            for key, series in sorted(monitor.series.items()):
                idle_ns = now_ns - series.last_ns
                if series.episode is not None and idle_ns > monitor.plan.adopt_after_ns:
                    change = series.end(now_ns, "no_data")
                    self._touched[series.key] = series
                    changes += [change] if change else []
                if idle_ns > monitor.plan.forget_after_ns:
                    change = series.end(now_ns, "no_data")
                    changes += [change] if change else []
                    self._forget(monitor, key, series)
            gone, begun = monitor.review(now_ns)
            for key in gone:
                self._forget(monitor, key, monitor.series[key])
            self._touched.update({series.key: series for series in begun})
        return changes

    def _forget(self, monitor: Monitor, key: SliceKey, series: Series) -> None:
        self._touched.pop(series.key, None)
        self._deleted.update(series.take_state(), series.take_state(everything=True))
        self._gauges.forget(series)
        self._rounds.forget(series)
        monitor.drop(key)

    def status(self) -> list[SeriesStatus]:
        """Every series, by monitor and slice."""
        found = sorted(self._series(), key=lambda series: (series.plan.name, list(series.slices.items())))
        return [series.describe(self._clock.now_ns) for series in found]

    def _series(self) -> Iterator[Series]:
        return (series for monitor in self._monitors.values() for series in monitor.series.values())

    def take_state(self) -> dict[str, bytes | None]:
        """What changed since the last call, to be stored with the offset; None: delete. Sets the metrics too."""
        self._points.add_all(self._outcomes)
        self._revised.add_all({key[:1]: count for key, count in self._outcomes.items() if key[1] == "revised"})
        self._outcomes.clear()
        self._gauges.show(self._touched.values(), self._clock.now_ns)
        self._gauges.hush(self._series(), self._clock.now_ns)
        self._gauges.spent(self._budget.spent)
        for monitor in self._monitors.values():
            self._gauges.count(monitor.plan.name, len(monitor.series))
        self._folded.add_all(self._provenance.folded)
        self._provenance.folded.clear()
        taken: dict[str, bytes | None] = {**take_kept(self._monitors)} if self._taken else {}
        if (made_by := self._provenance.take_state()) is not None:
            taken[_PROVENANCE_KEY] = made_by
        if not self._pending:  # what is gone must first have been told of
            taken.update(dict.fromkeys(sorted(self._deleted)))
            self._deleted.clear()
        for series in self._touched.values():
            taken.update(series.take_state(everything=series.key in self._adopted))
        self._adopted.clear()
        if self._taken:
            head = {
                "v": VERSION,
                "clock": self._clock.to_json(),
                "budget": self._budget.to_json(),
                "taken": self._taken,
                "round": self._rounds.to_json(),
            }
            taken[_CLOCK_KEY] = orjson.dumps(head)
        self._touched.clear()
        return taken

    def restore(self, state: Mapping[str, bytes]) -> None:
        """Take over everything that `take_state` gave, merged over time; goes on bit for bit.

        State of a monitor that is gone, or now watches something else, is dropped; its running changes end, and
        the next `update` tells of it.

        Raises:
            UserError: corrupt, or of a newer release. Nothing was taken over.
        """
        clock, budget, taken, rounds = self._restored_head(state)
        provenance = Provenance()
        try:
            provenance.load(state.get(_PROVENANCE_KEY, provenance.NOTHING))
        except WRONG as error:
            raise unreadable(_PROVENANCE_KEY, error) from error
        loaded: list[Series] = []
        deleted: set[str] = set()
        pending: list[Change] = []
        for key, parts in by_series(state).items():
            try:
                head = versioned(parts["head"])
                monitor = self._monitors.get(head["monitor"])
                if monitor is not None and monitor.plan.fingerprint == head["fingerprint"]:
                    loaded.append(monitor.restored(key, head, parts, self._attributes.shared))
                else:
                    deleted.update(f"series/{key}/{part}" for part in parts)
                    change = retired(head)
                    pending += [change] if change else []
            except WRONG as error:
                raise unreadable(f"series/{key}", error) from error
        kept, gone = read_kept(self._monitors, state)
        deleted |= gone
        for series in loaded:
            self._monitors[series.plan.name].put(series)
        for name, read in kept.items():
            self._monitors[name].use_state(read)
        for series in loaded:
            rounds.note(series)
        self._clock, self._budget, self._taken, self._provenance = clock, budget, taken, provenance
        self._rounds = rounds
        self._attributes = Attributes(provenance)
        self._deleted |= deleted
        self._pending += pending
        self._gauges.show(loaded, self._clock.now_ns)

    # --- moving to another watcher, when there are more of them ---

    def share(self, share_of_all: float) -> None:
        """Have this part of the budget from now on, greater than 0 and at most 1: others have the rest."""
        self._budget.share_of_all = share_of_all

    def move_out(self, goes: Callable[[str, Mapping[str, str]], bool]) -> list[tuple[str, dict[str, str], bytes]]:
        """Let go of the series whose metric and slice `goes`: each with both, and with what `adopt` takes."""
        moved: list[tuple[str, dict[str, str], bytes]] = []
        for monitor in self._monitors.values():
            for key, series in sorted(monitor.series.items()):
                if goes(monitor.plan.metric, series.slices):
                    moved.append((monitor.plan.metric, series.slices, pack_series(series.take_state(everything=True))))
                    self._forget(monitor, key, series)
        return moved

    def adopt(self, packed: bytes) -> list[Change]:
        """Take over a series of another watcher; what came of it here meanwhile is what comes next for it.

        Returns what there is to tell of changes by then.

        Raises:
            UserError: corrupt, or of another release.
        """
        try:
            key, parts = unpack_series(packed)
            head = versioned(parts["head"])
            monitor = self._monitors.get(head["monitor"])
            if monitor is None or monitor.plan.fingerprint != head["fingerprint"]:
                change = retired(head)
                return [change] if change else []
            series = monitor.restored(key, head, parts, self._attributes.shared)
        except WRONG as error:
            raise unreadable("moved series", error) from error
        early = monitor.put(series)
        self._deleted.difference_update(series.take_state(everything=True))
        self._touched[series.key] = series
        self._adopted.add(series.key)
        self._rounds.note(series)
        changes: list[Change] = []
        for record in list(early.raw_records()) if early is not None else ():
            self._update(series, record, changes)
            changes += self._round()
        return changes

    def leave(self) -> None:
        """Its partition went to another process, which shows the series from now on."""
        for monitor in self._monitors.values():
            for series in monitor.series.values():
                self._gauges.forget(series)
            self._gauges.count(monitor.plan.name, 0)
        self._gauges.spent(0.0)

    def _restored_head(self, state: Mapping[str, bytes]) -> tuple[EventClock, Budget, int, Rounds]:
        clock, budget, rounds = EventClock(), Budget(self._false_pages), Rounds()
        if _CLOCK_KEY not in state:
            return clock, budget, 0, rounds
        try:
            head = versioned(state[_CLOCK_KEY])
            clock.load_json(head["clock"])
            budget.load_json(head["budget"])
            if "round" in head:  # states of earlier releases have none
                rounds.load_json(head["round"])
            if type(head["taken"]) is not int or head["taken"] < 0:
                raise ValueError(f"taken is {head['taken']!r:.80}; it must be a whole number, not negative")
        except WRONG as error:
            raise unreadable(_CLOCK_KEY, error) from error
        return clock, budget, head["taken"], rounds
