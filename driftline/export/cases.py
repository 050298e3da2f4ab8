"""A trace as a regression case: what went in and came out, with where it comes from, personal data replaced."""

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any, Literal, TypeAlias

import orjson

from collector.core.model import LLMCall, Message, RequestedCall, Trace
from collector.redaction.redactor import Redactor
from driftline.export.rows import rfc3339
from driftline.records import Sheet

CASE_FORM = "driftline.case/1"
Format: TypeAlias = Literal["driftline", "openai-evals"]
FORMATS: tuple[Format, ...] = ("driftline", "openai-evals")

Case: TypeAlias = dict[str, Any]


def has_content(trace: Trace) -> bool:
    """Whether there is anything to try again."""
    return trace.question is not None or any(call.input_messages for call in trace.llm_calls)


def case_of(trace: Trace, sheet: Sheet, scores: Sequence[Mapping[str, Any]], redactor: Redactor | None) -> Case:
    """The case in our own form (case.schema.json): a row for `driftline score`, and its provenance.

    Args:
        redactor: what replaces personal data and credentials; None leaves everything as it is.
    """
    content = _content(trace)
    told = [_score(one) for one in scores]
    slices, redacted = sheet["slices"], None
    if redactor is not None:
        before = redactor.count
        content = {name: redactor.value(value) for name, value in content.items()}
        redacted = redactor.count - before
    content["messages"] = [_with_arguments_as_text(message) for message in content["messages"]]
    return {
        "form": CASE_FORM,
        "id": sheet["trace_id"],
        **content,
        "provenance": {
            "trace_id": sheet["trace_id"],
            "revision": sheet["revision"],
            "event_time": rfc3339(sheet["event_ns"]),
            "slices": slices,
            "scores": told,
            "redacted": redacted,
            "written_by": f"driftline {version('driftline')}",
        },
    }


def openai_evals(case: Case) -> Case:
    """The case as a sample of OpenAI's evals: `input` is a list of chat messages.

    It has no `ideal`: nobody knows the right answer of a request that failed. The wrong one is in `metadata`.
    """
    given = case["messages"][:-1] if case["messages"] else [{"role": "user", "content": case["question"]}]
    metadata = {"id": case["id"], "answer": case["answer"], "contexts": case["contexts"], **case["provenance"]}
    return {"input": given, "metadata": metadata}


def in_format(case: Case, name: Format) -> Case:
    return openai_evals(case) if name == "openai-evals" else case


def _content(trace: Trace) -> Case:
    """What `scorers.rows` makes a trace of again."""
    content: Case = {"question": trace.question, "contexts": list(trace.contexts), "answer": trace.answer}
    last = next((call for call in reversed(trace.llm_calls) if call.input_messages), None)
    content["messages"] = _conversation(last, trace.answer) if last is not None else []
    tools = {str(tool.get("name")): tool for call in trace.llm_calls for tool in call.tool_definitions}
    calls = [{"name": one.name, "arguments": one.arguments} for call in trace.llm_calls for one in call.tool_calls]
    schema = next((call.output_schema for call in trace.llm_calls if call.output_schema is not None), None)
    optional = {"tools": list(tools.values()), "calls": calls, "schema": schema}
    return content | {name: value for name, value in optional.items() if value not in (None, [])}


def _conversation(call: LLMCall, answer: str | None) -> list[Case]:
    """What a call was given, and its answer."""
    said = call.output_text if call.output_text is not None else call.refusal or answer
    answered = Message("assistant", said, call.tool_calls)
    return [_message(one) for one in (*call.input_messages, answered)]


def _message(message: Message) -> Case:
    told: Case = {"role": message.role, "content": message.text or ""}
    if message.tool_calls:
        told["tool_calls"] = [_tool_call(one, f"call_{at}") for at, one in enumerate(message.tool_calls)]
    if message.tool_call_id is not None:
        told["tool_call_id"] = message.tool_call_id
    return told


def _tool_call(call: RequestedCall, otherwise: str) -> Case:
    return {
        "id": call.id or otherwise,
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments},
    }


def _with_arguments_as_text(message: Case) -> Case:
    """Chat messages have arguments as JSON in a text: made of what was redacted, for marks in it would break it."""
    if "tool_calls" not in message:
        return message
    calls = []
    for call in message["tool_calls"]:
        function = call["function"]
        given = function["arguments"]
        text = given if isinstance(given, str) else orjson.dumps(given).decode()
        calls.append({**call, "function": {**function, "arguments": text}})
    return {**message, "tool_calls": calls}


def _score(decision: Mapping[str, Any]) -> Case:
    score = decision["score"]
    return {
        "scorer": decision["scorer"],
        "evaluator_id": decision["evaluator_id"],
        "span_id": decision.get("span_id"),
        **{name: score.get(name) for name in ("value", "passed", "label", "explanation")},
    }
