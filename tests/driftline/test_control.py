"""The socket beside the store: who may ask, what hostile questions come to, and what a killed service leaves."""

import os
import socket
import stat
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest

from collector.core.errors import DriftlineError
from driftline import control as module
from driftline.control import Control, ask, control_path, user_name

ME = user_name(os.getuid())


@pytest.fixture
def store(tmp_path: Path) -> Path:
    folder = tmp_path / ("a" * 100)  # longer than the address of a socket may be
    folder.mkdir()
    return folder / "driftline.db"


@pytest.fixture
def running(store: Path) -> Iterator[Callable[..., Control]]:
    made: list[Control] = []

    def start(**answers: Callable[[str], Mapping[str, Any]]) -> Control:
        made.append(Control(store, answers or {"who": lambda user: {"user": user}}))
        made[-1].start()
        return made[-1]

    yield start
    for one in made:
        one.stop()


def raw(store: Path, sent: bytes) -> bytes:
    """What is answered to bytes as they are."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(20)
        with module._short(control_path(store)) as short:
            connection.connect(short)
        try:
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            return connection.recv(65536)
        except ConnectionError:
            return b""


def test_who_asks_is_known_by_the_kernel_and_not_by_what_they_say(store: Path, running: Callable[..., Control]) -> None:
    running()
    assert ask(store, "who", 5) == {"user": ME}
    assert orjson.loads(raw(store, b'{"ask": "who", "user": "boss"}\n')) == {"user": ME}


def test_the_socket_is_for_its_owner_and_gone_when_the_service_is(store: Path, running: Callable[..., Control]) -> None:
    one = running()
    assert stat.S_IMODE(control_path(store).stat().st_mode) == 0o600
    one.stop()
    one.stop()
    assert list(store.parent.iterdir()) == []
    with pytest.raises(DriftlineError, match=r"no service answers at .*driftline\.db\.control: No such file"):
        ask(store, "who", 5)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_somebody_else_is_told_nothing(
    store: Path, running: Callable[..., Control], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_user_id", lambda _: 65534)
    done: list[str] = []
    running(who=lambda user: done.append(user) or {})
    with pytest.raises(DriftlineError, match="only root and the user who runs the service may ask"):
        ask(store, "who", 5)
    assert done == []


@pytest.mark.parametrize(
    "sent",
    [
        *(b"", b"\n", b"no json\n", b"[]\n", b'{"ask": 7}\n', b'{"ask": "stop"}\n', b'{"ask": null}\n', b"\xff\x00\n"),
        *(b'{"ask": "who"}', b"[" * 4000 + b"\n", b"x" * 100_000 + b"\n", b'{"ask": "' + b"y" * 5000 + b'"}\n'),
    ],
)
def test_a_question_that_is_none_is_answered_with_those_there_are(
    store: Path, running: Callable[..., Control], sent: bytes
) -> None:
    running()
    answer = raw(store, sent)
    assert answer in (b"", b'{"error":"a question is one of who"}\n')
    assert ask(store, "who", 5) == {"user": ME}, "the next is answered"


def test_who_connects_and_says_nothing_is_let_go(
    store: Path, running: Callable[..., Control], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_ASK_SECONDS", 0.05)
    running()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as silent, module._short(control_path(store)) as short:
        silent.connect(short)
        assert ask(store, "who", 20) == {"user": ME}


def test_what_a_killed_service_left_is_replaced(store: Path, running: Callable[..., Control]) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as left, module._short(control_path(store)) as short:
        left.bind(short)
    with pytest.raises(DriftlineError, match="Connection refused"):
        ask(store, "who", 5)
    running()
    assert ask(store, "who", 5) == {"user": ME}


@pytest.mark.parametrize("kind", ["file", "link", "another service", "no folder"])
def test_what_is_in_the_way_stays_and_the_service_goes_on_without(
    store: Path, running: Callable[..., Control], kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = control_path(store)
    if kind == "file":
        path.write_text("precious")
    elif kind == "link":
        (store.parent / "elsewhere").write_text("precious")
        path.symlink_to(store.parent / "elsewhere")
    elif kind == "another service":
        running(who=lambda _: {"first": True})
    else:
        store.parent.rmdir()
    second = running()
    assert "cannot be had, SIGHUP is left to reload" in caplog.text
    second.stop()
    if kind == "another service":
        assert ask(store, "who", 5) == {"first": True}
    elif kind != "no folder":
        assert path.read_text() == "precious"


def test_a_service_that_does_not_answer_is_not_waited_for(store: Path, running: Callable[..., Control]) -> None:
    answered = threading.Event()
    running(who=lambda user: {"late": answered.wait(20)})
    with pytest.raises(DriftlineError, match=r"did not answer within 0\.1 s"):
        ask(store, "who", 0.1)
    answered.set()


def test_a_service_that_ends_meanwhile_is_told_of(store: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        with module._short(control_path(store)) as short:
            listening.bind(short)
        listening.listen()

        def end() -> None:
            connection, _ = listening.accept()
            connection.recv(1000)
            connection.close()

        thread = threading.Thread(target=end)
        thread.start()
        with pytest.raises(DriftlineError, match="went away before it answered"):
            ask(store, "who", 5)
        thread.join()


def test_a_user_without_a_name_is_known_by_number() -> None:
    assert user_name(4_000_000_123) == "4000000123"
