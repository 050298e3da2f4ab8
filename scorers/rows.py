"""A row of a labelled data set as a trace, so that offline and online run the same code."""

from collections.abc import Mapping
from typing import Any

import orjson

from collector.core.model import (
    JSON,
    Document,
    LLMCall,
    Message,
    RequestedCall,
    Retrieval,
    Role,
    Session,
    ToolCall,
    Trace,
    Turn,
)
from scorers.base import Scorer

_DRAFTS = {
    "draft4": "http://json-schema.org/draft-04/schema#",
    "draft6": "http://json-schema.org/draft-06/schema#",
    "draft7": "http://json-schema.org/draft-07/schema#",
    "draft2019-09": "https://json-schema.org/draft/2019-09/schema",
    "draft2020-12": "https://json-schema.org/draft/2020-12/schema",
}
_ROLES: dict[str, Role] = {
    "system": "system", "developer": "system", "user": "user", "human": "user",
    "assistant": "assistant", "ai": "assistant", "tool": "tool", "function": "tool",
}  # fmt: skip
_TEXT_STANDS_FOR = {
    "question": "question",
    "answer": "answer",
    "response": "answer",
    "contexts": "contexts",
    "foreign_text": "contexts",
    "query": "question",
    "documents": "contexts",
}


class BadRow(ValueError):
    """A field of a row is not what it should be; the message names it."""


def trace_of(row: object, scorer: Scorer) -> Trace:
    """The trace that a row describes.

    A row's `text` stands for the first of question, answer, contexts that the scorer needs and the row lacks.

    Raises:
        BadRow: a field has the wrong type.
    """
    if not isinstance(row, Mapping):
        raise BadRow(f"a row is a JSON object, not {type(row).__name__}")
    trace = Trace(
        trace_id=str(row.get("id", "")),
        question=_text(row, "question"),
        answer=_text(row, "answer"),
        contexts=_texts(row, "contexts"),
        reference=_text(row, "reference"),
    )
    text = _text(row, "text")
    if text is not None:
        _place(trace, text, scorer)
    if "tools" in row or "calls" in row:
        trace.llm_calls.append(_tool_call_request(row, trace))
    if "schema" in row:
        trace.llm_calls.append(_structured_call(row, trace))
    for field in ("messages", "trajectory"):
        if row.get(field) is not None:
            _converse(trace, [_agent(entry) if field == "trajectory" else entry for entry in _objects(row, field)])
    _operate(row, trace, scorer)
    return trace


def _operate(row: Mapping[str, Any], trace: Trace, scorer: Scorer) -> None:
    """The operation that a scorer is about, where a row tells of it as of a trace that has no other."""
    if scorer.target == "llm_call" and not trace.llm_calls:
        trace.llm_calls.append(_tool_call_request({}, trace))
    elif scorer.target == "retrieval":
        trace.retrievals.append(Retrieval(None, query=trace.question, documents=_documents(row, trace)))
    elif scorer.target == "tool_call" and not trace.tool_executions:
        asked = [call for llm_call in trace.llm_calls for call in llm_call.tool_calls]
        trace.tool_executions += [
            ToolCall(None, name=call.name, arguments=call.arguments, id=call.id) for call in asked
        ]


def _documents(row: Mapping[str, Any], trace: Trace) -> list[Document]:
    """The contexts, each with what `relevance` says of it: a label of a person, or the retriever's score."""
    given = row.get("relevance")
    if given is None:
        return [Document(text) for text in trace.contexts]
    if not isinstance(given, list) or not all(isinstance(one, int | float) for one in given):
        raise BadRow("relevance: a list of numbers, one for each of contexts")
    if trace.contexts and len(given) != len(trace.contexts):
        raise BadRow(f"relevance: {len(given)} numbers for {len(trace.contexts)} contexts")
    texts: list[str | None] = list(trace.contexts) or [None] * len(given)
    return [Document(text, score=float(score)) for text, score in zip(texts, given, strict=True)]


def session_of(row: object) -> Session:
    """The session that a row describes: `turns` is a list of objects with `question` and `answer`.

    Raises:
        BadRow: a field has the wrong type.
    """
    if not isinstance(row, Mapping):
        raise BadRow(f"a row is a JSON object, not {type(row).__name__}")
    turns = [
        Turn(
            f"{number:032x}", question=_text(one, "question"), answer=_text(one, "answer"), error=bool(one.get("error"))
        )
        for number, one in enumerate(_objects(row, "turns"), start=1)
    ]
    return Session(str(row.get("id", "")), turns=turns)


def _place(trace: Trace, text: str, scorer: Scorer) -> None:
    for need in scorer.needs:
        field = _TEXT_STANDS_FOR.get(need)
        if field == "contexts" and not trace.contexts:
            trace.contexts = [text]
            return
        if field in ("question", "answer") and getattr(trace, field) is None:
            setattr(trace, field, text)
            return


def _tool_call_request(row: Mapping[str, Any], trace: Trace) -> LLMCall:
    return LLMCall(
        span_id=None,
        input_messages=[Message("user", trace.question)] if trace.question else [],
        output_text=trace.answer,
        tool_definitions=[_definition(tool) for tool in _objects(row, "tools")],
        tool_calls=[_requested(call, "calls") for call in _objects(row, "calls")],
    )


def _definition(tool: dict[str, JSON]) -> dict[str, JSON]:
    """The tool itself, where it is wrapped as {"type": "function", "function": {...}}."""
    inner = tool.get("function")
    return inner if isinstance(inner, dict) else tool


def _requested(call: dict[str, JSON], field: str) -> RequestedCall:
    inner = call.get("function")
    source = inner if isinstance(inner, dict) else call
    if not isinstance(source.get("name"), str):
        raise BadRow(f"{field}: a call without a name")
    identity = call.get("id")
    return RequestedCall(source["name"], source.get("arguments"), identity if isinstance(identity, str) else None)


def _structured_call(row: Mapping[str, Any], trace: Trace) -> LLMCall:
    if "instance" in row:
        output: str | None = _dumps(row["instance"])
    else:
        output = trace.answer
    return LLMCall(span_id=None, output_text=output, output_schema=_schema(row["schema"], row.get("draft")))


def _schema(schema: JSON, draft: JSON) -> JSON:
    if isinstance(schema, bool):  # the boolean schemas; to a model call, True means "any JSON object"
        return {} if schema else {"not": {}}
    if not isinstance(schema, dict):
        raise BadRow(f"schema: a JSON object or boolean, not {type(schema).__name__}")
    if isinstance(draft, str) and draft in _DRAFTS and "$schema" not in schema:
        return {"$schema": _DRAFTS[draft], **schema}
    return schema


def _dumps(value: JSON) -> str:
    try:
        return orjson.dumps(value).decode()
    except (TypeError, ValueError, RecursionError):
        raise BadRow("instance: cannot be written as JSON") from None


def _agent(entry: dict[str, JSON]) -> dict[str, JSON]:
    """An entry of a run of several agents: who has a name, or a role of its own, is one of them and not the user."""
    role = entry.get("role")
    if not isinstance(role, str) or not role:
        return entry
    named = role.lower() == "user" and isinstance(entry.get("name"), str)
    return {**entry, "role": "assistant"} if named or role.lower() not in _ROLES else entry


def _converse(trace: Trace, messages: list[dict[str, JSON]]) -> None:
    """A conversation as model calls, one an assistant turn, and tool runs, one a tool message."""
    so_far: list[Message] = []
    waiting: list[RequestedCall] = []
    for at, entry in enumerate(messages):
        role = _ROLES.get(str(entry.get("role", "")).lower())
        if role is None:
            raise BadRow(f"messages[{at}].role: {entry.get('role')!r} is not one of {', '.join(_ROLES)}")
        text = _content(entry.get("content"))
        if role == "assistant":
            calls = [_requested(call, "tool_calls") for call in _objects(entry, "tool_calls")]
            call = LLMCall(None, at, at, input_messages=list(so_far), output_text=text, tool_calls=calls)
            trace.llm_calls.append(call)
            waiting.extend(calls)
            trace.answer = text or trace.answer
        elif role == "tool":
            done = waiting.pop(0) if waiting else RequestedCall(str(entry.get("name", "")))
            trace.tool_executions.append(ToolCall(None, at, at, None, done.name, done.arguments, text, done.id))
        elif role == "user" and trace.question is None:
            trace.question = text
        so_far.append(Message(role, text))


def _content(content: JSON) -> str | None:
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, dict)]
        return "\n".join(part for part in parts if isinstance(part, str))
    return content if isinstance(content, str) or content is None else _dumps(content)


def _text(row: Mapping[str, Any], field: str) -> str | None:
    value = row.get(field)
    if value is not None and not isinstance(value, str):
        raise BadRow(f"{field}: a text, not {type(value).__name__}")
    return value


def _texts(row: Mapping[str, Any], field: str) -> list[str]:
    value = row.get(field)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise BadRow(f"{field}: a list of texts")
    return value


def _objects(row: Mapping[str, Any], field: str) -> list[dict[str, JSON]]:
    value = row.get(field)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise BadRow(f"{field}: a list of JSON objects")
    return value
