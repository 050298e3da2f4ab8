"""The demo from beginning to end, and the pieces that make it repeatable."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from collector.core.errors import UserError
from driftline.config import Config
from driftline.demo.run import USUAL_ADDRESSES, configuration, fires, free_addresses, fresh_store


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


@pytest.fixture
def demo(tmp_path: Path) -> Iterator["Demo"]:
    demo = Demo(tmp_path)
    yield demo
    demo.kill()


class Demo:
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


def test_the_regression_is_found_and_its_alert_arrives(demo: Demo) -> None:
    demo.start("--exit", "--deadline", "120")
    code = demo.finish()
    text = "".join(demo.lines)
    assert code == 0, text
    assert "Evaluated 3,000 traces of 3,000 sent" in text
    assert "service clinic-assistant" in text
    assert "Alert received (firing)" in text
    for other in ("shop-support", "travel-desk", "bank-desk"):
        assert f"service {other}" not in text


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_it_is_told_to_stop(demo: Demo, number: int) -> None:
    demo.start("--traces", "20", "--deadline", "0")
    demo.until("Serving on")
    page = demo.until("page").split()[-1]
    assert httpx.get(page).status_code == 200
    assert "driftline_" in httpx.get(page + "metrics").text
    demo.interrupt(number)
    assert demo.finish() == 0


def test_without_an_alert_the_answer_is_no(demo: Demo) -> None:
    demo.start("--traces", "20", "--exit", "--deadline", "0")
    assert demo.finish() == 1


def test_it_stops_at_once_in_the_middle_of_playing(demo: Demo) -> None:
    demo.start("--traces", "100000")
    demo.until("sent")
    demo.interrupt(signal.SIGINT)
    assert demo.finish() == 0
