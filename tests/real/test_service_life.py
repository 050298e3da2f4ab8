"""How `driftline serve` begins and ends: what it refuses to begin with, in which words, and how it stops."""

import contextlib
import os
import re
import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml

from tests.real.app import Settings
from tests.real.bodies import TraceBodies, record_app
from tests.real.parts.process import wait_until
from tests.real.service import DRIFTLINE, Service, run_driftline, service

START_NS = 1_750_000_000_000_000_000
BAD_DOCUMENT = {
    "listen": {"otlp_http": "4318", "web": "0.0.0.0:8321", "ports": 3},
    "store": {"path": 7, "max_size": "20 bananas"},
    "assemble": {"quiet": 5},
    "sample": {"rate": 1.5, "keep": [{"when": "sometimes"}]},
    "scorers": ["refusal", {"rate": 0.5}],
    "monitors": [{"watch": "refusal", "direction": "sideways"}],
    "false_pages": "hardly any",
    "alerts": {"webhook": {"url": "not an address"}},
    "surprise": True,
}
BAD_PATHS = (
    "listen.otlp_http",
    "listen.ports",
    "store.path",
    "store.max_size",
    "assemble.quiet",
    "sample.rate",
    "sample.keep[0].when",
    "scorers[1].use",
    "monitors[0].direction",
    "false_pages",
    "alerts.webhook.url",
    "surprise",
)


def lines(finished: "subprocess.CompletedProcess[str]") -> list[str]:
    """What it said on standard error."""
    assert "Traceback" not in finished.stdout + finished.stderr
    return finished.stderr.splitlines()


def write(folder: Path, document: object) -> Path:
    path = folder / "driftline.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


def quiet_document(folder: Path, **listen: str | None) -> dict[str, object]:
    off = dict.fromkeys(("otlp_http", "otlp_grpc", "web"))
    return {"listen": {**off, **listen}, "store": {"path": str(folder / "driftline.db")}}


@pytest.fixture(scope="module", autouse=True)
def locked_out(tmp_path_factory: pytest.TempPathFactory) -> Iterator["subprocess.Popen[str]"]:
    """A service whose store another program keeps locked. It waits half a minute: begun first, asked about last."""
    folder = tmp_path_factory.mktemp("locked")
    with contextlib.closing(sqlite3.connect(folder / "driftline.db")) as connection:
        connection.execute("CREATE TABLE theirs (x)")
        connection.execute("BEGIN EXCLUSIVE")
        command = [DRIFTLINE, "serve", "-c", str(write(folder, quiet_document(folder)))]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as waiting:
            yield waiting
            waiting.kill()


@pytest.fixture(scope="module")
def body() -> TraceBodies:
    return record_app(1, 71, START_NS, Settings(content="span"))[0]


def post(driftline: Service, body: TraceBodies) -> None:
    headers = {"content-type": "application/x-protobuf"}
    content = body.spans.SerializeToString()
    assert httpx.post(f"{driftline.otlp_http}/v1/traces", content=content, headers=headers).status_code == 200


# --- what it refuses ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["check", "serve"])
def test_every_error_of_a_configuration_is_told_with_its_path(tmp_path: Path, command: str) -> None:
    finished = run_driftline(command, "-c", write(tmp_path, BAD_DOCUMENT))
    assert finished.returncode == 2
    told = lines(finished)
    for path in BAD_PATHS:
        assert any(f": {path}: " in line for line in told), f"{path} is not in {told}"
    assert len(told) == len(BAD_PATHS)
    assert list(tmp_path.iterdir()) == [tmp_path / "driftline.yaml"], "nothing was begun"


def test_scorers_and_monitors_that_do_not_exist_are_told_of_all_at_once(tmp_path: Path) -> None:
    document = {"scorers": ["refusal", "no_such", "./missing.py:one"], "monitors": []}
    finished = run_driftline("check", "-c", write(tmp_path, document))
    assert finished.returncode == 2
    assert [re.search(r"scorers\[\d\]", line)[0] for line in lines(finished)] == ["scorers[1]", "scorers[2]"]  # type: ignore[index]


@pytest.mark.parametrize("listener", ["otlp_http", "otlp_grpc", "web"])
def test_an_address_in_use_is_one_line(tmp_path: Path, listener: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        finished = run_driftline("serve", "-c", write(tmp_path, quiet_document(tmp_path, **{listener: address})))
    assert finished.returncode == 2
    (line,) = lines(finished)
    assert address in line


def test_a_store_that_is_none_is_one_line(tmp_path: Path) -> None:
    document = quiet_document(tmp_path)
    (tmp_path / "driftline.db").write_bytes(b"This was never a database. " * 1000)
    finished = run_driftline("serve", "-c", write(tmp_path, document))
    assert finished.returncode == 3
    (line,) = lines(finished)
    assert "driftline.db" in line
    assert "not a database" in line


def test_a_store_of_a_newer_version_is_one_line(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "driftline.db")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    finished = run_driftline("serve", "-c", write(tmp_path, quiet_document(tmp_path)))
    assert finished.returncode == 3
    (line,) = lines(finished)
    assert "99" in line


def test_a_store_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "in_the_way").write_text("a file, not a folder")
    finished = run_driftline("serve", "-c", write(tmp_path, quiet_document(tmp_path / "in_the_way")))
    assert finished.returncode == 3
    (line,) = lines(finished)
    assert "in_the_way" in line


def test_of_two_services_on_one_store_the_first_ends_and_nothing_is_scored_twice(
    tmp_path: Path, body: TraceBodies
) -> None:
    shared = {"store": {"path": str(tmp_path / "driftline.db")}}
    with service(tmp_path / "first", shared) as first, service(tmp_path / "second", shared) as second:
        post(first, body)  # it still listens, and what it takes is in the store that both read
        assert first.process.join(30.0) == 3
        assert "Traceback" not in first.log
        (told,) = [line for line in first.log.splitlines() if line.startswith("driftline: ")]
        assert "another process took over" in told
        second.wait_for_traces([body.trace_id])
        assert second.stored("SELECT count(*) FROM log_decisions") == [(1,)]
        assert second.candidates() == dict.fromkeys(second.candidates(), 1)


# --- how it stops ------------------------------------------------------------------------------------------------


def test_it_stops_within_seconds_and_finishes_the_request_at_hand(tmp_path: Path, body: TraceBodies) -> None:
    content = body.spans.SerializeToString()
    head = (
        "POST /v1/traces HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-protobuf\r\n"
        f"content-length: {len(content)}\r\n\r\n"
    )
    with service(tmp_path) as driftline:
        host, _, port = driftline.addresses["otlp_http"].rpartition(":")
        with socket.create_connection((host, int(port)), timeout=10.0) as slow:
            slow.sendall(head.encode() + content[: len(content) // 2])
            # another request is answered, so this one has begun
            assert httpx.get(driftline.otlp_http).status_code == 200
            began = time.monotonic()
            os.kill(driftline.process.pid, signal.SIGTERM)
            wait_until(lambda: refuses(host, int(port)), "the port to be closed")
            slow.sendall(content[len(content) // 2 :])
            answer = slow.recv(4096)
        assert driftline.process.join(10.0) == 0
        assert time.monotonic() - began < 8.0
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert "Traceback" not in driftline.log

        driftline.start()
        driftline.wait_for_traces([body.trace_id])


def refuses(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=1.0).close()
    except ConnectionRefusedError:
        return True
    return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_at_once_when_nothing_is_at_hand(tmp_path: Path, number: signal.Signals) -> None:
    with service(tmp_path) as driftline:
        with httpx.Client() as idle:  # a connection that is kept open must not hold it up
            assert idle.get(driftline.otlp_http).status_code == 200
            assert idle.get(f"http://{driftline.web}/healthz").status_code == 200
            began = time.monotonic()
            os.kill(driftline.process.pid, number)
            assert driftline.process.join(10.0) == 0
        assert time.monotonic() - began < 3.0
        assert "Traceback" not in driftline.log


def test_what_was_accepted_but_not_yet_due_when_it_stopped_is_evaluated_by_the_next(
    tmp_path: Path, body: TraceBodies
) -> None:
    with service(tmp_path, {"assemble": {"quiet": "2s"}}) as driftline:
        post(driftline, body)
        assert driftline.stop() == 0
        assert driftline.stored("SELECT count(*) FROM log_decisions") == [(0,)]
        driftline.start()
        driftline.wait_for_traces([body.trace_id])
        assert driftline.stored("SELECT count(*) FROM log_decisions") == [(1,)]


def test_a_store_that_somebody_keeps_locked_is_one_line(locked_out: "subprocess.Popen[str]") -> None:
    said, complained = locked_out.communicate(timeout=60.0)
    assert locked_out.returncode == 3
    assert "Traceback" not in said + complained
    (line,) = complained.splitlines()
    assert "locked" in line
