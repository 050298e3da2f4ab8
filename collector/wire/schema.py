"""Views of the OTLP messages: our own descriptors for the same bytes, that decode only what splitting needs.

A protobuf field of type message and one of type bytes look alike on the wire, so a view may declare a part as bytes and
get it undecoded. Here a span, a resource and a scope stay the bytes they came as, text is not checked to be UTF-8
(one bad character would cost the whole request), and what is not named is skipped.

The traces and the logs requests have the same shape, hence one `Group` for four messages. A part that the schema allows
only once is declared repeated: protobuf merges what is sent twice, and merging is joining the bytes.

Source: opentelemetry-proto 1.x, `trace/v1/trace.proto`, `logs/v1/logs.proto`; google/rpc status and
error_details.
"""

from typing import Any, NamedTuple

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_FIELD = descriptor_pb2.FieldDescriptorProto
_BYTES, _STRING, _MESSAGE = _FIELD.TYPE_BYTES, _FIELD.TYPE_STRING, _FIELD.TYPE_MESSAGE
_FIXED64, _INT32, _INT64 = _FIELD.TYPE_FIXED64, _FIELD.TYPE_INT32, _FIELD.TYPE_INT64


class _Field(NamedTuple):
    name: str
    number: int
    type: int
    repeated: bool = False
    message: str = ""


_VIEWS: dict[str, list[_Field]] = {
    # Export{Trace,Logs}ServiceRequest
    "Request": [_Field("groups", 1, _BYTES, repeated=True)],
    # Resource{Spans,Logs}: head is the resource; Scope{Spans,Logs}: head is the scope
    "Group": [
        _Field("head", 1, _BYTES, repeated=True),
        _Field("items", 2, _BYTES, repeated=True),
        _Field("schema_url", 3, _BYTES),
    ],
    "Status": [_Field("code", 3, _INT32)],
    "SpanHead": [
        _Field("trace_id", 1, _BYTES),
        _Field("span_id", 2, _BYTES),
        _Field("trace_state", 3, _BYTES),
        _Field("parent_id", 4, _BYTES),
        _Field("start_ns", 7, _FIXED64),
        _Field("end_ns", 8, _FIXED64),
        _Field("status", 15, _MESSAGE, message="Status"),
    ],
    "SpanHeads": [_Field("items", 2, _MESSAGE, repeated=True, message="SpanHead")],
    "LogHead": [
        _Field("time_ns", 1, _FIXED64),
        _Field("trace_id", 9, _BYTES),
        _Field("span_id", 10, _BYTES),
        _Field("observed_ns", 11, _FIXED64),
    ],
    "LogHeads": [_Field("items", 2, _MESSAGE, repeated=True, message="LogHead")],
    # Export{Trace,Logs}ServiceResponse
    "PartialSuccess": [_Field("rejected", 1, _INT64), _Field("error_message", 2, _STRING)],
    "Response": [_Field("partial_success", 1, _MESSAGE, message="PartialSuccess")],
    # google.rpc
    "Any": [_Field("type_url", 1, _STRING), _Field("value", 2, _BYTES)],
    "RpcStatus": [
        _Field("code", 1, _INT32),
        _Field("message", 2, _STRING),
        _Field("details", 3, _MESSAGE, repeated=True, message="Any"),
    ],
    "Duration": [_Field("seconds", 1, _INT64), _Field("nanos", 2, _INT32)],
    "RetryInfo": [_Field("retry_delay", 1, _MESSAGE, message="Duration")],
    "FieldViolation": [_Field("field", 1, _STRING), _Field("description", 2, _STRING)],
    "BadRequest": [_Field("field_violations", 1, _MESSAGE, repeated=True, message="FieldViolation")],
}


def _build() -> dict[str, Any]:
    """The message classes by name, in a pool of their own so that they clash with no other schema in the process."""
    package = "driftline.wire"
    file = descriptor_pb2.FileDescriptorProto(name="driftline_wire.proto", package=package, syntax="proto3")
    for name, fields in _VIEWS.items():
        message = file.message_type.add(name=name)
        for field in fields:
            label = _FIELD.LABEL_REPEATED if field.repeated else _FIELD.LABEL_OPTIONAL
            added = message.field.add(name=field.name, number=field.number, type=field.type, label=label)
            if field.message:
                added.type_name = f".{package}.{field.message}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}")) for name in _VIEWS}


_CLASSES = _build()
Request = _CLASSES["Request"]
Group = _CLASSES["Group"]
SpanHead = _CLASSES["SpanHead"]
SpanHeads = _CLASSES["SpanHeads"]
LogHead = _CLASSES["LogHead"]
LogHeads = _CLASSES["LogHeads"]
Response = _CLASSES["Response"]
RpcStatus = _CLASSES["RpcStatus"]
RetryInfo = _CLASSES["RetryInfo"]
BadRequest = _CLASSES["BadRequest"]
