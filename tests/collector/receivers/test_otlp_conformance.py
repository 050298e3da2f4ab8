"""What the OpenTelemetry protocol specification, 1.10, asks of a server: each test cites the section it holds us to.

Source: https://opentelemetry.io/docs/specs/otlp/ (docs/specification.md of open-telemetry/opentelemetry-proto). What is
said there of clients and of JSON values is elsewhere: the latter in tests/collector/wire/test_json.py.
"""

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import grpc
import grpc.aio
import httpx
import pytest
from google.protobuf import json_format
from google.rpc.error_details_pb2 import BadRequest, RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from collector.core.engine import EVENTS_KIND, TRACES_KIND
from collector.core.errors import Overloaded, StoreError
from collector.core.telemetry import Telemetry
from collector.receivers.listen import ReceiveConfig
from collector.receivers.otlp_grpc import GrpcReceiver
from collector.receivers.otlp_http import HttpReceiver

Build = Callable[..., bytes]

LIMIT = 64 * 1024
PROTOBUF, JSON = "application/x-protobuf", "application/json"
SERVICE = "/opentelemetry.proto.collector.{0}.v1.{1}Service/Export"
GRPC = {"traces": SERVICE.format("trace", "Trace"), "logs": SERVICE.format("logs", "Logs")} | {
    "metrics": SERVICE.format("metrics", "Metrics")
}
RESPONSES = {"traces": ExportTraceServiceResponse, "logs": ExportLogsServiceResponse}
REQUESTS = {"traces": ExportTraceServiceRequest, "logs": ExportLogsServiceRequest}
RETRYABLE_HTTP = {429, 502, 503, 504}  # "Retryable Response Codes"
RETRYABLE_GRPC = {"CANCELLED", "DEADLINE_EXCEEDED", "ABORTED", "OUT_OF_RANGE", "UNAVAILABLE", "DATA_LOSS"}  # "Failures"


class Answer(NamedTuple):
    """What a sender hears, whichever way it spoke."""

    ok: bool
    code: str  # HTTP status, or name of the gRPC status
    message: Any  # the Export...ServiceResponse or the Status
    headers: Mapping[str, str]

    @property
    def retryable(self) -> bool:
        """Whether a client that follows the specification sends the same again."""
        if self.code.isdecimal():
            return int(self.code) in RETRYABLE_HTTP
        return self.code in RETRYABLE_GRPC or (self.code == "RESOURCE_EXHAUSTED" and self.retry_seconds is not None)

    @property
    def retry_seconds(self) -> float | None:
        """As the Status says, None if it does not."""
        info = RetryInfo()
        found = [info for one in self.message.details if one.Unpack(info)]
        return found[0].retry_delay.ToTimedelta().total_seconds() if found else None


Send = Callable[..., Awaitable[Answer]]


def _http(client: httpx.AsyncClient, content_type: str) -> Send:
    async def send(signal: str, body: bytes, compression: str = "", **headers: str) -> Answer:
        if content_type == JSON and signal in REQUESTS and _parses(signal, body):
            body = _as_json(REQUESTS[signal].FromString(body))
        sent = {"content-type": content_type, **({"content-encoding": compression} if compression else {}), **headers}
        if compression == "gzip":
            body = gzip.compress(body)
        answer = await client.post(f"/v1/{signal}", content=body, headers=sent)
        # "OTLP/HTTP Response": the same Content-Type as the request had
        assert answer.headers["content-type"] == content_type
        ok = answer.status_code == 200
        message = RESPONSES[signal]() if ok else Status()
        if content_type == JSON:
            json_format.Parse(answer.content, message)
        else:
            message.ParseFromString(answer.content)
        return Answer(ok, str(answer.status_code), message, answer.headers)

    return send


def _grpc(channel: grpc.aio.Channel) -> Send:
    async def send(signal: str, body: bytes, compression: str = "", **metadata: str) -> Answer:
        packed = grpc.Compression.Gzip if compression == "gzip" else grpc.Compression.NoCompression
        call = channel.unary_unary(GRPC[signal])
        try:
            answer = await call(body, timeout=10, compression=packed, metadata=tuple(metadata.items()))
        except grpc.aio.AioRpcError as error:
            details = dict(error.trailing_metadata() or ()).get("grpc-status-details-bin", b"")
            return Answer(False, error.code().name, Status.FromString(details), {})
        return Answer(True, "OK", RESPONSES[signal].FromString(answer), {})

    return send


def _parses(signal: str, body: bytes) -> bool:
    try:
        REQUESTS[signal].FromString(body)
    except Exception:
        return False
    return True


def _as_json(request: Any) -> bytes:
    """OTLP's own mapping: ids in hexadecimal."""
    document = json_format.MessageToDict(request)
    for groups in document.values():
        for item in (i for g in groups for s in next(v for k, v in g.items() if k.startswith("scope")) for i in _of(s)):
            for key in ("traceId", "spanId"):
                if key in item:
                    item[key] = _hex(item[key])
    return json_format.json.dumps(document).encode()


def _of(scope: Any) -> Any:
    return next((value for key, value in scope.items() if key in ("spans", "logRecords")), [])


def _hex(text: str) -> str:
    import base64

    return base64.b64decode(text).hex()


@pytest.fixture(params=["http/protobuf", "http/json", "grpc"])
def speaking(request: pytest.FixtureRequest, inbox: Any, telemetry: Telemetry, serving: Any) -> Callable[..., Any]:
    """`speaking(work, **config)`: runs `await work(send)` in each of the three ways to speak OTLP."""

    @asynccontextmanager
    async def sender(settings: ReceiveConfig) -> AsyncIterator[Send]:
        if request.param == "grpc":
            async with (
                serving(GrpcReceiver("127.0.0.1", 0, inbox, telemetry, settings)) as receiver,
                grpc.aio.insecure_channel(f"127.0.0.1:{receiver.port}") as channel,
            ):
                yield _grpc(channel)
        else:
            async with (
                serving(HttpReceiver("127.0.0.1", 0, inbox, telemetry, settings)) as receiver,
                httpx.AsyncClient(base_url=f"http://127.0.0.1:{receiver.port}") as client,
            ):
                yield _http(client, JSON if request.param == "http/json" else PROTOBUF)

    def run(work: Callable[[Send], Awaitable[Any]], **config: Any) -> Any:
        async def within() -> Any:
            async with sender(ReceiveConfig(**{"max_body": f"{LIMIT}B", **config})) as send:
                return await work(send)

        return asyncio.run(within())

    return run


@pytest.fixture
def body_of(traces_body: Build, logs_body: Build) -> Mapping[str, Build]:
    return {"traces": traces_body, "logs": logs_body}


# --- "Full Success", of OTLP/gRPC and of OTLP/HTTP ---


@pytest.mark.parametrize("signal", ["traces", "logs"])
def test_success_is_an_export_response_whose_partial_success_is_unset(
    speaking: Any, inbox: Any, body_of: Mapping[str, Build], signal: str
) -> None:
    answer = speaking(lambda send: send(signal, body_of[signal](2)))
    assert answer.ok
    assert not answer.message.HasField("partial_success")
    assert inbox.taken == [({"traces": TRACES_KIND, "logs": EVENTS_KIND}[signal], body_of[signal](2))]


@pytest.mark.parametrize("signal", ["traces", "logs"])
def test_an_empty_request_succeeds(speaking: Any, inbox: Any, signal: str) -> None:
    """Also "Empty Telemetry Envelopes": resources and scopes without anything in them may be ignored."""
    empty = REQUESTS[signal]()
    envelope = REQUESTS[signal]()
    if signal == "traces":
        envelope.resource_spans.add().scope_spans.add().scope.name = "empty"
    else:
        envelope.resource_logs.add().scope_logs.add().scope.name = "empty"

    async def work(send: Send) -> list[Answer]:
        return [await send(signal, one.SerializeToString()) for one in (empty, envelope)]

    for answer in speaking(work):
        assert answer.ok
        assert not answer.message.HasField("partial_success")
    assert inbox.taken == []


# --- "Partial Success" ---


def test_spans_that_are_rejected_are_counted_and_said_why_and_the_rest_is_taken(
    speaking: Any, inbox: Any, traces_body: Build
) -> None:
    answer = speaking(lambda send: send("traces", traces_body(3, bad=2)))
    assert answer.ok
    assert answer.message.partial_success.rejected_spans == 2
    assert "trace" in answer.message.partial_success.error_message
    assert len(inbox.taken) == 1


def test_records_of_no_trace_are_taken_and_left_aside_which_is_no_partial_success(
    speaking: Any, logs_body: Build
) -> None:
    """They are no fault of the sender, who would be told of one with every batch."""
    assert not speaking(lambda send: send("logs", logs_body(1, without_trace=2))).message.HasField("partial_success")


# --- "Failures", "Retryable Response Codes", "Bad Data" ---


@pytest.mark.parametrize("signal", ["traces", "logs"])
def test_data_that_cannot_be_decoded_is_refused_for_good_with_a_bad_request(speaking: Any, signal: str) -> None:
    answer = speaking(lambda send: send(signal, b"hello"))
    assert answer.code in ("400", "INVALID_ARGUMENT")
    assert not answer.retryable
    assert answer.message.message
    bad = BadRequest()
    assert [one.Unpack(bad) for one in answer.message.details] == [True]
    assert bad.field_violations[0].description == answer.message.message


def test_metrics_are_refused_for_good_and_said_why(speaking: Any, count: Callable[..., float]) -> None:
    """ "Future Versions and Interoperability", 1: a server may implement a subset of the signals."""
    answer = speaking(lambda send: send("metrics", b""))
    assert answer.code in ("404", "UNIMPLEMENTED")
    assert not answer.retryable
    assert "metrics are not taken here" in answer.message.message
    assert sum(count("driftline_rejected_requests", name, "metrics") for name in ("otlp_http", "otlp_grpc")) == 1


def test_a_fault_in_here_is_not_the_senders_and_is_retried(speaking: Any, inbox: Any, traces_body: Build) -> None:
    inbox.error = KeyError("a fault")
    answer = speaking(lambda send: send("traces", traces_body()))
    assert answer.code in ("503", "UNAVAILABLE")
    assert answer.retryable


# --- "OTLP/gRPC Throttling", "OTLP/HTTP Throttling" ---


@pytest.mark.parametrize(
    ("error", "codes", "seconds"),
    [
        (Overloaded("backlog", "full", 2.5), ("429", "RESOURCE_EXHAUSTED"), 2.5),
        (StoreError("disk full"), ("503", "UNAVAILABLE"), 5),
    ],
)
def test_back_pressure_is_retryable_and_says_when(
    speaking: Any, inbox: Any, traces_body: Build, error: Exception, codes: tuple[str, str], seconds: float
) -> None:
    inbox.error = error
    answer = speaking(lambda send: send("traces", traces_body()))
    assert answer.code in codes
    assert answer.retryable
    assert answer.retry_seconds == seconds
    if answer.code.isdecimal():  # RFC 9110 section 10.2.3: whole seconds
        assert answer.headers["retry-after"] == str(-(-seconds // 1)).partition(".")[0]


def test_the_same_request_is_taken_once_there_is_room_again(speaking: Any, inbox: Any, traces_body: Build) -> None:
    async def work(send: Send) -> list[bool]:
        inbox.error = Overloaded("backlog", "full")
        first = await send("traces", traces_body())
        inbox.error = None
        return [first.ok, (await send("traces", traces_body())).ok]

    assert speaking(work) == [False, True]
    assert len(inbox.taken) == 1


# --- "Protocol Details" (compression), "OTLP/HTTP Request" (limits) ---


def test_no_compression_and_gzip_are_taken(speaking: Any, inbox: Any, traces_body: Build) -> None:
    async def work(send: Send) -> list[bool]:
        return [(await send("traces", traces_body(2), compression)).ok for compression in ("", "gzip")]

    assert speaking(work) == [True, True]
    assert inbox.taken == [(TRACES_KIND, traces_body(2))] * 2


@pytest.mark.parametrize("compression", ["", "gzip"])
def test_the_size_of_a_request_is_limited_also_after_decompression_and_what_is_over_it_is_counted(
    speaking: Any, inbox: Any, count: Callable[..., float], traces_body: Build, compression: str
) -> None:
    answer = speaking(lambda send: send("traces", traces_body(1, text="x" * 2 * LIMIT), compression))
    assert answer.code in ("413", "RESOURCE_EXHAUSTED")
    assert not answer.retryable
    assert inbox.taken == []
    counted = [count("driftline_rejected_requests", name, "too_large") for name in ("otlp_http", "otlp_grpc")]
    assert sum(counted) == 1


def test_the_default_limit_is_16_mib_and_can_be_configured() -> None:
    assert ReceiveConfig().max_body == 16 * 2**20
    assert ReceiveConfig(**{"max_body": "20MiB"}).max_body == 20 * 2**20


# --- "OTLP/gRPC Concurrent Requests", "OTLP/HTTP Concurrent Requests", "OTLP/HTTP Connection" ---


def test_requests_are_served_concurrently(speaking: Any, inbox: Any, traces_body: Build) -> None:
    async def work(send: Send) -> None:
        inbox.gate = asyncio.Event()
        answers = [asyncio.ensure_future(send("traces", traces_body(number))) for number in range(1, 9)]
        while inbox.entered < 8:  # all are in the inbox before the first is answered
            await asyncio.sleep(0.001)
        inbox.gate.set()
        assert all(answer.ok for answer in await asyncio.gather(*answers))

    speaking(work)
    assert len(inbox.taken) == 8


# --- HTTP semantics that the specification leaves to RFC 9110: "All Other Responses" ---


def test_who_may_not_send_is_refused_for_good(
    speaking: Any, inbox: Any, traces_body: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTLP_TOKEN", "s3cret")
    answer = speaking(
        lambda send: send("traces", traces_body()), tokens=[{"name": "app", "role": "ingest", "env": "OTLP_TOKEN"}]
    )
    assert answer.code in ("401", "UNAUTHENTICATED")
    assert not answer.retryable
    assert inbox.taken == []
