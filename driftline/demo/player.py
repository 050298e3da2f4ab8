"""Sends the demo's requests over real sockets, in order, as an exporter does: waits and tries again when told to."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from typing import Any, Protocol

import grpc
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from isal import igzip
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from collector.core.engine import TRACES_KIND
from collector.core.errors import UserError
from driftline.demo.otlp_json import to_json
from driftline.demo.traffic import Request

_TIMEOUT_SECONDS = 30.0  # for one answer: a store under load may take a second, never this long
_LONGEST_WAIT_SECONDS = 10.0  # whatever Retry-After says: somebody is watching
_TRIES = 20
_TRY_AGAIN = (429, 502, 503, 504)  # OTLP/HTTP: retryable response codes
_HTTP_PATHS = {True: "/v1/traces", False: "/v1/logs"}
_GRPC_PATHS = {
    True: "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    False: "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
}
_GRPC_TRY_AGAIN = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.ABORTED)


@dataclass(slots=True)
class Progress:
    """What was sent so far."""

    requests: int = 0
    traces: int = 0
    body_bytes: int = 0  # before compression
    rejected_items: int = 0  # spans and log records that a partial success named
    retries: int = 0
    by_transport: dict[str, int] = field(default_factory=dict)


class TryAgain(Exception):
    """The receiver has no room now, or went away."""

    def __init__(self, wait_seconds: float, reason: str) -> None:
        super().__init__(reason)
        self.wait_seconds = wait_seconds


class _Sender(Protocol):
    def send(self, request: Request) -> int:
        """Send once; the number of rejected items. Raises TryAgain, or UserError if it will never be taken."""
        ...

    def close(self) -> None: ...


class Player:
    """Plays requests to a receiver: one connection a service, one request at a time, so that their order is fixed.

    Args:
        http: "HOST:PORT" of OTLP/HTTP.
        grpc_address: "HOST:PORT" of OTLP/gRPC; without one, all requests go over HTTP.
        stopped: asked between requests and while waiting; playing ends early when it says so.
        wait: sleeps.
    """

    def __init__(
        self,
        http: str,
        grpc_address: str | None = None,
        *,
        stopped: Callable[[], bool] = lambda: False,
        wait: Callable[[float], object] = time.sleep,
    ) -> None:
        self._http = http
        self._grpc = grpc_address
        self._stopped = stopped
        self._wait = wait
        self._senders: dict[str, _Sender] = {}

    def play(self, requests: Iterable[Request], report: Callable[[Progress], None] = lambda _: None) -> Progress:
        """Send all; `report` is told after each request.

        Raises:
            UserError: a request was refused for good, or the receiver could not be reached after many tries.
        """
        progress = Progress()
        try:
            for request in requests:
                if self._stopped():
                    break
                self._deliver(request, progress)
                report(progress)
        finally:
            for sender in self._senders.values():
                sender.close()
            self._senders.clear()
        return progress

    def _deliver(self, request: Request, progress: Progress) -> None:
        transport = "grpc" if self._grpc is not None and request.exporter.transport == "grpc" else "http"
        for _ in range(_TRIES):
            try:
                progress.rejected_items += self._sender(request.service, transport).send(request)
            except TryAgain as error:
                last = error
                if self._stopped():
                    return
                progress.retries += 1
                self._wait(min(error.wait_seconds, _LONGEST_WAIT_SECONDS))
            else:
                progress.requests += 1
                progress.traces += request.traces
                progress.body_bytes += len(request.body)
                progress.by_transport[transport] = progress.by_transport.get(transport, 0) + 1
                return
        raise UserError(f"the demo's traffic could not be sent after {_TRIES} tries: {last}")

    def _sender(self, service: str, transport: str) -> _Sender:
        if service not in self._senders:
            if transport == "grpc" and self._grpc is not None:
                self._senders[service] = _GrpcSender(self._grpc)
            else:
                self._senders[service] = _HttpSender(self._http)
        return self._senders[service]


class _HttpSender:
    """OTLP/HTTP over one kept connection."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._connection = HTTPConnection(address, timeout=_TIMEOUT_SECONDS)

    def send(self, request: Request) -> int:
        body, headers = encoded(request)
        try:
            self._connection.request("POST", _HTTP_PATHS[request.kind == TRACES_KIND], body, headers)
            response = self._connection.getresponse()
            answer = response.read()
        except (OSError, HTTPException) as error:
            self._connection.close()  # the next request opens it anew
            raise TryAgain(0.2, f"{self._address}: {error or type(error).__name__}") from error
        if response.status in _TRY_AGAIN:
            wait_seconds = _seconds(response.getheader("Retry-After"))
            raise TryAgain(wait_seconds, f"{self._address} answered {response.status}")
        if response.status != 200:
            raise UserError(f"{self._address} refused the demo's traffic with {response.status}: {answer[:200]!r}")
        return 0 if request.exporter.encoding == "json" else _rejected(request.kind, answer)

    def close(self) -> None:
        self._connection.close()


class _GrpcSender:
    """OTLP/gRPC over one channel; bodies go as they are."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._channel = grpc.insecure_channel(address)
        self._calls = {
            traces: self._channel.unary_unary(path, request_serializer=None, response_deserializer=None)
            for traces, path in _GRPC_PATHS.items()
        }

    def send(self, request: Request) -> int:
        try:
            answer = self._calls[request.kind == TRACES_KIND](request.body, timeout=_TIMEOUT_SECONDS)
        except grpc.RpcError as error:
            if error.code() in _GRPC_TRY_AGAIN:
                raise TryAgain(_retry_info_seconds(error), f"{self._address} answered {error.code().name}") from error
            raise UserError(
                f"{self._address} refused the demo's traffic with {error.code().name}: {error.details()}"
            ) from error
        return _rejected(request.kind, answer)

    def close(self) -> None:
        self._channel.close()


def encoded(request: Request) -> tuple[bytes, dict[str, str]]:
    """The body as its service's exporter sends it over HTTP, with the headers that say so."""
    body, headers = request.body, {"Content-Type": "application/x-protobuf"}
    if request.exporter.encoding == "json":
        body, headers = to_json(request.kind, request.body), {"Content-Type": "application/json"}
    if request.exporter.gzip:
        body, headers["Content-Encoding"] = igzip.compress(body, 1, mtime=0), "gzip"
    return body, headers


def _seconds(retry_after: str | None) -> float:
    """The wait that a Retry-After header asks for; a second where it is missing, or a date."""
    return float(retry_after) if retry_after is not None and retry_after.isdigit() else 1.0


def _retry_info_seconds(error: Any) -> float:
    """The wait that a gRPC error asks for in its RetryInfo; a second where it has none."""
    metadata = dict(error.trailing_metadata() or ())
    status = Status.FromString(metadata.get("grpc-status-details-bin", b""))
    for detail in status.details:
        info = RetryInfo()
        if detail.Unpack(info):
            return float(info.retry_delay.ToTimedelta().total_seconds())
    return 1.0


def _rejected(kind: str, answer: bytes) -> int:
    """How many items a protobuf answer says were not taken."""
    if kind == TRACES_KIND:
        return int(ExportTraceServiceResponse.FromString(answer).partial_success.rejected_spans)
    return int(ExportLogsServiceResponse.FromString(answer).partial_success.rejected_log_records)
