"""One change of one series while it lasts: how large it is by now, whether it is over, whether it gets worse."""

from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import asdict
from math import inf
from typing import Any

from drift.attribute import carriers, contrast, typical, worst
from drift.base import Change, Companion, Detection, Detector, Estimate, Shift, decode_change, encode_change
from drift.coincide import coincidences
from drift.detectors.mean import MeanDetector
from drift.estimate import Sums, difference, estimate, sums_from_json
from drift.moved import evaluators, what_moved
from drift.onset import locate, onset_times
from drift.plan import Plan
from drift.recent import CHUNK, CHUNKS, Mix, Recent, Record, point_candidate
from drift.scale import Scale

_RECOVERY_ARL = 1e4
_RECOVERY_ARL_SMALL = 1e5
_SMALL = 0.05
_MOST_COMPANIONS = 64
_RELOCATE_UNTIL = (CHUNKS - 2) * CHUNK  # later the onset is about to leave the full records: it stays as it is


class Episode:
    """A change from its detection to its end. `change` is what is told of it, always up to `sequence`."""

    def __init__(
        self,
        plan: Plan,
        scale: Scale,
        change: Change,
        before: Sums,
        after: Sums,
        mix: Mix,
        reference: list[list[float]],
    ) -> None:
        self.plan, self.scale = plan, scale
        self.change = change
        self.before, self.after = before, after
        self.mix = mix  # traffic before the onset
        self.reference = reference  # values and weights from before the onset, to learn the old level from again
        self.opened_ns = change.detected_ns  # by the event clock, which one wrong time does not lead astray
        self.since = 0  # points since the detection
        self.moved = False  # whether the level moved again, so that the onset is not to be sought anew
        self.turning = False  # whether the way back showed when it was last told
        self.weak = False  # found with less than a whole unit of evidence, and not a page: no page by itself so far
        self.found_with = ""  # the page of its round, if it was found with less than a whole unit
        self.inflation = 1.0
        self.cap = inf  # the weight over which points are capped
        self.recovery = self._recovery()

    def _recovery(self, since: Sequence[Record] = ()) -> MeanDetector:
        """Watches for the way back: the mirror of the change, held against the middle of the old and new level.

        A size is overestimated when it is first told, so the new level is taken at the end of its interval that is
        nearer to the old one; otherwise a series that stays bad would seem to recover. And if among the points since
        the onset (`since`) some show the way back already, the new level is that of the ones before these; otherwise
        the middle would go along with what recovers, and never be passed.
        """
        down = self.change.direction == "down"
        back: Shift = "up" if down else "down"
        level = estimate(self.after, self.inflation)
        if since:
            turn = locate(Sums(), [point_candidate(record) for record in since], back, self.inflation)
            self.turning = turn.low > 0  # at 0 there may be no turn at all
            level = turn.before_level if self.turning else level
        nearer = min(level.upper, self.before.mean) if down else max(level.lower, self.before.mean)
        watch = MeanDetector(
            direction=back,
            arl=_RECOVERY_ARL_SMALL if abs(self.before.mean - nearer) < _SMALL else _RECOVERY_ARL,
            baseline=min(max((self.before.mean + nearer) / 2, 1e-3), 1 - 1e-3),
        )
        watch.warmup([x for x, _ in self.reference], [w for _, w in self.reference])
        return watch

    def _adjust_recovery(self, since: list[Record]) -> None:
        """Hold what came since the detection against the middle as it is known now."""
        self.recovery = self._recovery(since)
        for record in since[-self.since :]:
            self.recovery.update(record[1], record[2])

    def follow(self, x: float, w: float) -> bool:
        """Count a point; whether the series has recovered."""
        self.since += 1
        self.after.add(x, w)
        self.recovery.update(x, w)
        return self.recovery.change is not None

    @property
    def due(self) -> bool:
        """Whether the size is to be told anew: when the points since the detection have doubled, from 32 on."""
        return self.since >= 32 and self.since & (self.since - 1) == 0

    @property
    def recovering(self) -> bool:
        return self.recovery.evidence >= 0.1 * self.recovery.threshold

    def refresh(self, recent: Recent, fixed: Sequence[str]) -> Change:
        """The change as it is known by now."""
        onset = None
        if not self.moved and self.after.n < _RELOCATE_UNTIL:
            prior, candidates = recent.candidates()
            onset = locate(prior, candidates, self.change.direction, self.inflation)
            self.before, self.after = onset.before, onset.after
            low, best, high = onset_times(onset, candidates)
            self._set(onset_ns=best, onset_low_ns=low, onset_high_ns=high)
        before, after = (estimate(part, self.inflation) for part in (self.before, self.after))
        size = difference(before, after)
        if onset is not None:
            before, after, size = onset.before_level, onset.after_level, onset.size
            self._adjust_recovery(list(recent.records())[-self.after.n :])
        return self._tell(before, after, size, recent, fixed)

    def move(self, recent: Recent, fixed: Sequence[str], direction: Shift) -> Change:
        """The level moved again: measure the change from there on."""
        records = list(recent.records())[-self.after.n :]
        older = max(0, self.after.n - len(records))
        prior = Sums() if not older else _minus(self.after, records)
        onset = locate(prior, [point_candidate(record) for record in records], direction, self.inflation)
        self.after, self.moved, self.turning = onset.after, True, False
        before = estimate(self.before, self.inflation)
        told = self._tell(before, onset.after_level, difference(before, onset.after_level), recent, fixed)
        self.recovery = self._recovery()
        return told

    def end(self, at_ns: int, reason: str) -> Change:
        self._set(status="resolved", resolved_ns=at_ns, reason=reason, sequence=self.change.sequence + 1)
        return self.change

    def confirm(self, detection: Detection, staked: float, recent: Recent, fixed: Sequence[str]) -> Change:
        """The change as it is known by now, when it has a whole unit of evidence by itself."""
        self._set(evidence=detection.evidence, threshold=detection.threshold, staked=staked)
        told = self.refresh(recent, fixed)
        self.turning = False  # the newest points just spoke against it
        return told

    def mark(self, paged: bool, related: str) -> Change:
        """Whether anybody is told, and which change was told of instead."""
        self._set(paged=paged, related=related)
        return self.change

    def accompany(self, other: Change) -> Change:
        """This one is a page, of which `other` is part."""
        found = (other.id, other.metric, other.statistic, other.slice, other.direction)
        companion = Companion(*found, other.before.value, other.after.value)
        if len(self.change.companions) < _MOST_COMPANIONS:
            self._set(companions=[*self.change.companions, companion], sequence=self.change.sequence + 1)
        return self.change

    @property
    def size(self) -> float:
        """Absolute size as a part of the range or, where the metric has none, of the level before."""
        return abs(self.scale.part(self.change.size.value, self.change.before.value))

    def to_json(self) -> dict[str, Any]:
        return {
            "change": encode_change(self.change).decode(),
            "before": self.before.to_json(),
            "after": self.after.to_json(),
            "mix": self.mix.values,
            "reference": self.reference,
            "opened_ns": self.opened_ns,
            "since": self.since,
            "moved": self.moved,
            "weak": self.weak,
            "found_with": self.found_with,
            "inflation": self.inflation,
            "middle": self.recovery.baseline,
            "recovery_arl": self.recovery.arl,
            "recovery": pack(self.recovery),
        }

    def _set(self, **values: Any) -> None:
        self.change = Change(**{**_shallow(self.change), **values})

    def _tell(self, before: Estimate, after: Estimate, size: Estimate, recent: Recent, fixed: Sequence[str]) -> Change:
        every = list(recent.records())
        records = every[-self.after.n :]
        now = Mix().add_all(records)
        onset = self.change.onset_low_ns, self.change.onset_high_ns
        found = carriers(self.mix, now, fixed, self.scale.level)
        self._set(
            before=self.scale.level_estimate(before),
            after=self.scale.level_estimate(after),
            size=self.scale.size_estimate(size, before.value),
            carriers=found,
            traces=worst(records, self.change.direction, found) or self.change.traces,
            typical_traces=typical(records, after.value, found) or self.change.typical_traces,
            coincidences=coincidences(self.mix, now, (before.n, after.n), every, onset, self.change.coincidences),
            moved=what_moved(self.mix, now, len(records), self.cap, fixed),
            evaluators_after=evaluators(now),
            sequence=self.change.sequence + 1,
        )
        return self.change


def open_episode(
    plan: Plan,
    scale: Scale,
    identity: str,
    slices: dict[str, str],
    detection: Detection,
    recent: Recent,
    inflation: float,
    cap: float,
    clipped: float,
    staked: float,
) -> Episode | None:
    """The change that a detector found, or None while there are too few points since its onset to tell of it."""
    prior, candidates = recent.candidates()
    onset = locate(prior, candidates, detection.direction, inflation)
    records = list(recent.records())
    first = onset.best - recent.blocks  # of the records after the onset
    if len(records) - max(first, 0) < plan.min_points:
        return None
    earlier, later = records[: max(onset.low - recent.blocks, 0)], records[max(first, 0) :]
    mix, now = recent.mix.copy().add_all(earlier), Mix().add_all(later)
    found = carriers(mix, now, tuple(slices), scale.level)
    low, best, high = onset_times(onset, candidates)
    bad = worst(later, detection.direction, found)
    effective = onset.before_level.n, onset.after_level.n
    change = Change(
        id=identity,
        status="active",
        monitor=plan.name,
        metric=plan.metric,
        statistic=plan.statistic,
        slice=slices,
        direction=detection.direction,
        detector=plan.detector,
        evidence=detection.evidence,
        threshold=detection.threshold,
        detected_ns=records[-1][0],
        onset_ns=best,
        onset_low_ns=low,
        onset_high_ns=high,
        before=scale.level_estimate(onset.before_level),
        after=scale.level_estimate(onset.after_level),
        size=scale.size_estimate(onset.size, onset.before_level.value),
        carriers=found,
        traces=bad,
        contrast_traces=contrast(earlier, detection.direction, onset.before.mean, later, bad),
        typical_traces=typical(later, onset.after_level.value, found),
        coincidences=coincidences(mix, now, effective, records, (low, high)),
        clipped=clipped,
        moved=what_moved(mix, now, len(later), cap, tuple(slices)),
        evaluators_before=evaluators(mix),
        evaluators_after=evaluators(now),
        staked=staked,
    )
    reference = [[record[1], record[2]] for record in earlier[-plan.warmup :]]
    episode = Episode(plan, scale, change, onset.before, onset.after, mix, reference)
    episode.inflation, episode.cap = inflation, cap
    episode.mark(False, "")  # until it is decided whether it is a page
    return episode


def episode_from_json(plan: Plan, scale: Scale, raw: Any) -> Episode:
    """An episode as `to_json` gave it; ValueError, TypeError or KeyError if it cannot be."""
    mix = Mix()
    mix.load_json(raw["mix"])
    reference = [[float(x), float(w)] for x, w in raw["reference"]]
    before, after = sums_from_json(raw["before"]), sums_from_json(raw["after"])
    episode = Episode(plan, scale, decode_change(raw["change"].encode()), before, after, mix, reference)
    episode.since, episode.moved, episode.inflation = int(raw["since"]), bool(raw["moved"]), float(raw["inflation"])
    episode.opened_ns = int(raw["opened_ns"])
    episode.weak = bool(raw.get("weak", False))  # states of earlier releases have neither
    episode.found_with = str(raw.get("found_with", episode.change.related))
    direction: Shift = "up" if episode.change.direction == "down" else "down"
    episode.recovery = MeanDetector(direction, arl=raw["recovery_arl"], baseline=raw["middle"])
    unpack(episode.recovery, raw["recovery"])
    return episode


def pack(detector: Detector) -> str:
    return b64encode(detector.state()).decode("ascii")


def unpack(detector: Detector, text: object) -> None:
    """Restore a detector; ValueError if it cannot be."""
    if type(text) is not str:
        raise ValueError("a detector's state must be text")
    detector.restore(b64decode(text, validate=True))


def _shallow(change: Change) -> dict[str, Any]:
    return {name: getattr(change, name) for name in Change.__dataclass_fields__}


def _minus(whole: Sums, records: list[Record]) -> Sums:
    part = Sums()
    for record in records:
        part.add(record[1], record[2])
    mine, theirs = asdict(whole), asdict(part)
    return Sums(**{name: max(mine[name] - theirs[name], type(mine[name])(0)) for name in mine})
