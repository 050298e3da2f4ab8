"""The OpenTelemetry SDK set up as an application does it, over OTLP/HTTP or gRPC; counts what did not arrive."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Self

from opentelemetry._logs import Logger
from opentelemetry.sdk._logs import LoggerProvider, ReadableLogRecord
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, Tracer, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

Protocol = Literal["http", "grpc"]

_QUEUE_SIZE = 4096  # what the SDK's batching holds before it drops
_FLUSH_EVERY = 500  # exchanges; each has at most five spans, so the queue never fills
_BATCH_SIZE = 512


@dataclass
class Undelivered:
    """Spans and log records handed to an exporter that did not report success."""

    spans: int = 0
    logs: int = 0


class Sender:
    """Tracer and logger of one application; leaving the block sends what is left."""

    def __init__(
        self,
        endpoint: str,
        protocol: Protocol,
        resource: Mapping[str, str],
        seed: int,
        headers: Mapping[str, str],
        compress: bool,
        timeout_seconds: float,
    ) -> None:
        self.undelivered = Undelivered()
        self._since_flush = 0
        described = Resource(dict(resource))
        spans, logs = _exporters(endpoint, protocol, dict(headers), compress, timeout_seconds)
        self._traces = TracerProvider(ALWAYS_ON, described, shutdown_on_exit=False, id_generator=_SeededIds(seed))
        self._traces.add_span_processor(
            BatchSpanProcessor(_WatchedSpans(spans, self.undelivered), _QUEUE_SIZE, 200, _BATCH_SIZE)
        )
        self._logs = LoggerProvider(described, shutdown_on_exit=False)
        self._logs.add_log_record_processor(
            BatchLogRecordProcessor(_WatchedLogs(logs, self.undelivered), 200, _BATCH_SIZE, max_queue_size=_QUEUE_SIZE)
        )

    def tracer(self, scope: str) -> Tracer:
        tracer = self._traces.get_tracer(scope, "1.3b0")
        assert isinstance(tracer, Tracer)
        return tracer

    def logger(self, scope: str) -> Logger:
        return self._logs.get_logger(scope, "1.3b0")

    def flush_when_full(self) -> None:
        """Call after each exchange: waits for delivery before the SDK's queue could overflow and drop spans unseen."""
        self._since_flush += 1
        if self._since_flush >= _FLUSH_EVERY:
            self._since_flush = 0
            self._traces.force_flush()
            self._logs.force_flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._traces.shutdown()
        self._logs.shutdown()


def _exporters(
    endpoint: str, protocol: Protocol, headers: dict[str, str], compress: bool, timeout_seconds: float
) -> tuple[SpanExporter, LogRecordExporter]:
    if protocol == "grpc":
        from grpc import Compression as GrpcCompression
        from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogs
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpans

        over_grpc: dict[str, Any] = {
            "endpoint": endpoint,
            "insecure": True,
            "headers": headers,
            "compression": GrpcCompression.Gzip if compress else GrpcCompression.NoCompression,
            "timeout": timeout_seconds,
        }
        return GrpcSpans(**over_grpc), GrpcLogs(**over_grpc)

    from opentelemetry.exporter.otlp.proto.http import Compression as HttpCompression
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpLogs
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpans

    over_http: dict[str, Any] = {
        "headers": headers,
        "compression": HttpCompression.Gzip if compress else HttpCompression.NoCompression,
        "timeout": timeout_seconds,
    }
    return HttpSpans(f"{endpoint}/v1/traces", **over_http), HttpLogs(f"{endpoint}/v1/logs", **over_http)


class _SeededIds(IdGenerator):
    def __init__(self, seed: int) -> None:
        self._draw = random.Random(f"ids/{seed}")

    def generate_trace_id(self) -> int:
        return self._draw.randrange(1, 1 << 128)

    def generate_span_id(self) -> int:
        return self._draw.randrange(1, 1 << 64)


class _WatchedSpans(SpanExporter):
    def __init__(self, exporter: SpanExporter, undelivered: Undelivered) -> None:
        self._exporter = exporter
        self._undelivered = undelivered

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._exporter.export(spans)
        if result is not SpanExportResult.SUCCESS:
            self._undelivered.spans += len(spans)
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()


class _WatchedLogs(LogRecordExporter):
    def __init__(self, exporter: LogRecordExporter, undelivered: Undelivered) -> None:
        self._exporter = exporter
        self._undelivered = undelivered

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        result = self._exporter.export(batch)
        if result is not LogRecordExportResult.SUCCESS:
            self._undelivered.logs += len(batch)
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()  # type: ignore[no-untyped-call]

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return True  # holds nothing back: each export is one request
