"""The harness itself: nothing it starts stays behind, and what fails says why."""

import os
import sys
from pathlib import Path

import pytest

from tests.real.parts.process import NotReady, Process, free_ports, missing, program, started, wait_until

FOREVER = "import threading; print('up', flush=True); threading.Event().wait()"
WITH_A_CHILD = (
    "import subprocess, sys, threading\n"
    "child = subprocess.Popen([sys.executable, '-c', 'import threading; threading.Event().wait()'])\n"
    "print(child.pid, flush=True)\n"
    "threading.Event().wait()\n"
)


def python(code: str, log_path: Path) -> Process:
    return Process("a program", [sys.executable, "-c", code], log_path)


def exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"  # dead, only not yet collected by init


def test_a_started_process_is_stopped_when_its_block_is_interrupted(tmp_path: Path) -> None:
    log = tmp_path / "log"
    seen: list[Process] = []

    def interrupted() -> None:
        with started("a program", [sys.executable, "-c", FOREVER], log, lambda: "up" in log.read_text()) as process:
            seen.append(process)
            assert process.running
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not seen[0].running


def test_stopping_a_process_ends_its_children_too(tmp_path: Path) -> None:
    process = python(WITH_A_CHILD, tmp_path / "log")
    process.start()
    child = int(process.wait_ready(lambda: process.log_path.read_text().strip()))
    assert exists(child)
    process.stop()
    wait_until(lambda: not exists(child), "the child to be gone", 10)


def test_a_process_that_ends_early_is_reported_at_once_with_the_end_of_its_log(tmp_path: Path) -> None:
    process = python("import sys; print('cannot find my file'); sys.exit(7)", tmp_path / "log")
    process.start()
    with pytest.raises(NotReady, match=r"exit code 7(?s:.*)cannot find my file"):
        process.wait_ready(lambda: False, deadline_seconds=600)


def test_a_wait_that_runs_out_says_what_it_waited_for_and_the_last_error() -> None:
    with pytest.raises(NotReady, match=r"0.1 s for the moon;.*ZeroDivisionError"):
        wait_until(lambda: 1 / 0, "the moon", deadline_seconds=0.1, every_seconds=0.01)


def test_stop_and_kill_may_be_called_twice_and_before_the_start(tmp_path: Path) -> None:
    process = python(FOREVER, tmp_path / "log")
    assert process.kill() is None
    process.start()
    process.wait_ready(lambda: "up" in process.log_path.read_text())
    assert process.kill() == -9
    assert process.kill() == process.stop() == -9


def test_free_ports_are_never_the_same_twice() -> None:
    ports = free_ports(20) + free_ports(20)
    assert len(set(ports)) == 40


def test_a_missing_part_is_a_failure_in_ci_and_a_skip_with_instructions_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="apt-get install nothing-like-it"):
        program("no-such-program", "nothing-like-it")
    monkeypatch.delenv("CI")
    with pytest.raises(pytest.skip.Exception, match="A thing is not installed; on Debian: apt-get install thing"):
        missing("A thing", "apt-get install thing")
