"""OTLP/gRPC through a real channel: the two Export calls, and what they are refused with."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import grpc.aio
import pytest
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from collector.core.engine import EVENTS_KIND, TRACES_KIND
from collector.core.errors import Overloaded, StoreError, UserError
from collector.core.telemetry import Telemetry
from collector.receivers.listen import ReceiveConfig
from collector.receivers.otlp_grpc import GrpcReceiver, _abort

Build = Callable[..., bytes]
Call = Callable[..., Awaitable[bytes]]

TRACES = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
LOGS = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
LIMIT = 64 * 1024


@pytest.fixture
def session(inbox: Any, telemetry: Telemetry, serving: Any) -> Callable[..., Any]:
    """`session(work, **config)`: runs `await work(call)`, where `call(method, body)` is a call of the listener."""

    def run(work: Callable[[Call], Awaitable[Any]], **config: Any) -> Any:
        async def within() -> Any:
            settings = ReceiveConfig(**{"max_body": f"{LIMIT}B", **config})
            async with (
                serving(GrpcReceiver("127.0.0.1", 0, inbox, telemetry, settings)) as receiver,
                grpc.aio.insecure_channel(f"127.0.0.1:{receiver.port}") as channel,
            ):

                async def call(method: str, body: bytes, **options: Any) -> bytes:
                    answer: bytes = await channel.unary_unary(method)(body, timeout=10, **options)
                    return answer

                return await work(call)

        return asyncio.run(within())

    return run


@pytest.fixture
def refused(session: Callable[..., Any]) -> Callable[..., tuple[grpc.StatusCode, str, Status | None]]:
    """`refused(method, body)`: code, message and details of a call that is refused."""

    def run(
        method: str, body: bytes, config: dict[str, Any] | None = None, **options: Any
    ) -> tuple[grpc.StatusCode, str, Status | None]:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            session(lambda call: call(method, body, **options), **(config or {}))
        details = dict(raised.value.trailing_metadata() or ()).get("grpc-status-details-bin")
        return raised.value.code(), raised.value.details() or "", Status.FromString(details) if details else None

    return run


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_requests_are_stored_as_they_came(
    session: Callable[..., Any], inbox: Any, traces_body: Build, logs_body: Build, compression: grpc.Compression
) -> None:
    async def work(call: Call) -> None:
        assert await call(TRACES, traces_body(3), compression=compression) == b""
        assert await call(LOGS, logs_body(), compression=compression) == b""
        assert await call(TRACES, b"") == b""

    session(work)
    assert inbox.taken == [(TRACES_KIND, traces_body(3)), (EVENTS_KIND, logs_body())]


def test_spans_are_counted_for_this_receiver(
    session: Callable[..., Any], count: Callable[..., float], traces_body: Build
) -> None:
    answer = session(lambda call: call(TRACES, traces_body(3, bad=1)))
    assert ExportTraceServiceResponse.FromString(answer).partial_success.rejected_spans == 1
    assert count("driftline_received_spans", "otlp_grpc", "protobuf") == 3
    assert count("driftline_rejected_spans", "otlp_grpc", "bad_trace_id") == 1


def test_records_without_a_trace_are_no_partial_success(session: Callable[..., Any], logs_body: Build) -> None:
    answer = session(lambda call: call(LOGS, logs_body(1, without_trace=2)))
    assert ExportLogsServiceResponse.FromString(answer).partial_success.rejected_log_records == 0


@pytest.mark.parametrize(
    ("error", "code", "retry_seconds"),
    [
        (Overloaded("queue", "full, grüße", 2.5), grpc.StatusCode.RESOURCE_EXHAUSTED, 2.5),
        (StoreError("disk full"), grpc.StatusCode.UNAVAILABLE, 5),
        (KeyError("a fault of the inbox"), grpc.StatusCode.UNAVAILABLE, 5),
    ],
)
def test_what_cannot_be_stored_now_is_told_when_to_come_back(
    refused: Callable[..., Any],
    inbox: Any,
    traces_body: Build,
    error: Exception,
    code: grpc.StatusCode,
    retry_seconds: float,
) -> None:
    inbox.error = error
    found, message, status = refused(TRACES, traces_body())
    info = RetryInfo()
    assert found == code
    assert status.details[0].Unpack(info)
    assert info.retry_delay.ToTimedelta().total_seconds() == retry_seconds
    assert status.message == message


def test_what_is_no_otlp_is_an_invalid_argument(
    refused: Callable[..., Any], inbox: Any, count: Callable[..., float]
) -> None:
    code, message, status = refused(TRACES, b"hello")
    assert (code, message) == (grpc.StatusCode.INVALID_ARGUMENT, "the request is not OTLP protobuf")
    assert status.code == 3
    assert count("driftline_rejected_requests", "otlp_grpc", "malformed") == 1
    assert inbox.taken == []


def test_a_request_over_the_limit_is_refused_also_when_it_was_packed(refused: Callable[..., Any], inbox: Any) -> None:
    for compression in (grpc.Compression.NoCompression, grpc.Compression.Gzip):
        code, message, _ = refused(TRACES, bytes(LIMIT * 50), compression=compression)
        assert code == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "larger than max" in message
    assert inbox.taken == []


def test_other_methods_are_not_implemented(refused: Callable[..., Any]) -> None:
    assert refused("/opentelemetry.proto.collector.metrics.v1.MetricsService/Export", b"")[0] == (
        grpc.StatusCode.UNIMPLEMENTED
    )


def test_only_a_sender_with_the_token_may_send(
    session: Callable[..., Any],
    refused: Callable[..., Any],
    inbox: Any,
    traces_body: Build,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTLP_TOKEN", "s3cret")
    config = {"tokens": [{"name": "app", "role": "ingest", "env": "OTLP_TOKEN"}]}
    for metadata in ((), (("authorization", "Bearer other"),)):
        assert refused(TRACES, traces_body(), config, metadata=metadata)[0] == grpc.StatusCode.UNAUTHENTICATED
    assert inbox.taken == []
    session(lambda call: call(TRACES, traces_body(), metadata=(("authorization", "Bearer s3cret"),)), **config)
    assert len(inbox.taken) == 1


def test_success_is_answered_only_when_the_request_is_durable(
    session: Callable[..., Any], inbox: Any, traces_body: Build
) -> None:
    async def work(call: Call) -> None:
        inbox.gate = asyncio.Event()
        answer = asyncio.ensure_future(call(TRACES, traces_body()))
        while not inbox.entered:
            await asyncio.sleep(0.001)
        await asyncio.wait([answer], timeout=0.1)
        assert not answer.done()
        inbox.gate.set()
        assert await answer == b""

    session(work)


def test_one_address_cannot_have_all_calls(
    inbox: Any, telemetry: Telemetry, serving: Any, traces_body: Build, count: Callable[..., float]
) -> None:
    async def work() -> None:
        settings = ReceiveConfig(max_connections=10)
        inbox.gate = asyncio.Event()
        async with (
            serving(GrpcReceiver("::", 0, inbox, telemetry, settings)) as receiver,
            grpc.aio.insecure_channel(f"127.0.0.1:{receiver.port}") as channel,
            grpc.aio.insecure_channel(f"[::1]:{receiver.port}") as other,
        ):
            export = channel.unary_unary(TRACES)
            held = [export(traces_body(), timeout=10) for _ in range(9)]
            while inbox.entered < 9:
                await asyncio.sleep(0.001)
            with pytest.raises(grpc.aio.AioRpcError, match=r"more than 9 calls at a time from 127\.0\.0\.1") as raised:
                await export(traces_body(), timeout=10)
            assert raised.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
            another = other.unary_unary(TRACES)(traces_body(), timeout=10)
            while inbox.entered < 10:
                await asyncio.sleep(0.001)
            inbox.gate.set()
            assert [await call for call in (*held, another)] == [b""] * 10
            assert await export(traces_body(), timeout=10) == b""

    asyncio.run(work())
    assert count("driftline_rejected_requests", "otlp_grpc", "address_connections") == 1


def test_a_call_whose_message_does_not_come_gives_up_its_place(
    inbox: Any, telemetry: Telemetry, serving: Any, traces_body: Build, count: Callable[..., float]
) -> None:
    async def work() -> None:
        settings = ReceiveConfig(max_connections=1, request_timeout="200ms")
        async with (
            serving(GrpcReceiver("127.0.0.1", 0, inbox, telemetry, settings)) as receiver,
            grpc.aio.insecure_channel(f"127.0.0.1:{receiver.port}") as channel,
        ):
            silent = channel.stream_unary(TRACES)(timeout=20)
            assert await silent.code() == grpc.StatusCode.DEADLINE_EXCEEDED
            assert "took longer than 0.2 s" in await silent.details()
            assert await channel.unary_unary(TRACES)(traces_body(), timeout=10) == b""

    asyncio.run(work())
    assert count("driftline_rejected_requests", "otlp_grpc", "timeout") == 1


def test_a_listener_can_be_closed_twice_and_without_having_started(inbox: Any, telemetry: Telemetry) -> None:
    async def work() -> None:
        await GrpcReceiver("127.0.0.1", 0, inbox, telemetry).close()
        bound = GrpcReceiver("127.0.0.1", 0, inbox, telemetry)
        await bound.bind()
        assert bound.port > 0
        await bound.close()
        await bound.close()

    asyncio.run(work())


def test_an_address_that_is_taken_is_an_error_for_people(inbox: Any, telemetry: Telemetry) -> None:
    async def work() -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            with pytest.raises(UserError, match=f"cannot listen at 127.0.0.1:{port}"):
                await GrpcReceiver("127.0.0.1", port, inbox, telemetry).start()

    asyncio.run(work())


def test_a_call_that_grpc_has_ended_itself_is_let_go_of_without_a_word() -> None:
    class Ended:
        async def abort(self, *_: object, **__: object) -> None:
            raise RuntimeError('Failed "execute_batch"')

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(_abort(Ended(), 8, "too long", None))
