"""One metric in one slice: learns its level, watches it, follows a change until it is over."""

import sys
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Literal

import orjson

from drift.base import Change, Detection, Detector, Estimate
from drift.budget import Budget
from drift.episode import Episode, episode_from_json, open_episode, pack, unpack
from drift.estimate import Sums, Window, estimate, variance_inflation
from drift.plan import Plan, Statistic
from drift.recent import Mix, Recent, Record, Slices
from drift.reference import Reference
from drift.saved import VERSION, chunks
from drift.scale import Scale, learn_scale, scale_from_json

Status = Literal["warming", "watching", "changed", "recovering"]
_CAP_QUANTILE = 0.95
_MOST_BEFORE = 2000  # of a reference that onsets, carriers and contrasts are looked for in
_LARGEST = sys.float_info.max
_NO_LEVEL = Estimate(0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class SeriesStatus:
    """What can be said of a series now. `level` is over the last hour of event time, in the metric's unit."""

    monitor: str
    metric: str
    statistic: Statistic
    slice: dict[str, str]
    status: Status
    points: int
    level: Estimate
    detector: str
    evidence: float
    threshold: float
    change_id: str | None
    clipped: float
    inflation: float


def _usual_cap(weights: Sequence[float]) -> float:
    return sorted(weights)[int(_CAP_QUANTILE * (len(weights) - 1))]


def slice_text(slices: dict[str, str]) -> str:
    """A slice as the value of a label.

    >>> slice_text({"service": "shop", "version": "2"})
    'service=shop,version=2'
    """
    return ",".join(f"{name}={value}" for name, value in slices.items())


class Series:
    """States: warming (no detector yet), watching, changed or recovering (an episode runs).

    Weights are capped at the 95% quantile of the warm-up's, so that one point that stands for a million cannot decide
    alone; the share of capped points is told with each change. The last hour's estimate uses the weights as they are.
    """

    def __init__(self, plan: Plan, slices: dict[str, str]) -> None:
        self.plan = plan
        self.scale = plan.scale  # None until the warm-up has shown one: records then hold values as they are
        self.slices = slices
        self.key = blake2b(orjson.dumps([plan.name, list(slices.items())]), digest_size=12).hexdigest()
        self.detector: Detector | None = None
        self.budgeted = False
        self.recurring = b""  # of the last detector that a change ended
        self.episode: Episode | None = None
        self.recent = Recent()
        self.window = Window()
        self.points = self.ordinal = self.capped = self.seen = 0
        self.cap = float("inf")
        self.inflation = 1.0
        self.last_ns = 0
        self.stake = 1.0  # what part of an equal share of the budget its points get
        self.staked = 0.0  # of the budget, since a change ended or it began to watch

    def update(self, record: Record, now_ns: int, budget: Budget) -> Change | None:
        """Take the next point; returns a change that opened, moved, is better known, or ended."""
        if not self.points and self.plan.reference is not None:
            self._begin(self.plan.reference, record[0])
        x, w = record[1], record[2]
        self.points += 1
        self.last_ns = now_ns
        if self.plan.scale is None and self.scale is not None:
            x = self.scale.to_unit(x)
            record = (record[0], x, w, record[3], record[4])
        if self.scale is not None:
            self.window.add(x, w, now_ns)
        if w > self.cap:
            w = self.cap
            record = (record[0], x, w, record[3], record[4])
            self.capped += 1
        self.recent.append(record)
        detector = self.detector
        if detector is not None:
            self.seen += 1
            mass = budget.share(self.stake) if self.budgeted else 0.0
            self.staked += mass
            detector.update(x, w, record[0], mass)
        if self.episode is not None:
            return self._follow(self.episode, x, w, record[0], now_ns)
        if detector is None:
            if self.recent.count >= self.plan.warmup:
                self._learn()
            return None
        if not self.budgeted and (detection := detector.change) is not None:
            episode = self._prepare(detection)
            return None if episode is None else self.open(episode, now_ns)
        return None

    @property
    def rising(self) -> float:
        """Evidence for a change that was not told yet, of a budgeted detector: at 1 it is a change by itself."""
        return self.detector.evidence if self.budgeted and self.episode is None and self.detector is not None else 0.0

    def prepare(self, threshold: float) -> Episode | None:
        """The change for which evidence of `threshold` is enough, while nothing was told; None if it is too early."""
        detection = self.detector.at(threshold) if self.detector is not None else None
        return None if detection is None else self._prepare(detection)

    def open(self, episode: Episode, now_ns: int) -> Change:
        """Follow this change from now on. The evidence for it is spent if it is a whole unit; less goes on growing."""
        self.episode = episode
        episode.opened_ns = now_ns
        self.ordinal += 1
        if self.detector is not None:
            self.recurring = self.detector.recurring() or self.recurring
        episode.weak = self.budgeted and episode.change.evidence < 1.0
        if not episode.weak:
            self.spend()
        return episode.change

    def spend(self) -> None:
        """Give up all evidence, for a page: a change that is one needs no more, another begins anew."""
        if self.detector is not None and self.episode is not None and self.episode.weak:
            self.detector.clear()
        else:
            self._watch(None)

    def beside(self, slices: dict[str, str], first: Record, now_ns: int) -> "Series":
        """A series of another label of the same traffic: nothing that came here was of it, `first` is.

        That first point is a part of what it learns from: without it there would be no series, so it is no evidence.
        """
        twin = Series(self.plan, slices)
        for at_ns, _, weight, trace_id, its_slices in self.recent.records():
            twin.recent.append((at_ns, 0.0, weight, trace_id, its_slices))
        twin.recent.append(first)
        twin.points = twin.recent.count
        twin.window = self.window.emptied()
        twin.window.add(first[1], first[2], now_ns)
        twin.last_ns = now_ns
        if twin.recent.count >= self.plan.warmup:
            twin._learn()
        return twin

    def begin_from(self, reference: Sequence[tuple[float, float]], newest: Sequence[Record], now_ns: int) -> None:
        """Learn the level from values and weights of points that had no say in what this series is of; what is newest
        is known too, so that an onset may lie in it, and is no evidence."""
        prior = Sums()
        for x, weight in reference:
            prior.add(x, weight)
        self.recent.restart(prior, Mix())
        for record in newest:
            self.recent.append(record)
            self.window.add(record[1], record[2], record[0])
        self._learn_from([x for x, _ in reference], [weight for _, weight in reference])
        self.points, self.last_ns = len(newest), now_ns

    @property
    def status(self) -> Status:
        if self.episode is not None:
            return "recovering" if self.episode.recovering else "changed"
        return "warming" if self.detector is None else "watching"

    @property
    def clipped(self) -> float:
        return self.capped / self.seen if self.seen else 0.0

    def raw_records(self) -> Iterator[Record]:
        """The newest points, their values as the plan gave them."""
        own = self.scale if self.plan.scale is None else None
        for record in self.recent.records():
            at, x, *rest = record
            yield record if own is None else (at, own.level(x), *rest)  # type: ignore[misc]

    def describe(self, now_ns: int) -> SeriesStatus:
        change = self.episode.change if self.episode else None
        told = change or self.detector
        level = estimate(self.window.sums(now_ns), self.inflation)
        return SeriesStatus(
            self.plan.name,
            self.plan.metric,
            self.plan.statistic,
            self.slices,
            self.status,
            self.points,
            self.scale.level_estimate(level) if self.scale else _NO_LEVEL,
            self.plan.detector,
            told.evidence if told else 0.0,
            told.threshold if told else 1.0,
            change.id if change else None,
            self.clipped,
            self.inflation,
        )

    def end(self, at_ns: int, reason: str) -> Change | None:
        """End the running change, if there is one, for a reason outside the data."""
        return self._close(self.episode, at_ns, reason) if self.episode else None

    def take_state(self, everything: bool = False) -> dict[str, bytes | None]:
        """What must be written since the last call; None: delete."""
        taken = self.recent.take_state(f"series/{self.key}", everything)
        taken[f"series/{self.key}/head"] = orjson.dumps(self._head())
        return taken

    def load(self, head: dict[str, Any], parts: Mapping[str, bytes], known: dict[Slices, Slices]) -> None:
        """Take over what `take_state` gave; ValueError, TypeError or KeyError if it cannot be."""
        if self.plan.scale is None and head["scale"] is not None:
            self.scale = scale_from_json(head["scale"])
        lowest, highest = (0.0, 1.0) if self.scale is not None else (-_LARGEST, _LARGEST)
        self.recent.load(parts["past"], chunks(parts), known, lowest, highest)
        self.window.load_json(head["window"])
        for name in ("points", "ordinal", "capped", "seen", "last_ns"):
            if type(head[name]) is not int or head[name] < 0:
                raise ValueError(f"{name} is {head[name]!r:.80}; it must be a whole number, not negative")
            setattr(self, name, head[name])
        self.cap = float("inf") if head["cap"] is None else float(head["cap"])
        self.inflation = float(head["inflation"])
        self.staked = max(0.0, float(head.get("staked", 0.0)))  # states of earlier releases have none
        self.recurring = b64decode(head["recurring"], validate=True)
        if head["detector"] is not None:
            self._watch(self.plan.make())
            assert self.detector is not None
            unpack(self.detector, head["detector"])
        if head["episode"] is not None:
            if self.scale is None:
                raise ValueError("a change without a scale")
            self.episode = episode_from_json(self.plan, self.scale, head["episode"])
            self.episode.cap = self.cap

    def _head(self) -> dict[str, Any]:
        return {
            "v": VERSION,
            "monitor": self.plan.name,
            "fingerprint": self.plan.fingerprint,
            "scale": None if self.scale is None else self.scale.to_json(),
            "slices": list(self.slices.items()),
            "points": self.points,
            "ordinal": self.ordinal,
            "capped": self.capped,
            "seen": self.seen,
            "last_ns": self.last_ns,
            "cap": None if self.cap == float("inf") else self.cap,
            "inflation": self.inflation,
            "staked": self.staked,
            "window": self.window.to_json(),
            "detector": None if self.detector is None else pack(self.detector),
            "recurring": b64encode(self.recurring).decode(),
            "episode": None if self.episode is None else self.episode.to_json(),
        }

    def _begin(self, reference: Reference, at_ns: int) -> None:
        """Watch from the first point on, if the reference has enough of this slice; learn from the stream if not."""
        records = reference.of(self.slices, at_ns)
        if len(records) < self.plan.warmup:
            return
        for record in records[-_MOST_BEFORE:]:
            self.recent.append(record)
        self._learn()
        self._watch(self._frozen())

    def _frozen(self) -> Detector | None:
        """A detector that has learned from the whole reference; None if that has too little of this slice."""
        reference = self.plan.reference
        records = [] if reference is None else reference.of(self.slices, self.last_ns)
        if len(records) < self.plan.warmup:
            return None
        detector = self.plan.make()
        detector.warmup([record[1] for record in records], [record[2] for record in records])
        return detector

    def _learn(self) -> None:
        """The warm-up is complete."""
        records = list(self.recent.records())
        cap = _usual_cap([record[2] for record in records])
        to_unit: Callable[[float], float] = float
        if self.scale is None:
            self.scale = self._scale_of([record[1] for record in records])
            to_unit = self.scale.to_unit
        records = [(at, to_unit(x), min(w, cap), trace, slices) for at, x, w, trace, slices in records]
        self.recent.replace(records)
        self._learn_from([record[1] for record in records], [record[2] for record in records])

    def _learn_from(self, values: Sequence[float], weights: Sequence[float]) -> None:
        self.cap = _usual_cap(weights)
        self.inflation = variance_inflation(values)
        detector = self.plan.make()
        detector.warmup(values, [min(weight, self.cap) for weight in weights])
        self._watch(detector)

    def _scale_of(self, values: list[float]) -> Scale:
        return learn_scale(values)

    def _watch(self, detector: Detector | None) -> None:
        self.detector = detector
        self.budgeted = detector is not None and detector.budgeted

    def _prepare(self, detection: Detection) -> Episode | None:
        if self.scale is None:
            return None
        text = orjson.dumps([self.plan.name, list(self.slices.items()), self.ordinal])
        identity = blake2b(text, digest_size=10).hexdigest()
        return open_episode(
            self.plan,
            self.scale,
            identity,
            self.slices,
            detection,
            self.recent,
            self.inflation,
            self.cap,
            self.clipped,
            self.staked,
        )

    def _follow(self, episode: Episode, x: float, w: float, at_ns: int, now_ns: int) -> Change | None:
        if episode.follow(x, w):
            return self._close(episode, at_ns, "recovered")
        if now_ns - episode.opened_ns >= self.plan.adopt_after_ns:
            return self._close(episode, at_ns, "adopted")
        if self.detector is not None:
            detection = self.detector.change
            if detection is not None:
                weak, episode.weak = episode.weak, False
                self.spend()
                if weak and detection.direction == episode.change.direction:
                    return episode.confirm(detection, self.staked, self.recent, tuple(self.slices))
                return episode.move(self.recent, tuple(self.slices), detection.direction)
        elif episode.after.n >= self.plan.warmup and episode.since >= self.plan.warmup:
            self._watch_the_new_level(episode)
        return episode.refresh(self.recent, tuple(self.slices)) if episode.due else None

    def _watch_the_new_level(self, episode: Episode) -> None:
        """So that a second drop is seen while the first still lasts."""
        records = list(self.recent.records())[-self.plan.warmup :]
        detector = self.plan.make()
        detector.warmup([record[1] for record in records], [record[2] for record in records])
        detector.recur(self.recurring)
        self._watch(detector)

    def _close(self, episode: Episode, at_ns: int, reason: str) -> Change:
        """End the change and go back to watching: the old level, or the new one if that was adopted."""
        told = episode.end(at_ns, reason)
        self.episode = None
        self.staked = 0.0
        if reason == "adopted":
            records = list(self.recent.records())[-min(episode.after.n, self.plan.warmup) :]
            reference = [[record[1], record[2]] for record in records]
            level, mix = episode.after, Mix()
            for record in records:
                mix.add(record)
        else:
            reference, level, mix = episode.reference, episode.before, episode.mix
        self.recent.restart(level, mix)
        if reason != "adopted" and (frozen := self._frozen()) is not None:
            self._watch(frozen)
            return told
        detector = self.plan.make()
        values, weights = [x for x, _ in reference], [w for _, w in reference]
        detector.warmup(values, weights)
        rest = level.w - sum(weights)
        if rest > 0:
            detector.remember((level.wx - sum(x * w for x, w in reference)) / rest, rest)
        detector.recur(self.recurring)
        self._watch(detector)
        return told
