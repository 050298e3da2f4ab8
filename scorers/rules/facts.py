"""What a rule can ask of a trace: names of fields, and the values that they have."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

import orjson

from collector.core.model import JSON, Failure, Session, ToolCall, Trace
from scorers.base import Score
from scorers.text import LIMIT_CHARACTERS

Kind: TypeAlias = Literal["text", "number", "truth"]
Value: TypeAlias = str | float | bool

_MOST_VALUES = 1_000  # of a field with several, and of tool runs


class Facts(NamedTuple):
    """A trace or a session, and the scores that it has so far, by scorer."""

    subject: Trace | Session
    scores: Mapping[str, Score]


class Field(NamedTuple):
    """`values` gives none where a trace or session does not tell. `told` says what it is, for people."""

    kind: Kind
    values: Callable[[Any], Sequence[Value | None]]
    told: str


FIELDS: dict[str, Field] = {
    "question": Field("text", lambda trace: [trace.question], "what the person asked"),
    "answer": Field("text", lambda trace: [trace.answer], "what the application said in the end"),
    "context": Field("text", lambda trace: trace.contexts, "any of the retrieved texts"),
    "system": Field(
        "text",
        lambda trace: [
            message.text for call in trace.llm_calls for message in call.input_messages if message.role == "system"
        ],
        "any of the system messages",
    ),
    "name": Field("text", lambda trace: [trace.name], "of the trace's root span"),
    "service": Field("text", lambda trace: [trace.service], "`service.name`"),
    "prompt": Field("text", lambda trace: [trace.prompt_name], "name of the prompt"),
    "prompt_version": Field("text", lambda trace: [trace.prompt_version], "version of the prompt"),
    "user": Field("text", lambda trace: [trace.user_id], "id of the person"),
    "session": Field("text", lambda trace: [trace.session_id], "id of the session"),
    "model": Field("text", lambda trace: [call.model for call in trace.llm_calls], "any of the models"),
    "provider": Field("text", lambda trace: [call.provider for call in trace.llm_calls], "any of the providers"),
    "finish_reason": Field(
        "text", lambda trace: [call.finish_reason for call in trace.llm_calls], "any of the model calls' finish reasons"
    ),
    "refusal": Field("text", lambda trace: [call.refusal for call in trace.llm_calls], "any model's refusal field"),
    "llm_calls": Field("number", lambda trace: [len(trace.llm_calls)], "how many model calls"),
    "tool_calls": Field("number", lambda trace: [len(tool_runs(trace))], "how many tool calls"),
    "retrievals": Field("number", lambda trace: [len(trace.retrievals)], "how many retrievals"),
    "contexts": Field("number", lambda trace: [len(trace.contexts)], "how many retrieved texts"),
    "answer_characters": Field(
        "number", lambda trace: [None if trace.answer is None else len(trace.answer)], "length of the answer"
    ),
    "input_tokens": Field(
        "number", lambda trace: [_sum([call.input_tokens for call in trace.llm_calls])], "of all model calls"
    ),
    "output_tokens": Field(
        "number", lambda trace: [_sum([call.output_tokens for call in trace.llm_calls])], "of all model calls"
    ),
    "cost_usd": Field("number", lambda trace: [trace.cost_usd], "of all calls whose cost is known"),
    "latency_seconds": Field("number", lambda trace: [trace.seconds], "from the first start to the last end"),
    "first_token_seconds": Field(
        "number", lambda trace: [call.first_token_seconds for call in trace.llm_calls], "of any streamed model call"
    ),
    "error": Field("truth", lambda trace: [trace.error], "whether a span failed"),
    "incomplete": Field("truth", lambda trace: [trace.incomplete], "whether it was given up before its root ended"),
}
RESOURCE = "resource."
"""Before the name of any resource attribute: `resource.deployment.environment.name`."""

SESSION_FIELDS: dict[str, Field] = {
    "question": Field("text", lambda session: [turn.question for turn in session.turns], "of any turn"),
    "answer": Field("text", lambda session: [turn.answer for turn in session.turns], "of any turn"),
    "first_question": Field("text", lambda session: [turn.question for turn in session.turns[:1]], "of the first turn"),
    "last_question": Field("text", lambda session: [turn.question for turn in session.turns[-1:]], "of the last turn"),
    "last_answer": Field("text", lambda session: [turn.answer for turn in session.turns[-1:]], "of the last turn"),
    "service": Field("text", lambda session: [session.service], "`service.name`"),
    "session": Field("text", lambda session: [session.session_id], "its id"),
    "turns": Field("number", lambda session: [len(session.turns)], "how many turns"),
    "tool_calls": Field("number", lambda session: [len(tool_runs(session))], "how many tool calls"),
    "latency_seconds": Field("number", lambda session: [session.seconds], "from its first start to its last end"),
    "error": Field("truth", lambda session: [session.error], "whether a turn failed"),
    "incomplete": Field("truth", lambda session: [session.incomplete], "whether turns are missing"),
}
"""Of rules for sessions, which remember the beginning of what was said and of what tools were asked."""

TOOL_FIELDS: dict[str, Kind] = {"name": "text", "result": "text", "error": "truth"}
ARGUMENTS = "arguments."
"""Before the name of a tool's argument, with dots into objects: `arguments.order.amount`."""


def values_of(name: str, subject: Trace | Session) -> list[Value]:
    """The values of a field that a trace or a session has."""
    if isinstance(subject, Session):
        return _plain(SESSION_FIELDS[name].values(subject))
    if name.startswith(RESOURCE):
        return _plain([subject.resource.get(name.removeprefix(RESOURCE))])
    return _plain(FIELDS[name].values(subject))


def tool_runs(trace: Trace | Session) -> Sequence[ToolCall]:
    """What ran; where a trace tells of no run, the calls that the models asked for."""
    if isinstance(trace, Session):
        uses = (tool for turn in trace.turns for tool in turn.tools)
        return [ToolCall(None, 0, 0, Failure() if one.failed else None, one.name, one.arguments) for one in uses][
            :_MOST_VALUES
        ]
    if trace.tool_executions:
        return trace.tool_executions[:_MOST_VALUES]
    asked = (call for llm_call in trace.llm_calls for call in llm_call.tool_calls)
    return [ToolCall(None, name=call.name, arguments=call.arguments) for call in asked][:_MOST_VALUES]


def values_of_tool(name: str, run: ToolCall) -> list[Value]:
    """The values of a field of a tool run."""
    if name.startswith(ARGUMENTS):
        found: JSON = _read(run.arguments)
        for part in name.removeprefix(ARGUMENTS).split("."):
            found = found.get(part) if isinstance(found, dict) else None
        return _plain(found if isinstance(found, list) else [found])
    if name == "error":
        return [run.error is not None]
    return _plain([run.name if name == "name" else _text(run.result)])


def _plain(values: Sequence[JSON]) -> list[Value]:
    found = (value for value in values[:_MOST_VALUES] if isinstance(value, str | int | float))
    return [value[:LIMIT_CHARACTERS] if isinstance(value, str) else value for value in found]


def _sum(counts: Sequence[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _read(arguments: JSON) -> JSON:
    if not isinstance(arguments, str):
        return arguments
    try:
        return orjson.loads(arguments)
    except ValueError:
        return None


def _text(value: JSON) -> str | None:
    if value is None or isinstance(value, str):
        return value
    try:
        return orjson.dumps(value).decode()
    except (TypeError, ValueError, RecursionError):
        return None
