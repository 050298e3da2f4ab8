"""A ready trace in; what is known of it, the decision on every scorer, and the points for the watchers out."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from alerts.events import EventExporter
from collector.assemble import Ready
from collector.core.engine import Record
from collector.core.errors import Rejected
from collector.core.model import STATUS_ERROR, LogEvent, Slices, Span, Trace
from collector.core.telemetry import Telemetry
from collector.normalise import normalise
from collector.sample import Admission, Sampler
from collector.slices import SliceReader
from collector.wire.decode import decode_log, decode_span
from drift.base import Point, encode_point
from driftline.records import sheet
from scorers.ledger import Decision, score_id
from scorers.runner import Runner

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The outcome for one revision of one trace."""

    trace: Trace
    revision: int
    slices: Slices
    decisions: Sequence[Decision]
    sheet: Record
    points: Sequence[Record]


class Evaluator:
    """Decides, decodes, normalises and scores. A pure function of the ready trace and the configuration."""

    def __init__(
        self,
        sampler: Sampler,
        slices: SliceReader,
        runner: Runner,
        telemetry: Telemetry,
        events: EventExporter | None = None,
    ) -> None:
        self._sampler = sampler
        self._slices = slices
        self._runner = runner
        self._events = events
        self._rejected = telemetry.counter(
            "driftline_undecodable_spans", "Spans and log records whose bytes could not be decoded.", ["reason"]
        )
        self._failures = telemetry.counter(
            "driftline_normalise_failures", "Traces that could not be understood at all."
        )
        self._outcomes = telemetry.counter("driftline_traces", "Traces by what became of them.", ["outcome"])

    def evaluate(self, ready: Ready) -> Evaluation:
        failed = any(item.status_code == STATUS_ERROR for item in ready.spans)
        trace_state = _trace_state(ready)
        admission = self._sampler.admit(ready.trace_id, failed, {}, trace_state)
        if not self._sampler.needs_slices and not self._wanted(admission):
            return self._outcome(ready, Trace(ready.trace_id.hex(), error=failed), {}, admission)
        trace = self._understand(ready)
        slices = self._slices.read(trace)
        if self._sampler.needs_slices:
            admission = self._sampler.admit(ready.trace_id, failed, slices, trace_state)
        return self._outcome(ready, trace, slices, admission)

    def _wanted(self, admission: Admission) -> bool:
        return any(admission.includes(scorer.rate) for scorer in self._runner.scorers)

    def record(self, done: Evaluation) -> None:
        """Tell metrics and events of an evaluation that was committed. A revision corrects; it is no further trace."""
        if self._events is not None:
            self._events.emit(done.trace, done.decisions, done.revision)
        if done.revision:
            self._outcomes.add(1, "revised")
            return
        self._runner.record(done.trace, done.decisions)
        outcome = "incomplete" if done.trace.incomplete else "evaluated"
        self._outcomes.add(1, outcome if done.slices else "not_sampled")

    def _outcome(self, ready: Ready, trace: Trace, slices: Slices, admission: Admission) -> Evaluation:
        decisions = self._runner.evaluate(trace, admission)
        record = sheet(trace, ready.revision, ready.event_ns, slices, admission, decisions)
        points = [
            _point(trace, ready, decision, slices)
            for decision in decisions
            if decision.score is not None and decision.score.value is not None
        ]
        return Evaluation(trace, ready.revision, slices, decisions, Record(record, key=ready.trace_id), points)

    def _understand(self, ready: Ready) -> Trace:
        trace_id = ready.trace_id.hex()
        spans, events = self._decode(ready)
        try:
            trace = normalise(trace_id, spans, events)
        except Exception:
            # The normaliser promises not to raise; were it to, one trace must not stop all others.
            _log.exception("trace %s could not be normalised", trace_id)
            self._failures.add()
            trace = Trace(trace_id, span_count=len(spans))
        trace.incomplete = ready.incomplete
        return trace

    def _decode(self, ready: Ready) -> tuple[list[Span], list[LogEvent]]:
        spans: list[Span] = []
        events: list[LogEvent] = []
        for span in ready.spans:
            try:
                spans.append(decode_span(span))
            except Rejected as error:
                self._rejected.add(1, error.reason)
        for event in ready.events:
            try:
                events.append(decode_log(event))
            except Rejected as error:
                self._rejected.add(1, error.reason)
        return spans, events


def _trace_state(ready: Ready) -> str:
    """The tracestate of the root, else of any span that has one: all spans of a trace share the sampler's word."""
    root = next((item for item in ready.spans if not item.parent_id), None)
    if root is not None and root.trace_state:
        return root.trace_state
    return next((item.trace_state for item in ready.spans if item.trace_state), "")


def _point(trace: Trace, ready: Ready, decision: Decision, slices: Slices) -> Record:
    assert decision.score is not None
    assert decision.score.value is not None
    point = Point(
        score_id=score_id(trace.trace_id, decision.span_id, decision.scorer, ready.revision),
        metric=decision.scorer,
        trace_id=trace.trace_id,
        span_id=decision.span_id or "",
        at_ns=ready.event_ns,
        value=decision.score.value,
        passed=decision.score.passed,
        probability=decision.probability,
        slices=dict(slices),
        evaluator_id=decision.evaluator_id,
        revision=ready.revision,
    )
    key = f"{decision.scorer}\0{slices.get('service', '')}".encode()
    return Record(encode_point(point), key=key)
