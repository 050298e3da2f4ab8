"""A running service asked from its own machine: a socket beside the store, which only its owner (and root) can reach.

A question and its answer are a line of JSON each, and a connection has one of them. Page and API change nothing, so
that no token, page of another site or proxy can have the configuration read again.
"""

import contextlib
import logging
import os
import pwd
import socket
import stat
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from collector.core.errors import DriftlineError

_LONGEST_LINE_BYTES = 1 << 20
_LONGEST_QUESTION_BYTES = 4096
_ASK_SECONDS = 5.0  # for a question to be sent
_LOOK_SECONDS = 0.2

_log = logging.getLogger(__name__)

Facts = Mapping[str, Any]
Answer = Callable[[str], Facts]
"""What to do when somebody, by the name of their user, asks for it; JSON comes back."""


def control_path(store: Path) -> Path:
    """The socket of the service that has this store."""
    return store.with_name(store.name + ".control")


class Control:
    """Answers one question after the other, on a thread of its own; a service that cannot have the socket goes on."""

    def __init__(self, store: Path, answers: Mapping[str, Answer]) -> None:
        self._path, self._answers = control_path(store), answers
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="driftline-control", daemon=True)
        self._socket: socket.socket | None = None

    def start(self) -> None:
        """Take the socket; without it, the log says so."""
        try:
            self._socket = _listening(self._path)
        except OSError as error:
            _log.warning("%s cannot be had, SIGHUP is left to reload: %s", self._path, error.strerror or error)
            return
        self._thread.start()

    def stop(self) -> None:
        """Give the socket back. Safe twice, and without `start`."""
        self._ended.set()
        if self._socket is not None:
            self._thread.join()
            self._socket.close()
            self._socket = None
            with contextlib.suppress(OSError):
                self._path.unlink()

    def _serve(self) -> None:
        assert self._socket is not None
        self._socket.settimeout(_LOOK_SECONDS)
        while not self._ended.is_set():
            try:
                connection, _ = self._socket.accept()
            except TimeoutError:
                continue
            except OSError as error:
                _log.warning("%s: %s", self._path, error.strerror)
                self._ended.wait(_LOOK_SECONDS)
                continue
            with connection:
                try:
                    self._answer(connection)
                except OSError as error:  # who asked is gone
                    _log.debug("by", exc_info=error)

    def _answer(self, connection: socket.socket) -> None:
        connection.settimeout(_ASK_SECONDS)
        user_id = _user_id(connection)
        try:
            asked = _question(_line(connection, _LONGEST_QUESTION_BYTES))
        except ValueError:
            asked = None
        answer = self._answers.get(asked or "")
        if user_id not in (0, os.geteuid()):
            told: Facts = {"error": "only root and the user who runs the service may ask"}
        elif answer is None:
            told = {"error": f"a question is one of {', '.join(self._answers)}"}
        else:
            told = answer(user_name(user_id))
        connection.sendall(orjson.dumps(told) + b"\n")


def ask(store: Path, question: str, timeout_seconds: float) -> dict[str, Any]:
    """What the running service answers.

    Raises:
        DriftlineError: none runs, it is somebody else's, or it does not answer.
    """
    path = control_path(store)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout_seconds)
        try:
            with _short(path) as short:
                connection.connect(short)
            connection.sendall(orjson.dumps({"ask": question}) + b"\n")
            answer = orjson.loads(_line(connection, _LONGEST_LINE_BYTES))
        except TimeoutError:
            raise DriftlineError(f"the service at {path} did not answer within {timeout_seconds:g} s") from None
        except OSError as error:
            raise DriftlineError(f"no service answers at {path}: {error.strerror or error}") from None
        except ValueError:
            raise DriftlineError(f"the service at {path} went away before it answered") from None
    if "error" in answer:
        raise DriftlineError(f"the service at {path} says: {answer['error']}")
    found: dict[str, Any] = answer
    return found


def user_name(user_id: int) -> str:
    """A user by name, or else by number."""
    try:
        return pwd.getpwuid(user_id).pw_name
    except KeyError:
        return str(user_id)


def _listening(path: Path) -> socket.socket:
    """A socket at `path`, in place of one that a service left when it was killed."""
    if path.is_symlink() or (path.exists() and not stat.S_ISSOCK(path.stat().st_mode)):
        raise FileExistsError(0, "something else is there")
    with _short(path) as short:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            if probe.connect_ex(short) == 0:
                raise FileExistsError(0, "another service answers there")
        path.unlink(missing_ok=True)
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            made.bind(short)
            path.chmod(0o600)  # before anybody can connect
            made.listen()
        except OSError:
            made.close()
            raise
    return made


@contextlib.contextmanager
def _short(path: Path) -> Iterator[str]:
    """A name for `path` of the few bytes that the address of a socket may have (sockaddr_un: 108)."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def _line(connection: socket.socket, most_bytes: int) -> bytes:
    """What is sent up to the end of a line.

    Raises:
        ValueError: that does not come, or only after too much.
    """
    got = b""
    while not got.endswith(b"\n"):
        more = connection.recv(65536)
        got += more
        if not more or len(got) > most_bytes:
            raise ValueError("no line")
    return got


def _question(line: bytes) -> str:
    found = orjson.loads(line)
    return found["ask"] if isinstance(found, dict) and isinstance(found.get("ask"), str) else ""


def _user_id(connection: socket.socket) -> int:
    """Who is at the other end, as the kernel knows (unix(7), SO_PEERCRED)."""
    _, user_id, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return int(user_id)
