"""Real processes: free ports, one log file each, a wait with a deadline, and never one left behind."""

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NoReturn, TypeVar

import pytest

T = TypeVar("T")

# Below the range the kernel takes source ports from: a part that is started again finds its port still free, where a
# port of that range may meanwhile be the near end of some client's connection.
_LOWEST_PORT, _HIGHEST_PORT = 20_000, 32_000
_handed_out: set[int] = set()

STOP_SECONDS = 30.0  # a broker writes its state on the way out; past this it is killed


class NotReady(AssertionError):
    """A part did not do what was waited for in time, or ended early."""


# --- is it installed? --------------------------------------------------------------------------------------------


def missing(what: str, install: str) -> NoReturn:
    """Fail where every part must be there (`CI=true`), skip with instructions anywhere else."""
    reason = f"{what} is not installed; on Debian: {install}"
    if os.environ.get("CI", "").lower() in {"1", "true", "yes"}:
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def program(name: str, package: str) -> str:
    """The full path of a program, or `missing` with the Debian package that has it."""
    found = shutil.which(name)
    if found is None:
        missing(name, f"apt-get install {package}")
    return found


# --- ports and waiting -------------------------------------------------------------------------------------------


def free_ports(count: int) -> list[int]:
    """`count` different TCP ports of the loopback interface that nothing listens on, never the same twice in a run."""
    ports: list[int] = []
    draw = random.SystemRandom()
    while len(ports) < count:
        port = draw.randint(_LOWEST_PORT, _HIGHEST_PORT)
        if port not in _handed_out and _is_free(port):
            _handed_out.add(port)
            ports.append(port)
    return ports


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def wait_until(look: Callable[[], T], what: str, deadline_seconds: float = 30.0, every_seconds: float = 0.05) -> T:
    """Call `look` until it returns something true, and return that.

    Raises:
        NotReady: after `deadline_seconds`, with `what` was waited for and the last answer or error.
    """
    deadline = time.monotonic() + deadline_seconds
    while True:
        answer: object
        try:
            found = look()
        except NotReady:
            raise
        except Exception as error:  # not up yet looks like any kind of error: refused, reset, half an answer
            answer = error
        else:
            if found:
                return found
            answer = found
        if time.monotonic() >= deadline:
            raise NotReady(f"waited {deadline_seconds:g} s for {what}; the last answer was {answer!r}")
        time.sleep(every_seconds)


# --- processes ---------------------------------------------------------------------------------------------------


class Process:
    """One running program with its children: its own process group, output in `log_path` (appended at each start)."""

    def __init__(self, name: str, command: Sequence[str], log_path: Path, env: Mapping[str, str] | None = None) -> None:
        self.name = name
        self.log_path = log_path
        self._command = [*_dies_with_us(), *command]
        self._env = {**os.environ, **(env or {})}
        self._child: subprocess.Popen[bytes] | None = None

    def __repr__(self) -> str:
        return f"<{self.name} pid={self.pid if self.running else None}>"

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.poll() is None

    @property
    def pid(self) -> int:
        assert self._child is not None, f"{self.name} was never started"
        return self._child.pid

    @property
    def exit_code(self) -> int | None:
        return None if self._child is None else self._child.poll()

    def start(self) -> None:
        assert not self.running, f"{self.name} runs already"
        with self.log_path.open("ab") as log:
            self._child = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._env,
                start_new_session=True,  # one group to kill, and Ctrl-C reaches the test run alone
            )

    def wait_ready(self, look: Callable[[], T], deadline_seconds: float = 60.0) -> T:
        """`wait_until(look)`, given up at once when the process ends; the failure shows the end of its log."""

        def alive_and_ready() -> T:
            if not self.running:
                raise NotReady(f"it ended with exit code {self.exit_code}")
            return look()

        try:
            return wait_until(alive_and_ready, f"{self.name} to be ready", deadline_seconds)
        except NotReady as error:
            raise NotReady(f"{self.name}: {error}\n{self.log_tail()}") from None

    def log_tail(self, lines: int = 40) -> str:
        if not self.log_path.exists():
            return "(no log)"
        text = self.log_path.read_bytes()[-100_000:].decode(errors="replace")
        return "\n".join([f"--- end of {self.log_path}", *text.splitlines()[-lines:]])

    def stop(self, deadline_seconds: float = STOP_SECONDS) -> int | None:
        """Ask it to end (SIGTERM), kill what is left after the deadline; its exit code. Fine to call twice."""
        if self.running:
            self._signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._join(deadline_seconds)
        return self.kill()

    def kill(self) -> int | None:
        """End it and its children at once (SIGKILL); fine to call twice."""
        if self._child is None:
            return None
        self._signal(signal.SIGKILL)  # also after the leader is gone: children may have stayed
        return self._join(STOP_SECONDS)

    def join(self, deadline_seconds: float) -> int:
        """Wait for it to end by itself and return its exit code; `NotReady` with the end of its log if it does not."""
        try:
            return self._join(deadline_seconds)
        except subprocess.TimeoutExpired:
            raise NotReady(f"{self.name} still runs after {deadline_seconds:g} s\n{self.log_tail()}") from None

    def _join(self, deadline_seconds: float) -> int:
        assert self._child is not None
        return self._child.wait(deadline_seconds)

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)


@contextlib.contextmanager
def started(
    name: str,
    command: Sequence[str],
    log_path: Path,
    ready: Callable[[], object],
    *,
    env: Mapping[str, str] | None = None,
    deadline_seconds: float = 60.0,
) -> Iterator[Process]:
    """A process that is ready; stopped with its children however the block ends, Ctrl-C included."""
    process = Process(name, command, log_path, env)
    try:
        process.start()
        process.wait_ready(ready, deadline_seconds)
        yield process
    finally:
        process.stop()


def _dies_with_us() -> list[str]:
    """A prefix that has the kernel kill the process when the test run is killed; empty without `setpriv`.

    The kernel ties it to the *thread* that started it, so start parts from one that lives as long as they do.
    """
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []
