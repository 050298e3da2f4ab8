"""What a trace was made by: versions, models, prompts, tools and instrumentation, as kinds with short values.

None of it is content: of an instruction or a tool's schema only a hash is told, enough to see that it is another one.
"""

from collections.abc import Hashable, Iterable, Sequence
from hashlib import blake2b

import orjson

from collector.core.model import JSON, Message, Span, Trace

Provenance = tuple[tuple[str, str], ...]
"""Pairs of a kind and a value, sorted, each once; several values of a kind where a trace has several."""

KINDS: dict[str, tuple[str, str]] = {
    "version": ("version", "resource.service.version"),
    "model": ("model", "llm.request_model"),
    "answering_model": ("answering model", "llm.response_model"),
    "prompt": ("prompt", "prompt_version"),
    "instructions": ("instructions", "llm.instructions"),
    "tool": ("tool", "tools"),
    "tool_schema": ("tool schema", "llm.tool_definitions"),
    "dialect": ("dialect", "dialect"),
    "instrumentation": ("instrumentation", "instrumentation"),
    "conventions": ("conventions", "schema_url"),
    "sdk": ("SDK", "resource.telemetry.sdk.version"),
}
"""Each kind with its name for people, and the name by which redaction knows it."""

MOST_OF_A_KIND = 12
_MOST_CALLS = 32
_LONGEST = 120
_MOST_REMEMBERED = 1024


class ProvenanceReader:
    """Reads what made a trace. Remembers what it has read: most traces are made by the same, with the same tools."""

    def __init__(self) -> None:
        self._schemas: dict[bytes, tuple[str, ...]] = {}
        self._known: dict[tuple[Hashable, ...], Provenance] = {}

    def read(self, trace: Trace, spans: Sequence[Span], schema_urls: Iterable[str]) -> Provenance:
        """Of a trace and its spans; never raises for what they hold."""
        calls, resource = trace.llm_calls[:_MOST_CALLS], trace.resource
        told = (
            _plain(resource.get("service.version")),
            _plain(resource.get("telemetry.sdk.language")),
            _plain(resource.get("telemetry.sdk.version")),
            trace.prompt_name,
            trace.prompt_version,
            tuple([call.request_model for call in calls]),
            tuple([call.response_model for call in calls]),
            tuple([_instructions(call.input_messages) for call in calls]),
            tuple([tool.name for tool in trace.tool_executions]),
            tuple([self._tools(call.tool_definitions) for call in calls if call.tool_definitions]),
            tuple(trace.dialects),
            frozenset([(span.scope_name, span.scope_version) for span in spans]),
            frozenset(schema_urls),
        )
        known = self._known.get(told)
        if known is None:
            if len(self._known) >= _MOST_REMEMBERED:
                self._known.clear()
            known = self._known[told] = _pairs(*told)
        return known

    def _tools(self, definitions: list[dict[str, JSON]]) -> tuple[str, ...]:
        """The name of each tool that the model is offered, and a hash of what it is told about it."""
        try:
            told = orjson.dumps(definitions)
        except TypeError:  # deeper than JSON may be, or a number that it cannot hold
            return ()
        digest = blake2b(told, digest_size=16).digest()
        known = self._schemas.get(digest)
        if known is None:
            if len(self._schemas) >= _MOST_REMEMBERED:
                self._schemas.clear()
            known = self._schemas[digest] = tuple(
                f"{_short(tool.get('name'))} {_hash(orjson.dumps(tool, option=orjson.OPT_SORT_KEYS))}"
                for tool in definitions
            )
        return known


def _pairs(
    version: str,
    language: str,
    sdk: str,
    prompt_name: str | None,
    prompt_version: str | None,
    models: Iterable[str | None],
    answering: Iterable[str | None],
    instructions: Iterable[str | None],
    tools: Iterable[str],
    schemas: Iterable[Iterable[str]],
    dialects: Iterable[str],
    scopes: Iterable[tuple[str, str]],
    conventions: Iterable[str],
) -> Provenance:
    found: dict[str, Iterable[str | None]] = {
        "version": [version],
        "sdk": [f"{language} {sdk}"],
        "prompt": [f"{prompt_name or ''} {prompt_version or ''}"],
        "model": models,
        "answering_model": answering,
        "instructions": instructions,
        "tool": tools,
        "tool_schema": [tool for offered in schemas for tool in offered],
        "dialect": dialects,
        "instrumentation": [" ".join(scope) for scope in scopes],
        "conventions": conventions,
    }
    return tuple(sorted((kind, value) for kind, values in found.items() for value in _few(values)))


def _few(values: Iterable[str | None]) -> list[str]:
    """Each once, cleaned; the first by name if they are too many, so that the same ones are told of like traces."""
    return sorted({text for value in values if value and (text := _short(value))})[:MOST_OF_A_KIND]


def _plain(value: JSON) -> str:
    """The beginning of a value as text; empty for a list or an object."""
    return "" if value is None or isinstance(value, dict | list) else str(value)[:_LONGEST]


def _short(value: JSON) -> str:
    """One line of text, bounded; empty for what is no plain value.

    >>> _short(" gpt\\n4 "), _short({"a": 1})
    ('gpt 4', '')
    """
    return " ".join(_plain(value).encode("utf-8", "replace").decode().split())


def _instructions(messages: Iterable[Message]) -> str | None:
    said = [message.text for message in messages if message.role == "system" and message.text]
    return _hash("\n".join(said).encode("utf-8", "replace")) if said else None


def _hash(data: bytes) -> str:
    return blake2b(data, digest_size=4).hexdigest()
