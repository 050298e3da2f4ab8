"""A ready session in; what is known of it, the decision on each scorer of sessions, and points for the watchers out."""

from alerts.events import EventExporter
from collector.core.engine import Record
from collector.core.model import Trace
from collector.core.telemetry import Telemetry
from collector.quota import Allowances
from collector.sample import Sampler
from collector.sessions import ReadySession
from driftline.evaluate import Batch, points
from driftline.outputs import Outputs
from driftline.records import session_sheet
from driftline.score_route import ScoreRoute
from scorers.ledger import marks_of
from scorers.runner import Runner


class SessionEvaluator:
    """Decides and scores. A pure function of the ready session and the configuration.

    The decision is by a hash of the session's id, so that a session is scored or not, whatever its traces are. A keep
    rule for errors keeps a session with a failed trace; one for a slice goes by the session's last trace.
    """

    def __init__(
        self,
        sampler: Sampler,
        runner: Runner,
        route: ScoreRoute,
        outputs: Outputs,
        telemetry: Telemetry,
        events: EventExporter | None = None,
    ) -> None:
        self._sampler, self._runner, self._route, self._events = sampler, runner, route, events
        self._outputs = outputs
        self._outcomes = telemetry.counter("driftline_sessions", "Sessions by what became of them.", ["outcome"])

    def batch(self) -> Batch:
        """An empty one."""
        return Batch(self._runner.tally())

    def allowances(self) -> Allowances:
        """What a partition keeps of the limits of scorers of sessions, as if nothing had happened yet."""
        return Allowances(self._runner.session_limits())

    def evaluate(
        self, ready: ReadySession, batch: Batch, allowances: Allowances, behind_seconds: float = 0.0
    ) -> list[str]:
        """Evaluate a revision of a session, into `batch`; the marks of it, for later revisions.

        `behind_seconds` is how long what made it ready has waited to be worked on.
        """
        session, slices = ready.session, ready.last.slices
        admission = self._sampler.admit_session(ready.key, session.error, slices, ready.upstream)
        decisions = self._runner.evaluate_session((session, admission, ready.scored), allowances, behind_seconds)
        self._outputs.clean_decisions(decisions)  # the rest was redacted with the turns
        record = session_sheet(ready, slices, admission, decisions)
        batch.sheets.append(Record(record, key=bytes.fromhex(ready.id)))
        told = points(ready.id, session.end_ns, decisions, slices, lambda one: one.scorer in ready.scored)
        batch.points += self._route.records(told)
        stand_in = _last_trace(ready)
        if self._events is not None:
            batch.events.append((stand_in, decisions, ready.revision))
        if not ready.revision:  # a revision corrects; it is no further session
            batch.results.add(stand_in, decisions)
        outcome = "revised" if ready.revision else "incomplete" if session.incomplete else "evaluated"
        batch.outcomes[(outcome,)] += 1
        return marks_of(decisions)

    def record(self, batch: Batch) -> None:
        """Tell metrics and events of evaluations that were committed."""
        for trace, decisions, revision in batch.events:
            assert self._events is not None
            self._events.emit(trace, decisions, revision)
        self._runner.record(batch.results)
        self._outcomes.add_all(batch.outcomes)


def _last_trace(ready: ReadySession) -> Trace:
    """The trace that stands for the session where one is to be opened: exemplars, and the parent of events."""
    last, session = ready.last, ready.session
    return Trace(
        last.turn.trace_id,
        start_ns=last.turn.start_ns,
        end_ns=session.end_ns,
        session_id=session.session_id,
        error=session.error,
        resource={"service.name": session.service},
        incomplete=session.incomplete,
        root_span_id=last.root_span_id,
    )
