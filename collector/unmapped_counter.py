"""Unmapped attributes as a metric: a sample of traces is looked at, and keys are told as families of bounded number."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from collector.core.model import LogEvent, Span
from collector.core.telemetry import OTHER, Labels, Telemetry
from collector.join import NO_EVENTS, events_by_span
from collector.unmapped import AI_NAMESPACES, unread

FIRST_TRACES = 256
ONE_IN = 32  # of the traces after those; a power of two
_FAMILY_PARTS = 3  # below that, many namespaces hold keys that an application chooses
_MOST_FAMILIES = 100  # of a process
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}")


class UnmappedCounter:
    """Looks at the first traces of a process, and then at one of 32 by trace id: next to nothing for all the others."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._attributes = telemetry.counter(
            "driftline_unmapped_attributes",
            "Attributes of AI spans and their events that no mapping reads, by family of their key, in the traces that "
            f"were looked at: the first {FIRST_TRACES} of a process, then one of {ONE_IN}. `driftline inspect "
            "--unmapped` shows the keys.",
            ["dialect", "key"],
            fold=["key"],
        )
        self._looked_at = telemetry.counter(
            "driftline_unmapped_checked_traces", "Traces that were looked at for unmapped attributes."
        )
        self._looked = 0
        self._families: set[str] = set()

    def look(self, trace_id: bytes, spans: Iterable[Span], events: Sequence[LogEvent]) -> None:
        """Count what nobody reads of a trace, if it is one of those to look at."""
        if self._looked >= FIRST_TRACES and trace_id[-1] % ONE_IN:
            return
        self._looked += 1
        self._looked_at.add()
        found: Counter[Labels] = Counter()
        joined = events_by_span(events)
        for span in spans:
            for dialect, _, key, _, _ in unread(span, joined.get(span.span_id, NO_EVENTS)):
                found[dialect, self._family(key)] += 1
        if found:
            self._attributes.add_all(found)

    def _family(self, key: str) -> str:
        family = family_of(key)
        if family in self._families:
            return family
        if len(self._families) >= _MOST_FAMILIES:
            return OTHER
        self._families.add(family)
        return family


def family_of(key: str) -> str:
    """The beginning of a key of an AI namespace; `other` for any other key, since applications name them as they like.

    >>> family_of("traceloop.association.properties.tenant"), family_of("gen_ai.request.new"), family_of("cart_of_ann")
    ('traceloop.association.properties', 'gen_ai.request.new', 'other')
    """
    parts = key.split(".")[:_FAMILY_PARTS]
    if not key.startswith(AI_NAMESPACES) or not all(_PLAIN.fullmatch(part) for part in parts):
        return OTHER
    return ".".join(parts)
