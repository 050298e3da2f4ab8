"""Bodies to send, an inbox to look into, and a listener for the length of a `with`."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.core.telemetry import Telemetry


class Ticking:
    """The clock of `time.monotonic`, set by hand."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now


class RecordingInbox:
    """Takes everything, unless `error` is set; `gate` holds takers back until it is set."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, bytes]] = []
        self.tenants: list[str] = []
        self.error: Exception | None = None
        self.gate: asyncio.Event | None = None
        self.entered = 0

    async def __call__(self, kind: str, body: bytes, tenant: str = "") -> None:
        self.entered += 1
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error
        self.taken.append((kind, body))
        self.tenants.append(tenant)


@pytest.fixture
def inbox() -> RecordingInbox:
    return RecordingInbox()


@pytest.fixture
def telemetry() -> Telemetry:
    return Telemetry()


@pytest.fixture
def count(telemetry: Telemetry) -> Callable[..., float]:
    """`count("driftline_received_spans", "otlp_http", "json")`: the value of a counter or gauge, 0 if never set."""

    def read(name: str, *labels: str) -> float:
        found = {instrument.name: instrument for instrument in telemetry.instruments()}
        values: dict[tuple[str, ...], float] = found[name].values()  # type: ignore[attr-defined]
        return values.get(labels, 0)

    return read


@pytest.fixture
def traces_body() -> Callable[..., bytes]:
    """`traces_body(3, bad=2)`: a request of three good spans and two with a bad trace id."""

    def build(good: int = 1, bad: int = 0, text: str = "") -> bytes:
        request = ExportTraceServiceRequest()
        spans = request.resource_spans.add().scope_spans.add().spans
        for number in range(good + bad):
            trace_id = bytes([7] * 16) if number < good else b"short"
            spans.add(trace_id=trace_id, span_id=bytes([number + 1] * 8), name="chat" + text)
        return request.SerializeToString()

    return build


@pytest.fixture
def logs_body() -> Callable[..., bytes]:
    """`logs_body(2, without_trace=1)`: a request of two records of a trace and one that belongs to none."""

    def build(good: int = 1, without_trace: int = 0) -> bytes:
        request = ExportLogsServiceRequest()
        records = request.resource_logs.add().scope_logs.add().log_records
        for number in range(good + without_trace):
            records.add(trace_id=bytes([7] * 16) if number < good else b"", time_unix_nano=5)
        return request.SerializeToString()

    return build


@pytest.fixture
def serving() -> Callable[[Any], contextlib.AbstractAsyncContextManager[Any]]:
    """`async with serving(receiver):` starts a receiver and closes it."""

    @contextlib.asynccontextmanager
    async def serve(receiver: Any) -> AsyncIterator[Any]:
        await receiver.start()
        try:
            yield receiver
        finally:
            await receiver.close(grace_seconds=2)

    return serve
