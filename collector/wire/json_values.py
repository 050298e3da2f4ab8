"""From a JSON object to a protobuf message, by the message's own descriptor and the rules of OTLP/JSON.

They differ from protobuf's usual JSON in that ids are hexadecimal and enums are numbers. We take a little more than the
specification asks for, since senders do it: snake_case keys, names of enums, 64-bit integers as numbers or text.

Source: OpenTelemetry protocol specification 1.x, "JSON Protobuf Encoding"; protobuf, "ProtoJSON Format".
"""

import base64
import binascii
import re
from collections.abc import Callable
from typing import Any, TypeAlias

from google.protobuf.descriptor import Descriptor, FieldDescriptor

MAX_DEPTH = 90
"""Messages within messages of one span or record; a parser of protobuf refuses 100. A map in a map takes three."""

Fill: TypeAlias = Callable[[Any, Any, int], None]
"""Puts a JSON value into a message, or into a field of it, at a depth."""

_INTEGER = re.compile(r"-?[0-9]{1,20}", re.ASCII)
_NUMBER = re.compile(r"-?[0-9]{1,400}(\.[0-9]{1,400})?([eE][+-]?[0-9]{1,3})?", re.ASCII)
_HEX = re.compile(r"([0-9A-Fa-f]{2}){0,32}", re.ASCII)
_HEX_REASONS = {"trace_id": "bad_trace_id", "span_id": "bad_span_id", "parent_span_id": "bad_span_id"}
_DOUBLES = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}
_RANGES = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}


class Wrong(Exception):
    """A value of the wrong type. `path` grows while it rises; the problem never quotes content."""

    def __init__(self, problem: str, reason: str | None = None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.reason = reason
        self.path = ""

    def under(self, part: str) -> "Wrong":
        dot = "" if not self.path or self.path.startswith("[") else "."
        self.path = f"{part}{dot}{self.path}"
        return self


def kind_of(value: Any) -> str:
    """What a JSON value is, in words.

    >>> kind_of([]), kind_of(1.5)
    ('a list', 'a number')
    """
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case list():
            return "a list"
        case _:
            return "an object"


def filler(descriptor: Descriptor) -> Fill:
    """A function that puts a JSON object into a message of this type. Made once per type.

    It raises `Wrong` for a value of a wrong type and for nesting past `MAX_DEPTH`.
    """
    known = _FILLERS.get(descriptor.full_name)
    if known is not None:
        return known
    table: dict[str, Fill] = {}

    def fill(message: Any, value: Any, depth: int) -> None:
        if type(value) is not dict:
            raise Wrong(f"{kind_of(value)} is not an object")
        if depth > MAX_DEPTH:
            raise Wrong(f"nested more than {MAX_DEPTH} messages deep")
        for key, content in value.items():
            put = table.get(key)
            if put is None or content is None:
                continue
            try:
                put(message, content, depth)
            except Wrong as wrong:
                raise wrong.under(key) from None

    _FILLERS[descriptor.full_name] = fill  # before its fields: AnyValue holds itself
    for field in descriptor.fields:
        table[field.json_name] = table[field.name] = _field(field)
    return fill


_FILLERS: dict[str, Fill] = {}


def _field(field: FieldDescriptor) -> Fill:
    if field.cpp_type == FieldDescriptor.CPPTYPE_MESSAGE:
        return _messages(field) if field.is_repeated else _message(field)
    return _scalars(field) if field.is_repeated else _scalar(field)


def _message(field: FieldDescriptor) -> Fill:
    name, fill = field.name, filler(field.message_type)

    def put(message: Any, value: Any, depth: int) -> None:
        part = getattr(message, name)
        part.SetInParent()  # an empty list value is there all the same
        fill(part, value, depth + 1)

    return put


def _messages(field: FieldDescriptor) -> Fill:
    name, fill = field.name, filler(field.message_type)
    is_attributes = field.message_type.name == "KeyValue"

    def put(message: Any, value: Any, depth: int) -> None:
        add = getattr(message, name).add
        is_quick = is_attributes and depth + 2 <= MAX_DEPTH
        for number, item in enumerate(as_list(value)):
            try:
                added = add()
                if not (is_quick and _put_text_attribute(added, item)):
                    fill(added, item, depth + 1)
            except Wrong as wrong:
                raise wrong.under(f"[{number}]") from None

    return put


def _put_text_attribute(message: Any, item: Any) -> bool:
    """The fast path for what nearly every attribute is: a key and a text. False if this is not one."""
    if type(item) is not dict or len(item) != 2:
        return False
    key, value = item.get("key"), item.get("value")
    if type(key) is not str or type(value) is not dict or len(value) != 1:
        return False
    text = value.get("stringValue")
    if type(text) is not str:
        return False
    message.key = key
    message.value.string_value = text
    return True


def _scalar(field: FieldDescriptor) -> Fill:
    name, read = field.name, _reader(field)

    def put(message: Any, value: Any, depth: int) -> None:
        setattr(message, name, read(value))

    return put


def _scalars(field: FieldDescriptor) -> Fill:
    name, read = field.name, _reader(field)

    def put(message: Any, value: Any, depth: int) -> None:
        getattr(message, name).extend([read(item) for item in as_list(value)])

    return put


def as_list(value: Any) -> list[Any]:
    """The value itself; raises `Wrong` if it is no list."""
    if type(value) is not list:
        raise Wrong(f"{kind_of(value)} is not a list")
    return value


def _reader(field: FieldDescriptor) -> Callable[[Any], Any]:
    """How a JSON value becomes a value of the field's type."""
    if field.type == FieldDescriptor.TYPE_BYTES:
        reason = _HEX_REASONS.get(field.name)
        return _base64 if reason is None else lambda value: _hex(value, reason)
    if field.cpp_type == FieldDescriptor.CPPTYPE_ENUM:
        names = {item.name: item.number for item in field.enum_type.values}
        return lambda value: _enum(value, names)
    if field.cpp_type in _RANGES:
        low, high = _RANGES[field.cpp_type]
        return lambda value: _integer(value, low, high)
    return {
        FieldDescriptor.CPPTYPE_STRING: _text,
        FieldDescriptor.CPPTYPE_BOOL: _boolean,
        FieldDescriptor.CPPTYPE_DOUBLE: _double,
    }[field.cpp_type]


def _text(value: Any) -> str:
    if type(value) is not str:
        raise Wrong(f"{kind_of(value)} is not text")
    return value


def _boolean(value: Any) -> bool:
    if type(value) is not bool:
        raise Wrong(f"{kind_of(value)} is not true or false")
    return value


def _integer(value: Any, low: int, high: int) -> int:
    if (type(value) is str and _INTEGER.fullmatch(value)) or (type(value) is float and value.is_integer()):
        value = int(value)
    if type(value) is not int:
        raise Wrong(f"{kind_of(value)} is not a whole number")
    if not low <= value <= high:
        raise Wrong(f"{value} is not between {low} and {high}")
    return value


def _double(value: Any) -> float:
    if type(value) is float or type(value) is int:
        return float(value)
    if type(value) is str:
        if value in _DOUBLES:
            return _DOUBLES[value]
        if _NUMBER.fullmatch(value):
            return float(value)
    raise Wrong(f"{kind_of(value)} is not a number, NaN, Infinity or -Infinity")


def _enum(value: Any, names: dict[str, int]) -> int:
    if type(value) is str and not _INTEGER.fullmatch(value):
        if value not in names:
            raise Wrong(f"{value[:40]!r} is not one of {', '.join(names)}")
        return names[value]
    return _integer(value, *_RANGES[FieldDescriptor.CPPTYPE_INT32])


def _hex(value: Any, reason: str) -> bytes:
    if type(value) is not str or not _HEX.fullmatch(value):
        shown = repr(value[:80]) if type(value) is str else kind_of(value)
        raise Wrong(f"{shown} is not hexadecimal", reason)
    return bytes.fromhex(value)


def _base64(value: Any) -> bytes:
    """Either alphabet, padding optional, as ProtoJSON wants it."""
    text = _text(value).rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise Wrong("text is not base64") from None
