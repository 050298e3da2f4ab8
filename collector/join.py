"""Log events to their spans: by span id, whatever arrived first."""

from collections.abc import Iterable, Sequence

from collector.core.model import LogEvent


def events_by_span(events: Iterable[LogEvent]) -> dict[str, list[LogEvent]]:
    """The events of each span in order of their time; events that name no span are left out."""
    found: dict[str, list[LogEvent]] = {}
    for event in events:
        if event.span_id:
            found.setdefault(event.span_id, []).append(event)
    for group in found.values():
        group.sort(key=lambda event: event.time_ns)
    return found


NO_EVENTS: Sequence[LogEvent] = ()
