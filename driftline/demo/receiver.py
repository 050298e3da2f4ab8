"""A place for the demo's alerts to arrive: a small HTTP server that keeps what was posted to it."""

from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Condition, Thread
from typing import Any

import orjson

_LIMIT_BYTES = 1_000_000


class AlertReceiver:
    """Listens on a free loopback port from construction to `close`; `url` is where to post.

    >>> receiver = AlertReceiver()
    >>> receiver.bodies
    []
    >>> receiver.close()
    """

    def __init__(self) -> None:
        self._arrived = Condition()
        self._bodies: list[dict[str, Any]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self._keep))
        self._server.daemon_threads = True
        self._thread = Thread(target=self._server.serve_forever, args=(0.05,), name="demo-alerts", daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/alerts"

    @property
    def bodies(self) -> list[dict[str, Any]]:
        """What arrived so far, oldest first."""
        with self._arrived:
            return list(self._bodies)

    def wait(self, count: int, timeout_seconds: float) -> bool:
        """Whether at least `count` bodies have arrived, after waiting for them up to the timeout."""
        with self._arrived:
            return self._arrived.wait_for(lambda: len(self._bodies) >= count, timeout_seconds)

    def close(self) -> None:
        """Stop listening. Safe to call twice."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()

    def _keep(self, body: dict[str, Any]) -> None:
        with self._arrived:
            self._bodies.append(body)
            self._arrived.notify_all()


def _handler(keep: Callable[[dict[str, Any]], None]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 10.0

        def do_POST(self) -> None:
            length = self.headers.get("Content-Length", "")
            if not length.isdigit() or int(length) > _LIMIT_BYTES:
                self._answer(413 if length.isdigit() else 411, close=True)
                return
            try:
                body = orjson.loads(self.rfile.read(int(length)))
            except orjson.JSONDecodeError:
                self._answer(400)
                return
            if not isinstance(body, dict):
                self._answer(400)
                return
            keep(body)
            self._answer(200)

        def _answer(self, status: int, close: bool = False) -> None:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            if close:
                self.send_header("Connection", "close")
                self.close_connection = True
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - named so by the base class
            """Say nothing: the terminal belongs to the demo."""

    return Handler
