"""What a trace was made by: versions, models, prompts, tools and instrumentation, as kinds with short values.

None of it is content: of an instruction or a tool's schema only a hash is told, enough to see that it is another one.
"""

from collections.abc import Iterable, Sequence
from hashlib import blake2b

import orjson

from collector.core.model import JSON, LLMCall, Span, Trace

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
    """Reads what made a trace. Remembers the schemas that it has hashed: most traces offer the same tools."""

    def __init__(self) -> None:
        self._schemas: dict[bytes, list[str]] = {}

    def read(self, trace: Trace, spans: Sequence[Span], schema_urls: Iterable[str]) -> Provenance:
        """Of a trace and its spans; never raises for what they hold."""
        calls = trace.llm_calls[:_MOST_CALLS]
        resource = trace.resource
        found: list[tuple[str, str]] = []
        for kind, values in (
            ("version", [resource.get("service.version")]),
            ("sdk", [_sdk(resource)]),
            ("model", [call.request_model for call in calls]),
            ("answering_model", [call.response_model for call in calls]),
            ("prompt", [_prompt(trace)]),
            ("instructions", [_instructions(call) for call in calls]),
            ("tool", [tool.name for tool in trace.tool_executions]),
            ("tool_schema", [name for call in calls if call.tool_definitions for name in self._tools(call)]),
            ("dialect", trace.dialects),
            ("instrumentation", {f"{span.scope_name} {span.scope_version}" for span in spans}),
            ("conventions", schema_urls),
        ):
            found += [(kind, value) for value in _few(values)]
        found.sort()
        return tuple(found)

    def _tools(self, call: LLMCall) -> list[str]:
        """The name of each tool that the model is offered, and a hash of what it is told about it."""
        try:
            told = orjson.dumps(call.tool_definitions)
        except TypeError:  # deeper than JSON may be, or a number that it cannot hold
            return []
        known = self._schemas.get(told)
        if known is None:
            if len(self._schemas) >= _MOST_REMEMBERED:
                self._schemas.clear()
            known = self._schemas[told] = [
                f"{_short(tool.get('name'))} {_hash(orjson.dumps(tool, option=orjson.OPT_SORT_KEYS))}"
                for tool in call.tool_definitions
            ]
        return known


def _few(values: Iterable[JSON]) -> list[str]:
    """Each once, cleaned; the first by name if they are too many, so that the same ones are told of like traces."""
    distinct = {text for value in values if value is not None and (text := _short(value))}
    return sorted(distinct)[:MOST_OF_A_KIND]


def _short(value: JSON) -> str:
    """One line of text, bounded; empty for what is no plain value.

    >>> _short(" gpt\\n4 "), _short({"a": 1})
    ('gpt 4', '')
    """
    if value is None or isinstance(value, dict | list):
        return ""
    text = str(value)[:_LONGEST]
    return text if text.isalnum() else " ".join(text.encode("utf-8", "replace").decode().split())


def _prompt(trace: Trace) -> str | None:
    parts = [part for part in (trace.prompt_name, trace.prompt_version) if part]
    return " ".join(parts) if parts else None


def _sdk(resource: dict[str, JSON]) -> str | None:
    parts = [_short(resource.get(f"telemetry.sdk.{part}")) for part in ("language", "version")]
    return " ".join(part for part in parts if part) or None


def _instructions(call: LLMCall) -> str | None:
    said = [message.text for message in call.input_messages if message.role == "system" and message.text]
    return _hash("\n".join(said).encode("utf-8", "replace")) if said else None


def _hash(data: bytes) -> str:
    return blake2b(data, digest_size=4).hexdigest()
