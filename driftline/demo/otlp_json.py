"""OTLP requests in their JSON encoding, as an exporter that speaks `http/json` would send them.

OTLP 1.x is proto3 JSON with two exceptions: trace and span ids are hexadecimal, and enums are numbers
(https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding).
"""

from base64 import b64decode
from typing import Any

import orjson
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.core.engine import TRACES_KIND

_ID_FIELDS = ("traceId", "spanId", "parentSpanId")


def to_json(kind: str, body: bytes) -> bytes:
    """The protobuf body of a request of this kind, as JSON.

    >>> request = ExportTraceServiceRequest()
    >>> _ = request.resource_spans.add().scope_spans.add().spans.add(trace_id=bytes(15) + b"\\x2a", name="chat", kind=3)
    >>> to_json(TRACES_KIND, request.SerializeToString()).decode()[43:]
    '{"traceId":"0000000000000000000000000000002a","name":"chat","kind":3}]}]}]}'
    """
    message = ExportTraceServiceRequest if kind == TRACES_KIND else ExportLogsServiceRequest
    document = MessageToDict(message.FromString(body), use_integers_for_enums=True)
    if kind == TRACES_KIND:
        for span in _items(document, "resourceSpans", "scopeSpans", "spans"):
            _hexadecimal(span)
            for link in span.get("links", ()):
                _hexadecimal(link)
    else:
        for record in _items(document, "resourceLogs", "scopeLogs", "logRecords"):
            _hexadecimal(record)
    return orjson.dumps(document)


def _items(document: dict[str, Any], resources: str, scopes: str, items: str) -> list[dict[str, Any]]:
    return [
        item
        for resource in document.get(resources, ())
        for scope in resource.get(scopes, ())
        for item in scope.get(items, ())
    ]


def _hexadecimal(item: dict[str, Any]) -> None:
    for name in _ID_FIELDS:
        if name in item:
            item[name] = b64decode(item[name]).hex()
