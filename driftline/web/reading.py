"""What the page and the API read, in the order in which somebody on call wants it, and never without a bound."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isfinite

from drift.base import Change, decode_change
from driftline.view import View
from driftline.web.source import SeriesStatus

MOST_CHANGES = 1000
NOT_SCORED = ("failed", "shed", "over_budget", "throttled", "pending", "not_sampled", "filtered")
"""Decisions other than scored, the ones somebody may have to act on first."""


@dataclass(frozen=True, slots=True)
class Changes:
    """The newest changes; `unreadable` counts those that another version wrote in a way that is not understood."""

    known: Sequence[Change]
    unreadable: int

    @property
    def active(self) -> list[Change]:
        """Those that pages were sent for first, each group with the newest first."""
        active = [change for change in self.known if change.status == "active"]
        return sorted(active, key=lambda change: (not change.paged, -change.detected_ns))

    @property
    def resolved(self) -> list[Change]:
        return [change for change in self.known if change.status == "resolved"]

    def find(self, change_id: str) -> Change | None:
        return next((change for change in self.known if change.id == change_id), None)

    def naming(self, trace_id: str) -> list[Change]:
        """The changes that give this trace as an example, active ones first."""
        every = [*self.active, *self.resolved]
        return [change for change in every if trace_id in change.traces or trace_id in change.contrast_traces]


def read_changes(view: View) -> Changes:
    known: list[Change] = []
    unreadable = 0
    for encoded in view.changes(MOST_CHANGES):
        try:
            known.append(decode_change(encoded))
        except ValueError:
            unreadable += 1
    return Changes(known, unreadable)


def ratio(status: SeriesStatus) -> float:
    """How much of the evidence that a change needs there is: 0 none, 1 and over a change."""
    if not isfinite(status.evidence) or not status.threshold > 0:
        return 1.0 if status.evidence == float("inf") else 0.0
    return max(0.0, status.evidence / status.threshold)


def by_evidence(series: Iterable[SeriesStatus]) -> list[SeriesStatus]:
    """Those nearest to a change first, the changed ones before them."""
    return sorted(series, key=lambda one: (one.change_id is None, -ratio(one), one.monitor, sorted(one.slice.items())))


@dataclass(frozen=True, slots=True)
class Why:
    """One reason why candidates of a scorer were not scored."""

    decision: str
    reason: str
    count: int


@dataclass(frozen=True, slots=True)
class Funnel:
    """What became of the candidates of one scorer."""

    scorer: str
    scored: int
    rest: Sequence[Why]

    @property
    def candidates(self) -> int:
        return self.scored + sum(why.count for why in self.rest)

    def share(self, decision: str) -> float:
        """The part of the candidates with this decision, in [0, 1]."""
        number = self.scored if decision == "scored" else sum(w.count for w in self.rest if w.decision == decision)
        return number / self.candidates if self.candidates else 0.0


def funnels(view: View, configured: Sequence[str]) -> list[Funnel]:
    """One funnel a scorer: the configured ones in their order, then those that only older decisions name."""
    scored: dict[str, int] = {}
    rest: dict[str, list[Why]] = {}
    for scorer, decision, reason, number in view.funnel():
        if decision == "scored":
            scored[scorer] = scored.get(scorer, 0) + number
        else:
            rest.setdefault(scorer, []).append(Why(decision, reason, number))
    names = [*configured, *sorted((scored.keys() | rest.keys()) - set(configured))]
    return [Funnel(name, scored.get(name, 0), sorted(rest.get(name, ()), key=_urgency)) for name in names]


def _urgency(why: Why) -> tuple[int, int, str]:
    place = NOT_SCORED.index(why.decision) if why.decision in NOT_SCORED else -1
    return place, -why.count, why.reason
