"""The ways in which dialects write a fact or a list of documents.

Each is a small object that is called with a `View` and prints as the cell of a table. What cannot be read is None or
an empty list, never an exception.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from collector.core.model import JSON, Document
from collector.dialects.documents import read_document, read_documents
from collector.dialects.values import at, count, real, structured, text
from collector.dialects.view import View


def cell(key: str, path: tuple[str | int, ...]) -> str:
    return f"`{key}`" + "".join(f" → `{step}`" for step in path)


@dataclass(frozen=True, slots=True)
class Json:
    """A value within an attribute that holds JSON: as text, as text within that text, or structured."""

    key: str
    path: tuple[str | int, ...] = ()

    def __call__(self, view: View) -> JSON:
        if self.key not in view.attributes:
            return None
        value = view.json(self.key)
        return at(value, *self.path) if self.path else value

    def __str__(self) -> str:
        return cell(self.key, self.path)


def within(key: str, *paths: str) -> tuple[Json, ...]:
    """Sources for several dotted paths within one attribute; numbers are positions.

    >>> [str(source) for source in within("output.value", "choices.0.finish_reason")]
    ['`output.value` → `choices` → `0` → `finish_reason`']
    """
    return tuple(Json(key, tuple(int(s) if s.lstrip("-").isdecimal() else s for s in p.split("."))) for p in paths)


@dataclass(frozen=True, slots=True)
class Literal:
    """A value within an attribute that holds the `repr` of a Python dictionary or list, or JSON."""

    key: str
    path: tuple[str | int, ...]

    def __call__(self, view: View) -> JSON:
        return at(structured(view.attributes.get(self.key)), *self.path)

    def __str__(self) -> str:
        return cell(self.key, self.path)


@dataclass(frozen=True, slots=True)
class EventField:
    """An attribute of the last span event of a name."""

    event: str
    key: str

    @property
    def event_names(self) -> tuple[str, ...]:
        return (self.event,)

    def __call__(self, view: View) -> JSON:
        for event in reversed(view.span.events):
            if event.name == self.event and self.key in event.attributes:
                return event.attributes[self.key]
        return None

    def __str__(self) -> str:
        return f"span event `{self.event}` → `{self.key}`"


@dataclass(frozen=True, slots=True)
class Repr:
    """A field in the `repr` of a Python object or dictionary, which some libraries export instead of JSON."""

    inside: Json
    name: str

    def __call__(self, view: View) -> JSON:
        value = self.inside(view)
        if not isinstance(value, str) or self.name not in value:
            return None
        found = re.search(rf"\b{self.name}(?:=|': )(?:'([^']*)'|(\d+))", value)
        return (found[1] or found[2]) if found else None

    def __str__(self) -> str:
        return f"{self.inside} → `{self.name}=...`"


@dataclass(frozen=True, slots=True)
class Sum:
    """A number in parts: what the first attribute says, and what the others say besides."""

    key: str
    others: tuple[str, ...]

    def __call__(self, view: View) -> JSON:
        known = count(view.attributes.get(self.key))
        if known is None:
            return None
        return known + sum(count(view.attributes.get(key)) or 0 for key in self.others)

    def __str__(self) -> str:
        return " + ".join(f"`{key}`" for key in (self.key, *self.others))


@dataclass(frozen=True, slots=True)
class SpanName:
    """The span's own name, without a known beginning or end."""

    affix: str = ""

    def __call__(self, view: View) -> JSON:
        return view.span.name.removeprefix(self.affix).removesuffix(self.affix)

    def __str__(self) -> str:
        return "span name"


@dataclass(frozen=True, slots=True)
class Indexed:
    """A list in flat keys `prefix.N.suffix`."""

    prefix: str
    suffix: str

    def __call__(self, view: View) -> JSON:
        return [item[self.suffix] for item in view.indexed(self.prefix) if self.suffix in item] or None

    def __str__(self) -> str:
        return f"`{self.prefix}.N.{self.suffix}`"


@dataclass(frozen=True, slots=True)
class IndexedRecords:
    """A list of records in flat keys `prefix.N.field`, as dictionaries."""

    prefix: str

    def __call__(self, view: View) -> JSON:
        return view.indexed(self.prefix) or None

    def __str__(self) -> str:
        return f"`{self.prefix}.N.*`"


@dataclass(frozen=True, slots=True)
class Documents:
    """A list of documents as JSON, in any shape."""

    key: str
    path: tuple[str | int, ...] = ()

    def __call__(self, view: View) -> list[Document] | None:
        if self.key not in view.attributes:
            return None
        value = view.json(self.key)
        return read_documents(at(value, *self.path) if self.path else value)

    def __str__(self) -> str:
        return cell(self.key, self.path)


@dataclass(frozen=True, slots=True)
class SeparatedTexts:
    """Texts of documents, joined to one by a separator. A text may contain it too: nothing tells the two apart."""

    key: str
    separator: str

    def __call__(self, view: View) -> list[Document] | None:
        value = view.attributes.get(self.key)
        if not isinstance(value, str):
            return None
        return [Document(part) for part in value.split(self.separator) if part] or None

    def __str__(self) -> str:
        return f"`{self.key}`, split at `{self.separator}`"


@dataclass(frozen=True, slots=True)
class OpenInferenceDocuments:
    """`prefix.N.document.content`, `.id`, `.score`, `.metadata`."""

    prefix: str

    def __call__(self, view: View) -> list[Document] | None:
        items = view.indexed(self.prefix)
        found = ({key.removeprefix("document."): value for key, value in item.items()} for item in items)
        return [document for item in found if (document := read_document(item)) is not None] or None

    def __str__(self) -> str:
        return f"`{self.prefix}.N.document.*`"


@dataclass(frozen=True, slots=True)
class EventDocuments:
    """Documents in span events of these names, one in each, under `name.id`, `name.score` and so on."""

    event_names: tuple[str, ...]

    def __call__(self, view: View) -> list[Document] | None:
        found = []
        for event in view.span.events:
            if event.name in self.event_names:
                prefix = event.name + "."
                found.append({key.removeprefix(prefix): value for key, value in event.attributes.items()})
        return read_documents(found) if found else None

    def __str__(self) -> str:
        return "span events " + ", ".join(f"`{name}`" for name in self.event_names)


@dataclass(frozen=True, slots=True)
class Milliseconds:
    """A duration in milliseconds, as seconds."""

    key: str

    def __call__(self, view: View) -> JSON:
        if self.key not in view.attributes:
            return None
        number = real(view.attributes[self.key])
        return None if number is None else number / 1e3

    def __str__(self) -> str:
        return f"`{self.key}` (milliseconds)"


@dataclass(frozen=True, slots=True)
class EventTime:
    """Seconds from the span's start to its first event of these names."""

    event_names: tuple[str, ...]

    def __call__(self, view: View) -> JSON:
        if not view.span.events:
            return None  # nearly always
        times = [event.time_ns for event in view.span.events if event.name in self.event_names]
        return (min(times) - view.span.start_ns) / 1e9 if times else None

    def __str__(self) -> str:
        return "time of the first span event " + " or ".join(f"`{name}`" for name in self.event_names)


@dataclass(frozen=True, slots=True)
class Instant:
    """Seconds from the span's start to a time in ISO 8601, in an attribute that may hold JSON text."""

    inside: Json | str

    def __call__(self, view: View) -> JSON:
        value = text(view.json(self.inside) if isinstance(self.inside, str) else self.inside(view))
        if value is None:
            return None
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            return None
        moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        return moment.timestamp() - view.span.start_ns / 1e9

    def __str__(self) -> str:
        return f"`{self.inside}` (a time)" if isinstance(self.inside, str) else f"{self.inside} (a time)"
