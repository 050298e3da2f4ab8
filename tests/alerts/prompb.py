"""`prometheus.WriteRequest` read by protobuf's own classes: what remote write sends, as its receivers see it."""

from dataclasses import dataclass
from typing import Any

import cramjam
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_Field = descriptor_pb2.FieldDescriptorProto
_TYPES = {"double": _Field.TYPE_DOUBLE, "int64": _Field.TYPE_INT64, "string": _Field.TYPE_STRING}
# prometheus/prometheus, prompb/remote.proto and types.proto, as far as version 1.0 of the protocol goes
_MESSAGES = {
    "WriteRequest": [("timeseries", 1, "*TimeSeries"), ("metadata", 3, "*MetricMetadata")],
    "TimeSeries": [("labels", 1, "*Label"), ("samples", 2, "*Sample"), ("exemplars", 3, "*Exemplar")],
    "Label": [("name", 1, "string"), ("value", 2, "string")],
    "Sample": [("value", 1, "double"), ("timestamp", 2, "int64")],
    "Exemplar": [("labels", 1, "*Label"), ("value", 2, "double"), ("timestamp", 3, "int64")],
    "MetricMetadata": [
        *(("type", 1, "int64"), ("metric_family_name", 2, "string"), ("help", 4, "string"), ("unit", 5, "string")),
    ],
}


def _classes() -> Any:
    file = descriptor_pb2.FileDescriptorProto(name="prompb.proto", package="prometheus", syntax="proto3")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, number, kind in fields:
            label = _Field.LABEL_REPEATED if kind.startswith("*") else _Field.LABEL_OPTIONAL
            added = message.field.add(name=field, number=number, label=label)
            if kind in _TYPES:
                added.type = _TYPES[kind]
            else:
                added.type, added.type_name = _Field.TYPE_MESSAGE, f".prometheus.{kind[1:]}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("prometheus.WriteRequest"))


WriteRequest = _classes()


@dataclass(frozen=True)
class Series:
    """One series of a request."""

    labels: tuple[tuple[str, str], ...]
    value: float
    at_ms: int
    exemplars: tuple[tuple[tuple[tuple[str, str], ...], float, int], ...]
    is_end: bool

    @property
    def name(self) -> str:
        return dict(self.labels)["__name__"]


def series(message: bytes) -> list[Series]:
    """The series of a request; each has one sample."""
    found = []
    for one in WriteRequest.FromString(message).timeseries:
        (sample,) = one.samples
        exemplars = tuple((_labels(each), each.value, each.timestamp) for each in one.exemplars)
        end = sample.SerializeToString().startswith(b"\x09\x02\x00\x00\x00\x00\x00\xf0\x7f")  # Prometheus's StaleNaN
        found.append(Series(_labels(one), sample.value, sample.timestamp, exemplars, end))
    return found


def unpacked(body: bytes) -> bytes:
    return bytes(cramjam.snappy.decompress_raw(body))


def _labels(message: Any) -> tuple[tuple[str, str], ...]:
    return tuple((label.name, label.value) for label in message.labels)
