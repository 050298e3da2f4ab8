"""Runs scorers on a trace and writes down what happened to each: a score, or why there is none.

`Runner.evaluate` never raises and changes nothing but self-metrics; `Runner.record` counts results once they are
committed, so that a replay after a crash does not count twice.
"""

import os
import traceback
from collections.abc import Callable, Collection, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from pydantic import Field, model_validator

from collector.allowance import Allowance, Limit, marked_step, rate_of_step
from collector.core.clock import Clock, SystemClock
from collector.core.component import load
from collector.core.errors import UserError
from collector.core.frequency import Frequency
from collector.core.model import Session, Trace
from collector.core.settings import Duration, Settings
from collector.core.telemetry import Telemetry
from collector.quota import Allowances
from collector.sample import Admission, Rate, hashed_unit
from scorers.base import Score, Scorer
from scorers.calibrate import Calibration, load_calibration
from scorers.isolation import Isolated, Raised, Suspended, TimedOut
from scorers.ledger import NOTHING_TO_SCORE, TOLD_ELSEWHERE, Decision, DecisionKind
from scorers.needs import missing_need, missing_session_need
from scorers.outcome import BadOutcome, scores_of
from scorers.results import Results, Tally

GROUP = "driftline.scorers"

Item: TypeAlias = tuple[Trace | Session, Admission, Collection[str]]
"""A trace or session to evaluate, its sampling, and what `marks_of` gave for its earlier revisions."""


class ScorerConfig(Settings):
    """One entry of `scorers:`, a name or a mapping: `refusal`, or `{use: ./my_scorers.py:politeness, rate: 0.5}`."""

    use: str = Field(min_length=1, description="a built-in's name, MODULE:NAME, or ./FILE.py:NAME")
    name: str | None = Field(default=None, min_length=1, description="what to call it, where one scorer is used twice")
    rate: Rate = Field(default=1.0, description="share of the sampled traces that it scores; 0 means never")
    salt: str | None = Field(default=None, description="makes the choice by its `rate` apart from those of others")
    limit: Limit | None = Field(default=None, description="how often it may run at most, over all workers")
    calibration: Path | None = Field(default=None, description="a file of `driftline score --calibrate`")
    passing: str | None = Field(default=None, description="what passes, such as '>= 0.6'")
    options: dict[str, Any] = Field(default_factory=dict, description="the scorer's own parameters")
    timeout: Duration | None = Field(default=None, description="for scorers that are not built in; 5s if not given")

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        return {"use": value} if isinstance(value, str) else value


def load_scorer(config: ScorerConfig, base: Path | None = None) -> Scorer:
    """The scorer that an entry names, configured.

    Args:
        config: the entry.
        base: the folder that relative files start from.

    Raises:
        UserError: there is no such scorer, it is no scorer, or an option or passing expression is wrong.
    """
    found = load(config.use, GROUP, base)
    if not isinstance(found, Scorer):
        what = "a function without the @scorer(...) decorator" if callable(found) else f"a {type(found).__name__}"
        raise UserError(f"use: {config.use!r} is {what}, not a scorer")
    if config.timeout is not None and config.timeout <= 0:
        raise UserError(f"timeout: {config.use!r} needs more than 0 seconds")
    try:
        configured = found.configured(
            name=config.name,
            passing=config.passing,
            options=config.options,
            rate=config.rate,
            salt=config.salt,
            limit=config.limit,
            calibration=_calibration(config, base),
            timeout_seconds=config.timeout,
        )
        _ = configured.evaluator_id  # reads the data it depends on
    except ValueError as error:
        raise UserError(f"{config.use!r}: {error}") from None
    except OSError as error:
        raise UserError(f"{config.use!r}: {error.filename} cannot be read: {error.strerror}") from None
    return configured


def _calibration(config: ScorerConfig, base: Path | None) -> Calibration | None:
    """Raises UserError."""
    return None if config.calibration is None else load_calibration((base or Path.cwd()) / config.calibration)


def load_scorers(configs: Sequence[ScorerConfig], base: Path | None = None) -> list[Scorer]:
    """All entries of a configuration.

    Raises:
        UserError: with every wrong entry, each by its path.
    """
    loaded: list[Scorer] = []
    problems: list[str] = []
    for number, config in enumerate(configs):
        try:
            one = load_scorer(config, base)
        except UserError as error:
            problems.extend(f"scorers[{number}]: {problem}" for problem in error.problems)
            continue
        if any(other.name == one.name for other in loaded):
            problems.append(f"scorers[{number}]: {one.name!r} is there already; give this one another `name`")
        loaded.append(one)
    if problems:
        raise UserError(*problems)
    return loaded


class Runner:
    """Holds the scorers of a service. Built-ins run inline; others on a thread each, with a timeout."""

    def __init__(self, scorers: Sequence[Scorer], telemetry: Telemetry, clock: Clock | None = None) -> None:
        self.scorers = tuple(scorers)
        placed = list(enumerate(self.scorers))  # with their places in the configuration
        self._of_traces = [(at, one) for at, one in placed if one.target != "session"]
        self._of_sessions = [(at, one) for at, one in placed if one.target == "session"]
        self._results = Results(telemetry, self.scorers)
        self._clock = clock or SystemClock()
        self._isolated = {one.name: Isolated(one.name, one.timeout_seconds) for one in self.scorers if not one.built_in}
        self._calls = {one.name: self._call(one) for one in self.scorers}

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

    def limits(self) -> dict[str, Frequency]:
        """How often scorers of traces may run, by their names."""
        return {one.name: one.limit for _, one in self._of_traces if one.limit is not None}

    def session_limits(self) -> dict[str, Frequency]:
        """The same of scorers of sessions."""
        return {one.name: one.limit for _, one in self._of_sessions if one.limit is not None}

    def evaluate_all(self, items: Sequence["Item"], allowances: Allowances | None = None) -> list[list[Decision]]:
        """The same for several traces. A scorer goes through all of them before the next one begins: its code and its
        tables are then still in the processor's cache, which saves about a tenth of the time.

        Args:
            items: each trace, with the marks that its earlier revisions left.
            allowances: of the partition that the traces are in; without, limits do not count.
        """
        return self._evaluate(self._of_traces, items, allowances)

    def evaluate_session(self, item: "Item", allowances: Allowances | None = None) -> list[Decision]:
        """What becomes of each scorer of sessions for this one."""
        return self._evaluate(self._of_sessions, [item], allowances)[0]

    def _evaluate(
        self, scorers: Sequence[tuple[int, Scorer]], items: Sequence["Item"], allowances: Allowances | None
    ) -> list[list[Decision]]:
        found: list[list[Decision]] = [[] for _ in items]
        for at, one in scorers:
            own_rule = None if one.rate == 1 else f"scorers[{at}].rate"
            seconds: list[float] = []
            limit = None
            if allowances is not None and (allowance := allowances.of_scorer(one.name)) is not None:
                limit = _Limit(allowance, allowances.now_ns, f"scorers[{at}].limit")
            for decisions, item in zip(found, items, strict=True):
                self._decide(one, item, own_rule or item[1].rule, limit, seconds, decisions)
            isolated = self._isolated.get(one.name)
            self._results.ran(one.name, seconds, isolated is not None and isolated.suspended)
        return found

    def _decide(
        self,
        one: Scorer,
        item: "Item",
        rule: str,
        limit: "_Limit | None",
        seconds: list[float],
        decisions: list[Decision],
    ) -> None:
        """Add the decisions on one candidate to `decisions`, and how long the run took to `seconds`."""
        subject, admission, marks = item
        rate, step, scores = one.rate, None, _NO_SCORES
        unit = None if one.salt is None else hashed_unit(_identity(subject), one.salt.encode())
        if not admission.includes(rate, unit):
            kind, reason, detail = _NOT_SAMPLED
        elif (missing := _missing(one.needs, subject)) is not None:
            kind, reason, detail = "filtered", missing, ""
        else:
            refused = None
            if limit is not None:  # it counts for those alone that would be run without it
                step, refused = limit.ask(one, admission, unit, marks)
                rate, rule = (rate * rate_of_step(step), limit.rule) if step or refused else (rate, rule)
            if refused is not None:
                kind, reason, detail = refused, "limit", ""
            else:
                began = self._clock.monotonic()
                (kind, reason, detail), scores = self._run(one, subject)
                seconds.append(self._clock.monotonic() - began)
        name, evaluator_id, probability = one.name, one.evaluator_id, admission.probability(rate, unit)
        for score in scores or _NO_SCORE:
            span_id = None if score is None else score.span_id
            decisions.append(
                Decision(name, evaluator_id, kind, reason, probability, rule, score, span_id, detail, step)
            )

    def tally(self) -> Tally:
        """An empty one, to add traces and their decisions to."""
        return self._results.tally()

    def record(self, tally: Tally) -> None:
        """Count committed decisions in the metrics."""
        self._results.record(tally)

    def close(self) -> None:
        """Let the threads of scorers end. Safe to call twice."""
        for isolated in self._isolated.values():
            isolated.close()

    def _call(self, one: Scorer) -> Callable[[Trace | Session], object]:
        """What runs a scorer on a trace, or on a session."""
        call = partial(one.function, **one.options) if one.options else one.function
        isolated = self._isolated.get(one.name)
        return call if isolated is None else lambda trace: isolated.call(lambda: call(trace))

    def _run(self, one: Scorer, subject: Trace | Session) -> tuple["_Verdict", Sequence[Score]]:
        try:
            scores = scores_of(one, self._calls[one.name](subject))
        except BadOutcome as error:
            return ("failed", error.reason, str(error)), ()
        except TimedOut:
            return ("failed", "timeout", f"no result within {one.timeout_seconds:g} s"), ()
        except Suspended:
            return ("failed", "hung", "suspended: it hung too often in this process"), ()
        except Raised as error:
            return ("failed", "exception", _where(error.__cause__ or error)), ()
        except Exception as error:  # a built-in's defect must not stop the others
            return ("failed", "exception", _where(error)), ()
        return _SCORED if scores else _NOTHING, scores


class _Limit(NamedTuple):
    """A scorer's limit while a batch is evaluated."""

    allowance: Allowance
    now_ns: int
    rule: str

    def ask(
        self, one: Scorer, admission: Admission, unit: float | None, marks: Collection[str]
    ) -> tuple[int, DecisionKind | None]:
        """The step of the rate for this candidate, and why it is not to be run, if it is not.

        A revision has the rate of the first evaluation, and so the same answer.
        """
        step = marked_step(one.name, marks) if marks else None
        if step is None:
            step = self.allowance.step(self.now_ns)
        if not admission.includes(one.rate * rate_of_step(step), unit):
            return step, "throttled"
        return step, None if self.allowance.spend(self.now_ns) else "over_budget"


_Verdict: TypeAlias = tuple[DecisionKind, str, str]  # decision, reason, detail
_SCORED: _Verdict = ("scored", "ok", "")
_NOTHING: _Verdict = ("filtered", NOTHING_TO_SCORE, "")
_NOT_SAMPLED: _Verdict = ("not_sampled", "rate", "")
_NO_SCORE = (None,)
_NO_SCORES: Sequence[Score] = ()


def _identity(subject: Trace | Session) -> bytes:
    if isinstance(subject, Trace):
        return bytes.fromhex(subject.trace_id)
    return f"{subject.service}\0{subject.session_id}".encode("utf-8", "surrogatepass")


def _missing(needs: Sequence[str], subject: Trace | Session) -> str | None:
    """Why a candidate has nothing that the scorer could look at; None if it has all it needs."""
    if not isinstance(subject, Trace):
        need = missing_session_need(needs, subject)
    else:
        need = missing_need(needs, subject)
        if need is not None and subject.repeats and not subject.llm_calls:
            return TOLD_ELSEWHERE
    return None if need is None else f"needs:{need}"


def _where(error: BaseException) -> str:
    """An exception's type and place. Its message may hold what the trace holds, so it is left out."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {os.path.basename(frames[-1].filename)}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{place}"[:200]
