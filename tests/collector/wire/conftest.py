"""Recorded bodies, and small ones to build."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

_RECORDED = Path(__file__).parents[2] / "data" / "otlp"


@pytest.fixture(scope="session")
def recorded() -> Callable[[str], dict[str, bytes]]:
    """`recorded("*.otlp.pb")`: the bodies of real libraries by file name."""

    def read(pattern: str) -> dict[str, bytes]:
        found = {path.name: path.read_bytes() for path in sorted(_RECORDED.glob(pattern))}
        assert found
        return found

    return read


@pytest.fixture
def traces_body() -> Callable[..., bytes]:
    """`traces_body({...}, {...})`: a request with one span per mapping of fields, laid over those of a good span."""

    def build(*spans: dict[str, Any]) -> bytes:
        request = ExportTraceServiceRequest()
        scope = request.resource_spans.add().scope_spans.add()
        for number, fields in enumerate(spans or ({},), 1):
            good = {
                "trace_id": bytes([1] * 16),
                "span_id": bytes([number] * 8),
                "name": "chat",
                "end_time_unix_nano": 9,
            }
            scope.spans.add(**{**good, **fields})
        return request.SerializeToString()

    return build


@pytest.fixture
def logs_body() -> Callable[..., bytes]:
    """The same for log records."""

    def build(*records: dict[str, Any]) -> bytes:
        request = ExportLogsServiceRequest()
        scope = request.resource_logs.add().scope_logs.add()
        for fields in records or ({},):
            scope.log_records.add(**{"trace_id": bytes([1] * 16), "time_unix_nano": 5, **fields})
        return request.SerializeToString()

    return build
