"""Slices to spans: attributes become plain Python values, within limits.

OTLP 1.x, `opentelemetry/proto/trace/v1/trace.proto` and `logs/v1/logs.proto`. Slices hold protobuf bytes that were cut
out of a request without being looked at, so this is where bad bytes show. A value that cannot be read costs itself,
not its span; `salvage` has the slow path.
"""

from base64 import b64encode
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from google.protobuf.message import DecodeError
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanMessage

from collector.core.errors import Rejected
from collector.core.model import JSON, LogEvent, LogSlice, Span, SpanEvent, SpanSlice
from collector.tenancy import trace_id_of
from collector.wire.salvage import salvage

_VALUES = 1_000_000
_SHARED_BYTES = 64 * 1024  # resources up to this size are kept decoded by the thousand, larger ones only a few


@dataclass(frozen=True, slots=True, eq=False)  # by identity: a cache key with each span, cheap to hash
class DecodeLimits:
    """What one span may cost.

    value_bytes: longer texts are cut there (UTF-8 bytes); bytes values likewise, before base64.
    attributes: entries read of each attribute list, list value or map value.
    depth: levels of nested lists and maps; deeper ones become None.
    events: span events read, and links.
    key_chars: attributes with a longer key are left out.
    """

    value_bytes: int = 1 << 20
    attributes: int = 10_000
    depth: int = 32
    events: int = 10_000
    key_chars: int = 16_384


class Budget:
    """What all spans of one trace together may cost: a value takes a hundred times the memory that it takes bytes."""

    __slots__ = ("values",)

    def __init__(self, values: int = _VALUES) -> None:
        self.values = values


DEFAULT = DecodeLimits()


def decode_span(part: SpanSlice, limits: DecodeLimits = DEFAULT, budget: Budget | None = None) -> Span:
    """The span in a slice. It is marked as truncated if anything of it was left out, here or by its sender.

    Args:
        budget: of its trace, to be shared by all spans; past it, attributes are left out.

    Raises:
        Rejected: `bad_span`, the bytes are no span at all.
    """
    message = parsed(SpanMessage, part.raw, "bad_span")
    reader = _Reader(limits, len(part.raw), budget)
    scope_name, scope_version = _scope(part.origin.scope)
    span = Span(  # by position: sixteen names would cost as much as two attributes
        trace_id_of(part.trace_id).hex(),
        part.span_id.hex(),
        part.parent_id.hex() or None,
        message.name,
        message.kind,
        part.start_ns,
        part.end_ns,
        reader.attributes(message.attributes),
        _events(message.events, reader, limits) if message.events else [],
        _links(message.links, limits) if message.links else [],
        part.status_code,
        message.status.message if message.HasField("status") else "",
        scope_name,
        scope_version,
        _resource(part.origin.resource, limits),
        reader.truncated or message.dropped_attributes_count > 0 or message.dropped_events_count > 0,
    )
    if budget is not None:
        budget.values = reader.left
    return span


def _events(events: Any, reader: "_Reader", limits: DecodeLimits) -> list[SpanEvent]:
    if len(events) > limits.events:
        reader.truncated = True
    return [
        SpanEvent(event.name, event.time_unix_nano, reader.attributes(event.attributes))
        for event in events[: limits.events]
    ]


def _links(links: Any, limits: DecodeLimits) -> list[tuple[str, str]]:
    return [(link.trace_id.hex(), link.span_id.hex()) for link in links[: limits.events]]


def decode_log(part: LogSlice, limits: DecodeLimits = DEFAULT, budget: Budget | None = None) -> LogEvent:
    """The log record in a slice. Old senders put the event's name into the attribute `event.name`.

    Args:
        budget: as for `decode_span`.

    Raises:
        Rejected: `bad_log`, the bytes are no log record at all.
    """
    message = parsed(LogRecord, part.raw, "bad_log")
    reader = _Reader(limits, len(part.raw), budget)
    attributes = reader.attributes(message.attributes)
    name = message.event_name or attributes.get("event.name")
    body = reader.value(message.body, 0)
    if budget is not None:
        budget.values = reader.left
    return LogEvent(
        trace_id=trace_id_of(part.trace_id).hex(),
        span_id=part.span_id.hex() or None,
        event_name=name if isinstance(name, str) else "",
        time_ns=part.time_ns,
        body=body,
        attributes=attributes,
        scope_name=_scope(part.origin.scope)[0],
        resource=_resource(part.origin.resource, limits),
        truncated=reader.truncated or message.dropped_attributes_count > 0,
    )


def parsed(kind: Any, raw: bytes, reason: str) -> Any:
    """A message, as much of it as can be read.

    Raises:
        Rejected: nothing of it.
    """
    try:
        message = kind.FromString(raw)
    except DecodeError as error:
        repaired = salvage(kind, raw)
        if repaired is None:
            raise Rejected(reason, f"{len(raw)} bytes are not an OTLP {kind.DESCRIPTOR.name}: {error}") from error
        return repaired
    return message


class _Reader:
    """Reads AnyValue messages, and remembers whether anything was cut."""

    __slots__ = ("_limits", "_may_have_long_keys", "_sure_chars", "left", "truncated")

    def __init__(self, limits: DecodeLimits, size_bytes: int, budget: Budget | None = None) -> None:
        self._limits = limits
        self._may_have_long_keys = size_bytes > limits.key_chars
        self.left = _VALUES if budget is None else budget.values
        self._sure_chars = limits.value_bytes // 4  # no text this short can be over the limit in UTF-8
        self.truncated = False

    def attributes(self, pairs: Any, depth: int = 0) -> dict[str, JSON]:
        sure_chars = self._sure_chars
        found: dict[str, JSON] = {}
        for pair in self._affordable(pairs):
            value = pair.value
            text = value.string_value  # nearly every value; asking WhichOneof first costs a quarter more
            if text and len(text) <= sure_chars:
                found[pair.key] = text
            else:
                found[pair.key] = self.value(value, depth)
        if self._may_have_long_keys and max(map(len, found), default=0) > self._limits.key_chars:
            self.truncated = True
            return {key: value for key, value in found.items() if len(key) <= self._limits.key_chars}
        return found

    def _affordable(self, values: Any) -> list[Any]:
        """As many as the limits allow; a list is quicker to go through than protobuf's own, also where it is all."""
        kept: list[Any] = values[: self._limits.attributes + 1]
        count = len(kept)
        if count > self._limits.attributes or count > self.left:
            self.truncated = True
            kept = kept[: max(0, min(self._limits.attributes, self.left))]
            count = len(kept)
        self.left -= count
        return kept

    def value(self, value: Any, depth: int) -> JSON:
        kind = value.WhichOneof("value")
        if kind is None:
            return None
        if kind == "string_value":
            return self._text(value.string_value)
        if kind == "array_value":
            return self._list(value.array_value.values, depth + 1)
        if kind == "kvlist_value":
            return self._map(value.kvlist_value.values, depth + 1)
        if kind == "bytes_value":
            return self._bytes(value.bytes_value)
        return getattr(value, kind)

    def _list(self, values: Any, depth: int) -> JSON:
        if depth > self._limits.depth:
            self.truncated = True
            return None
        return [self.value(value, depth) for value in self._affordable(values)]

    def _map(self, pairs: Any, depth: int) -> JSON:
        if depth > self._limits.depth:
            self.truncated = True
            return None
        return self.attributes(pairs, depth)

    def _text(self, text: str) -> str:
        if len(text) <= self._sure_chars:
            return text
        encoded = text.encode()
        if len(encoded) <= self._limits.value_bytes:
            return text
        self.truncated = True
        return encoded[: self._limits.value_bytes].decode(errors="ignore")

    def _bytes(self, value: bytes) -> str:
        if len(value) > self._limits.value_bytes:
            self.truncated = True
            value = value[: self._limits.value_bytes]
        return b64encode(value).decode("ascii")


def _resource(raw: bytes, limits: DecodeLimits) -> dict[str, JSON]:
    """The resource's attributes; the spans of one origin share the dictionary."""
    return _small_resource(raw, limits) if len(raw) <= _SHARED_BYTES else _large_resource(raw, limits)


def _decoded_resource(raw: bytes, limits: DecodeLimits) -> dict[str, JSON]:
    try:
        message = parsed(Resource, raw, "bad_resource")
    except Rejected:
        return {}  # the spans are still worth reading
    return _Reader(limits, len(raw)).attributes(message.attributes)


_small_resource = lru_cache(maxsize=1024)(_decoded_resource)
_large_resource = lru_cache(maxsize=4)(_decoded_resource)


@lru_cache(maxsize=1024)
def _scope(raw: bytes) -> tuple[str, str]:
    """Name and version of the instrumentation scope. (Its attributes say nothing that the spans do not.)"""
    try:
        message = parsed(InstrumentationScope, raw, "bad_scope")
    except Rejected:
        return "", ""
    return message.name[:1000], message.version[:1000]
