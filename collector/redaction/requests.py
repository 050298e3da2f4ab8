"""OTLP requests redacted before they are written to the inbox: for those who may not hold raw bytes even that long.

Every text of a span or log record is looked through: its name, attributes, events, links, status, body, and the names
of attributes; so are the resource and the scope. What the schema does not know is left out, for nobody knows what it
holds. So is an item whose bytes cannot be read: it could not be scored either.

Source: opentelemetry-proto 1.x, `trace/v1/trace.proto`, `logs/v1/logs.proto`, `common/v1/common.proto`.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import orjson
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from collector.core.engine import TRACES_KIND
from collector.core.errors import Rejected
from collector.core.telemetry import Telemetry
from collector.redaction.attributes import AttributeLists
from collector.redaction.redactor import Redactor
from collector.wire.decode import parsed
from collector.wire.schema import Group, Request
from collector.wire.split import parse_view

_RESOURCE = "resource."
_SHARED_BYTES = 8192  # resources and scopes up to this size are kept redacted: the same few come again and again


class RequestRedactor:
    """Call it with a kind of the inbox and a request in protobuf. May be used by several threads."""

    def __init__(self, redactor: Redactor, lists: AttributeLists, telemetry: Telemetry) -> None:
        self._redactor, self._lists = redactor, lists
        self._lost = telemetry.counter(
            "driftline_undecodable_spans", "Spans and log records whose bytes could not be decoded.", ["reason"]
        )
        self._resource = _sharing(self._clean_resource)
        self._scope = _sharing(self._clean_scope)

    def __call__(self, kind: str, body: bytes) -> bytes:
        """The request, redacted.

        Raises:
            Rejected: it is not OTLP protobuf.
        """
        item = self._clean_span if kind == TRACES_KIND else self._clean_record
        groups = [self._group(raw, item) for raw in parse_view(Request, body, "the request").groups]
        redacted: bytes = Request(groups=groups).SerializeToString()
        return redacted

    def _group(self, raw: bytes, clean: Callable[[bytes], bytes]) -> bytes:
        group = parse_view(Group, raw, "a resource group")
        scopes = [self._scope_group(scope, clean) for scope in group.items]
        resource = self._resource(b"".join(group.head))
        return self._packed(resource, scopes, group.schema_url)

    def _scope_group(self, raw: bytes, clean: Callable[[bytes], bytes]) -> bytes:
        group = parse_view(Group, raw, "a scope group")
        items = []
        for item in group.items:
            try:
                items.append(clean(item))
            except Rejected as error:
                self._lost.add(1, error.reason)
        return self._packed(self._scope(b"".join(group.head)), items, group.schema_url)

    def _packed(self, head: bytes, items: list[bytes], schema_url: bytes) -> bytes:
        url = self._redactor.text(schema_url.decode("utf-8", "replace")).encode()
        packed: bytes = Group(head=[head] if head else [], items=items, schema_url=url).SerializeToString()
        return packed

    # --- messages ---

    def _clean_resource(self, raw: bytes) -> bytes:
        message = _read(Resource, raw)
        self._attributes(message.attributes, _RESOURCE)
        del message.entity_refs[:]
        return _written(message)

    def _clean_scope(self, raw: bytes) -> bytes:
        message = _read(InstrumentationScope, raw)
        self._texts(message, "name", "version")
        self._attributes(message.attributes)
        return _written(message)

    def _clean_span(self, raw: bytes) -> bytes:
        message = parsed(Span, raw, "bad_span")
        self._texts(message, "name", "trace_state")
        self._attributes(message.attributes)
        for event in message.events:
            self._texts(event, "name")
            self._attributes(event.attributes)
        for link in message.links:
            self._texts(link, "trace_state")
            self._attributes(link.attributes)
        if message.HasField("status"):
            self._texts(message.status, "message")
        return _written(message)

    def _clean_record(self, raw: bytes) -> bytes:
        message = parsed(LogRecord, raw, "bad_log")
        self._texts(message, "severity_text", "event_name")
        self._attributes(message.attributes)
        if message.HasField("body"):
            self._named("body", message.body)
        return _written(message)

    # --- what they are made of ---

    def _texts(self, message: Any, *names: str) -> None:
        for name in names:
            text = getattr(message, name)
            if text and (clean := self._redactor.text(text)) != text:
                setattr(message, name, clean)

    def _attributes(self, pairs: Any, prefix: str = "") -> None:
        dropped = []
        for at, pair in enumerate(pairs):
            key = pair.key
            if self._named(prefix + key, pair.value, key):
                if (clean := self._redactor.text(key)) != key:
                    pair.key = clean
            else:
                dropped.append(at)
        for at in reversed(dropped):
            del pairs[at]

    def _named(self, name: str, value: Any, key: str = "") -> bool:
        """Redact what an attribute holds; False if nothing of it is to stay."""
        verdict = self._lists.verdict(name)
        if verdict == "deny":
            instead = self._redactor.whole(_as_text(value))
            value.Clear()
            value.string_value = instead
            return bool(instead)
        if verdict is None:
            self._value(key, value)
        return True

    def _value(self, key: str, value: Any) -> None:
        """Redact an AnyValue in place."""
        text = value.string_value  # nearly every value
        if text:
            if (clean := self._redactor.field(key, text)) != text:
                value.string_value = clean
            return
        kind = value.WhichOneof("value")
        if kind == "array_value":
            for item in value.array_value.values:
                self._value(key, item)
        elif kind == "kvlist_value":
            for pair in value.kvlist_value.values:
                self._value(pair.key, pair.value)
                if (clean := self._redactor.text(pair.key)) != pair.key:
                    pair.key = clean
        elif kind == "int_value":
            if isinstance(clean := self._redactor.value(value.int_value), str):
                value.string_value = clean
        elif kind == "bytes_value":
            self._bytes(value)

    def _bytes(self, value: Any) -> None:
        """Bytes that are text are looked through as text; others, such as an image, stay as they are."""
        try:
            text = value.bytes_value.decode()
        except UnicodeDecodeError:
            return
        if (clean := self._redactor.json_text(text)) != text:
            value.bytes_value = clean.encode("utf-8", "replace")


def _read(kind: Any, raw: bytes) -> Any:
    """A resource or scope; one that cannot be read is empty, as it is to the decoder: the spans are worth reading."""
    try:
        return parsed(kind, raw, "bad_resource")
    except Rejected:
        return kind()


def _written(message: Any) -> bytes:
    message.DiscardUnknownFields()
    written: bytes = message.SerializeToString()
    return written


def _as_text(value: Any) -> str:
    """A value as one text: the same text for the same value."""
    return value.string_value or orjson.dumps(MessageToDict(value), option=orjson.OPT_SORT_KEYS).decode()


def _sharing(clean: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    """`clean`, done once for what comes again and again."""
    remembered = lru_cache(maxsize=1024)(clean)
    return lambda raw: remembered(raw) if len(raw) <= _SHARED_BYTES else clean(raw)
