"""The spans of a trace as they were understood, and what stands above what."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from collector.core.model import LogEvent, Operation, Span
from collector.dialects.mapping import Dialect, Kind
from collector.dialects.registry import dialect_of
from collector.dialects.view import View
from collector.join import NO_EVENTS


@dataclass(slots=True, eq=False)
class Seen:
    """A span that a dialect understood. `above` is the nearest such span that encloses it, steps not counted."""

    span: Span
    view: View
    dialect: Dialect
    kind: Kind
    operation: Operation | None
    above: "Seen | None" = None
    dropped: bool = False  # described again by another span, or no operation after all


def understand(span: Span, events: Sequence[LogEvent] = NO_EVENTS) -> Seen | None:
    """What one span says, in its own dialect; None if it says nothing about AI."""
    dialect = dialect_of(span)
    if dialect is None:
        return None
    view = View(span, events)
    kind = dialect.kind(view)
    if kind is None:
        return None
    return Seen(span, view, dialect, kind, dialect.read(view, kind))


def link(spans: Iterable[Span], seen: Iterable[Seen]) -> None:
    """Set `above` of each; linear in the number of spans, and safe against parents in a circle."""
    operations = {one.span.span_id: one for one in seen}
    parents: dict[str, str | None] = {}
    nearest: dict[str, Seen | None] = {}
    for one in operations.values():
        parent_id = one.span.parent_id
        if parent_id is None:
            continue
        above = operations.get(parent_id)
        if above is None or above.kind == "step":
            parents = parents or {span.span_id: span.parent_id for span in spans}
            above = _nearest(parent_id, parents, operations, nearest)
        one.above = above


def _nearest(
    span_id: str | None, parents: dict[str, str | None], seen: dict[str, Seen], known: dict[str, Seen | None]
) -> Seen | None:
    path: list[str] = []
    found: Seen | None = None
    while span_id is not None:
        if span_id in known:
            found = known[span_id]
            break
        here = seen.get(span_id)
        if here is not None and here.kind != "step":
            found = here
            break
        known[span_id] = None  # also ends a circle
        path.append(span_id)
        span_id = parents.get(span_id)
    for passed in path:
        known[passed] = found
    return found


def enclosed(seen: Iterable[Seen], kind: Kind) -> set[Seen]:
    """Those that a span of this kind encloses, however far above; each step up is taken once for all of them."""
    known: dict[Seen, bool] = {}
    for one in seen:
        path: list[Seen] = []
        here: Seen | None = one
        found = False
        while here is not None:
            if here in known:
                found = known[here]
                break
            known[here] = False  # also ends a circle
            path.append(here)
            if here.above is not None and here.above.kind == kind:
                found = True
                break
            here = here.above
        for passed in path:
            known[passed] = found
    return {one for one, is_enclosed in known.items() if is_enclosed}
