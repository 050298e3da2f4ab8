"""Reading OTLP messages that the protobuf library refuses: text that is not UTF-8, or values nested too deep.

The bytes are parsed once more with a twin of each message in which text is bytes, and attributes, values and events
are left undecoded; what can be read is put into an ordinary message, with U+FFFD for what is not UTF-8.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.logs.v1 import logs_pb2
from opentelemetry.proto.resource.v1 import resource_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

_DEEPEST = 80  # messages within messages, as deep as the library itself goes; a list takes two; below is left out
_MOST = 10_001  # parts of one list: one more than is read, so that it is seen that there are more
_FIELD = descriptor_pb2.FieldDescriptorProto
_MODULES = (common_pb2, resource_pb2, trace_pb2, logs_pb2)


def salvage(kind: Any, raw: bytes) -> Any | None:
    """A message of class `kind` with what can be read of `raw`, or None if the bytes are no such message.

    >>> from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
    >>> salvage(InstrumentationScope, bytes([0x0A, 3]) + b"a\\xffb").name
    'a\ufffdb'
    """
    return _salvaged(kind, raw, 0)


def twin(kind: Any) -> Any:
    """The class of the same message with bytes in the place of text and of inner messages."""
    return _twin(kind.DESCRIPTOR.full_name)


def _salvaged(kind: Any, raw: bytes, depth: int) -> Any | None:
    bare = twin(kind)()
    try:
        bare.ParseFromString(raw)
    except DecodeError:
        return None
    message = kind()
    for field, value in bare.ListFields():
        try:
            _copy(message, kind.DESCRIPTOR.fields_by_number[field.number], value, depth)
        except (ValueError, TypeError, AttributeError):
            continue  # this field cannot be read; the others can
    return message


def _copy(message: Any, field: Any, value: Any, depth: int) -> None:
    if field.message_type is not None:
        _copy_messages(message, field, value, depth)
    elif field.type == field.TYPE_STRING:
        setattr(message, field.name, value.decode(errors="replace"))
    else:  # OTLP has no lists of numbers
        setattr(message, field.name, value)


def _copy_messages(message: Any, field: Any, value: Any, depth: int) -> None:
    if depth >= _DEEPEST:
        return
    inner_kind = message_factory.GetMessageClass(field.message_type)
    if isinstance(value, bytes):
        inner = _salvaged(inner_kind, value, depth + 1)
        if inner is not None:
            getattr(message, field.name).CopyFrom(inner)
        return
    for raw in value[:_MOST]:
        inner = _salvaged(inner_kind, raw, depth + 1)
        if inner is not None:
            getattr(message, field.name).append(inner)


def _bytes_everywhere(message: Any) -> None:
    """Turn each text and each inner message of a message type into bytes; on the wire the three look alike."""
    for field in message.field:
        if field.type in (_FIELD.TYPE_STRING, _FIELD.TYPE_MESSAGE):
            field.type = _FIELD.TYPE_BYTES
            field.ClearField("type_name")
    for inner in message.nested_type:
        _bytes_everywhere(inner)


@cache
def _pool() -> Any:
    pool = descriptor_pool.DescriptorPool()
    for module in _MODULES:
        file = descriptor_pb2.FileDescriptorProto()
        module.DESCRIPTOR.CopyToProto(file)
        for message in file.message_type:
            _bytes_everywhere(message)
        pool.Add(file)
    return pool


@cache
def _twin(full_name: str) -> Callable[[], Any]:
    twin: Callable[[], Any] = message_factory.GetMessageClass(_pool().FindMessageTypeByName(full_name))
    return twin
