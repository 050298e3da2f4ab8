"""One recording as a mould: taken apart once, then cast as often as wanted with other ids, times, texts and resource.

Works on the OTLP messages, whatever the dialect: every string value at any depth of spans, events and log records is
searched for the recorded texts, and every id and time is mapped the same way.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from collector.core.engine import TRACES_KIND
from driftline.demo.recordings import Recording, log_records, spans
from driftline.demo.rewrite import Finder, Gap, Pattern

_PROMPT_VERSION_KEY = "llm.prompt_template.version"
_PROMPT_VERSION = Pattern((Gap("prompt_version", ()),))  # found by its key: "v7" may stand anywhere for anything

Step = str | int
Path = tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Casting:
    """What makes one cast of a template different from all others.

    `key` (up to 64 bytes) is what new ids are derived from; `stretch` multiplies all durations; `resource` overrides
    attributes of that name and adds missing ones; `texts` are by gap: `answer`, `session_id`, `user_id`,
    `prompt_version`, left out where the recorded text shall stay.
    """

    key: bytes
    start_ns: int
    stretch: float
    resource: dict[str, str]
    texts: dict[str, str] = field(default_factory=dict)


class Template:
    """A recording, ready to be cast."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self._messages = list(recording.messages())
        finder = Finder(_recorded_texts(recording))
        self._slots = [list(_slots(message, finder, ())) for _, message in self._messages]
        starts, ends = zip(*self._times(), strict=True)
        self._first_ns = min(starts)
        self.duration_ns = max(ends) - self._first_ns
        self._recorded = {name: text for text, name in _recorded_texts(recording).items()}
        for (_, message), slots in zip(self._messages, self._slots, strict=True):
            for path, attribute, pattern in slots:
                if pattern is _PROMPT_VERSION:
                    self._recorded["prompt_version"] = getattr(_follow(message, path), attribute)

    def cast(self, casting: Casting) -> list[tuple[str, Any]]:
        """New request messages, in the recorded order: (kind, message)."""
        ids = {name: _fresh_text(casting.key, text) for name, text in self._provider_ids()}
        texts = {**self._recorded, **ids, **casting.texts}
        result = []
        for (kind, recorded), slots in zip(self._messages, self._slots, strict=True):
            message = type(recorded)()
            message.CopyFrom(recorded)
            for path, attribute, pattern in slots:
                setattr(_follow(message, path), attribute, pattern.fill(texts))
            self._renew(kind, message, casting)
            result.append((kind, message))
        return result

    def _provider_ids(self) -> Iterator[tuple[str, str]]:
        return ((f"provider_id.{number}", text) for number, text in enumerate(self.recording.provider_ids))

    def _times(self) -> Iterator[tuple[int, int]]:
        for kind, message in self._messages:
            if kind == TRACES_KIND:
                for span in spans(message):
                    yield span.start_time_unix_nano, span.end_time_unix_nano

    def _renew(self, kind: str, message: Any, casting: Casting) -> None:
        """Ids, times and resources."""
        if kind == TRACES_KIND:
            for group in message.resource_spans:
                _set_resource(group.resource, casting.resource)
            for span in spans(message):
                self._renew_span(span, casting)
        else:
            for group in message.resource_logs:
                _set_resource(group.resource, casting.resource)
            for record in log_records(message):
                self._renew_record(record, casting)

    def _renew_span(self, span: Any, casting: Casting) -> None:
        span.trace_id = fresh_id(casting.key, span.trace_id)
        span.span_id = fresh_id(casting.key, span.span_id)
        span.parent_span_id = fresh_id(casting.key, span.parent_span_id)
        span.start_time_unix_nano = self._moved(span.start_time_unix_nano, casting)
        span.end_time_unix_nano = self._moved(span.end_time_unix_nano, casting)
        for event in span.events:
            event.time_unix_nano = self._moved(event.time_unix_nano, casting)
        for link in span.links:
            link.trace_id = fresh_id(casting.key, link.trace_id)
            link.span_id = fresh_id(casting.key, link.span_id)

    def _renew_record(self, record: Any, casting: Casting) -> None:
        record.trace_id = fresh_id(casting.key, record.trace_id)
        record.span_id = fresh_id(casting.key, record.span_id)
        record.time_unix_nano = self._moved(record.time_unix_nano, casting)
        record.observed_time_unix_nano = self._moved(record.observed_time_unix_nano, casting)

    def _moved(self, at_ns: int, casting: Casting) -> int:
        """The time in the cast; 0 means not recorded, and stays."""
        return casting.start_ns + round((at_ns - self._first_ns) * casting.stretch) if at_ns else 0


def fresh_id(key: bytes, recorded: bytes) -> bytes:
    """A new trace or span id of the same length: equal ids stay equal within a cast. No id stays no id."""
    return blake2b(recorded, key=key, digest_size=len(recorded)).digest() if recorded else b""


def _fresh_text(key: bytes, recorded: str) -> str:
    """A new id of a response or call in the provider's form: its prefix, then as many hexadecimal digits.

    >>> _fresh_text(b"k", "chatcmpl-00ff00ff00ff")[:9], len(_fresh_text(b"k", "chatcmpl-00ff00ff00ff"))
    ('chatcmpl-', 21)
    """
    cut = max(recorded.rfind("-"), recorded.rfind("_")) + 1
    digits = blake2b(recorded.encode(), key=key, digest_size=64).hexdigest()
    return recorded[:cut] + digits[: len(recorded) - cut]


def _recorded_texts(recording: Recording) -> dict[str, str]:
    """Name of the gap by text."""
    named = {f"provider_id.{number}": text for number, text in enumerate(recording.provider_ids)}
    known = {**named, "session_id": recording.session_id, "user_id": recording.user_id, "answer": recording.answer}
    return {text: name for name, text in known.items() if text}


def _slots(node: Any, finder: Finder, path: Path) -> Iterator[tuple[Path, str, Pattern]]:
    """Where a request message holds recorded texts: the path to a message, its field, and how to fill that."""
    for descriptor, value in node.ListFields():
        name = descriptor.name
        if name in ("resource", "scope"):
            continue
        if isinstance(value, str):
            pattern = finder.find(value)
            if pattern is not None:
                yield path, name, pattern
        elif name in ("attributes", "values") and hasattr(value, "__len__"):
            for index, item in enumerate(value):
                yield from _value_slots(item, finder, (*path, name, index))
        elif hasattr(value, "ListFields"):
            yield from _slots(value, finder, (*path, name))
        elif not isinstance(value, bytes | int | float):
            for index, item in enumerate(value):
                yield from _slots(item, finder, (*path, name, index))


def _value_slots(item: Any, finder: Finder, path: Path) -> Iterator[tuple[Path, str, Pattern]]:
    """The slots of a KeyValue or AnyValue: the key stays as the library wrote it."""
    if getattr(item, "key", None) == _PROMPT_VERSION_KEY and item.value.string_value:
        yield (*path, "value"), "string_value", _PROMPT_VERSION
    elif hasattr(item, "key"):
        yield from _slots(item.value, finder, (*path, "value"))
    else:
        yield from _slots(item, finder, path)


def _follow(node: Any, path: Path) -> Any:
    for step in path:
        node = getattr(node, step) if isinstance(step, str) else node[step]
    return node


def _set_resource(resource: Any, wanted: dict[str, str]) -> None:
    """Override and add attributes, in the order of `wanted` after those that were recorded."""
    missing = dict(wanted)
    for attribute in resource.attributes:
        if attribute.key in missing:
            attribute.value.string_value = missing.pop(attribute.key)
    for key, value in missing.items():
        resource.attributes.add(key=key).value.string_value = value
