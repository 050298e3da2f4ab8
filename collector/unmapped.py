"""What was not understood: attributes of AI spans, and of their events, that no mapping reads.

What says nothing about AI (`http.*`, `server.*`, ...) is no part of it, nor what a dialect declares as `known`. A span
of no dialect is looked at if it has attributes of a namespace that AI libraries use.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from collector.core.model import JSON, LogEvent, Span
from collector.dialects.mapping import Dialect, KindBy
from collector.dialects.reads import Reads, reads
from collector.dialects.registry import dialect_of
from collector.dialects.view import View
from collector.join import NO_EVENTS, events_by_span

NO_DIALECT = "none"

AI_NAMESPACES: tuple[str, ...] = (
    *("gen_ai.", "llm.", "ai.", "genai.", "openinference.", "traceloop.", "langfuse.", "mlflow.", "haystack."),
    *("langsmith.", "braintrust.", "lk.", "crewai.", "pydantic_ai.", "gcp.vertex.agent.", "anthropic.", "openai."),
    *("aws.bedrock.", "azure.ai.", "semantic_kernel.", "litellm.", "openlit.", "mcp.", "retrieval.", "embedding."),
    *("reranker.", "tool_call.", "model_request_parameters", "logfire.msg_template"),
)
"""Beginnings of attributes by which a span of no dialect is taken for one about AI."""

OTHER_MATTERS: tuple[str, ...] = (
    *("http.", "url.", "server.", "client.", "net.", "network.", "peer.", "source.", "destination.", "user_agent."),
    *("thread.", "code.", "process.", "host.", "os.", "device.", "container.", "k8s.", "cloud.", "faas.", "service."),
    *("telemetry.", "otel.", "deployment.", "exception.", "rpc.", "messaging.", "db.", "tls.", "dns.", "cpu.", "jvm."),
    *("aws.request", "rpc_", "log.", "event.", "sampling.", "SampleRate", "sentry.", "dd.", "_dd.", "browser."),
)
"""Beginnings of attributes that are about other matters than AI; they are never told as unmapped."""

_OTHER_EVENTS = frozenset({"exception", "log", "message"})
_NUMBER = re.compile(r"(?<=\.)\d+(?=\.|$)")
_LONGEST_KEY = 120
_MOST_KEYS = 5_000  # findings kept apart; more are counted together
_MORE = "(more keys)"
_UNKNOWN_KIND = "its value is no kind of step that is known"


@dataclass(slots=True)
class Finding:
    """An attribute that no mapping reads.

    where: `span`, or the event that it is on. key: with `N` for the numbers in it. types: what its values are.
    smallest, largest: of the values in characters, for a list or map in items; None for numbers.
    note: what is wrong, if it is something else than that nobody reads it.
    """

    dialect: str
    where: str
    key: str
    note: str = ""
    scopes: set[str] = field(default_factory=set)
    spans: int = 0
    types: set[str] = field(default_factory=set)
    smallest: int | None = None
    largest: int | None = None
    example: JSON = None

    def add(self, scope: str, value: JSON) -> None:
        self.spans += 1
        if len(self.scopes) < 16:
            self.scopes.add(scope[:_LONGEST_KEY])
        self.types.add(_type(value))
        if isinstance(value, str | list | dict):
            size = len(value)
            self.smallest = size if self.smallest is None else min(self.smallest, size)
            self.largest = size if self.largest is None else max(self.largest, size)
        self.example = value if self.example is None else self.example


class Survey:
    """Collects what was not understood of any number of traces; memory is bounded."""

    def __init__(self) -> None:
        self._findings: dict[tuple[str, str, str, str], Finding] = {}

    def add(self, spans: Iterable[Span], events: Sequence[LogEvent] = ()) -> None:
        """Look at the spans of one trace, with its log events."""
        joined = events_by_span(events) if events else {}
        for span in spans:
            for dialect, where, key, note, value in unread(span, joined.get(span.span_id, NO_EVENTS)):
                self._note(dialect, where, key, note).add(span.scope_name, value)

    def findings(self) -> list[Finding]:
        """All of them by dialect, the most frequent first."""
        return sorted(self._findings.values(), key=lambda one: (one.dialect, -one.spans, one.where, one.key))

    def _note(self, dialect: str, where: str, key: str, note: str) -> Finding:
        place = (dialect, where, key, note)
        if place not in self._findings and len(self._findings) >= _MOST_KEYS:
            place = (dialect, "span", _MORE, "")
        return self._findings.setdefault(place, Finding(*place))


def unread(span: Span, events: Sequence[LogEvent] = ()) -> Iterator[tuple[str, str, str, str, JSON]]:
    """What nobody reads of a span: dialect, where it is, its key without numbers, a note, and a value.

    A key counts once a span, however many numbers it comes with.
    """
    dialect = dialect_of(span)
    if dialect is None:
        yield from _unknown(span, events)
        return
    known = _Known.of(dialect)
    if dialect.kind(View(span, events)) is None:
        for rule in dialect.kinds:
            if isinstance(rule, KindBy) and rule.key in span.attributes:
                yield dialect.name, "span", rule.key, _UNKNOWN_KIND, span.attributes[rule.key]
    yield from _of_map(dialect.name, "span", span.attributes, known)
    for event in span.events:
        if event.name not in known.reads.events and event.name not in _OTHER_EVENTS:
            yield from _of_map(dialect.name, f"span event {event.name[:_LONGEST_KEY]}", event.attributes, known)
    for log in events:
        where = f"log {log.event_name[:_LONGEST_KEY]}"
        yield from _of_map(dialect.name, where, log.attributes, known)
        if log.body and log.event_name and log.event_name not in known.reads.events:  # without a name: a log's line
            yield dialect.name, where, "(body)", "", log.body


def _unknown(span: Span, events: Sequence[LogEvent]) -> Iterator[tuple[str, str, str, str, JSON]]:
    known = _Known.of(None)
    told = [("span", span.attributes), *((f"log {log.event_name[:_LONGEST_KEY]}", log.attributes) for log in events)]
    if any(key.startswith(AI_NAMESPACES) for _, attributes in told for key in attributes):
        for where, attributes in told:
            yield from _of_map(NO_DIALECT, where, attributes, known)


def _of_map(
    dialect: str, where: str, attributes: Mapping[str, JSON], known: "_Known"
) -> Iterator[tuple[str, str, str, str, JSON]]:
    told: set[str] = set()
    for key, value in attributes.items():
        if not known.known(key):
            folded = fold(key)
            if folded not in told:
                told.add(folded)
                yield dialect, where, folded, "", value


class _Known:
    """The attributes of a dialect that need not be told: those that it reads or knows, and those of other matters."""

    def __init__(self, dialect: Dialect | None) -> None:
        declared = dialect.known if dialect is not None else ()
        self.reads = reads(dialect) if dialect is not None else Reads(frozenset(), (), frozenset())
        self._keys = self.reads.keys.union(key for key in declared if key[-1] != "*")
        beginnings = (key[:-1] for key in declared if key[-1] == "*")
        self._prefixes = (*self.reads.prefixes, *beginnings, *OTHER_MATTERS)

    @staticmethod
    @lru_cache(maxsize=256)
    def of(dialect: Dialect | None) -> "_Known":
        return _Known(dialect)

    def known(self, key: str) -> bool:
        return key in self._keys or key.startswith(self._prefixes)


def fold(key: str) -> str:
    """A key with `N` for the numbers in it, cut where it is very long.

    >>> fold("gen_ai.prompt.12.tool_calls.0.id"), fold("x.v2.10")
    ('gen_ai.prompt.N.tool_calls.N.id', 'x.v2.N')
    """
    return _NUMBER.sub("N", key[:_LONGEST_KEY])


def _type(value: JSON) -> str:
    for kind, name in ((bool, "bool"), (int, "int"), (float, "double"), (str, "string"), (list, "array")):
        if isinstance(value, kind):
            return name
    return "map" if isinstance(value, dict) else "empty"
