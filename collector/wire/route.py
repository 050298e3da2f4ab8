"""An OTLP request taken apart by trace: where the inbox has partitions, all of a trace must go to one of them.

What spans share (resource, scope) is repeated in each part; the spans themselves stay the bytes they came as.
"""

import zlib
from collections.abc import Iterator
from typing import Any

from google.protobuf.message import DecodeError

from collector.core.engine import TRACES_KIND
from collector.wire.schema import Group, LogHead, Request, SpanHead

MAX_PART_BYTES = 512 * 1024
"""A part is closed once it is as long; only a single span or record can make one longer."""

_NO_TRACE = b""


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
    head_view = SpanHead if kind == TRACES_KIND else LogHead
    parts: dict[int, _Part] = {}
    done: list[tuple[int, bytes]] = []
    for place, group, scope, raw in _items(body):
        trace_id = _trace_id(head_view, raw)
        if trace_id == _NO_TRACE:
            continue
        number = partition_of(trace_id, partitions)
        part = parts.setdefault(number, _Part())
        part.add(place, group, scope, raw)
        if part.size >= MAX_PART_BYTES:
            done.append((number, parts.pop(number).request()))
    return done + [(number, part.request()) for number, part in parts.items()]


def _items(body: bytes) -> Iterator[tuple[tuple[int, int], Any, Any, bytes]]:
    """Each span or record with the place of its scope, its resource group and its scope."""
    for group_number, group_bytes in enumerate(Request.FromString(body).groups):
        group = Group.FromString(group_bytes)
        for scope_number, scope_bytes in enumerate(group.items):
            scope = Group.FromString(scope_bytes)
            for raw in scope.items:
                yield (group_number, scope_number), group, scope, raw


def _trace_id(view: Any, raw: bytes) -> bytes:
    try:
        trace_id: bytes = view.FromString(raw).trace_id
    except DecodeError:  # counted when the request was accepted
        return _NO_TRACE
    return trace_id


class _Part:
    """What goes to one partition: the spans by scope, the scopes by resource, all in their order."""

    def __init__(self) -> None:
        self.size = 0
        self._scopes: dict[tuple[int, int], tuple[Any, Any, list[bytes]]] = {}

    def add(self, place: tuple[int, int], group: Any, scope: Any, raw: bytes) -> None:
        known = self._scopes.get(place)
        if known is None:
            known = self._scopes[place] = group, scope, []
            self.size += sum(map(len, group.head)) + sum(map(len, scope.head))
        known[2].append(raw)
        self.size += len(raw)

    def request(self) -> bytes:
        request, groups = Request(), dict[int, Any]()
        for (number, _), (group, scope, raws) in self._scopes.items():
            if number not in groups:
                groups[number] = Group(head=group.head, schema_url=group.schema_url)
            part = Group(head=scope.head, items=raws, schema_url=scope.schema_url)
            groups[number].items.append(part.SerializeToString())
        request.groups.extend(group.SerializeToString() for group in groups.values())
        body: bytes = request.SerializeToString()
        return body
