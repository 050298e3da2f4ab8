"""An OTLP request taken apart by trace: where the inbox has partitions, all of a trace must go to one of them.

What spans share (resource, scope) is repeated in each part; the spans themselves stay the bytes they came as.
"""

import zlib

from collector.core.engine import TRACES_KIND
from collector.core.model import Origin
from collector.wire.schema import Group, LogHead, LogHeads, Request, SpanHead, SpanHeads
from collector.wire.split import heads, scopes

MAX_PART_BYTES = 512 * 1024
"""A part is closed once it is as long; only a single span or record can make one longer."""


def partition_of(trace_id: bytes, partitions: int) -> int:
    """The partition that everything of a trace goes to."""
    return zlib.crc32(trace_id) % partitions


def route(kind: str, body: bytes, partitions: int) -> list[tuple[int, bytes]]:
    """The request as (partition, request) pairs, in the order of the items within each partition.

    Args:
        kind: `TRACES_KIND` or `EVENTS_KIND`.
        body: a protobuf request that was accepted; what of it cannot be used was counted then, and is left out.
        partitions: how many there are; with one, the request stays whole.
    """
    if partitions == 1:
        return [(0, body)]
    views = (SpanHeads, SpanHead) if kind == TRACES_KIND else (LogHeads, LogHead)
    parts: dict[int, RequestBuilder] = {}
    done: list[tuple[int, bytes]] = []
    for origin, raws, scope in scopes(body):
        for raw, head in zip(raws, heads(scope, raws, *views), strict=True):
            if not head.trace_id:  # of no trace, or no message at all
                continue
            number = partition_of(head.trace_id, partitions)
            part = parts.setdefault(number, RequestBuilder())
            part.add(origin, raw)
            if part.size >= MAX_PART_BYTES:
                done.append((number, parts.pop(number).request()))
    return done + [(number, part.request()) for number, part in parts.items()]


class RequestBuilder:
    """Puts a request together, item by item: runs of spans, or of log records, that share their origin."""

    def __init__(self) -> None:
        self.size = 0
        self._runs: list[tuple[Origin, list[bytes]]] = []

    def add(self, origin: Origin, raw: bytes) -> None:
        if not self._runs or self._runs[-1][0] != origin:
            self._runs.append((origin, []))
            self.size += len(origin.resource) + len(origin.scope)
        self._runs[-1][1].append(raw)
        self.size += len(raw)

    def request(self) -> bytes:
        request = Request()
        for origin, raws in self._runs:
            scope = Group(head=[origin.scope], items=raws, schema_url=origin.schema_url.encode())
            request.groups.append(Group(head=[origin.resource], items=[scope.SerializeToString()]).SerializeToString())
        body: bytes = request.SerializeToString()
        return body
