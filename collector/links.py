"""What a trace says it follows: the spans of other traces that its spans link to."""

from collections.abc import Iterable

from collector.core.model import Link, Span

_MOST_LINKS = 1_000
_NONE = frozenset({"", "0" * 16, "0" * 32})


def read_links(trace_id: str, spans: Iterable[Span]) -> list[Link]:
    """The links to other traces in the order of `spans`, each once; a link within the trace says nothing new.

    What has no valid ids is left out, and so is what comes after the first thousand.
    """
    found: dict[tuple[str, str], Link] = {}
    for span in spans:
        for linked, at in span.links:
            if linked == trace_id or len(linked) != 32 or len(at) != 16 or linked in _NONE or at in _NONE:
                continue
            found.setdefault((linked, at), Link(linked, at, span.span_id))
            if len(found) >= _MOST_LINKS:
                return list(found.values())
    return list(found.values())


def linked_traces(links: Iterable[Link]) -> list[str]:
    """The ids of the traces, each once.

    >>> linked_traces([Link("a" * 32, "b" * 16, "c" * 16), Link("a" * 32, "d" * 16, "c" * 16)])
    ['aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa']
    """
    return list(dict.fromkeys(link.trace_id for link in links))
