"""Scorers of users, in a process of their own: what they hang, crash, fill or change is not the service.

A thread (`scorers.isolation`) outlives code that sleeps or loops. It does not outlive a regular expression that
backtracks for hours, or any other call that holds the interpreter: then nothing in the process runs. So the service
waits for an answer a little longer than that thread would, then ends the process and starts another.
"""

import logging
import math
import os
import pickle
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any

import orjson

from collector.core.telemetry import Telemetry
from scorers.apart_wire import Entry, Setup, pieces, receive, score_of, send
from scorers.base import Filtered, Scorer
from scorers.execution import Ran, Verdict
from scorers.isolation import MOST_HUNG
from scorers.ledger import NOTHING_TO_SCORE
from scorers.loading import ScorerConfig
from scorers.outcome import BadOutcome, scores_of

_log = logging.getLogger(__name__)

_LOAD_SECONDS = 120.0  # models may be read
_PAUSE_SECONDS = 10.0  # after a start that failed
_REMEMBERED_SECONDS = 3600.0  # so many ends within this suspend a scorer
_END_SECONDS = 2.0  # for an end of its own, once its socket is closed
_VERDICTS = frozenset(
    [("filtered", reason) for reason in (NOTHING_TO_SCORE, *(one.value for one in Filtered))]
    + [("failed", reason) for reason in ("exception", "timeout", "hung", "not_finite", "out_of_range", "wrong_type")]
)
_LONGEST_DETAIL = 2_000


class Apart:
    """The process, and the scorers that run in it.

    Args:
        scorers: each with its entry of the configuration.
        base: the folder that relative files start from.
        telemetry: counts how often the process was ended.
        grace_seconds: how much longer than it should take an answer is waited for.
    """

    def __init__(
        self,
        scorers: Sequence[tuple[Scorer, ScorerConfig]],
        base: Path | None,
        telemetry: Telemetry,
        grace_seconds: float = 2.0,
    ) -> None:
        self._grace_seconds = grace_seconds
        self.names = frozenset(one.name for one, _ in scorers)
        raw = {"calibration": None}  # is applied here: a process that lies can then not lie about more than a score
        entries = [Entry(one.name, config.model_copy(update=raw), one.code_id) for one, config in scorers]
        self._entries, self._base = entries, None if base is None else str(base.absolute())
        self._start_again_at = 0.0  # by the monotonic clock
        self._lock = Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._problems: Mapping[str, str] = {}
        self._ends: dict[str, deque[float]] = {}  # the last of each scorer, by the monotonic clock
        self.suspended: set[str] = set()
        self._ended = telemetry.counter(
            "driftline_scorer_process_ends",
            "Times that the process of a configuration's own scorers ended, or was ended, over a call of one.",
            ("scorer",),
        )

    def run_all(self, scorer: Scorer, runs: Sequence[Sequence[object]], retried: Callable[[], None]) -> list[Ran]:
        """Call a scorer with each of these arguments. Never raises."""
        found: list[Ran] = []
        with self._lock:
            while len(found) < len(runs):
                if scorer.name in self.suspended:
                    hung: Verdict = ("failed", "hung", "suspended: it hung or ended its process too often")
                    found += [Ran(hung, (), 0.0)] * (len(runs) - len(found))
                else:
                    found += self._run_some(scorer, runs[len(found) :], retried)
        return found

    def close(self) -> None:
        """End the process. Safe to call twice; another call starts another."""
        with self._lock:
            self._end()

    def _run_some(self, scorer: Scorer, runs: Sequence[Sequence[object]], retried: Callable[[], None]) -> list[Ran]:
        """What came of the first of these calls, up to and with one that ended the process."""
        try:
            connection = self._started()
        except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
            return [Ran(self._not_started(error), (), 0.0)] * len(runs)
        if (problem := self._problems.get(scorer.name)) is not None:
            return [_failed(f"not loaded: {problem}")] * len(runs)
        try:
            message = pickle.dumps((scorer.name, [tuple(arguments) for arguments in runs]))
        except RecursionError:  # JSON may be nested deeper than pickle goes: alone, it costs the others nothing
            if len(runs) > 1:
                return self._run_some(scorer, runs[:1], retried)
            return [_failed("RecursionError: nested too deep for its process")]
        return self._ask(connection, message, scorer, len(runs), retried)

    def _ask(
        self, connection: socket.socket, message: bytes, scorer: Scorer, count: int, retried: Callable[[], None]
    ) -> list[Ran]:
        size, found = pieces(scorer, count), list[Ran]()
        allowed_seconds = _limit_seconds(scorer, size) + self._grace_seconds
        began = time.monotonic()
        try:
            connection.settimeout(allowed_seconds)
            send(connection, message)
            while len(found) < count and scorer.name not in self.suspended:
                began = time.monotonic()
                answer = _next(connection, began + allowed_seconds)
                found += self._answered(scorer, answer, min(size, count - len(found)), retried)
        except (OSError, EOFError, ValueError) as error:
            lost = Ran(self._blamed(scorer, error), (), time.monotonic() - began)
            found += [lost] * min(size, count - len(found))
        return found

    def _answered(self, scorer: Scorer, answer: Any, count: int, retried: Callable[[], None]) -> list[Ran]:
        """Raises ValueError: it is no answer to so many calls."""
        try:
            found = [outcome_of(scorer, one) for one in answer["ran"]]
            for _ in range(min(int(answer["retried"]), scorer.retries * count)):
                retried()
            suspended = bool(answer["suspended"])
        except (TypeError, KeyError) as error:
            raise ValueError(f"no answer: {type(error).__name__}") from None
        if len(found) != count:
            raise ValueError(f"{len(found)} outcomes of {count} calls")
        if suspended:  # what hangs goes with the process
            self._suspend(scorer)
            self._end()
        return found

    def _blamed(self, scorer: Scorer, error: Exception) -> Verdict:
        """End the process, over a call of this scorer."""
        if isinstance(error, TimeoutError):
            self._end()
            verdict: Verdict = ("failed", "timeout", "no answer: its process was ended")
        elif isinstance(error, EOFError | ConnectionError):
            verdict = ("failed", "exception", f"ended its process ({_ending(self._end(_END_SECONDS))})")
        else:
            self._end()
            verdict = ("failed", "exception", f"its process was ended: {type(error).__name__}")
        self._ended.add(1, scorer.name)
        _log.warning("scorer %s: %s", scorer.name, verdict[2])
        ends = self._ends.setdefault(scorer.name, deque(maxlen=MOST_HUNG))
        ends.append(time.monotonic())
        if len(ends) == MOST_HUNG and ends[-1] - ends[0] < _REMEMBERED_SECONDS:
            self._suspend(scorer)
        return verdict

    def _suspend(self, scorer: Scorer) -> None:
        self.suspended.add(scorer.name)
        _log.warning("scorer %s: suspended until the next start or reload", scorer.name)

    def _started(self) -> socket.socket:
        """A connection to the process, which is started if there is none.

        Raises:
            OSError, EOFError, ValueError: it does not start.
        """
        if self._socket is not None and self._process is not None and self._process.poll() is None:
            return self._socket
        self._end()
        if time.monotonic() < self._start_again_at:
            raise BlockingIOError("it did not start a moment ago")
        ours, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, "-P", "-m", "scorers.apart_process", str(theirs.fileno())]
            self._socket = ours
            self._process = subprocess.Popen(  # noqa: S603 - our own
                command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, start_new_session=True
            )
        ours.settimeout(_LOAD_SECONDS)
        setup = Setup(self._entries, self._base, tuple(sys.path), logging.getLogger().getEffectiveLevel())
        send(ours, pickle.dumps(setup))
        self._problems = dict(_next(ours, time.monotonic() + _LOAD_SECONDS)["problems"])
        for name, problem in self._problems.items():
            _log.warning("scorer %s: not loaded: %s", name, problem)
        return ours

    def _not_started(self, error: Exception) -> Verdict:
        """No scorer is to blame, and the next call tries again, a little later."""
        if not isinstance(error, BlockingIOError):
            code = self._end(_END_SECONDS)
            self._start_again_at = time.monotonic() + _PAUSE_SECONDS
            _log.warning("the process of scorers did not start: %s (%s)", type(error).__name__, _ending(code))
        return "failed", "exception", "its process did not start"

    def _end(self, wait_seconds: float = 0.0) -> int:
        """End the process, with what it started, and say how it ended; 0 if there was none.

        Args:
            wait_seconds: for an end of its own.
        """
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._process is None:
            return 0
        process, self._process = self._process, None
        with suppress(subprocess.TimeoutExpired):
            process.wait(wait_seconds)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):  # in vain only where the kernel holds it
            process.wait(_END_SECONDS)
        return process.returncode or 0


class ApartExecution:
    """As `scorers.execution.Execution`, of a scorer that runs in the process."""

    def __init__(self, apart: Apart, scorer: Scorer, retried: Callable[[], None]) -> None:
        self._apart, self._scorer, self._retried = apart, scorer, retried

    @property
    def suspended(self) -> bool:
        return self._scorer.name in self._apart.suspended

    def run_all(self, runs: Sequence[Sequence[object]]) -> list[Ran]:
        return self._apart.run_all(self._scorer, runs, self._retried)

    def close(self) -> None:
        self._apart.close()


def _limit_seconds(scorer: Scorer, count: int) -> float:
    """How long so many calls, answered together, may take: each and the look at what it gave with its timeout."""
    one = scorer.timeout_seconds * 1.1 + 0.05
    calls = count + 1 if scorer.batch else math.ceil(count / scorer.concurrency)
    return 2 * calls * one


def _next(connection: socket.socket, until: float) -> Any:
    """The next answer. What the process has to log on the way is logged.

    Raises:
        EOFError, OSError, ValueError.
    """
    while True:
        answer = orjson.loads(receive(connection, until))
        if not isinstance(answer, dict) or "log" not in answer:
            return answer
        try:
            name, level, text = answer["log"]
            logging.getLogger(str(name)).log(int(level), "%s", text)
        except TypeError:
            raise ValueError("no log entry") from None


def outcome_of(scorer: Scorer, said: Any) -> Ran:
    """What came of a call, as the process tells it; scores are checked as if the scorer had returned them here.

    Raises:
        ValueError: it tells no outcome.
    """
    try:
        kind, reason, detail = said["verdict"]
        seconds = float(said["seconds"])
        if kind == "scored":
            return Ran(("scored", "ok", ""), scores_of(scorer, [score_of(one) for one in said["scores"]]), seconds)
        if (kind, reason) not in _VERDICTS:
            raise ValueError("no verdict")
        return Ran((kind, reason, str(detail)[:_LONGEST_DETAIL]), (), seconds)
    except BadOutcome as error:
        return Ran(("failed", error.reason, str(error)), (), 0.0)
    except (TypeError, KeyError) as error:
        raise ValueError(f"no outcome: {type(error).__name__}") from None


def _failed(detail: str) -> Ran:
    return Ran(("failed", "exception", detail[:_LONGEST_DETAIL]), (), 0.0)


def _ending(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"
