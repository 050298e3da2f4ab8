"""Traces that wait for their end, or for what may still come: as they are held, and as they leave."""

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from types import MappingProxyType

from google.protobuf.message import DecodeError

from collector.core.model import LogSlice, SpanSlice
from collector.wire.schema import SpanHead

_TRACE_OVERHEAD_BYTES = 900
Moves = Mapping[bytes, Set[bytes]]
"""Of traces that moved and were evaluated before, `Moved.late`."""

NO_MOVES: Moves = MappingProxyType({})


def says_more(one: SpanSlice, other: SpanSlice) -> bool:
    """Of two spans with one id, whether `one` is to be kept: it ended later, or is longer. The same in any order."""
    return (one.end_ns, len(one.raw), one.raw) > (other.end_ns, len(other.raw), other.raw)


def unfinished(item: SpanSlice) -> bool:
    """Whether a span was sent before it ended. (One that ends when it starts is as good as any.)"""
    if item.end_ns > item.start_ns:
        return False
    try:
        return not SpanHead.FromString(item.raw).end_ns
    except DecodeError:
        return False


@dataclass(slots=True)
class Held:
    """A trace that waits, or that was evaluated and may still be revised."""

    trace_id: bytes
    first_offset: int
    last_offset: int
    first_start_ns: int  # as far as it is believed; see `Assembler`
    arrived_ns: int  # event time before its first record
    last_end_ns: int = 0  # as far as it is believed
    event_ns: int = 0  # the end of its last span, for all who look at it later
    has_root: bool = False
    size_bytes: int = _TRACE_OVERHEAD_BYTES
    spans: dict[bytes, SpanSlice] = field(default_factory=dict)
    events: dict[bytes, LogSlice] = field(default_factory=dict)  # by their bytes: sent twice, kept once
    revision: int = -1  # the last one that was evaluated
    closed_at_ns: int = 0  # event time of that evaluation
    scored: int = 0  # what `Assembler.scored` was told
    fresh: bool = True  # holds something that was not evaluated yet
    late: set[bytes] = field(default_factory=set)  # spans that came after the last evaluation
    scheduled_ns: int | None = None  # the due time of its entry in the heap


@dataclass(frozen=True, slots=True)
class Ready:
    """A trace to evaluate, as slices."""

    trace_id: bytes
    revision: int
    spans: list[SpanSlice]
    events: list[LogSlice]
    incomplete: bool
    event_ns: int  # the end of its last span, if that can be
    scored: int  # what `Assembler.scored` was told of earlier revisions
    size_bytes: int  # of memory that its slices take
    late: frozenset[bytes] = frozenset()  # of a revision, the spans that no earlier one had


@dataclass(slots=True)
class Memory:
    """What must outlive a restart about an evaluated trace; the spans themselves are read from the log again."""

    revision: int
    last_offset: int
    closed_at_ns: int
    forgotten: bool
    scored: int  # what `Assembler.scored` was told


@dataclass(frozen=True, slots=True)
class Moved:
    """A trace that goes on in another partition, as it is held."""

    trace_id: bytes
    revision: int  # the last one that was evaluated; -1: none
    closed_at_ns: int
    scored: int
    fresh: bool  # holds something that was not evaluated yet
    late: frozenset[bytes]  # of one that was evaluated before, the spans that were not
    spans: list[SpanSlice]
    events: list[LogSlice]
