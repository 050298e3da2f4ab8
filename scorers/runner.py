"""Runs scorers on a trace and writes down what happened to each: a score, or why there is none.

`Runner.evaluate` never raises and changes nothing but self-metrics; `Runner.record` counts results once they are
committed, so that a replay after a crash does not count twice.
"""

from collections.abc import Collection, Sequence
from functools import partial
from typing import NamedTuple, TypeAlias

from collector.allowance import Allowance, marked_step, rate_of_step
from collector.core.clock import Clock, SystemClock
from collector.core.frequency import Frequency
from collector.core.model import Session, Trace
from collector.core.telemetry import Telemetry
from collector.quota import Allowances
from collector.sample import Admission, hashed_unit
from collector.turns import session_key
from scorers.apart import Apart, ApartExecution
from scorers.base import Scorer
from scorers.execution import Execution, Ran, Verdict
from scorers.ledger import MORE_OPERATIONS, TOLD_ELSEWHERE, Decision, DecisionKind
from scorers.needs import missing_need, missing_operation_need, missing_session_need
from scorers.results import Results, Tally
from scorers.shedding import ShedConfig, sheds
from scorers.targets import OPERATIONS, Target, left_out, parts_of, span_of

Item: TypeAlias = tuple[Trace | Session, Admission, Collection[str]]
"""A trace or session to evaluate, its sampling, and what `marks_of` gave for its earlier revisions."""


class Runner:
    """Holds the scorers of a service. Built-ins run inline; others on a thread each, with a timeout, or apart.

    Args:
        scorers: in the order of the configuration.
        telemetry: of the service.
        clock: tells how long they take.
        shed: when to leave some out.
        apart: the process in which those that it names run.
    """

    def __init__(
        self,
        scorers: Sequence[Scorer],
        telemetry: Telemetry,
        clock: Clock | None = None,
        shed: ShedConfig = ShedConfig(),  # noqa: B008  it cannot change
        apart: Apart | None = None,
    ) -> None:
        self.scorers = tuple(scorers)
        self._shed = shed
        placed = list(enumerate(self.scorers))  # with their places in the configuration
        self._of_traces = [(at, one) for at, one in placed if one.target != "session"]
        self._of_sessions = [(at, one) for at, one in placed if one.target == "session"]
        self._results = Results(telemetry, self.scorers)
        self._clock = clock or SystemClock()
        retried = telemetry.counter(
            "driftline_scorer_retries", "Calls of scorers that failed in passing and were tried again.", ("scorer",)
        )
        self._executions: dict[str, Execution | ApartExecution] = {}
        for one in self.scorers:
            again = partial(retried.add, 1, one.name)
            if apart is not None and one.name in apart.names:
                self._executions[one.name] = ApartExecution(apart, one, again)
            else:
                self._executions[one.name] = Execution(one, self._clock, again)

    @property
    def gathers_sessions(self) -> bool:
        """Whether a scorer asks for sessions."""
        return bool(self._of_sessions)

    def wants(self, admission: Admission) -> bool:
        """Whether a trace of this admission is to be scored at all."""
        return any(admission.includes(one.rate if one.salt is None else 1.0) for _, one in self._of_traces)

    def evaluate(self, trace: Trace, admission: Admission) -> list[Decision]:
        """What becomes of each scorer for this trace: one decision a scorer, or one an operation that it scored."""
        return self.evaluate_all([(trace, admission, ())])[0]

    @property
    def targets(self) -> dict[str, Target]:
        """What each scorer of operations is about, by its name."""
        return {one.name: one.target for one in self.scorers if one.target in OPERATIONS}

    def limits(self) -> dict[str, Frequency]:
        """How often scorers of traces may run, by their names."""
        return {one.name: one.limit for _, one in self._of_traces if one.limit is not None}

    def session_limits(self) -> dict[str, Frequency]:
        """The same of scorers of sessions."""
        return {one.name: one.limit for _, one in self._of_sessions if one.limit is not None}

    def evaluate_all(
        self, items: Sequence["Item"], allowances: Allowances | None = None, behind_seconds: float = 0.0
    ) -> list[list[Decision]]:
        """The same for several traces. A scorer goes through all of them before the next one begins: its code and its
        tables are then still in the processor's cache, which saves about a tenth of the time.

        Args:
            items: each trace, with the marks that its earlier revisions left.
            allowances: of the partition that the traces are in; without, limits do not count.
            behind_seconds: how long the traces have waited to be worked on.
        """
        return self._evaluate(self._of_traces, items, allowances, behind_seconds)

    def evaluate_session(
        self, item: "Item", allowances: Allowances | None = None, behind_seconds: float = 0.0
    ) -> list[Decision]:
        """What becomes of each scorer of sessions for this one, whose last turn has waited so long to be worked on."""
        return self._evaluate(self._of_sessions, [item], allowances, behind_seconds)[0]

    def _evaluate(
        self,
        scorers: Sequence[tuple[int, Scorer]],
        items: Sequence["Item"],
        allowances: Allowances | None,
        behind_seconds: float = 0.0,
    ) -> list[list[Decision]]:
        found: list[list[Decision]] = [[] for _ in items]
        for at, one in scorers:
            own_rule = None if one.rate == 1 else f"scorers[{at}].rate"
            limit = None
            shed = sheds(self._shed, one, behind_seconds)
            if not shed and allowances is not None and (allowance := allowances.of_scorer(one.name)) is not None:
                limit = _Limit(allowance, allowances.now_ns, f"scorers[{at}].limit")
            wanted: list[_Wanted] = []
            for decisions, item in zip(found, items, strict=True):
                self._decide(one, item, own_rule or item[1].rule, limit, decisions, wanted)
            if shed:
                _leave_out(one, wanted, behind_seconds)
                continue
            if not wanted:
                continue
            execution = self._executions[one.name]
            ran = execution.run_all([run.arguments for run in wanted])
            self._results.ran(one.name, [run.seconds for run in ran], execution.suspended)
            for run, outcome in zip(wanted, ran, strict=True):
                _add_decisions(one, run, outcome)
        return found

    def _decide(
        self,
        one: Scorer,
        item: "Item",
        rule: str,
        limit: "_Limit | None",
        decisions: list[Decision],
        wanted: list["_Wanted"],
    ) -> None:
        """Add to `wanted` what is to be run for an item, and to `decisions` why the rest of it is not."""
        subject, admission, marks = item
        if admission.apart is not None and one.needs and one.target == "trace" and isinstance(subject, Trace):
            admission = of_content(admission, subject)
        unit = None if one.salt is None else hashed_unit(_identity(subject), one.salt.encode())
        probability = admission.probability(one.rate, unit)
        if not admission.includes(one.rate, unit):
            admitted = admission.includes()
            verdict = _NOT_OF_ITS_SHARE if admitted and unit is not None else _NOT_SAMPLED
            decisions.append(_unscored(one, verdict, probability, rule if admitted else admission.rule))
            return
        operations = None if one.target == "trace" else OPERATIONS.get(one.target)
        missing = _missing(one.needs if operations is None else (operations,), subject)
        if missing is not None:
            decisions.append(_unscored(one, ("filtered", missing, ""), probability, rule))
            return
        if one.after:
            runs = [_after_others(one, subject, decisions, probability, rule)]
        elif operations is None:
            runs = [_Wanted(decisions, (subject,), probability, rule)]
        else:
            runs = _operations(one, subject, probability, rule, decisions)
            if admission.apart is not None:
                runs = [run._replace(probability=run.of(admission).probability(one.rate, unit)) for run in runs]
        if limit is not None and runs:  # it counts for those alone that would be run without it
            runs = limit.let_through(one, admission, unit, marks, runs)
        wanted += runs

    def tally(self) -> Tally:
        """An empty one, to add traces and their decisions to."""
        return self._results.tally()

    def record(self, tally: Tally) -> None:
        """Count committed decisions in the metrics."""
        self._results.record(tally)

    def close(self) -> None:
        """Let the threads of scorers end. Safe to call twice."""
        for execution in self._executions.values():
            execution.close()


class _Wanted(NamedTuple):
    """A call to be made, and what the decision on it will say whatever comes of it."""

    decisions: list[Decision]
    arguments: tuple[object, ...]
    probability: float
    rule: str
    span_id: str | None = None
    step: int | None = None

    def of(self, admission: Admission) -> Admission:
        """That of the span which it is about."""
        return admission if self.span_id is None else admission.told_by([span_of(self.span_id)])


class _Limit(NamedTuple):
    """A scorer's limit while a batch is evaluated."""

    allowance: Allowance
    now_ns: int
    rule: str

    def let_through(
        self, one: Scorer, admission: Admission, unit: float | None, marks: Collection[str], runs: Sequence[_Wanted]
    ) -> list[_Wanted]:
        """Those of an item's runs that may be made; on the others it is decided here.

        A revision has the rate of the first evaluation, and so the same answer.
        """
        step = marked_step(one.name, marks) if marks else None
        if step is None:
            step = self.allowance.step(self.now_ns, len(runs))
        rate = one.rate * rate_of_step(step)
        throttled = not admission.includes(rate, unit)
        through = []
        for run in runs:
            refused: DecisionKind | None = "throttled" if throttled else None
            if refused is None and not self.allowance.spend(self.now_ns):
                refused = "over_budget"
            rule = self.rule if step or refused else run.rule
            probability = run.of(admission).probability(rate, unit)
            if refused is None:
                through.append(run._replace(probability=probability, rule=rule, step=step))
            else:
                share = f"{admission.rate * rate:.9g}" if throttled else ""
                refusal = _unscored(one, (refused, "limit", share), probability, rule, run.span_id, step)
                run.decisions.append(refusal)
        return through


_NOT_SAMPLED: Verdict = ("not_sampled", "rate", "")
_NOT_OF_ITS_SHARE: Verdict = ("not_sampled", "rate", "by its own salt")


def _unscored(
    one: Scorer, verdict: Verdict, probability: float, rule: str, span_id: str | None = None, step: int | None = None
) -> Decision:
    kind, reason, detail = verdict
    return Decision(one.name, one.evaluator_id, kind, reason, probability, rule, None, span_id, detail, step)


def _leave_out(one: Scorer, wanted: Sequence[_Wanted], behind_seconds: float) -> None:
    verdict: Verdict = ("shed", "behind", f"by {behind_seconds:.0f} s")
    for run in wanted:
        run.decisions.append(_unscored(one, verdict, run.probability, "shed.after", run.span_id))


def _add_decisions(one: Scorer, run: _Wanted, ran: Ran) -> None:
    """Tell of a call: a decision for each score, or one that says why there is none."""
    decisions, _, probability, rule, span_id, step = run
    verdict, scores, _ = ran
    if span_id is not None and len(scores) > 1:
        verdict, scores = ("failed", "wrong_type", f"{len(scores)} scores of one operation; at most 1"), ()
    if not scores:
        decisions.append(_unscored(one, verdict, probability, rule, span_id, step))
        return
    kind, reason, detail = verdict
    name, evaluator_id = one.name, one.evaluator_id
    for score in scores:
        if span_id is not None:
            score.span_id = span_id
        decisions.append(
            Decision(name, evaluator_id, kind, reason, probability, rule, score, score.span_id, detail, step)
        )


def _after_others(
    one: Scorer, subject: Trace | Session, decisions: list[Decision], probability: float, rule: str
) -> _Wanted:
    """A call that is given scores of the trace. It can say something where these are, so their chance counts."""
    asked = [decision for decision in decisions if decision.scorer in one.after]
    scores = {decision.scorer: decision.score for decision in asked if decision.score is not None}
    chance = min([probability, *(decision.probability for decision in asked)])
    return _Wanted(decisions, (subject, scores), chance, rule)


def _operations(
    one: Scorer, trace: Trace | Session, probability: float, rule: str, decisions: list[Decision]
) -> list[_Wanted]:
    """A call for each operation that has what the scorer needs; on the others it is decided here."""
    assert isinstance(trace, Trace)
    runs = []
    for span_id, operation in parts_of(one.target, trace):
        missing = missing_operation_need(one.needs, one.target, operation, trace)
        if missing is None:
            runs.append(_Wanted(decisions, (operation, trace), probability, rule, span_id))
        else:
            decisions.append(_unscored(one, ("filtered", f"needs:{missing}", ""), probability, rule, span_id))
    if more := left_out(one.target, trace):
        verdict: Verdict = ("filtered", MORE_OPERATIONS, f"{more} more than the first")
        decisions.append(_unscored(one, verdict, probability, rule))
    return runs


def of_content(admission: Admission, trace: Trace) -> Admission:
    """The admission of what the trace says: of its model calls, tool runs and retrievals together."""
    if admission.apart is None:
        return admission
    told = (*trace.llm_calls, *trace.tool_executions, *trace.retrievals)
    return admission.told_by([one.span_id for one in told])


def _identity(subject: Trace | Session) -> bytes:
    """What a scorer's own salt makes a place of."""
    if isinstance(subject, Trace):
        return bytes.fromhex(subject.trace_id)
    return session_key(subject.service, subject.session_id)


def _missing(needs: Sequence[str], subject: Trace | Session) -> str | None:
    """Why a candidate has nothing that the scorer could look at; None if it has all it needs."""
    if not isinstance(subject, Trace):
        need = missing_session_need(needs, subject)
    else:
        need = missing_need(needs, subject)
        if need is not None and subject.repeats and not subject.llm_calls:
            return TOLD_ELSEWHERE
    return None if need is None else f"needs:{need}"
