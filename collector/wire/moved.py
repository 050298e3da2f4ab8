"""Traces on their way from one partition of the inbox to another, as records of the inbox.

A record is a head (JSON: what is known of the traces that were evaluated before) and two OTLP requests, of spans and of
log records, each preceded by its length. What was not evaluated yet of a trace is `false`, nothing, `true`, something,
or the list of its late spans, which older releases take for `true`.
"""

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import orjson

from collector.core.errors import Rejected
from collector.waiting import Moved
from collector.wire.route import MAX_PART_BYTES, RequestBuilder

_LENGTHS = struct.Struct(">III")


@dataclass(slots=True)
class Arrived:
    """A record read back: `known` has the evaluated traces, without spans; `names` are the scorers that scored them."""

    known: Sequence[tuple[Moved, Sequence[str]]] = ()
    traces: bytes = b""
    logs: bytes = b""


def pack(moved: Iterable[Moved], names: Callable[[int], Sequence[str]]) -> Iterator[bytes]:
    """Records of about `MAX_PART_BYTES`, in order; a long trace may take several.

    Args:
        names: the scorers that a trace's bits stand for.
    """
    head: list[list[object]] = []
    builders = RequestBuilder(), RequestBuilder()
    for trace in moved:
        fresh = [one.hex() for one in sorted(trace.late)] or trace.fresh
        known = [trace.trace_id.hex(), trace.revision, trace.closed_at_ns, fresh, list(names(trace.scored))]
        told = trace.revision < 0
        for items, which in ((trace.spans, 0), (trace.events, 1)):
            for item in items:
                if builders[0].size + builders[1].size >= MAX_PART_BYTES:
                    yield _record(head, *builders)
                    head, builders, told = [], (RequestBuilder(), RequestBuilder()), trace.revision < 0
                if not told:
                    head.append(known)
                    told = True
                builders[which].add(item.origin, item.raw)
    if builders[0].size + builders[1].size:
        yield _record(head, *builders)


def unpack(value: bytes) -> Arrived:
    """Raises Rejected (`malformed`)."""
    try:
        sizes = _LENGTHS.unpack_from(value)
        if _LENGTHS.size + sum(sizes) != len(value):
            raise ValueError("its lengths do not add up")
        first, second = _LENGTHS.size + sizes[0], _LENGTHS.size + sizes[0] + sizes[1]
        known = [
            (
                Moved(bytes.fromhex(trace_id), int(revision), int(closed_at_ns), 0, bool(fresh), _late(fresh), [], []),
                list(names),
            )
            for trace_id, revision, closed_at_ns, fresh, names in orjson.loads(value[_LENGTHS.size : first])
        ]
    except (struct.error, ValueError, TypeError) as error:
        raise Rejected("malformed", f"a record of moved traces cannot be read: {error}") from None
    return Arrived(known, value[first:second], value[second:])


def _late(fresh: object) -> frozenset[bytes]:
    return frozenset(map(bytes.fromhex, fresh)) if isinstance(fresh, list) else frozenset()


def _record(head: list[list[object]], spans: RequestBuilder, events: RequestBuilder) -> bytes:
    parts = orjson.dumps(head), spans.request(), events.request()
    return _LENGTHS.pack(*map(len, parts)) + b"".join(parts)
