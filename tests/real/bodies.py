"""OTLP request bodies as the application's exporters make them, cut into one request a trace, in protobuf and JSON."""

import base64
import gzip
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import orjson
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.real.app import AppRun, AppTrace, Settings, run_app
from tests.real.parts.webhook import webhook

Request: TypeAlias = ExportTraceServiceRequest | ExportLogsServiceRequest
_IDS = ("traceId", "spanId", "parentSpanId")


@dataclass
class TraceBodies:
    """What one exchange of the application is in OTLP: all its spans in one request, its log events in another."""

    sent: AppTrace
    spans: ExportTraceServiceRequest = field(default_factory=ExportTraceServiceRequest)
    events: ExportLogsServiceRequest = field(default_factory=ExportLogsServiceRequest)

    @property
    def trace_id(self) -> str:
        return self.sent.trace_id


def record_app(traces: int, seed: int, start_ns: int, settings: Settings | None = None) -> list[TraceBodies]:
    """Run the application against a receiver of ours; what it sent, by trace, in the order of its start."""
    with webhook() as hook:
        run = run_app(hook.url, "http", traces, seed, start_ns, settings)
    assert (run.undelivered.spans, run.undelivered.logs) == (0, 0)
    found = _by_trace(run)
    for received in hook.received:
        body = gzip.decompress(received.body) if received.headers.get("content-encoding") == "gzip" else received.body
        if received.path == "/v1/traces":
            _share_spans(ExportTraceServiceRequest.FromString(body), found)
        else:
            _share_events(ExportLogsServiceRequest.FromString(body), found)
    return list(found.values())


def _by_trace(run: AppRun) -> dict[str, TraceBodies]:
    return {trace.trace_id: TraceBodies(trace) for trace in run.traces}


def _share_spans(request: ExportTraceServiceRequest, found: dict[str, TraceBodies]) -> None:
    for resource in request.resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                mine = found[span.trace_id.hex()].spans
                if not mine.resource_spans:
                    mine.resource_spans.add(resource=resource.resource).scope_spans.add(scope=scope.scope)
                mine.resource_spans[0].scope_spans[0].spans.append(span)


def _share_events(request: ExportLogsServiceRequest, found: dict[str, TraceBodies]) -> None:
    for resource in request.resource_logs:
        for scope in resource.scope_logs:
            for record in scope.log_records:
                mine = found[record.trace_id.hex()].events
                if not mine.resource_logs:
                    mine.resource_logs.add(resource=resource.resource).scope_logs.add(scope=scope.scope)
                mine.resource_logs[0].scope_logs[0].log_records.append(record)


def as_json(request: Request) -> bytes:
    """OTLP/JSON: protobuf's JSON, but ids in hexadecimal and enumerations as numbers."""
    plain = MessageToDict(request, use_integers_for_enums=True)
    for ids in _with_ids(plain):
        for name in _IDS:
            if name in ids:
                ids[name] = base64.b64decode(ids[name]).hex()
    return orjson.dumps(plain)


def _with_ids(plain: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for resource in [*plain.get("resourceSpans", ()), *plain.get("resourceLogs", ())]:
        for scope in [*resource.get("scopeSpans", ()), *resource.get("scopeLogs", ())]:
            yield from scope.get("spans", ())
            yield from scope.get("logRecords", ())
