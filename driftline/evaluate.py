"""A ready trace in; what is known of it, the decision on every scorer, and the points for the watchers out."""

import logging
from collections import Counter
from collections.abc import Callable, Collection, Container, Sequence
from typing import TypeAlias

from alerts.events import EventExporter
from collector.answers import Answers
from collector.core.engine import Record
from collector.core.errors import Rejected
from collector.core.model import STATUS_ERROR, LogEvent, Slices, Span, Trace
from collector.core.telemetry import Telemetry
from collector.facts import has_session
from collector.normalise import normalise
from collector.prices import Prices, built_in
from collector.provenance import Provenance, ProvenanceReader
from collector.quota import Allowances, within_quota
from collector.sample import Admission, Sampler
from collector.slices import SliceReader
from collector.tenancy import tenant_of, trace_id_of
from collector.turns import encode_turn, told_by
from collector.unmapped_counter import UnmappedCounter
from collector.upstream import chances_of, trace_state_of
from collector.usage import UsageMetrics, UsageTally
from collector.waiting import Ready
from collector.wire.decode import DEFAULT, Budget, DecodeLimits, decode_log, decode_span
from drift.base import Point
from driftline.added import NOTHING, Added, added
from driftline.outputs import Outputs
from driftline.records import sheet
from driftline.score_route import ScoreRoute
from scorers.ledger import Decision, marks_of
from scorers.results import Tally
from scorers.runner import Runner, of_content

_log = logging.getLogger(__name__)


class Batch:
    """What came of a number of evaluations, to be committed together.

    The traces themselves are let go at once, unless events are to be sent of them: a thousand of them would take tens
    of megabytes, and the garbage collector would walk through them again and again.
    """

    def __init__(self, results: Tally) -> None:
        self.sheets: list[Record] = []
        self.points: list[Record] = []
        self.turns: list[tuple[bytes, bytes]] = []  # the key of a session, and a turn of it
        self.results = results
        self.usage = UsageTally()
        self.repeats = 0
        self.outcomes: Counter[tuple[str, ...]] = Counter()
        self.events: list[tuple[Trace, Sequence[Decision], int]] = []

    def __len__(self) -> int:
        return max(len(self.sheets), len(self.turns))


class Evaluator:
    """Decides, decodes, normalises and scores: a pure function of the ready trace, the configuration, and the calls
    that traces before it told."""

    def __init__(
        self,
        sampler: Sampler,
        slices: SliceReader,
        runner: Runner,
        route: ScoreRoute,
        outputs: Outputs,
        telemetry: Telemetry,
        events: EventExporter | None = None,
        prices: Prices | None = None,
        limits: DecodeLimits = DEFAULT,
    ) -> None:
        self._limits = limits
        self._sampler = sampler
        self._slices = slices
        self._made_by = ProvenanceReader()
        self._runner, self._targets = runner, runner.targets
        self._route = route
        self._outputs = outputs
        self._events = events
        self._rejected = telemetry.counter(
            "driftline_undecodable_spans", "Spans and log records whose bytes could not be decoded.", ["reason"]
        )
        self._truncated = telemetry.counter(
            "driftline_truncated_traces", "Traces evaluated without what was over a limit, here or at the sender."
        )
        self._failures = telemetry.counter(
            "driftline_normalise_failures", "Traces that could not be understood at all."
        )
        self._prices = prices or Prices([built_in()])
        self._usage = UsageMetrics(telemetry)
        self._repeats = telemetry.counter(
            "driftline_repeated_calls",
            "Model calls left out of a trace since they belong to another that tells them too.",
        )
        self._unmapped = UnmappedCounter(telemetry)
        self._outcomes = telemetry.counter("driftline_traces", "Traces by what became of them.", ["outcome"])

    @property
    def gathers_sessions(self) -> bool:
        """Whether every trace is to be read, whatever its sampling: it may be a part of a session that is scored."""
        return self._runner.gathers_sessions

    def batch(self) -> Batch:
        """An empty one."""
        return Batch(self._runner.tally())

    def allowances(self) -> Allowances:
        """What a partition keeps of the limits of scorers and of the quota, as if nothing had happened yet."""
        return Allowances(self._runner.limits(), self._sampler.quota)

    def evaluate(
        self,
        items: Sequence[tuple[Ready, Collection[str]]],
        batch: Batch,
        allowances: Allowances,
        answers: Answers,
        behind_seconds: float = 0.0,
    ) -> list[list[str]]:
        """Evaluate revisions of traces, into `batch`.

        All are decoded before the first is normalised, and so on: the code of a step is then still in the processor's
        cache for the next trace.

        Args:
            items: each with the marks of its earlier revisions (`scorers.ledger.marks_of`).
            batch: where to put what comes of them.
            allowances: those of the partition that the traces are in.
            answers: the calls that other traces of it told.
            behind_seconds: how long they have waited to be worked on.

        Returns:
            The marks of each, for later revisions of it.
        """
        opened = [self._open(ready) for ready, _ in items]
        admitted = [
            self._admit(ready, *parts, marks, allowances, answers)
            for (ready, marks), parts in zip(items, opened, strict=True)
        ]
        del opened  # the traces hold what they need of it
        asked = [
            (trace, admission, marks) for (trace, _, admission, *_), (_, marks) in zip(admitted, items, strict=True)
        ]
        found = self._runner.evaluate_all(asked, allowances, behind_seconds)
        for (ready, marks), one, decisions in zip(items, admitted, found, strict=True):
            trace, slices, admission, _, made_by, new = one
            clean = self._outputs.clean(trace, slices, decisions), self._outputs.provenance(made_by)
            self._put(batch, ready, trace, clean, admission, decisions, marks, new)
        return [[*met, *marks_of(decisions)] for (_, _, _, met, *_), decisions in zip(admitted, found, strict=True)]

    def _open(self, ready: Ready) -> tuple[Admission, "_Decoded | None"]:
        """The sampling decision, and what the trace is made of unless it leaves nothing to be scored."""
        admission = self._admission(ready, {})
        if self._sampler.needs_slices or self._runner.wants(admission):
            return admission, self._decode(ready)
        if not self.gathers_sessions:
            return admission, None
        # Whether its session is wanted is not known before it is decoded, nor that it has one.
        decoded = self._decode(ready)
        return admission, decoded if has_session([*decoded[0], *decoded[1]]) else None

    def _admit(
        self,
        ready: Ready,
        admission: Admission,
        decoded: "_Decoded | None",
        marks: Collection[str],
        allowances: Allowances,
        answers: Answers,
    ) -> tuple[Trace, Slices, Admission, list[str], Provenance, Added]:
        """As much of the trace as is to be scored, with the sampling decision that its slices may have changed, with
        what made it, and what a revision adds to it."""
        if decoded is None:
            trace_id, tenant = trace_id_of(ready.trace_id).hex(), tenant_of(ready.trace_id)
            return Trace(trace_id, error=_failed(ready), tenant=tenant), {}, admission, [], (), NOTHING
        trace, new = self._understand(ready, answers, *decoded)
        slices = self._slices.read(trace)
        made_by = self._made_by.read(trace, decoded[0], {span.origin.schema_url for span in ready.spans})
        if self._sampler.needs_slices:
            admission = self._admission(ready, slices)
        if self._sampler.quota is not None and admission.includes():
            admission, met = within_quota(admission, slices, marks, allowances)
            return trace, slices, admission, met, made_by, new
        return trace, slices, admission, [], made_by, new

    def _admission(self, ready: Ready, slices: Slices) -> Admission:
        state = trace_state_of(ready.spans)
        apart = chances_of(ready.spans, state)
        return self._sampler.admit(trace_id_of(ready.trace_id), _failed(ready), slices, state, apart)

    def record(self, batch: Batch) -> None:
        """Tell metrics and events of evaluations that were committed."""
        for trace, decisions, revision in batch.events:
            assert self._events is not None
            self._events.emit(trace, decisions, revision)
        self._runner.record(batch.results)
        self._usage.record(batch.usage)
        if batch.repeats:
            self._repeats.add(batch.repeats)
        self._outcomes.add_all(batch.outcomes)

    def _put(
        self,
        batch: Batch,
        ready: Ready,
        trace: Trace,
        clean: tuple[Slices, str],
        admission: Admission,
        decisions: Sequence[Decision],
        before: Container[str],
        new: Added,
    ) -> None:
        slices, made_by = clean
        if self.gathers_sessions:
            told = told_by(trace, ready.revision, of_content(admission, trace).upstream, slices)
            if told is not None and not self._sampler.never_session(told.key):
                self._outputs.clean_turn(told.turn)
                batch.turns.append((told.key, encode_turn(told)))
            if self._sampler.never(trace_id_of(ready.trace_id)):
                return  # read for its session only: its id alone leaves it out
        record = sheet(trace, ready.revision, ready.event_ns, slices, admission, decisions)
        batch.sheets.append(Record(record, key=ready.trace_id))
        first = [one for one in decisions if new.holds(one, self._targets)]
        found = points(
            *(trace.trace_id, ready.event_ns, decisions, slices),
            lambda one: one.scorer in before and not new.holds(one, self._targets),
            made_by,
        )
        batch.points += self._route.records(found)
        if self._events is not None:
            self._outputs.clean_ids(trace)
            batch.events.append((trace, decisions, ready.revision))
        if not ready.revision:  # a revision corrects; it is no further trace
            batch.results.add(trace, decisions)
            batch.usage.add(trace.llm_calls, trace.embeddings)
        elif ready.late:  # but for the operations that it adds
            batch.results.add(trace, first)
            batch.usage.add(new.calls, new.embeddings)
        batch.repeats += len(trace.repeats)
        batch.outcomes[(_outcome(ready, trace, slices),)] += 1

    def _understand(
        self, ready: Ready, answers: Answers, spans: list[Span], events: list[LogEvent]
    ) -> tuple[Trace, Added]:
        trace_id, new = trace_id_of(ready.trace_id).hex(), NOTHING
        try:
            trace = normalise(trace_id, spans, events)
            trace.tenant = tenant_of(ready.trace_id)
            answers.settle(trace)
            self._prices.complete(trace)
            if ready.late:
                new = added(trace, ready.late, spans, events)
            self._unmapped.look(ready.trace_id, spans, events)
        except Exception:
            # The normaliser promises not to raise; were it to, one trace must not stop all others.
            _log.exception("trace %s could not be normalised", trace_id)
            self._failures.add()
            trace = Trace(trace_id, span_count=len(spans))
        trace.incomplete = ready.incomplete
        trace.tenant = tenant_of(ready.trace_id)
        if trace.truncated:
            self._truncated.add()
        return trace, new

    def _decode(self, ready: Ready) -> "_Decoded":
        spans: list[Span] = []
        events: list[LogEvent] = []
        budget = Budget()
        for span in ready.spans:
            try:
                spans.append(decode_span(span, self._limits, budget))
            except Rejected as error:
                self._rejected.add(1, error.reason)
        for event in ready.events:
            try:
                events.append(decode_log(event, self._limits, budget))
            except Rejected as error:
                self._rejected.add(1, error.reason)
        return spans, events


_LONGEST_LABEL = 200  # of what watchers are told
_Decoded: TypeAlias = tuple[list[Span], list[LogEvent]]


def _failed(ready: Ready) -> bool:
    return STATUS_ERROR in [item.status_code for item in ready.spans]


def _outcome(ready: Ready, trace: Trace, slices: Slices) -> str:
    if ready.revision:
        return "revised"
    if not slices:
        return "not_sampled"
    return "incomplete" if trace.incomplete else "evaluated"


def points(
    identity: str,
    event_ns: int,
    decisions: Sequence[Decision],
    slices: Slices,
    corrects: Callable[[Decision], bool],
    provenance: str = "",
) -> list[Point]:
    """What watchers are told of the scores of a trace or a session, by its id.

    Args:
        corrects: whether a decision's score takes the place of one that they were told before.
        provenance: what made the trace; empty where that is not known, as of a session.
    """
    shared = dict(slices)
    return [
        Point(
            decision.scorer,
            identity,
            decision.span_id or "",
            event_ns,
            score.value,
            score.passed,
            decision.probability,
            shared,
            decision.evaluator_id,
            corrects(decision),
            (score.label or "")[:_LONGEST_LABEL],
            provenance,
            score.vector if isinstance(score.vector, bytes) else b"",
            tuple(score.terms),
        )
        for decision in decisions
        if (score := decision.score) is not None and (score.value is not None or score.label or score.vector)
    ]
