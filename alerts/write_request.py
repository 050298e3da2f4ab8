"""`prometheus.WriteRequest` of remote write 1.0, as protobuf.

Written field by field rather than by protobuf's own classes: the labels of a series are encoded once and kept, so that
a push of many series costs little more than their numbers. The tests read it with protobuf's own classes.

Sources: "Prometheus Remote-Write 1.0 specification" (prometheus.io), section Protocol; Protocol Buffers, "Encoding".
"""

import struct
from collections.abc import Mapping

from alerts.exposition import exemplar_labels
from alerts.samples import Spell, text_of
from collector.core.telemetry import Exemplar

STALE = struct.pack("<Q", 0x7FF0000000000002)
"""The number that ends a series: one of the NaN values, with bits of its own (section Stale Markers)."""

_KINDS = {"counter": 1, "gauge": 2, "histogram": 3, "info": 6}  # enum MetricType; else 0, unknown
_MESSAGE, _DOUBLE, _VARINT = 2, 1, 0  # wire types


def spell(extra: Mapping[str, str]) -> Spell[bytes]:
    """Spells a series as its encoded labels, sorted, none empty; `extra` are on all that have no label of that name."""

    def encoded(name: str, labels: Mapping[str, str]) -> bytes:
        return _labels({**extra, **labels, "__name__": name})

    return encoded


def timeseries(labels: bytes, value: float, at_ms: int, exemplar: Exemplar | None = None) -> bytes:
    """One series with one sample, as a part of a request."""
    sent = exemplar_labels(exemplar) if exemplar is not None else {}
    told = b""
    if exemplar is not None and sent:
        number = _key(2, _DOUBLE) + struct.pack("<d", exemplar.value)
        told = _field(3, _labels(sent) + number + _int(3, exemplar.at_ns // 1_000_000))
    return _field(1, labels + _sample(struct.pack("<d", value), at_ms) + told)


def ended(labels: bytes, at_ms: int) -> bytes:
    """The end of a series: nothing comes any more."""
    return _field(1, labels + _sample(STALE, at_ms))


def metadata(kind: str, family: str, text: str, unit: str) -> bytes:
    """What a metric is, as a part of a request."""
    parts = [_int(1, _KINDS.get(kind, 0)), _text(2, family), _text(4, text), _text(5, unit)]
    return _field(3, b"".join(parts))


def _sample(value: bytes, at_ms: int) -> bytes:
    return _field(2, _key(1, _DOUBLE) + value + _int(2, at_ms))


def _labels(labels: Mapping[str, str]) -> bytes:
    return b"".join(_field(1, _text(1, name) + _text(2, value)) for name, value in sorted(labels.items()) if value)


def _text(number: int, text: str) -> bytes:
    return _field(number, text_of(text).encode())


def _field(number: int, content: bytes) -> bytes:
    return _key(number, _MESSAGE) + _varint(len(content)) + content


def _int(number: int, value: int) -> bytes:
    return _key(number, _VARINT) + _varint(value & 0xFFFFFFFFFFFFFFFF)


def _key(number: int, wire_type: int) -> bytes:
    return bytes((number << 3 | wire_type,))


def _varint(value: int) -> bytes:
    """
    >>> _varint(1), _varint(300)
    (b'\\x01', b'\\xac\\x02')
    """
    if value < 0x80:
        return bytes((value,))
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
