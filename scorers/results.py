"""The metrics of scoring."""

from collections.abc import Collection, Sequence

from collector.core.model import Trace
from collector.core.telemetry import Exemplar, Telemetry
from scorers.base import Score
from scorers.ledger import Decision

_RATIO_BUCKETS = tuple(step / 10 for step in range(1, 11))
_SECONDS_BUCKETS = (0.00001, 0.00003, 0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)


class Results:
    """Counts decisions and scores.

    `driftline_valid` and `driftline_good` weigh each score by one over its inclusion probability, so that good / valid
    is the share over all traffic even where a class of traces is kept more often than others.
    """

    def __init__(self, telemetry: Telemetry, ratios: Collection[str]) -> None:
        self._ratios = frozenset(ratios)  # names of the scorers whose values are ratios, not seconds or counts
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

    def ran(self, scorer: str, seconds: float, suspended: bool) -> None:
        self._seconds.observe(seconds, scorer)
        if suspended:
            self._suspended.set(1, scorer)

    def record(self, trace: Trace, decisions: Sequence[Decision]) -> None:
        service = trace.service
        for decision in decisions:
            self._decisions.add(1, decision.scorer, decision.decision, decision.reason)
            if decision.score is not None:
                self._scored(trace, service, decision, decision.score)
            elif decision.decision == "failed":
                self._evaluations.add(1, decision.scorer, "error")

    def _scored(self, trace: Trace, service: str, decision: Decision, score: Score) -> None:
        name = decision.scorer
        outcome = "unjudged" if score.passed is None else "passed" if score.passed else "not_passed"
        self._evaluations.add(1, name, outcome)
        if score.passed is not None and decision.probability > 0:
            weight = 1 / decision.probability
            self._valid.add(weight, name, service)
            self._good.add(weight if score.passed else 0, name, service)
        if name in self._ratios and score.value is not None and 0 <= score.value <= 1:
            span_id = score.span_id or trace.root_span_id or ""
            exemplar = Exemplar(trace.trace_id, span_id, score.value, trace.end_ns)
            self._ratio.observe(score.value, name, service, exemplar=exemplar)
