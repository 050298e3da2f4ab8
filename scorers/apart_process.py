"""The process in which the scorers of users run: `python -m scorers.apart_process FD`, started by `scorers.apart`.

It takes calls from a socket and answers each with what came of it, as in the service itself (`scorers.execution`):
with timeouts, retries, and coroutines side by side. It ends with the service, whatever it is at.
"""

import ctypes
import logging
import os
import pickle
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any

import orjson

from collector.core.clock import SystemClock
from collector.core.errors import UserError
from collector.patterns import storable
from scorers.apart_wire import Entry, Setup, pieces, receive, send, told
from scorers.base import Scorer
from scorers.execution import Execution, Ran
from scorers.loading import load_scorer

_PR_SET_PDEATHSIG = 1
_LONGEST_LOG = 10_000


class _Answers:
    """The way back, which threads share."""

    def __init__(self, service: socket.socket) -> None:
        self._service, self._lock = service, Lock()

    def send(self, message: dict[str, Any]) -> None:
        """Raises OSError."""
        with self._lock:
            send(self._service, orjson.dumps(message))


class _ToService(logging.Handler):
    """Logs in the service, which knows where to and what must not be in it."""

    def __init__(self, answers: _Answers) -> None:
        super().__init__()
        self._answers = answers

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = storable(self.format(record)[:_LONGEST_LOG])
            self._answers.send({"log": [storable(record.name[:_LONGEST_LOG]), record.levelno, text]})
        except Exception:
            self.handleError(record)


class _Loaded:
    """A scorer, and how often it was tried again since the last answer."""

    def __init__(self, scorer: Scorer) -> None:
        self.scorer, self.retried = scorer, 0
        self.execution = Execution(scorer, SystemClock(), self._count)

    def _count(self) -> None:
        self.retried += 1


def main(number: int) -> None:
    _end_with_the_service()
    service = socket.socket(fileno=number)
    setup: Setup = pickle.loads(receive(service))  # noqa: S301 - from the service
    sys.path[:] = setup.path
    answers = _Answers(service)
    logging.getLogger().setLevel(setup.log_level)
    logging.getLogger().handlers = [_ToService(answers)]
    base = None if setup.base is None else Path(setup.base)
    loaded: dict[str, _Loaded] = {}
    problems: dict[str, str] = {}
    for entry in setup.entries:
        try:
            loaded[entry.name] = _Loaded(_load(entry, base))
        except UserError as error:
            problems[entry.name] = str(error)
    answers.send({"problems": problems})
    while True:
        name, runs = pickle.loads(receive(service))  # noqa: S301 - from the service
        _answer(answers, loaded[name], runs)


def _load(entry: Entry, base: Path | None) -> Scorer:
    found = load_scorer(entry.config, base)
    if found.code_id != entry.code_id:
        raise UserError("its code is another than the service began with; `driftline reload` takes it as it is now")
    return found


def _answer(answers: _Answers, one: _Loaded, runs: Sequence[Sequence[object]]) -> None:
    size = pieces(one.scorer, len(runs))
    for at in range(0, len(runs), size):
        found = one.execution.run_all(runs[at : at + size])
        retried, one.retried = one.retried, 0
        suspended = one.execution.suspended
        answers.send({"ran": [_as_json(ran) for ran in found], "retried": retried, "suspended": suspended})


def _as_json(ran: Ran) -> dict[str, Any]:
    return {"verdict": ran.verdict, "scores": [told(score) for score in ran.scores], "seconds": ran.seconds}


def _end_with_the_service() -> None:
    """Also where a call holds the interpreter, and the end of the socket is never read."""
    with suppress(OSError, AttributeError):  # Linux has it
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    with suppress(OSError):  # where memory is short, this is to go first
        Path("/proc/self/oom_score_adj").write_text("1000")


if __name__ == "__main__":
    try:
        main(int(sys.argv[1]))
    except (EOFError, OSError):
        os._exit(0)  # the service has ended, or closed it; threads that hang are not waited for
    except BaseException as error:
        print(f"driftline: the process of scorers: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
        os._exit(1)
