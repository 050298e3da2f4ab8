"""Calls one scorer, and tells for each call what came of it: scores, or why there are none.

A built-in is called here and now. Others have a thread of their own (`scorers.isolation`), with a timeout; those that
are async may have several calls under way at once.
"""

import inspect
import os
import traceback
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple, TypeAlias

from collector.core.clock import Clock
from collector.core.model import Session, Trace
from collector.patterns import storable
from scorers.base import Filtered, Score, Scorer
from scorers.isolation import Isolated, Raised, Suspended, TimedOut
from scorers.ledger import NOTHING_TO_SCORE, DecisionKind
from scorers.outcome import BadOutcome, is_plain, scores_of
from scorers.retry import with_retries

Verdict: TypeAlias = tuple[DecisionKind, str, str]
"""Decision, reason, detail."""

SCORED: Verdict = ("scored", "ok", "")
_NOTHING: Verdict = ("filtered", NOTHING_TO_SCORE, "")


class Ran(NamedTuple):
    """What came of a call."""

    verdict: Verdict
    scores: Sequence[Score]
    seconds: float


class Execution:
    """See the module.

    Args:
        scorer: what is called.
        clock: tells how long it took.
        retried: called for each call that is tried once more.
    """

    def __init__(self, scorer: Scorer, clock: Clock, retried: Callable[[], None]) -> None:
        self._scorer, self._clock, self._monotonic = scorer, clock, clock.monotonic
        self._isolated = None if scorer.built_in else Isolated(scorer.name, scorer.timeout_seconds)
        call: Callable[..., object] = scorer.function
        if scorer.options:
            call = partial(call, **scorer.options)
        if scorer.retry_on and scorer.retries:
            call = with_retries(call, inspect.iscoroutinefunction(scorer.function), scorer, retried)
        self._call = call

    @property
    def suspended(self) -> bool:
        """Whether it hung so often that it is called no more."""
        return self._isolated is not None and self._isolated.suspended

    def run_all(self, runs: Sequence[Sequence[object]]) -> list[Ran]:
        """Call it with each of these arguments. Never raises."""
        isolated, call = self._isolated, self._call
        if isolated is not None:
            runs = [[_own(one) for one in arguments] for arguments in runs]
        if self._scorer.batch:
            return [ran for some in _chunks(runs, self._scorer.batch) for ran in self._run_batch(some)]
        if isolated is None:
            return [self._run(call, arguments) for arguments in runs]
        if self._scorer.concurrency > 1 and len(runs) > 1:
            found = isolated.call_all([partial(call, *arguments) for arguments in runs], self._scorer.concurrency)
            return [self._run(one.result_or_raise, ())._replace(seconds=one.seconds) for one in found]
        return [self._run(isolated.call, (partial(call, *arguments),)) for arguments in runs]

    def close(self) -> None:
        """Let its thread end. Safe to call twice."""
        if self._isolated is not None:
            self._isolated.close()

    def _run_batch(self, runs: Sequence[Sequence[object]]) -> list[Ran]:
        """One call for several traces. Where it raises, each has one of its own, so that one cannot fail the others."""
        began = self._clock.monotonic()
        try:
            found = self._called([subject for (subject,) in runs])
        except (TimedOut, Suspended) as error:
            failed = Ran(self._failure(error), (), self._clock.monotonic() - began)
            return [failed for _ in runs]
        except Exception as error:
            if len(runs) > 1:
                return [ran for run in runs for ran in self._run_batch([run])]
            return [Ran(self._failure(error), (), self._clock.monotonic() - began)]
        seconds = (self._clock.monotonic() - began) / len(runs)
        if (type(found) is not list and type(found) is not tuple) or len(found) != len(runs):
            wrong = f"a scorer of batches gives a list with an outcome for each of its {len(runs)} traces"
            return [Ran(("failed", "wrong_type", wrong), (), seconds) for _ in runs]
        return [self._run(lambda one=one: one, ())._replace(seconds=seconds) for one in found]

    def _called(self, subjects: list[object]) -> object:
        call = partial(self._call, subjects)
        return call() if self._isolated is None else self._isolated.call(call)

    def _run(self, call: Callable[..., object], arguments: Sequence[object]) -> Ran:
        began = self._monotonic()
        try:
            returned = call(*arguments)
            if type(returned) is Filtered:
                return Ran(("filtered", returned.value, ""), (), self._monotonic() - began)
            scores = self._scores_of(returned)
            verdict = SCORED if scores else _NOTHING
        except Exception as error:  # also a built-in's defect must not stop the others
            scores, verdict = [], self._failure(error)
        return Ran(verdict, scores, self._monotonic() - began)

    def _scores_of(self, returned: object) -> Sequence[Score]:
        """What foreign code returned may run foreign code when it is looked at: that has the code's own thread too."""
        if self._isolated is None or is_plain(returned):
            return scores_of(self._scorer, returned)
        found: Sequence[Score] = self._isolated.call(partial(scores_of, self._scorer, returned))  # type: ignore[assignment]
        return found

    def _failure(self, error: Exception) -> Verdict:
        if isinstance(error, Raised) and isinstance(error.__cause__, BadOutcome):
            error = error.__cause__
        match error:
            case BadOutcome():
                return "failed", error.reason, str(error)
            case TimedOut():
                return "failed", "timeout", f"no result within {self._scorer.timeout_seconds:g} s"
            case Suspended():
                return "failed", "hung", "suspended: it hung too often in this process"
            case Raised():
                return "failed", "exception", _where(error.__cause__ or error)
        return "failed", "exception", _where(error)


def _own(argument: object) -> object:
    """A trace or session that foreign code may set the attributes and change the lists of without harm to others.

    What is in the lists is shared: a scorer that changes a model call changes it for all (`check_scorer` finds it).
    """
    kind = type(argument)
    if kind is not Trace and kind is not Session:
        return argument
    made = kind.__new__(kind)
    for name in kind.__slots__:
        value = getattr(argument, name)
        setattr(made, name, value.copy() if type(value) in (list, dict) else value)
    return made


def _chunks(runs: Sequence[Sequence[object]], size: int) -> Iterator[Sequence[Sequence[object]]]:
    for at in range(0, len(runs), size):
        yield runs[at : at + size]


def _where(error: BaseException) -> str:
    """An exception's type and place. Its message may hold what the trace holds, so it is left out."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {os.path.basename(frames[-1].filename)}:{frames[-1].lineno}" if frames else ""
    return storable(f"{_name_of(type(error))}{place}"[:200])  # a file's name may be of bytes that are no UTF-8


def _name_of(kind: type) -> str:
    """The name of a class, whatever its own metaclass says of it."""
    return str(type.__dict__["__name__"].__get__(kind))
