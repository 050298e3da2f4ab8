"""A local HTTP receiver that records what it is sent and answers as it is told to: the far end of a webhook."""

import contextlib
import json
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.real.parts.process import NotReady


@dataclass(frozen=True)
class Received:
    """One request as it arrived; header names are lower-case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Answer:
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


class Webhook:
    """What arrived, in order. `answers` are given one a request, in turn; when they run out, 200."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.answers: deque[Answer] = deque()
        self._received: list[Received] = []
        self._arrival = threading.Condition()

    @property
    def received(self) -> list[Received]:
        with self._arrival:
            return list(self._received)

    def wait_for(self, count: int = 1, deadline_seconds: float = 30.0) -> list[Received]:
        """All requests so far, as soon as there are `count` of them; `NotReady` after the deadline."""
        return self.wait_until(lambda received: len(received) >= count, f"{count} requests", deadline_seconds)

    def wait_until(
        self, enough: Callable[[list[Received]], object], what: str, deadline_seconds: float = 30.0
    ) -> list[Received]:
        """All requests so far, as soon as `enough` of them says so; `NotReady` after the deadline."""
        with self._arrival:
            if not self._arrival.wait_for(lambda: enough(self._received), deadline_seconds):
                bodies = [received.body[:500] for received in self._received]
                raise NotReady(f"waited {deadline_seconds:g} s for {what}; there were {len(bodies)}: {bodies}")
            return list(self._received)

    def take(self, received: Received) -> Answer:
        """Record a request and say what to answer."""
        with self._arrival:
            self._received.append(received)
            self._arrival.notify_all()
            return self.answers.popleft() if self.answers else Answer()


@contextlib.contextmanager
def webhook() -> Iterator[Webhook]:
    """A receiver on a free port of the loopback interface, for any method and path under its `url`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    server.daemon_threads = True
    hook = Webhook(f"http://127.0.0.1:{server.server_address[1]}")
    server.RequestHandlerClass = _handler(hook)
    serving = threading.Thread(target=server.serve_forever, args=(0.02,), name="webhook", daemon=True)
    serving.start()
    try:
        yield hook
    finally:
        server.shutdown()
        server.server_close()
        serving.join()


def _handler(hook: Webhook) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 10.0  # an idle kept-alive connection may not hold up the end of the test

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            reply = hook.take(Received(self.command, self.path, headers, body))
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)

        do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815, the server looks for these names

        def log_message(self, *told: object) -> None:
            """Print nothing: what arrived is on record."""

    return Handler
