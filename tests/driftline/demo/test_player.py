"""Requests arrive over real sockets, whole and in order, however often the receiver says later."""

import gzip
import json
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import grpc
import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceResponse,
)

from collector.core.engine import EVENTS_KIND, TRACES_KIND
from collector.core.errors import UserError
from driftline.demo.player import Player
from driftline.demo.recordings import shipped_sample
from driftline.demo.services import Exporter
from driftline.demo.traffic import Request, Traffic

Answer = tuple[int, dict[str, str], bytes]
PLAIN = Exporter()


def request(number: int = 0, service: str = "shop", exporter: Exporter = PLAIN, kind: str = TRACES_KIND) -> Request:
    return Request(kind, b"\x0a\x00" * (number + 1), service, exporter, traces=1)


@contextmanager
def http_server(answers: Iterator[Answer]) -> Iterator[tuple[str, list[tuple[str, dict[str, str], bytes]]]]:
    """A receiver that gives these answers, then 200; and what came: (path, headers, body)."""
    arrived: list[tuple[str, dict[str, str], bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            arrived.append((self.path, dict(self.headers), body))
            status, headers, content = next(answers, (200, {}, b""))
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}", arrived
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_all_requests_arrive_in_order_and_are_counted() -> None:
    wanted = [request(number, service=f"s{number % 3}") for number in range(30)]
    with http_server(iter(())) as (address, arrived):
        seen: list[int] = []
        progress = Player(address).play(iter(wanted), lambda p: seen.append(p.traces))
    assert [body for _, _, body in arrived] == [r.body for r in wanted]
    assert (progress.requests, progress.traces, progress.retries) == (30, 30, 0)
    assert progress.body_bytes == sum(len(r.body) for r in wanted)
    assert seen == list(range(1, 31))


def test_encodings_are_announced_and_true() -> None:
    wanted = list(Traffic(shipped_sample(), end_ns=1_800_000_000 * 10**9, traces=60).requests())
    with http_server(iter(())) as (address, arrived):
        Player(address).play(wanted)
    for sent, (path, headers, body) in zip(wanted, arrived, strict=True):
        assert path == ("/v1/traces" if sent.kind == TRACES_KIND else "/v1/logs")
        assert (headers.get("Content-Encoding") == "gzip") == sent.exporter.gzip
        content = gzip.decompress(body) if sent.exporter.gzip else body
        if sent.exporter.encoding == "json":
            assert headers["Content-Type"] == "application/json"
            assert json.loads(content).keys() <= {"resourceSpans", "resourceLogs"}
        else:
            assert headers["Content-Type"] == "application/x-protobuf"
            assert content == sent.body


def test_a_receiver_without_room_is_asked_again_after_the_time_it_wants() -> None:
    waits: list[float] = []
    answers: list[Answer] = [(503, {"Retry-After": "3"}, b""), (429, {}, b""), (503, {"Retry-After": "soon"}, b"")]
    with http_server(iter(answers)) as (address, arrived):
        progress = Player(address, wait=waits.append).play([request(1), request(2)])
    assert waits == [3.0, 1.0, 1.0]
    assert [body for _, _, body in arrived] == [request(1).body] * 4 + [request(2).body]
    assert progress.retries == 3
    assert progress.requests == 2


def test_no_wait_is_longer_than_somebody_watching_would_bear() -> None:
    waits: list[float] = []
    with http_server(iter([(503, {"Retry-After": "86400"}, b"")])) as (address, _):
        Player(address, wait=waits.append).play([request()])
    assert waits == [10.0]


def test_a_refusal_for_good_ends_the_play_and_says_why() -> None:
    with (
        http_server(iter([(400, {}, b"no such field")])) as (address, arrived),
        pytest.raises(UserError, match=r"400.*no such field"),
    ):
        Player(address).play([request(), request()])
    assert len(arrived) == 1


def test_a_receiver_that_is_not_there_is_given_up_after_many_tries() -> None:
    waits: list[float] = []
    with socket.socket() as bound:  # but not listening
        bound.bind(("127.0.0.1", 0))
        player = Player(f"127.0.0.1:{bound.getsockname()[1]}", wait=waits.append)
        with pytest.raises(UserError, match="could not be sent after 20 tries"):
            player.play([request()])
    assert len(waits) == 20


def test_stopping_ends_the_play_between_requests_and_between_tries() -> None:
    with http_server(iter([(503, {}, b"")] * 99)) as (address, arrived):
        stops: list[float] = []
        progress = Player(address, stopped=lambda: bool(stops), wait=stops.append).play([request(), request()])
    assert len(arrived) == 2  # the wait said stop, but the try after it was under way
    assert progress.requests == 0


def test_what_a_partial_success_rejected_is_counted() -> None:
    answer = ExportTraceServiceResponse(partial_success=ExportTracePartialSuccess(rejected_spans=4))
    with http_server(iter([(200, {}, answer.SerializeToString())])) as (address, _):
        assert Player(address).play([request()]).rejected_items == 4


@contextmanager
def grpc_server(answer: Callable[[int, grpc.ServicerContext], bytes]) -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    """A receiver whose n-th call is answered by `answer(n, context)`; and what came: (method, body)."""
    arrived: list[tuple[str, bytes]] = []

    class Handler(grpc.GenericRpcHandler):  # type: ignore[misc]
        def service(self, details: Any) -> Any:
            def call(body: bytes, context: grpc.ServicerContext) -> bytes:
                arrived.append((details.method, body))
                return answer(len(arrived), context)

            return grpc.unary_unary_rpc_method_handler(call)

    server = grpc.server(ThreadPoolExecutor(2), handlers=[Handler()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}", arrived
    finally:
        server.stop(None).wait()


OVER_GRPC = Exporter(transport="grpc")


def test_services_that_speak_grpc_use_it_where_it_is_there() -> None:
    wanted = [request(1, "travel", OVER_GRPC), request(2), request(3, "travel", OVER_GRPC, EVENTS_KIND)]
    with http_server(iter(())) as (http, by_http), grpc_server(lambda _n, _c: b"") as (address, by_grpc):
        progress = Player(http, address).play(wanted)
    assert [body for _, _, body in by_http] == [wanted[1].body]
    assert by_grpc == [
        ("/opentelemetry.proto.collector.trace.v1.TraceService/Export", wanted[0].body),
        ("/opentelemetry.proto.collector.logs.v1.LogsService/Export", wanted[2].body),
    ]
    assert progress.by_transport == {"grpc": 2, "http": 1}


def test_without_a_grpc_address_all_goes_over_http() -> None:
    with http_server(iter(())) as (address, arrived):
        Player(address).play([request(1, "travel", OVER_GRPC)])
    assert len(arrived) == 1


def test_a_grpc_receiver_without_room_is_asked_again_after_the_time_it_wants() -> None:
    details = AnyMessage()
    details.Pack(RetryInfo(retry_delay=Duration(seconds=2, nanos=500_000_000)))
    status = Status(code=grpc.StatusCode.RESOURCE_EXHAUSTED.value[0], message="full", details=[details])

    def answer(count: int, context: grpc.ServicerContext) -> bytes:
        if count == 1:
            context.set_trailing_metadata([("grpc-status-details-bin", status.SerializeToString())])
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "full")
        if count == 2:
            context.abort(grpc.StatusCode.UNAVAILABLE, "starting")
        return b""

    waits: list[float] = []
    with grpc_server(answer) as (address, arrived):
        progress = Player("127.0.0.1:1", address, wait=waits.append).play([request(1, "travel", OVER_GRPC)])
    assert waits == [2.5, 1.0]
    assert len(arrived) == 3
    assert progress.requests == 1


def test_a_grpc_refusal_for_good_ends_the_play() -> None:
    def answer(_count: int, context: grpc.ServicerContext) -> bytes:
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, "no such field")
        raise AssertionError

    with (
        grpc_server(answer) as (address, _),
        pytest.raises(UserError, match="INVALID_ARGUMENT: no such field"),
    ):
        Player("127.0.0.1:1", address).play([request(1, "travel", OVER_GRPC)])


def test_a_connection_that_broke_is_opened_anew() -> None:
    with http_server(iter(())) as (address, arrived):
        player = Player(address)

        def requests() -> Iterator[Request]:
            yield request(1)
            sender: Any = player._senders["shop"]
            sender._connection.sock.close()  # as when the receiver went away
            yield request(2)

        progress = player.play(requests())
    assert [body for _, _, body in arrived] == [request(1).body, request(2).body]
    assert progress.requests == 2
