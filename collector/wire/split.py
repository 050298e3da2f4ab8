"""OTLP protobuf requests into the spans and log records they hold, each still the bytes it came as.

Only the few fields that assembly and sampling need are read; attributes stay undecoded until a trace is sampled.
A span that cannot be used is left out alone and never costs its batch.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from google.protobuf.message import DecodeError

from collector.core.errors import Rejected
from collector.core.model import LogSlice, Origin, SpanSlice
from collector.wire.schema import Group, LogHead, LogHeads, Request, SpanHead, SpanHeads
from collector.wire.shorten import shorten_record, shorten_span

MAX_ITEM_BYTES = 4 * 2**20
"""How long a single span or log record may be; longer ones are shortened."""

MAX_ITEMS = 200_000
"""Resources, scopes, spans and records in one request: a few bytes each on the wire, but hundreds in memory."""

_MAX_NS = 2**63 - 1  # April 2262; a later time is not one, and would not fit a signed 64-bit integer
_NO_TRACE = bytes(16)
_NO_SPAN = bytes(8)
_SHARED_ORIGIN_BYTES = 8192


@dataclass(slots=True)
class SplitSpans:
    """`rejected` has one entry per span that was left out; entries of one reason may be one and the same object."""

    slices: list[SpanSlice] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)


@dataclass(slots=True)
class SplitLogs:
    """`without_trace` counts the records that are well-formed but belong to no trace, which are left out as well."""

    slices: list[LogSlice] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    without_trace: int = 0


@dataclass(slots=True)
class Tally:
    """What a request holds, counted and not kept."""

    accepted: int = 0
    rejected: list[Rejected] = field(default_factory=list)
    without_trace: int = 0


def split_traces(body: bytes, max_span_bytes: int = MAX_ITEM_BYTES) -> SplitSpans:
    """The spans of an ExportTraceServiceRequest, in their order.

    A span that ends before it starts is taken to end when it starts; a parent id of zeros is no parent; one that is
    longer than `max_span_bytes` is shortened to that.

    Raises:
        Rejected: `malformed`: not OTLP protobuf; `too_large`: more than `MAX_ITEMS` parts.
    """
    result = SplitSpans()
    slices, faults = result.slices, _Faults(result.rejected, "span")
    for origin, raws, scope in scopes(body):
        for raw, head in zip(raws, heads(scope, raws, SpanHeads, SpanHead), strict=True):
            trace_id, span_id, parent_id = head.trace_id, head.span_id, head.parent_id
            start_ns, end_ns = head.start_ns, head.end_ns
            if not _is_span(trace_id, span_id, parent_id, start_ns, end_ns):
                faults.add(_span_fault(head))
                continue
            if len(raw) > max_span_bytes:
                raw = shorten_span(raw, max_span_bytes)
            state = head.trace_state
            slices.append(
                SpanSlice(
                    trace_id,
                    span_id,
                    b"" if parent_id == _NO_SPAN else parent_id,
                    start_ns,
                    end_ns if end_ns > start_ns else start_ns,
                    head.status.code,
                    state.decode("utf-8", "replace") if state else "",
                    raw,
                    origin,
                )
            )
    return result


def split_logs(body: bytes, max_record_bytes: int = MAX_ITEM_BYTES) -> SplitLogs:
    """The records of an ExportLogsServiceRequest that belong to a trace, in their order.

    The time of a record is when it happened, or else when it was observed.

    Raises:
        Rejected: `malformed`: not OTLP protobuf; `too_large`: more than `MAX_ITEMS` parts.
    """
    result = SplitLogs()
    faults = _Faults(result.rejected, "log record")
    for origin, raws, scope in scopes(body):
        for raw, head in zip(raws, heads(scope, raws, LogHeads, LogHead), strict=True):
            fault = _log_fault(head)
            if fault == "no_trace":
                result.without_trace += 1
            elif fault is not None:
                faults.add(fault)
            else:
                span_id = b"" if head.span_id == _NO_SPAN else head.span_id
                time_ns = head.time_ns or head.observed_ns
                if len(raw) > max_record_bytes:
                    raw = shorten_record(raw, max_record_bytes)
                result.slices.append(LogSlice(head.trace_id, span_id, time_ns, raw, origin))
    return result


def tally_traces(body: bytes) -> Tally:
    """What `split_traces` would make of the same bytes, in half the time: for those who only pass them on.

    Raises:
        Rejected: as `split_traces`.
    """
    tally = Tally()
    faults = _Faults(tally.rejected, "span")
    for _, raws, scope in scopes(body):
        before = len(tally.rejected)
        for head in heads(scope, raws, SpanHeads, SpanHead):
            if not _is_span(head.trace_id, head.span_id, head.parent_id, head.start_ns, head.end_ns):
                faults.add(_span_fault(head))
        tally.accepted += len(raws) - (len(tally.rejected) - before)
    return tally


def tally_logs(body: bytes) -> Tally:
    """What `split_logs` would make of the same bytes.

    Raises:
        Rejected: as `split_logs`.
    """
    split = split_logs(body)
    return Tally(len(split.slices), split.rejected, split.without_trace)


# --- the shape of a request ---


def scopes(body: bytes) -> Iterator[tuple[Origin, Any, bytes]]:
    """Of each ScopeSpans or ScopeLogs: what its items share, their bytes, and its own bytes."""
    seen = 0
    groups = parse_view(Request, body, "the request").groups
    for group_number, group_bytes in enumerate(groups):
        group = parse_view(Group, group_bytes, f"resource group {group_number}")
        resource = b"".join(group.head)
        seen += 1 + len(group.items)
        _check_count(seen)
        for scope_number, scope_bytes in enumerate(group.items):
            scope = parse_view(Group, scope_bytes, f"scope group {scope_number} of resource group {group_number}")
            seen += len(scope.items)
            _check_count(seen)
            if scope.items:
                url = scope.schema_url or group.schema_url
                yield _origin(resource, b"".join(scope.head), url), scope.items, scope_bytes


def parse_view(view: Any, data: bytes, what: str) -> Any:
    """Bytes as one of the views of `schema`.

    Raises:
        Rejected: `malformed`.
    """
    try:
        return view.FromString(data)
    except DecodeError:
        raise Rejected("malformed", f"{what} is not OTLP protobuf") from None


def _check_count(seen: int) -> None:
    if seen > MAX_ITEMS:
        raise Rejected("too_large", f"the request has more than {MAX_ITEMS} resources, scopes and items")


def _origin(resource: bytes, scope: bytes, schema_url: bytes) -> Origin:
    if len(resource) + len(scope) + len(schema_url) > _SHARED_ORIGIN_BYTES:
        return Origin(resource, scope, schema_url.decode("utf-8", "replace"))
    return _shared_origin(resource, scope, schema_url)


@lru_cache(maxsize=1024)  # at most 8 MiB; a process exports the same few origins over and over
def _shared_origin(resource: bytes, scope: bytes, schema_url: bytes) -> Origin:
    return Origin(resource, scope, schema_url.decode("utf-8", "replace"))


def heads(scope_bytes: bytes, raws: Any, all_view: Any, one_view: Any) -> Any:
    """The header view of each item: in one go, or one by one if one of them cannot be parsed (`_BROKEN`)."""
    try:
        return all_view.FromString(scope_bytes).items
    except DecodeError:
        return [_head_or_broken(one_view, raw) for raw in raws]


def _head_or_broken(view: Any, raw: bytes) -> Any:
    try:
        return view.FromString(raw)
    except DecodeError:
        return _BROKEN[view]


_BROKEN = {view: view() for view in (SpanHead, LogHead)}  # stands for an item that is no message; has no trace id


# --- what makes an item usable ---


def _is_span(trace_id: bytes, span_id: bytes, parent_id: bytes, start_ns: int, end_ns: int) -> bool:
    return (
        len(trace_id) == 16
        and len(span_id) == 8
        and (not parent_id or len(parent_id) == 8)
        and start_ns <= _MAX_NS
        and end_ns <= _MAX_NS
        and trace_id != _NO_TRACE
        and span_id != _NO_SPAN
    )


def _span_fault(head: Any) -> str:
    """Why a span cannot be used; call only when it cannot."""
    if head is _BROKEN[SpanHead]:
        return "bad_span"
    if len(head.trace_id) != 16 or head.trace_id == _NO_TRACE:
        return "bad_trace_id"
    if len(head.span_id) != 8 or head.span_id == _NO_SPAN or len(head.parent_id) not in (0, 8):
        return "bad_span_id"
    return "bad_time"


def _log_fault(head: Any) -> str | None:
    if head is _BROKEN[LogHead]:
        return "bad_record"
    trace_id = head.trace_id
    if not trace_id or trace_id == _NO_TRACE:
        return "no_trace"
    if len(trace_id) != 16:
        return "bad_trace_id"
    if len(head.span_id) not in (0, 8):
        return "bad_span_id"
    return "bad_time" if max(head.time_ns, head.observed_ns) > _MAX_NS else None


_WORDS = {
    "bad_span": "cannot be decoded",
    "bad_record": "cannot be decoded",
    "bad_trace_id": "has a trace id that is not 16 bytes, or all zero",
    "bad_span_id": "has a span id or parent id that is not 8 bytes, or a span id that is all zero",
    "bad_time": "has a time after the year 2262",
}


class _Faults:
    """Adds one entry per fault but makes one object per reason, so that a request full of faults costs little."""

    def __init__(self, rejected: list[Rejected], what: str) -> None:
        self._rejected = rejected
        self._what = what
        self._known: dict[str, Rejected] = {}

    def add(self, reason: str) -> None:
        known = self._known.get(reason)
        if known is None:
            known = self._known[reason] = Rejected(reason, f"a {self._what} {_WORDS[reason]}")
        self._rejected.append(known)
