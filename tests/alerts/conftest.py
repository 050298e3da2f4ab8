"""What the tests of alerts share: an example change, and a real HTTP server that answers as told."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from drift.base import Carrier, Change, Coincidence, Companion, Estimate

SECOND = 1_000_000_000
ONSET_NS = 1_772_373_600 * SECOND  # 2026-03-01 14:00 UTC

EXAMPLE = Change(
    id="7f3a9c51",
    status="active",
    monitor="quality",
    metric="groundedness",
    statistic="pass_rate",
    slice={"service": "shop", "version": "2.4"},
    direction="down",
    detector="mean",
    evidence=214_000.0,
    threshold=100_000.0,
    detected_ns=ONSET_NS + 960 * SECOND,
    onset_ns=ONSET_NS,
    onset_low_ns=ONSET_NS - 420 * SECOND,
    onset_high_ns=ONSET_NS + 240 * SECOND,
    before=Estimate(0.948, 0.941, 0.955, 5210.0),
    after=Estimate(0.816, 0.774, 0.853, 412.0),
    size=Estimate(-0.132, -0.163, -0.101, 412.0),
    carriers=[
        Carrier("prompt", "answer-v7", 0.86, None, 0.62, True, 0.1, 0.76, 0.4),
        Carrier("model", "gpt-4o-mini", 0.09, 0.951, 0.932, False, 0.01, 0.08, 0.6),
    ],
    traces=["4bf92f3577b34da6a3ce929d0e0e4736", "0af7651916cd43dd8448eb211c80319c", "a" * 32, "b" * 32],
    contrast_traces=["c" * 32],
    paged=True,
    sequence=1,
    moved="application",
    coincidences=[
        Coincidence("prompt", "answer-v7", "new", 0.0, 0.4, ONSET_NS - 60 * SECOND),
        Coincidence("tool_schema", "search 1f0c33ab", "gone", 0.31, 0.0, ONSET_NS - 90 * SECOND),
        Coincidence("answering_model", "gpt-4o-mini-2024-07-18", "more", 0.52, 0.6, None),
    ],
    typical_traces=["d" * 32, "a" * 32],
    companions=[Companion("9" * 20, "refusal", "pass_rate", {"service": "shop"}, "down", 0.981, 0.942)],
    evaluators_before=["e1d2c3b4a5968778"],
    evaluators_after=["e1d2c3b4a5968778", "0f1e2d3c4b5a6978"],
    staked=0.0125,
)


@pytest.fixture
def make_change() -> Callable[..., Change]:
    """The example change with some fields replaced."""

    def make(**fields: object) -> Change:
        return replace(EXAMPLE, **fields)

    return make


@dataclass
class Server:
    """Answers every request alike and remembers it."""

    url: str = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    answer: bytes = b"{}"
    requests: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as state:
        yield state


@pytest.fixture
def other_server() -> Iterator[Server]:
    """Where a redirect may point."""
    with serving() as state:
        yield state


@contextmanager
def serving() -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            state.requests.append((self.command, self.path, dict(self.headers), self.rfile.read(length)))
            self.send_response(state.status)
            for name, value in state.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(state.answer)))
            with suppress(ConnectionError):  # clients may hang up once they have read enough
                self.end_headers()
                self.wfile.write(state.answer)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    state.url = f"http://127.0.0.1:{http.server_port}"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield state
    http.shutdown()
    http.server_close()
    thread.join()
