"""Spans and log records that are too long, made as long as is taken: a prompt of 100 MB must not cost its span.

Values are cut first, each to a quarter of what the whole may have, at a whole character. Then what there is no room
for is left out, from the end. The sender's own counts of what was dropped say how much that is, and so mark the item.
"""

from typing import Any

from google.protobuf.message import DecodeError
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from collector.wire.salvage import twin

_HEAD_BYTES = 1024  # of name, trace state and status message together a few times as much
_DROPPED = {
    "attributes": "dropped_attributes_count",
    "events": "dropped_events_count",
    "links": "dropped_links_count",
    "body": "dropped_attributes_count",
}


def shorten_span(raw: bytes, max_bytes: int) -> bytes:
    """A Span of at most `max_bytes`, at least 16 KiB; anything that is no message stays as it is."""
    return _shortened(Span, raw, max_bytes)


def shorten_record(raw: bytes, max_bytes: int) -> bytes:
    """The same for a LogRecord."""
    return _shortened(LogRecord, raw, max_bytes)


def _shortened(kind: Any, raw: bytes, max_bytes: int) -> bytes:
    whole = twin(kind)()
    try:
        whole.ParseFromString(raw)
    except DecodeError:
        return raw
    short = twin(kind)()
    room = max_bytes - 8 * _HEAD_BYTES
    for field, value in whole.ListFields():
        if field.name in _DROPPED:
            kept, dropped = _kept([value] if isinstance(value, bytes) else value, field.name, room, max_bytes // 4)
            room -= sum(map(len, kept)) + 8 * len(kept)
            counter = _DROPPED[field.name]
            setattr(short, counter, min(getattr(short, counter) + getattr(whole, counter) + dropped, 2**32 - 1))
            if isinstance(value, bytes):
                setattr(short, field.name, kept[0] if kept else b"")
            else:
                getattr(short, field.name).extend(kept)
        elif field.name == "status":
            short.status = _status(value)
        elif isinstance(value, bytes):
            setattr(short, field.name, _cut(value, _HEAD_BYTES))
        elif not field.name.startswith("dropped_"):
            setattr(short, field.name, value)
    out: bytes = short.SerializeToString()
    return out


def _kept(values: Any, name: str, room: int, max_value_bytes: int) -> tuple[list[bytes], int]:
    """Those for which there is room, and how many are not whole or not there."""
    kept: list[bytes] = []
    whole = 0
    for value in values:
        short = value if len(value) <= max_value_bytes else _short(value, name, max_value_bytes)
        if short is not None and len(short) + 8 <= room:
            kept.append(short)
            room -= len(short) + 8
            whole += short is value
    return kept, len(values) - whole


def _short(raw: bytes, name: str, max_bytes: int) -> bytes | None:
    if name == "attributes":
        return _short_pair(raw, max_bytes)
    if name == "body":
        return _short_value(raw, max_bytes)
    return _short_event(raw, max_bytes) if name == "events" else None


def _short_event(raw: bytes, max_bytes: int) -> bytes | None:
    event = twin(Span.Event)()
    try:
        event.ParseFromString(raw)
    except DecodeError:
        return None
    kept, dropped = _kept(event.attributes, "attributes", max_bytes - 4 * _HEAD_BYTES, max_bytes // 4)
    del event.attributes[:]
    event.attributes.extend(kept)
    event.name = _cut(event.name, _HEAD_BYTES)
    event.dropped_attributes_count = min(event.dropped_attributes_count + dropped, 2**32 - 1)
    event.DiscardUnknownFields()
    out: bytes = event.SerializeToString()
    return out


def _short_pair(raw: bytes, max_bytes: int) -> bytes | None:
    """An attribute with its value cut; None if there is no way: it is a list, or its key is as long."""
    pair = twin(KeyValue)()
    try:
        pair.ParseFromString(raw)
    except DecodeError:
        return None
    value = _short_value(pair.value, max_bytes - len(pair.key) - 16)
    if value is None:
        return None
    out: bytes = twin(KeyValue)(key=pair.key, value=value).SerializeToString()
    return out


def _short_value(raw: bytes, max_bytes: int) -> bytes | None:
    value = twin(AnyValue)()
    try:
        value.ParseFromString(raw)
    except DecodeError:
        return None
    kind = value.WhichOneof("value")
    if kind not in ("string_value", "bytes_value") or max_bytes < _HEAD_BYTES:
        return None
    content = getattr(value, kind)
    cut = content[: max_bytes - 16] if kind == "bytes_value" else _cut(content, max_bytes - 16)
    out: bytes = twin(AnyValue)(**{kind: cut}).SerializeToString()
    return out


def _status(raw: bytes) -> bytes:
    status = twin(Status)()
    try:
        status.ParseFromString(raw)
    except DecodeError:
        return b""
    status.message = _cut(status.message, _HEAD_BYTES)
    out: bytes = status.SerializeToString()
    return out


def _cut(text: bytes, max_bytes: int) -> bytes:
    """UTF-8 text without half a character at its end."""
    if len(text) <= max_bytes:
        return text
    return text[:max_bytes].decode(errors="ignore").encode()
