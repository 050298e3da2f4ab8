"""What goes into drift (points) and what comes out (changes)."""

from dataclasses import dataclass, field
from typing import Literal

RATES = ("pass_rate", "share")
"""Statistics whose levels are rates, whatever the unit of the metric."""

Direction = Literal["down", "up", "both"]
Shift = Literal["down", "up"]


@dataclass(frozen=True, slots=True)
class Detection:
    """What a detector says when its evidence reaches its threshold."""

    direction: Shift
    evidence: float
    threshold: float


@dataclass(slots=True)  # not frozen: made for every score, and frozen costs four times as much
class Point:
    """One score as the watchers see it.

    `value` is in the metric's declared unit, None where there is only a `label`. `probability` is that of having been
    sampled, over everything between the application and the scorer, in (0, 1]; `corrects` says that late spans changed
    a score which was told before; `provenance` is what made the trace (`drift.provenance.as_text`), empty if unknown.
    `vector` (`scorers.vectors.packed`) and `terms` are of scorers that embed.
    """

    metric: str
    trace_id: str
    span_id: str
    at_ns: int
    value: float | None
    passed: bool | None
    probability: float
    slices: dict[str, str]
    evaluator_id: str
    corrects: bool = False
    label: str = ""
    provenance: str = ""
    vector: bytes = b""
    terms: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Metric:
    """What a monitor knows about a scorer: the range of its values (None: unbounded), which end is better, and whether
    it embeds, that is, tells vectors."""

    name: str
    low: float | None = None
    high: float | None = None
    better: Literal["higher", "lower"] | None = None
    embeds: bool = False

    @property
    def bounded(self) -> bool:
        return self.low is not None and self.high is not None and self.low < self.high


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its 95% interval; `n` is the effective number of points behind it."""

    value: float
    lower: float
    upper: float
    n: float


@dataclass(frozen=True, slots=True)
class Carrier:
    """A slice value and the part of a change that it carries.

    `share` of the difference, split into `mix` (its traffic grew or shrank) and `within` (its own level moved);
    `before` and `after` are its levels (None: it had no traffic then), `traffic` its part of the points after the
    onset.
    """

    attribute: str
    value: str
    share: float
    before: float | None
    after: float | None
    is_new: bool
    mix: float = 0.0
    within: float = 0.0
    traffic: float = 0.0


@dataclass(frozen=True, slots=True)
class Coincidence:
    """Something of what makes traces that changed at about the onset; not by that a cause. See `drift.coincide`.

    `kind` is one of `collector.provenance.KINDS`, `evaluator` or `sampling`; `before` and `after` the parts of the
    traffic that have the value; `at_ns` when one that is new was first seen, or one that is gone last, if known.
    """

    kind: str
    value: str
    how: Literal["new", "gone", "more", "less"]
    before: float
    after: float
    at_ns: int | None


@dataclass(frozen=True, slots=True)
class Companion:
    """Another change that was found with a page and is part of it, as it was then; levels as of a `Change`."""

    change_id: str
    metric: str
    statistic: Literal["mean", "pass_rate", "typical", "share"]
    slice: dict[str, str]
    direction: Shift
    before: float
    after: float


@dataclass(frozen=True, slots=True)
class Change:
    """A detected change of one series, as of `sequence`: it is told again as it is better known, and when it ends.

    `before`, `after` and `size` (after minus before) are in the metric's unit, or rates if `statistic` is one of
    `RATES`. The onset lies in [onset_low_ns, onset_high_ns]. `paged` says whether anyone should be told; if not,
    `related` may name the change that was paged instead. `reason` says how a resolved change ended: recovered, adopted
    (it became the new normal), no_data, or reconfigured.
    """

    id: str
    status: Literal["active", "resolved"]
    monitor: str
    metric: str
    statistic: Literal["mean", "pass_rate", "typical", "share"]
    slice: dict[str, str]
    direction: Shift
    detector: str
    evidence: float
    threshold: float
    detected_ns: int
    onset_ns: int
    onset_low_ns: int
    onset_high_ns: int
    before: Estimate
    after: Estimate
    size: Estimate
    carriers: list[Carrier] = field(default_factory=list)
    traces: list[str] = field(default_factory=list)
    contrast_traces: list[str] = field(default_factory=list)
    paged: bool = True
    resolved_ns: int | None = None
    sequence: int = 0
    reason: str = ""
    related: str = ""
    clipped: float = 0.0
    """Share of the points whose sampling weight was clipped, since the warm-up."""
    moved: str = ""
    """What moved, by `drift.moved`: application, traffic, evaluator, sampling or unclear; empty if it was not asked."""
    coincidences: list[Coincidence] = field(default_factory=list)
    """What else changed then, what is likeliest to matter first."""
    typical_traces: list[str] = field(default_factory=list)
    """Trace ids from since the onset that are nearest to the level after, those of the first carrier first."""
    companions: list[Companion] = field(default_factory=list)
    """Of a page, the changes that were found with it (`drift.rounds`) and are part of it."""
    evaluators_before: list[str] = field(default_factory=list)
    """Ids of the evaluators that gave the scores before the onset, those of most scores first; empty if not known."""
    evaluators_after: list[str] = field(default_factory=list)
    """The same since the onset."""
    staked: float = 0.0
    """What part of the budget its series was given since its last change, in pages: so many false changes of it were to
    be expected by now, at most. 0 for a detector that is not budgeted."""
