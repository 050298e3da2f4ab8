"""OTLP/HTTP over real sockets: what the specification asks for, and whatever else a network sends."""

import asyncio
import contextlib
import gzip
import random
import re
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import orjson
import pytest
from google.rpc.status_pb2 import Status
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from collector.core.engine import EVENTS_KIND, TRACES_KIND
from collector.core.errors import Overloaded, StoreError, UserError
from collector.core.telemetry import Telemetry
from collector.receivers.listen import ReceiveConfig
from collector.receivers.otlp_http import HttpReceiver
from collector.wire.split import split_traces

Build = Callable[..., bytes]
Count = Callable[..., float]
Session = Callable[..., Any]

PROTOBUF = {"content-type": "application/x-protobuf"}
JSON = {"content-type": "application/json; charset=utf-8"}
HEAD = b"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n"
LIMIT = 64 * 1024
QUICK = {"request_timeout": "300ms", "idle_timeout": "300ms"}


def _post(body: bytes, *headers: bytes) -> bytes:
    lines = b"".join(header + b"\r\n" for header in headers)
    return HEAD + lines + b"content-length: %d\r\n\r\n" % len(body) + body


def _chunked(*parts: bytes) -> bytes:
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
    return HEAD + b"transfer-encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"


async def _talk(port: int, *sent: bytes, eof: bool = False, own: str = "127.0.0.1") -> bytes:
    """Everything that comes back, to this address of ours, until the listener closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(own, 0))
    try:
        for part in sent:
            writer.write(part)
            await writer.drain()
        if eof:
            writer.write_eof()
        return await asyncio.wait_for(reader.read(), timeout=10)
    finally:
        writer.close()


def _statuses(answer: bytes) -> list[int]:
    """The status of each reply on a connection."""
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", answer)]


@pytest.fixture
def session(inbox: Any, telemetry: Telemetry, serving: Any) -> Session:
    """`session(work, **config)`: runs `await work(receiver)` against a listener."""

    def run(work: Callable[[HttpReceiver], Awaitable[Any]], **config: Any) -> Any:
        async def within() -> Any:
            settings = ReceiveConfig(**{"max_body": f"{LIMIT}B", **config})
            async with serving(HttpReceiver("127.0.0.1", 0, inbox, telemetry, settings)) as receiver:
                answer = await work(receiver)
                assert receiver._shared.in_flight_bytes == 0
                return answer

        return asyncio.run(within())

    return run


@pytest.fixture
def talk(session: Session) -> Callable[..., bytes]:
    """`talk(sent, ...)`: one connection that sends these bytes and reads until it is closed."""

    def run(*sent: bytes, eof: bool = False, **config: Any) -> bytes:
        answer: bytes = session(lambda receiver: _talk(receiver.port, *sent, eof=eof), **{**QUICK, **config})
        return answer

    return run


@pytest.fixture
def send(session: Session) -> Callable[..., httpx.Response]:
    """`send(method, path, ...)`: one request by an ordinary client."""

    def run(method: str, path: str, config: dict[str, Any] | None = None, **request: Any) -> httpx.Response:
        async def work(receiver: HttpReceiver) -> httpx.Response:
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{receiver.port}") as client:
                return await client.request(method, path, **request)

        answer: httpx.Response = session(work, **(config or {}))
        return answer

    return run


# --- what the specification asks for ---


@pytest.mark.parametrize("encoded", [False, True])
def test_protobuf_traces_are_stored_as_they_came(
    send: Callable[..., httpx.Response], inbox: Any, traces_body: Build, encoded: bool
) -> None:
    body = traces_body(3)
    headers = {**PROTOBUF, "content-encoding": "gzip"} if encoded else PROTOBUF
    answer = send("POST", "/v1/traces", content=gzip.compress(body) if encoded else body, headers=headers)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-type"] == "application/x-protobuf"
    assert inbox.taken == [(TRACES_KIND, body)]


def test_protobuf_logs_are_stored_as_they_came(
    send: Callable[..., httpx.Response], inbox: Any, logs_body: Build
) -> None:
    assert send("POST", "/v1/logs?x=1", content=logs_body(), headers=PROTOBUF).status_code == 200
    assert inbox.taken == [(EVENTS_KIND, logs_body())]


def test_json_is_answered_in_json(send: Callable[..., httpx.Response], inbox: Any) -> None:
    spans = [{"traceId": "07" * 16, "spanId": "01" * 8}, {"traceId": "x"}]
    body = orjson.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]})
    answer = send("POST", "/v1/traces", content=body, headers=JSON)
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["partialSuccess"]["rejectedSpans"] == "1"
    assert "spans[1].traceId" in answer.json()["partialSuccess"]["errorMessage"]
    assert len(split_traces(inbox.taken[0][1]).slices) == 1


def test_what_was_left_out_is_told_as_partial_success(send: Callable[..., httpx.Response], traces_body: Build) -> None:
    answer = send("POST", "/v1/traces", content=traces_body(1, bad=2), headers=PROTOBUF)
    assert answer.status_code == 200
    assert ExportTraceServiceResponse.FromString(answer.content).partial_success.rejected_spans == 2


def test_an_empty_request_is_valid(send: Callable[..., httpx.Response], inbox: Any) -> None:
    assert send("POST", "/v1/traces", content=b"", headers=PROTOBUF).status_code == 200
    assert inbox.taken == []


@pytest.mark.parametrize(
    ("error", "status", "code", "retry_after"),
    [(Overloaded("queue", "full", 2.5), 429, 8, "3"), (StoreError("disk full"), 503, 14, "5")],
)
@pytest.mark.parametrize("is_json", [False, True])
def test_what_cannot_be_stored_now_is_told_when_to_come_back(
    send: Callable[..., httpx.Response],
    inbox: Any,
    traces_body: Build,
    error: Exception,
    status: int,
    code: int,
    retry_after: str,
    is_json: bool,
) -> None:
    inbox.error = error
    span = {"traceId": "07" * 16, "spanId": "01" * 8}
    in_json = orjson.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]})
    answer = send(
        "POST", "/v1/traces", content=in_json if is_json else traces_body(), headers=JSON if is_json else PROTOBUF
    )
    assert (answer.status_code, answer.headers["retry-after"]) == (status, retry_after)
    told = answer.json()["code"] if is_json else Status.FromString(answer.content).code
    assert told == code


@pytest.mark.parametrize(
    ("method", "path", "headers", "content", "status", "reason"),
    [
        ("POST", "/v1/metrics", PROTOBUF, b"", 404, "metrics"),
        ("GET", "/v1/traces", {}, None, 405, "bad_method"),
        ("PUT", "/v1/logs", PROTOBUF, b"", 405, "bad_method"),
        ("POST", "/", PROTOBUF, b"", 405, "bad_method"),
        ("POST", "/v1/traces", {"content-type": "text/plain"}, b"{}", 415, "unsupported_type"),
        ("POST", "/v1/traces", {}, b"{}", 415, "unsupported_type"),
        ("POST", "/v1/traces", {**PROTOBUF, "content-encoding": "br"}, b"x", 415, "unsupported_encoding"),
        ("POST", "/v1/traces", {**PROTOBUF, "content-encoding": "gzip"}, b"x", 400, "bad_gzip"),
        ("POST", "/v1/traces", PROTOBUF, b"hello", 400, "malformed"),
        ("POST", "/v1/traces", JSON, b"hello", 400, "malformed"),
        ("POST", "/v1/traces", PROTOBUF, bytes(LIMIT + 1), 413, "too_large"),
        (
            "POST",
            "/v1/traces",
            {**PROTOBUF, "content-encoding": "gzip"},
            gzip.compress(bytes(1 << 22)),
            413,
            "too_large",
        ),
    ],
)
def test_a_request_that_can_never_be_accepted_says_why(
    send: Callable[..., httpx.Response],
    count: Count,
    inbox: Any,
    method: str,
    path: str,
    headers: dict[str, str],
    content: bytes | None,
    status: int,
    reason: str,
) -> None:
    answer = send(method, path, headers=headers, content=content)
    assert answer.status_code == status
    assert count("driftline_rejected_requests", "otlp_http", reason) == 1
    assert inbox.taken == []
    if answer.headers["content-type"] == "application/json":
        assert answer.json()["message"]
    else:
        assert Status.FromString(answer.content).message


def test_a_wrong_method_is_told_the_right_one(send: Callable[..., httpx.Response]) -> None:
    assert send("DELETE", "/v1/traces").headers["allow"] == "POST"
    assert send("POST", "/").headers["allow"] == "GET, HEAD"


def test_a_person_who_looks_is_told_what_this_port_is(send: Callable[..., httpx.Response]) -> None:
    assert "receives OpenTelemetry data" in send("GET", "/").text
    assert send("HEAD", "/").content == b""


def test_only_a_sender_with_the_token_may_send(
    send: Callable[..., httpx.Response], inbox: Any, traces_body: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTLP_TOKEN", "s3cret")
    config = {"tokens": [{"name": "app", "role": "ingest", "env": "OTLP_TOKEN"}]}
    for authorization in (None, "s3cret", "Bearer other", "Bearer", "Basic s3cret"):
        headers = PROTOBUF if authorization is None else {**PROTOBUF, "authorization": authorization}
        answer = send("POST", "/v1/traces", config, content=traces_body(), headers=headers)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert inbox.taken == []
    headers = {**PROTOBUF, "authorization": "bearer s3cret"}
    assert send("POST", "/v1/traces", config, content=traces_body(), headers=headers).status_code == 200


def test_the_exporter_of_the_sdk_is_understood(session: Session, inbox: Any) -> None:
    def export(port: int) -> None:
        endpoint = f"http://127.0.0.1:{port}/v1/traces"
        for compression in (Compression.NoCompression, Compression.Gzip, Compression.Deflate):
            provider = TracerProvider(shutdown_on_exit=False)
            provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(endpoint, compression=compression)))
            with provider.get_tracer("test").start_as_current_span("chat", attributes={"gen_ai.system": "openai"}):
                pass
            provider.shutdown()

    session(lambda receiver: asyncio.to_thread(export, receiver.port))
    slices = [part for _, body in inbox.taken for part in split_traces(body).slices]
    assert len(slices) == 3
    assert all(not part.parent_id and part.end_ns >= part.start_ns > 0 for part in slices)


# --- connections ---


def test_success_is_answered_only_when_the_request_is_durable(session: Session, inbox: Any, traces_body: Build) -> None:
    async def work(receiver: HttpReceiver) -> None:
        inbox.gate = asyncio.Event()
        reader, writer = await asyncio.open_connection("127.0.0.1", receiver.port)
        writer.write(_post(traces_body()))
        while not inbox.entered:
            await asyncio.sleep(0)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(reader.read(1), timeout=0.1)
        inbox.gate.set()
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        writer.close()

    session(work)


def test_pipelined_requests_are_answered_in_order(talk: Callable[..., bytes], inbox: Any, traces_body: Build) -> None:
    bodies = [traces_body(number) for number in range(1, 31)]
    answer = talk(b"".join(_post(body) for body in bodies), b"GET /nowhere HTTP/1.1\r\n\r\n")
    assert _statuses(answer) == [200] * 30 + [404]
    assert [body for _, body in inbox.taken] == bodies


def test_a_body_may_come_in_chunks_of_any_size(talk: Callable[..., bytes], inbox: Any, traces_body: Build) -> None:
    body = traces_body(2)
    answer = talk(_chunked(*(body[at : at + 1] for at in range(len(body)))), _chunked(body))
    assert _statuses(answer) == [200, 200]
    assert inbox.taken == [(TRACES_KIND, body)] * 2


def test_a_request_may_come_byte_by_byte(talk: Callable[..., bytes], inbox: Any, traces_body: Build) -> None:
    sent = _post(traces_body(), b"connection: close")
    assert _statuses(talk(*(sent[at : at + 1] for at in range(len(sent))), request_timeout="10s")) == [200]
    assert len(inbox.taken) == 1


def test_a_sender_that_asks_first_is_told_to_go_on(talk: Callable[..., bytes], traces_body: Build) -> None:
    answer = talk(_post(traces_body(), b"expect: 100-continue", b"connection: close"))
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK")


def test_a_sender_that_asks_first_is_told_at_once_if_there_is_no_use(talk: Callable[..., bytes]) -> None:
    asking = b"POST /v1/traces HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n"
    assert _statuses(talk(asking)) == [415]


def test_an_offer_of_http_2_is_not_taken_up(talk: Callable[..., bytes], inbox: Any, traces_body: Build) -> None:
    offer = (b"connection: upgrade, http2-settings", b"upgrade: h2c", b"http2-settings: AAEAAEAAAAIAAAAB")
    bodies = [traces_body(number) for number in range(1, 5)]
    sent = b"".join(_post(body, *offer) for body in bodies) + _post(bodies[0], *offer, b"connection: close")
    assert _statuses(talk(sent)) == [200] * 5
    assert [body for _, body in inbox.taken] == [*bodies, bodies[0]]


def test_an_offer_of_http_2_may_come_byte_by_byte_and_chunked(
    talk: Callable[..., bytes], inbox: Any, traces_body: Build
) -> None:
    sent = _chunked(traces_body()).replace(b"host: x", b"connection: upgrade\r\nupgrade: h2c")
    answer = talk(*(sent[at : at + 1] for at in range(len(sent))), sent, request_timeout="10s")
    assert _statuses(answer) == [200, 200]
    assert inbox.taken == [(TRACES_KIND, traces_body())] * 2


def test_http_1_0_closes_unless_asked_not_to(talk: Callable[..., bytes], traces_body: Build) -> None:
    sent = _post(traces_body()).replace(b"HTTP/1.1", b"HTTP/1.0")
    assert _statuses(talk(sent, idle_timeout="60s")) == [200]


def test_an_idle_connection_is_closed_without_a_word(talk: Callable[..., bytes], traces_body: Build) -> None:
    assert _statuses(talk(_post(traces_body()))) == [200]


def test_a_silent_connection_is_closed(talk: Callable[..., bytes]) -> None:
    assert talk() == b""


@pytest.mark.parametrize(
    "sent",
    [
        b"POST /v1/tra",
        HEAD,
        HEAD + b"content-length: 100\r\n\r\nshort",
        HEAD + b"transfer-encoding: chunked\r\n\r\n5\r\nab",
    ],
)
def test_a_request_that_does_not_end_is_given_up(
    talk: Callable[..., bytes], count: Count, inbox: Any, sent: bytes
) -> None:
    assert _statuses(talk(sent)) == [408]
    assert count("driftline_rejected_requests", "otlp_http", "timeout") == 1
    assert inbox.taken == []


def test_dripping_bytes_do_not_keep_a_request_alive(session: Session) -> None:
    """The time is for the whole request, however often something comes."""

    async def work(receiver: HttpReceiver) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", receiver.port)
        began = asyncio.get_running_loop().time()
        writer.write(b"GET / HTTP/1.1\r\n")
        answered = asyncio.ensure_future(reader.readline())
        while not answered.done():
            assert asyncio.get_running_loop().time() - began < 5
            writer.write(b"a: b\r\n")
            await asyncio.wait([answered], timeout=0.02)
        assert b" 408 " in answered.result()
        writer.close()

    session(work, **QUICK)


@pytest.mark.parametrize(
    "sent", [HEAD + b"content-length: 100\r\n\r\nshort", HEAD + b"transfer-encoding: chunked\r\n\r\n5\r\nab", HEAD]
)
def test_a_request_that_is_cut_off_is_not_taken(talk: Callable[..., bytes], inbox: Any, sent: bytes) -> None:
    assert talk(sent, eof=True, request_timeout="30s") == b""
    assert inbox.entered == 0


def test_a_sender_may_close_its_half_and_still_read_the_reply(talk: Callable[..., bytes], traces_body: Build) -> None:
    assert _statuses(talk(_post(traces_body()), eof=True)) == [200]


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01hello\r\n\r\n", 400),
        (b"POST /v1/traces HTTP/9.9\r\n\r\n", 400),
        (b"CONNECT example.com:443 HTTP/1.1\r\n\r\n", 404),
        (HEAD + b"content-length: -1\r\n\r\n", 400),
        (HEAD + b"content-length: 5\r\ncontent-length: 6\r\n\r\nhello!", 400),
        (HEAD + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (HEAD + b"transfer-encoding: chunked\r\n\r\nzz\r\n", 400),
        (HEAD + b"content-length: 99999999999999999999999\r\n\r\n", 400),
        (HEAD + b"content-length: 9999999999\r\n\r\n", 413),
        (HEAD + b"transfer-encoding: chunked\r\n\r\n%x\r\n" % (2 * LIMIT) + bytes(2 * LIMIT), 413),
        (b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 20_000, 431),
        (b"GET / HTTP/1.1\r\na: " + b"b" * 400_000, 431),
        (b"GET /" + b"a" * 400_000, 431),
        (HEAD + b"transfer-encoding: chunked\r\n\r\n1;" + b"a" * 400_000, 431),
        (HEAD + b"transfer-encoding: chunked\r\n\r\n0\r\n" + b"a: b\r\n" * 50_000, 431),
    ],
)
def test_what_is_not_http_or_too_much_of_it_gets_one_answer_and_is_closed(
    talk: Callable[..., bytes], inbox: Any, sent: bytes, status: int
) -> None:
    answer = talk(sent, request_timeout="30s", idle_timeout="30s")
    assert _statuses(answer) == [status]
    assert b"connection: close" in answer
    assert inbox.entered == 0


def test_what_came_before_a_broken_request_is_still_answered(talk: Callable[..., bytes], traces_body: Build) -> None:
    assert _statuses(talk(_post(traces_body()) + b"\x00garbage\r\n\r\n" + _post(traces_body()))) == [200, 400]


def test_bodies_in_flight_are_bounded_over_all_connections(session: Session, count: Count) -> None:
    async def work(receiver: HttpReceiver) -> bytes:
        held = [await asyncio.open_connection("127.0.0.1", receiver.port) for _ in range(3)]
        for _, writer in held:
            writer.write(HEAD + b"content-length: 40000\r\n\r\n" + bytes(39_000))
        while receiver._shared.in_flight_bytes < 3 * 39_000:
            await asyncio.sleep(0)
        answer = await _talk(receiver.port, HEAD + b"content-length: 40000\r\n\r\n" + bytes(39_000))
        for _, writer in held:
            writer.close()
        while receiver._shared.connections:
            await asyncio.sleep(0)
        return answer

    answer = session(work, max_in_flight="130000B")
    assert _statuses(answer) == [503]
    assert b"retry-after: 1" in answer
    assert count("driftline_rejected_requests", "otlp_http", "in_flight") == 1


def test_connections_are_bounded(session: Session, traces_body: Build) -> None:
    async def work(receiver: HttpReceiver) -> bytes:
        held = [await asyncio.open_connection("127.0.0.1", receiver.port) for _ in range(2)]
        while len(receiver._shared.connections) < 2:
            await asyncio.sleep(0)
        answer = await _talk(receiver.port, _post(traces_body()))
        for _, writer in held:
            writer.close()
        return answer

    assert _statuses(session(work, max_connections=2)) == [503]


@pytest.mark.parametrize(("config", "most"), [({"max_connections": 10}, 9), ({"max_connections_per_address": 3}, 3)])
def test_one_address_cannot_have_all_connections(
    session: Session, traces_body: Build, count: Count, config: dict[str, int], most: int
) -> None:
    post = _post(traces_body(), b"connection: close")

    async def work(receiver: HttpReceiver) -> None:
        held = [await asyncio.open_connection("127.0.0.1", receiver.port) for _ in range(most)]
        while len(receiver._shared.connections) < most:
            await asyncio.sleep(0)
        for _ in range(20):  # more than there would be places, if those that are turned away had one
            refused = await _talk(receiver.port, post)
            assert _statuses(refused) == [429]
            assert b"retry-after: 1" in refused
            assert b"more than %d connections from 127.0.0.1" % most in refused
        assert _statuses(await _talk(receiver.port, post, own="127.0.0.2")) == [200]
        held.pop()[1].close()
        while len(receiver._shared.connections) >= most:
            await asyncio.sleep(0)
        assert _statuses(await _talk(receiver.port, post)) == [200]
        for _, writer in held:
            writer.close()

    session(work, **config)
    assert count("driftline_rejected_requests", "otlp_http", "address_connections") == 20


def test_a_sender_that_never_reads_its_replies_is_cut_off(session: Session) -> None:
    async def work(receiver: HttpReceiver) -> None:
        loop = asyncio.get_running_loop()
        with socket.create_connection(("127.0.0.1", receiver.port)) as sender:
            sender.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sender.setblocking(False)

            async def flood() -> None:
                while True:
                    await loop.sock_sendall(sender, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n" * 1000)

            with pytest.raises(ConnectionError):
                await asyncio.wait_for(flood(), timeout=20)
        assert not receiver._shared.connections

    session(work, **QUICK)


def test_random_bytes_never_stop_the_listener(session: Session, inbox: Any, traces_body: Build) -> None:
    rng = random.Random(5)
    good = _post(traces_body(3), b"connection: close")

    def mutated() -> bytes:
        changed = bytearray(good)
        for _ in range(rng.randint(1, 6)):
            changed[rng.randrange(len(changed))] = rng.randrange(256)
        return bytes(changed)

    async def work(receiver: HttpReceiver) -> None:
        answers = await asyncio.gather(*(_talk(receiver.port, mutated(), eof=True) for _ in range(300)))
        assert {status for answer in answers for status in _statuses(answer)} <= {
            200,
            400,
            404,
            405,
            408,
            413,
            415,
            431,
            100,
        }
        assert _statuses(await _talk(receiver.port, good)) == [200]

    session(work, **QUICK)


# --- life ---


def test_a_request_that_has_begun_is_finished_before_the_listener_closes(
    inbox: Any, telemetry: Telemetry, traces_body: Build
) -> None:
    async def work() -> None:
        receiver = HttpReceiver("127.0.0.1", 0, inbox, telemetry)
        await receiver.start()
        port = receiver.port
        inbox.gate = asyncio.Event()
        idle_reader, idle_writer = await asyncio.open_connection("127.0.0.1", port)
        busy = asyncio.ensure_future(_talk(port, _post(traces_body())))
        while not inbox.entered:
            await asyncio.sleep(0)
        closing = asyncio.ensure_future(receiver.close(grace_seconds=5))
        assert await idle_reader.read() == b""
        with pytest.raises(ConnectionError):
            await asyncio.open_connection("127.0.0.1", port)
        assert not closing.done()
        inbox.gate.set()
        answer = await busy
        assert _statuses(answer) == [200]
        assert b"connection: close" in answer
        await closing
        await receiver.close()
        idle_writer.close()

    asyncio.run(work())
    assert len(inbox.taken) == 1


def test_a_listener_does_not_wait_for_ever_when_it_closes(inbox: Any, telemetry: Telemetry, traces_body: Build) -> None:
    async def work() -> None:
        receiver = HttpReceiver("127.0.0.1", 0, inbox, telemetry)
        await receiver.start()
        inbox.gate = asyncio.Event()
        busy = asyncio.ensure_future(_talk(receiver.port, _post(traces_body())))
        while not inbox.entered:
            await asyncio.sleep(0)
        await receiver.close(grace_seconds=0.05)
        with contextlib.suppress(ConnectionError):
            assert await busy == b""
        inbox.gate.set()

    asyncio.run(work())


def test_a_listener_can_be_closed_without_having_started(inbox: Any, telemetry: Telemetry) -> None:
    async def work() -> None:
        receiver = HttpReceiver("127.0.0.1", 0, inbox, telemetry)
        await receiver.close()
        bound = HttpReceiver("::1", 0, inbox, telemetry)
        await bound.bind()
        assert bound.port > 0
        await bound.close()

    asyncio.run(work())


def test_an_address_that_is_taken_is_an_error_for_people(inbox: Any, telemetry: Telemetry) -> None:
    async def work() -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            with pytest.raises(UserError, match=f"cannot listen at 127.0.0.1:{port}: "):
                await HttpReceiver("127.0.0.1", port, inbox, telemetry).start()

    asyncio.run(work())
