"""What a dialect is: a table from attributes to operations, read by the same few functions for all dialects.

A dialect declares where each fact stands, as a tuple of *sources* in order of trust: the first that yields something
wins. A source is an attribute's name or one of the readers of `collector.dialects.sources`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, TypeVar

from collector.core.model import (
    JSON,
    AgentStep,
    Document,
    Embedding,
    Failure,
    LLMCall,
    Operation,
    Retrieval,
    ToolCall,
)
from collector.dialects.tools import output_schema, tool_arguments, tool_definitions, tool_result
from collector.dialects.turns import Turn
from collector.dialects.values import amount, count, finish_reason, text, word
from collector.dialects.view import View

Kind: TypeAlias = Literal["llm", "tool", "retrieval", "embedding", "agent", "step"]
"""What a span is. `step` is the application's own (chain, task, workflow): no operation, but as the root it may know
the question and the answer."""

_Operation = TypeVar("_Operation", bound=Operation)

Reader: TypeAlias = Callable[[View], JSON]
Source: TypeAlias = str | Reader
Sources: TypeAlias = tuple[Source, ...]
TurnReaders: TypeAlias = tuple[Callable[[View], list[Turn]], ...]
DocumentReaders: TypeAlias = tuple[Callable[[View], list[Document] | None], ...]


@dataclass(frozen=True, slots=True)
class KindBy:
    """The kind by the value of one attribute."""

    key: str
    kinds: Mapping[str, Kind]

    def __call__(self, view: View) -> Kind | None:
        value = view.attributes.get(self.key)
        if isinstance(value, str) and value in self.kinds:  # nearly always
            return self.kinds[value]
        named = word(value)
        return self.kinds.get(named) if named is not None else None

    def __str__(self) -> str:
        return f"`{self.key}`"


@dataclass(frozen=True, slots=True, eq=False)
class Dialect:
    """One convention.

    scopes: beginnings of the instrumentation scope's name that are this dialect and nothing else.
    markers: attributes that give it away under any other scope.
    kinds: asked in order what a span is.
    llm: for each field of an LLMCall, its sources. input, system, output: its messages.
    certain: a span of kind `llm` is a provider call even if it says nothing more; without this, a span that has
      neither content nor usage nor an answer's id is taken for a wrapper and dropped.
    history: an agent's whole conversation, for a failed call whose own span tells no input.
    known: attributes that are understood and not needed, so that they are not told as unmapped; a `*` at the end stands
      for any rest.
    agent_system: an agent's instructions, for calls within it whose own spans leave them out.
    usage_rank: whose token counts win when several spans describe one call: 1 a provider's own, 0 as reported.
    """

    name: str
    scopes: tuple[str, ...] = ()
    markers: tuple[str, ...] = ()
    kinds: tuple[Callable[[View], Kind | None], ...] = ()
    llm: Mapping[str, Sources] = field(default_factory=dict)
    input: TurnReaders = ()
    system: TurnReaders = ()
    output: TurnReaders = ()
    history: TurnReaders = ()
    agent_system: TurnReaders = ()
    tool_definitions: Sources = ()
    output_schema: Sources = ()
    tool: Mapping[str, Sources] = field(default_factory=dict)
    query: Sources = ()
    documents: DocumentReaders = ()
    embedding: Mapping[str, Sources] = field(default_factory=dict)
    agent_name: Sources = ()
    step_input: Sources = ()
    step_output: Sources = ()
    error_type: Sources = ("error.type",)
    failed: Callable[[View], bool] | None = None
    known: tuple[str, ...] = ()
    certain: bool = False
    usage_rank: int = 0

    def kind(self, view: View) -> Kind | None:
        for rule in self.kinds:
            kind = rule(view)
            if kind is not None:
                return kind
        return None

    def read(self, view: View, kind: Kind) -> Operation | None:
        """The operation that a span of this kind describes; None for a step."""
        return _READERS[kind](self, view) if kind in _READERS else None


_LLM_FIELDS: dict[str, Callable[[JSON], Any]] = {
    "provider": word,
    "request_model": word,
    "response_model": word,
    "response_id": word,
    "refusal": text,
    "reasoning": text,
    "finish_reason": finish_reason,
    "input_tokens": count,
    "output_tokens": count,
    "cached_input_tokens": count,
    "reasoning_tokens": count,
    "cache_write_input_tokens": count,
    "first_token_seconds": amount,
    "cost_usd": amount,
}
_TOOL_FIELDS: dict[str, Callable[[JSON], Any]] = {
    "name": word,
    "id": word,
    "arguments": tool_arguments,
    "result": tool_result,
}
_EMBEDDING_FIELDS: dict[str, Callable[[JSON], Any]] = {
    "model": word,
    "input_tokens": count,
    "provider": word,
    "cost_usd": amount,
}


def first(view: View, sources: Sources, convert: Callable[[JSON], Any]) -> Any:
    """The first source's value that converts to something."""
    attributes = view.attributes
    for source in sources:
        value = attributes.get(source) if isinstance(source, str) else source(view)
        if value is not None:
            value = convert(value)
            if value is not None:
                return value
    return None


def first_turns(view: View, readers: TurnReaders) -> list[Turn]:
    """The messages of the first reader that finds some with content, else of the first that finds any."""
    fallback: list[Turn] = []
    for reader in readers:
        turns = reader(view)
        for turn in turns:
            if not turn.empty:
                return turns
        fallback = fallback or turns
    return fallback


def _fill(operation: Operation, view: View, table: Mapping[str, Sources], fields: Mapping[str, Any]) -> None:
    attributes = view.attributes
    for name, sources in table.items():
        for source in sources:  # as in `first`, without a call for each of a dozen fields
            if isinstance(source, str):
                if source not in attributes:
                    continue
                value = attributes[source]
            else:
                value = source(view)
            if value is not None and (value := fields[name](value)) is not None:
                setattr(operation, name, value)
                break


def _begun(kind: type[_Operation], dialect: Dialect, view: View) -> _Operation:
    """An operation of this kind with what every span tells of its own."""
    span = view.span
    failed = span.failed or (dialect.failed is not None and dialect.failed(view))
    return kind(span.span_id, span.start_ns, span.end_ns, _failure(dialect, view) if failed else None)


def _failure(dialect: Dialect, view: View) -> Failure:
    """Why the span failed, from its status, its exception event or the dialect's own flag."""
    span = view.span
    found = Failure(first(view, dialect.error_type, word), span.status_message or None)
    for event in span.events:
        if event.name == "exception":
            found.type = found.type or word(event.attributes.get("exception.type"))
            found.message = word(event.attributes.get("exception.message")) or found.message
    return found


def _read_llm(dialect: Dialect, view: View) -> LLMCall:
    call = _begun(LLMCall, dialect, view)
    call.dialect = dialect.name
    _fill(call, view, dialect.llm, _LLM_FIELDS)
    call.cost_source = None if call.cost_usd is None else "exported"
    cached = call.cached_input_tokens
    if cached is not None and call.input_tokens is not None and call.input_tokens < cached:
        call.input_tokens += cached  # the provider counts the cached ones apart
    _read_input(call, dialect, view)
    _read_output(call, dialect, view)
    call.tool_definitions = first(view, dialect.tool_definitions, _some_definitions) or []
    call.output_schema = first(view, dialect.output_schema, output_schema)
    return call


def _some_definitions(value: JSON) -> list[dict[str, JSON]] | None:
    return tool_definitions(value) or None


def _read_input(call: LLMCall, dialect: Dialect, view: View) -> None:
    turns = first_turns(view, dialect.input)
    instructions = first_turns(view, dialect.system)
    if instructions:
        said = "\n".join(turn.text for turn in instructions if turn.text)
        if said and not (turns and turns[0].role == "system" and turns[0].text == said):
            turns = [Turn("system", [said]), *turns]
    call.input_messages = [turn.message() for turn in turns if turn.tool_call_id is not None or not turn.empty]


def _read_output(call: LLMCall, dialect: Dialect, view: View) -> None:
    """Several messages are the items of one answer (Responses API), or several choices: the first text counts."""
    turns = first_turns(view, dialect.output)
    for turn in turns:
        if turn.role == "assistant" and call.output_text is None:
            call.output_text = turn.text or None
        call.tool_calls.extend(turn.tool_calls)
        call.refusal = call.refusal or turn.refusal
        call.finish_reason = call.finish_reason or turn.finish
        if turn.reasoning and not call.reasoning:
            call.reasoning = "\n".join(turn.reasoning)


def _read_tool(dialect: Dialect, view: View) -> ToolCall:
    run = _begun(ToolCall, dialect, view)
    _fill(run, view, dialect.tool, _TOOL_FIELDS)
    return run


def _read_retrieval(dialect: Dialect, view: View) -> Retrieval:
    found = _begun(Retrieval, dialect, view)
    found.query = first(view, dialect.query, query_text)
    for reader in dialect.documents:
        documents = reader(view)
        if documents and not found.documents:
            found.documents = documents
        elif documents:
            _complete(found.documents, documents)
        if found.documents and None not in [document.id for document in found.documents]:
            break
    return found


def _complete(documents: list[Document], others: list[Document]) -> None:
    """Another account of the same list, in the same order, may know more."""
    if len(documents) == len(others):
        for document, other in zip(documents, others, strict=True):
            if document.text is None or other.text in (None, document.text):
                document.text = document.text or other.text
                document.id = document.id if document.id is not None else other.id
                document.score = document.score if document.score is not None else other.score


def query_text(value: JSON) -> str | None:
    """A search query: text, or the text within the arguments of the call that searches."""
    arguments = tool_arguments(value)
    if isinstance(arguments, str):
        return arguments or None
    if isinstance(arguments, dict):
        for key in ("query", "query_str", "question", "q", "input", "text", "search_query"):
            said = arguments.get(key)
            if isinstance(said, dict):  # LlamaIndex: {"query_bundle": {"query_str": ...}}
                said = said.get("query_str")
            if isinstance(said, str) and said:
                return said
        inner = next(iter(arguments.values())) if len(arguments) == 1 else None
        return query_text(inner) if isinstance(inner, dict | str) else None
    if isinstance(arguments, list) and arguments:
        return text(arguments[0])
    return None


def _read_embedding(dialect: Dialect, view: View) -> Embedding:
    found = _begun(Embedding, dialect, view)
    _fill(found, view, dialect.embedding, _EMBEDDING_FIELDS)
    found.cost_source = None if found.cost_usd is None else "exported"
    return found


def _read_agent(dialect: Dialect, view: View) -> AgentStep:
    step = _begun(AgentStep, dialect, view)
    step.name = first(view, dialect.agent_name, word) or view.span.name
    return step


_READERS: dict[Kind, Callable[[Dialect, View], Operation]] = {
    "llm": _read_llm,
    "tool": _read_tool,
    "retrieval": _read_retrieval,
    "embedding": _read_embedding,
    "agent": _read_agent,
}
