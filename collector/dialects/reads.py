"""Which attributes and events a dialect reads, found by asking its readers: nothing is listed twice.

Each source of the mapping is called with a view that notes what is asked of it, once as if no attribute were there and
once as if all were, since a reader may look further only in one of the two cases.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any

from collector.core.model import JSON, Span
from collector.dialects.mapping import Dialect
from collector.dialects.view import View
from collector.facts import FACT_KEYS
from collector.gist import PROMPT_CONTEXT


@dataclass(frozen=True, slots=True)
class Reads:
    """What a dialect reads.

    keys: attributes. prefixes: beginnings of indexed keys, with their dot. events: names of span events and log
    records whose content is read.
    """

    keys: frozenset[str]
    prefixes: tuple[str, ...]
    events: frozenset[str]

    def read(self, key: str) -> bool:
        return key in self.keys or key.startswith(self.prefixes)


@lru_cache(maxsize=256)
def reads(dialect: Dialect) -> Reads:
    """What this dialect reads of a span, and what is read of every span."""
    found = _Asked()
    found.keys.update(FACT_KEYS, dialect.markers, (PROMPT_CONTEXT,))
    views = (_AskedView(found, there=False), _AskedView(found, there=True))
    for source in _sources(dialect):
        if isinstance(source, str):
            found.keys.add(source)
        else:
            found.events.update(getattr(source, "event_names", ()))
            for view in views:
                source(view)
    return Reads(frozenset(found.keys), tuple(sorted(found.prefixes)), frozenset(found.events))


def _sources(dialect: Dialect) -> Iterator[Any]:
    for field in fields(dialect):
        if field.name not in _NO_SOURCES:
            yield from _within(getattr(dialect, field.name))


_NO_SOURCES = frozenset({"name", "scopes", "markers", "known", "certain", "usage_rank"})


def _within(value: Any) -> Iterator[Any]:
    if isinstance(value, str) or callable(value):
        yield value
    elif isinstance(value, dict):
        yield from _within(tuple(value.values()))
    elif isinstance(value, Iterable):
        for item in value:
            yield from _within(item)


class _Asked:
    def __init__(self) -> None:
        self.keys: set[str] = set()
        self.prefixes: set[str] = set()
        self.events: set[str] = set()


class _AskedAttributes(dict[str, JSON]):
    """No attributes, or any that is asked for, with an empty text as its value."""

    def __init__(self, asked: _Asked, there: bool) -> None:
        super().__init__()
        self._asked, self._there = asked, there

    def __contains__(self, key: object) -> bool:
        self._asked.keys.add(str(key))
        return self._there

    def __getitem__(self, key: str) -> JSON:
        self._asked.keys.add(key)
        return ""

    def get(self, key: str, default: JSON = None) -> JSON:
        self._asked.keys.add(key)
        return "" if self._there else default


class _AskedView(View):
    """A view of a span without events whose attributes note what is asked of them."""

    __slots__ = ("_asked",)

    def __init__(self, asked: _Asked, there: bool) -> None:
        attributes = _AskedAttributes(asked, there)
        super().__init__(Span("", "", None, "", 0, 0, 0, attributes, [], [], 0, "", "", "", {}))
        self._asked = asked

    def json(self, key: str) -> JSON:
        return self.attributes.get(key)  # asked by every reader anew, so nothing is kept

    def indexed(self, prefix: str) -> list[dict[str, JSON]]:
        self._asked.prefixes.add(prefix + ".")
        return []
