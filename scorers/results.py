"""The metrics of scoring."""

from collections import defaultdict
from collections.abc import Collection, Sequence

from collector.core.model import Trace
from collector.core.telemetry import Exemplar, Labels, Telemetry
from scorers.base import Score, Scorer
from scorers.ledger import Decision
from scorers.targets import span_of

_RATIO_BUCKETS = tuple(step / 10 for step in range(1, 11))
_SECONDS_BUCKETS = (0.00001, 0.00003, 0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)


class Results:
    """Counts decisions and scores.

    `driftline_valid` and `driftline_good` weigh each score by one over its inclusion probability, so that good / valid
    is the share over all traffic even where a class of traces is kept more often than others.
    """

    def __init__(self, telemetry: Telemetry, scorers: Sequence[Scorer]) -> None:
        self._ratios = frozenset(
            one.name for one in scorers if one.score_unit == "ratio"
        )  # others are seconds or counts
        info = telemetry.gauge(
            "driftline_scorer_info", "1 for each scorer as it is now.", ("scorer", "evaluator_id", "tier")
        )
        for gone in info.values():  # of a configuration that was replaced
            info.remove(*gone)
        for one in scorers:
            info.set(1, one.name, one.evaluator_id, str(one.tier))
        self._evaluations = telemetry.counter(
            "driftline_evaluations",
            "Evaluations by outcome: passed, not_passed, unjudged, error.",
            ("scorer", "outcome"),
            fold=("scorer",),
        )
        self._decisions = telemetry.counter(
            "driftline_decisions",
            "What happened to each candidate (trace, scorer), with its reason.",
            ("scorer", "decision", "reason"),
            fold=("scorer",),
        )
        self._valid = telemetry.counter(
            "driftline_valid",
            "Judged scores, each weighed by one over its inclusion probability.",
            ("scorer", "service"),
            fold=("service",),
        )
        self._good = telemetry.counter(
            "driftline_good",
            "Passed scores, each weighed by one over its inclusion probability.",
            ("scorer", "service"),
            fold=("service",),
        )
        self._judged = telemetry.counter(
            "driftline_judged_scores",
            "Judged scores, each counted once however rarely such traces are sampled: how many a share rests on.",
            ("scorer", "service"),
            fold=("service",),
        )
        self._ratio = telemetry.histogram(
            "driftline_score_ratio",
            "Scores between 0 and 1 as they were given, unweighed; exemplars are traces to open.",
            ("scorer", "service"),
            buckets=_RATIO_BUCKETS,
            unit="ratio",
            fold=("service",),
        )
        self._seconds = telemetry.histogram(
            "driftline_scorer_seconds",
            "Time one run of a scorer took.",
            ("scorer",),
            buckets=_SECONDS_BUCKETS,
            unit="seconds",
            fold=("scorer",),
        )
        self._suspended = telemetry.gauge(
            "driftline_scorer_suspended",
            "1 once a scorer hung so often that it is no longer called in this process.",
            ("scorer",),
            fold=("scorer",),
        )
        for gone in self._suspended.values():
            self._suspended.remove(*gone)

    def ran(self, scorer: str, seconds: Sequence[float], suspended: bool) -> None:
        """Note how long runs of a scorer took, and whether it is called no more."""
        if seconds:
            self._seconds.observe_all(seconds, scorer)
        if suspended:
            self._suspended.set(1, scorer)

    def tally(self) -> "Tally":
        """An empty one."""
        return Tally(self._ratios)

    def record(self, tally: "Tally") -> None:
        """Count what became of traces: many at once, since a count by itself costs more than what it counts."""
        self._decisions.add_all(tally.decisions)
        self._evaluations.add_all(tally.evaluations)
        self._valid.add_all(tally.valid)
        self._good.add_all(tally.good)
        self._judged.add_all(tally.judged)
        for labels, seen in tally.ratios.items():
            self._ratio.observe_all([exemplar.value for exemplar in seen], *labels, exemplars=seen)


class Tally:
    """What the decisions on several traces add to each instrument."""

    def __init__(self, ratios: Collection[str]) -> None:
        self._names = ratios
        self.decisions: defaultdict[Labels, float] = defaultdict(float)
        self.evaluations: defaultdict[Labels, float] = defaultdict(float)
        self.valid: defaultdict[Labels, float] = defaultdict(float)
        self.good: defaultdict[Labels, float] = defaultdict(float)
        self.judged: defaultdict[Labels, float] = defaultdict(float)
        self.ratios: defaultdict[Labels, list[Exemplar]] = defaultdict(list)

    def add(self, trace: Trace, decisions: Sequence[Decision]) -> None:
        service = trace.service
        for decision in decisions:
            self.decisions[decision.scorer, decision.decision, decision.reason] += 1
            if decision.score is not None:
                self._scored(trace, service, decision, decision.score)
            elif decision.decision == "failed":
                self.evaluations[decision.scorer, "error"] += 1

    def _scored(self, trace: Trace, service: str, decision: Decision, score: Score) -> None:
        name, passed = decision.scorer, score.passed
        self.evaluations[name, "unjudged" if passed is None else "passed" if passed else "not_passed"] += 1
        if passed is not None and decision.probability > 0:
            weight = 1 / decision.probability
            self.valid[name, service] += weight
            self.good[name, service] += weight if passed else 0
            self.judged[name, service] += 1
        value = score.value
        if name in self._names and value is not None and 0 <= value <= 1:
            exemplar = Exemplar(
                trace.trace_id, span_of(score.span_id or "") or trace.root_span_id or "", value, trace.end_ns
            )
            self.ratios[name, service].append(exemplar)
