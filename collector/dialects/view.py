"""One span as a dialect looks at it: attributes, joined log events, and what was already parsed of them."""

from collections.abc import Iterable, Mapping, Sequence

from collector.core.model import JSON, LogEvent, Span
from collector.dialects.values import parsed

_DETAILS = "gen_ai.client.inference.operation.details"  # a log record by the conventions; Strands' is a span event
_UNREAD: JSON = object()
_MAX_INDEX_DIGITS = 6


class View:
    """A span and the log events that belong to it.

    An attribute that only an event has (content that is exported in events alone) reads like one of the span.
    """

    __slots__ = ("_groups", "_names", "_parsed", "attributes", "events", "span")

    def __init__(self, span: Span, events: Sequence[LogEvent] = ()) -> None:
        self.span = span
        self.events = events
        self.attributes: Mapping[str, JSON] = span.attributes
        self._parsed: dict[str, JSON] = {}
        self._groups: dict[str, list[dict[str, JSON]]] = {}
        self._names: str | None = None  # of all attributes, to see at once that none begins with a prefix
        told = [event for event in span.events if event.name == _DETAILS] if span.events else ()
        if events or told:
            merged: dict[str, JSON] = {}
            for event in (*told, *events):
                merged.update(event.attributes)
            merged.update(span.attributes)
            self.attributes = merged

    def json(self, key: str) -> JSON:
        """An attribute's value, read as JSON where it is JSON text; each is parsed once."""
        value = self._parsed.get(key, _UNREAD)
        if value is _UNREAD:
            value = self._parsed[key] = parsed(self.attributes.get(key))
        return value

    def indexed(self, prefix: str) -> list[dict[str, JSON]]:
        """Flat keys `prefix.N.rest` as one dictionary per N, in order of N.

        >>> span = Span("", "", None, "", 0, 0, 0, {"m.10.a": 1, "m.2.b.c": 2}, [], [], 0, "", "", "", {})
        >>> View(span).indexed("m")
        [{'b.c': 2}, {'a': 1}]
        """
        found = self._groups.get(prefix)
        if found is None:
            if self._names is None:
                self._names = "\n" + "\n".join(self.attributes)
            there = f"\n{prefix}." in self._names
            found = self._groups[prefix] = grouped(self.attributes.items(), prefix + ".") if there else []
        return found


def grouped(items: Iterable[tuple[str, JSON]], prefix: str) -> list[dict[str, JSON]]:
    """Entries whose key is `prefix` (with its dot), a number, a dot and a rest: one dictionary per number, in order."""
    groups: dict[int, dict[str, JSON]] = {}
    start = len(prefix)
    for key, value in items:
        if key.startswith(prefix):
            number, dot, rest = key[start:].partition(".")
            if dot and number.isdecimal() and number.isascii() and len(number) <= _MAX_INDEX_DIGITS:
                groups.setdefault(int(number), {})[rest] = value
    if len(groups) < 2:
        return list(groups.values())
    return [groups[number] for number in sorted(groups)]
