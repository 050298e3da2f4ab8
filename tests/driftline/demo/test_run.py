"""The demo from beginning to end, and the pieces that make it repeatable."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from io import StringIO
from pathlib import Path
from threading import Event
from typing import ClassVar, cast

import httpx
import pytest
from rich.console import Console

from collector.core.errors import DriftlineError, UserError
from drift.base import Change
from driftline.config import Config
from driftline.demo.receiver import AlertReceiver
from driftline.demo.recordings import shipped_sample
from driftline.demo.run import USUAL_ADDRESSES, Demo, Options, configuration, fires, free_addresses, fresh_store
from driftline.demo.show import Screen
from driftline.demo.traffic import Request, Traffic
from driftline.service import Service


def test_the_configuration_is_one_that_a_file_could_hold(tmp_path: Path) -> None:
    listen, _ = free_addresses()
    config = Config.model_validate(
        configuration(listen, tmp_path / "demo.db", "http://127.0.0.1:1/alerts", "http://127.0.0.1:9093")
    )
    assert [(m.watch, tuple(m.by)) for m in config.monitors] == [
        ("groundedness", ("service", "version")),
        ("refusal", ("service", "version")),
    ]
    assert config.store.path == tmp_path / "demo.db"
    assert config.alerts.alertmanager is not None


def test_ports_that_are_taken_are_replaced_and_that_is_said() -> None:
    with ExitStack() as stack:
        for _, port in USUAL_ADDRESSES.values():
            taken = stack.enter_context(socket.socket())
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                taken.bind(("127.0.0.1", port))
                taken.listen()
            except OSError:
                continue  # somebody else has it: as good
        listen, moved = free_addresses()
    usual = {f"127.0.0.1:{port}" for _, port in USUAL_ADDRESSES.values()}
    assert not usual & set(listen.values())
    assert len(set(listen.values())) == 3
    assert "port 4318 is taken, so OTLP/HTTP is on" in moved["otlp_http"]


def test_an_earlier_demo_s_data_goes_and_everything_else_stays(tmp_path: Path) -> None:
    for name in ("demo.db", "demo.db-wal", "demo.db.view", "mine.db", "notes.txt"):
        (tmp_path / name).write_text("x")
    assert fresh_store(tmp_path) == tmp_path / "demo.db"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.db", "notes.txt"]


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match=r"--data .*file/inner: cannot be used"):
        fresh_store(tmp_path / "file" / "inner")


def test_only_a_change_that_lasts_is_the_alert_waited_for() -> None:
    assert fires({"notifications": [{"status": "resolved"}, {"status": "firing"}]})
    assert not fires({"notifications": [{"status": "resolved"}]})
    assert not fires({})


class Quiet(Traffic):
    """Traffic of which nothing is sent."""

    def requests(self) -> Iterator[Request]:
        return iter(())


class FakeService:
    """What the demo asks of a service."""

    addresses: ClassVar[dict[str, str]] = dict.fromkeys(USUAL_ADDRESSES, "127.0.0.1:1")

    def __init__(self, problems: list[str]) -> None:
        self._problems = problems

    def failures(self) -> list[str]:
        return self._problems

    def counts(self) -> dict[str, int]:
        return {"traces_received": 0, "traces_scored": 0, "scores": 0, "changes": 0}

    def changes(self) -> list[Change]:
        return []


@contextmanager
def quiet_demo(tmp_path: Path, problems: list[str] | None = None) -> Iterator[tuple[Demo, AlertReceiver]]:
    """A demo that sends nothing and shall leave; nobody waits for its alert."""
    receiver = AlertReceiver()
    traffic = Quiet(shipped_sample(), end_ns=1_800_000_000 * 10**9, traces=1)
    options = Options(1, 1, tmp_path, leave=True, deadline_seconds=0)
    with Screen(Console(file=StringIO()), 1, traffic.truth) as screen:
        service = cast("Service", FakeService(problems or []))
        yield Demo(service, traffic, receiver, screen, options, Event()), receiver
    receiver.close()


def test_without_an_alert_the_answer_is_no(tmp_path: Path) -> None:
    with quiet_demo(tmp_path) as (demo, _):
        assert demo.run() == 1


def test_with_an_alert_the_answer_is_yes(tmp_path: Path) -> None:
    with quiet_demo(tmp_path) as (demo, receiver):
        httpx.post(receiver.url, json={"notifications": [{"status": "firing"}]})
        assert demo.run() == 0


def test_a_service_that_fails_ends_the_demo(tmp_path: Path) -> None:
    with quiet_demo(tmp_path, ["score: disk full"]) as (demo, _), pytest.raises(DriftlineError, match="disk full"):
        demo.run()


@pytest.fixture
def demo(tmp_path: Path) -> Iterator["DemoProcess"]:
    demo = DemoProcess(tmp_path)
    yield demo
    demo.kill()


class DemoProcess:
    """`driftline demo` as a process of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[str] | None = None
        self.lines: list[str] = []

    def start(self, *options: str) -> None:
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                "from driftline.cli import main; main()",
                "demo",
                "--data",
                str(self._folder),
                *options,
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )

    def until(self, words: str) -> str:
        """Read lines until one has these words; that line."""
        assert self._process is not None
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.lines.append(line)
            if words in line:
                return line
        raise AssertionError(f"{words!r} was never said in:\n" + "".join(self.lines))

    def finish(self) -> int:
        assert self._process is not None
        rest, _ = self._process.communicate(timeout=60)
        self.lines.append(rest)
        return self._process.returncode

    def interrupt(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.communicate()


def test_the_regression_is_found_and_its_alert_arrives(demo: DemoProcess) -> None:
    demo.start("--traces", "1500", "--exit", "--deadline", "120")
    code = demo.finish()
    text = "".join(demo.lines)
    assert code == 0, text
    assert "Evaluated 1,500 traces of 1,500 sent" in text
    assert "service clinic-assistant" in text
    assert "Alert received (firing)" in text
    for other in ("shop-support", "travel-desk", "bank-desk"):
        assert f"service {other}" not in text


def test_it_serves_until_it_is_told_to_stop(demo: DemoProcess) -> None:
    demo.start("--traces", "20", "--deadline", "0")
    demo.until("Serving on")
    assert "No alert came within 0 s" in "".join(demo.lines)
    page = demo.until("page").split()[-1]
    assert httpx.get(page).status_code == 200
    assert "driftline_" in httpx.get(page + "metrics").text
    demo.interrupt(signal.SIGINT)
    assert demo.finish() == 0


def test_it_stops_in_the_middle_of_playing(demo: DemoProcess) -> None:
    demo.start("--traces", "10000")
    demo.until("Playing")
    demo.interrupt(signal.SIGTERM)
    assert demo.finish() == 0
    assert "Stopped" in demo.lines[-1]
