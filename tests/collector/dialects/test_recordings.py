"""Golden: recordings of real libraries, held against what really happened.

Each `NAME.expected.json` was written from the provider's and the application's own logs, not from the traces.
`UNREACHABLE` lists what the recorded bytes do not hold.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from collector.core.model import LLMCall, Message, RequestedCall, Retrieval, ToolCall, Trace
from collector.dialects.values import finish_reason
from collector.normalise import normalise
from driftline.commands.inspect import Recording

FOLDER = Path(__file__).parents[2] / "data" / "traces"
SCENARIOS = sorted(FOLDER.rglob("*.expected.json"))


def read(scenario: Path, reverse: bool = False) -> tuple[dict[str, Any], list[Trace]]:
    expected = json.loads(scenario.read_text())
    recording = Recording()
    for name in sorted(expected["files"], reverse=reverse):
        recording.add((scenario.parent / name).read_bytes(), name)
    assert not recording.left_out
    return expected, recording.traces()


def squeezed(text: Any) -> str:
    return " ".join(str(text or "").split())


def value_of(value: Any) -> Any:
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return squeezed(value)


def best(candidates: list[Any], like: Any) -> Any:
    """The candidate that scores highest, taken out of the list."""
    assert candidates
    found = max(candidates, key=like)
    candidates.remove(found)
    return found


def name_of(scenario: Path) -> str:
    return f"{scenario.parent.name}/{scenario.name.removesuffix('.expected.json')}"


def test_there_is_a_recording_of_every_dialect_folder() -> None:
    assert len({scenario.parent for scenario in SCENARIOS}) >= 24


@pytest.mark.parametrize("scenario", SCENARIOS, ids=name_of)
def test_a_recording_is_understood(scenario: Path) -> None:
    expected, traces = read(scenario)
    assert len(traces) == expected["trace_count"]
    assert sum(trace.span_count for trace in traces) == expected["span_count"]
    check_calls(expected, [call for trace in traces for call in trace.llm_calls])
    check_tools(expected, [run for trace in traces for run in trace.tool_executions])
    check_retrievals(expected, [found for trace in traces for found in trace.retrievals])
    if expected.get("embeddings"):
        assert len(expected["embeddings"]) == sum(len(trace.embeddings) for trace in traces)
    for key in ("session_id", "user_id", "prompt_version"):
        if expected.get(key):
            assert expected[key] in [getattr(trace, key) for trace in traces]
    if expected["any_error_span"]:
        assert any(trace.error for trace in traces)


def check_calls(expected: dict[str, Any], calls: list[LLMCall]) -> None:
    assert len(calls) == len(expected["llm_calls"])
    for wanted in expected["llm_calls"]:
        call = best(calls, lambda one, wanted=wanted: likeness(one, wanted))
        for key in ("request_model", "response_model", "response_id"):
            if wanted.get(key):
                assert getattr(call, key) == wanted[key], key
        for key in ("input_tokens", "output_tokens", "cached_input_tokens", "reasoning_tokens"):
            if wanted.get(key) is not None:
                assert getattr(call, key) == wanted[key], key
        check_messages(wanted["input_messages"], call.input_messages)
        if wanted.get("output_text"):
            assert squeezed(call.output_text) == squeezed(wanted["output_text"])
        if wanted.get("refusal"):
            assert squeezed(wanted["refusal"]) in (squeezed(call.refusal), squeezed(call.output_text))
        if wanted.get("finish_reason_exported"):
            allowed = [wanted.get("finish_reason"), *wanted["finish_reason_exported"]]
            assert call.finish_reason in [finish_reason(one) for one in allowed]
        check_requests(wanted["tool_calls"], call.tool_calls)
        assert bool(call.error) == bool(wanted.get("error"))


def likeness(call: LLMCall, wanted: dict[str, Any]) -> float:
    same_answer = bool(wanted.get("output_text")) and squeezed(call.output_text) == squeezed(wanted["output_text"])
    same_id = bool(wanted.get("response_id")) and call.response_id == wanted["response_id"]
    same_length = len(call.input_messages) == len(wanted["input_messages"])
    last = (wanted["input_messages"] or [{}])[-1].get("text")
    same_last = bool(last and call.input_messages and squeezed(call.input_messages[-1].text) == squeezed(last))
    return 100 * same_id + 20 * same_answer + 10 * same_last + 3 * same_length


def check_messages(expected: list[dict[str, Any]], messages: list[Message]) -> None:
    assert [message.role for message in messages] == [message["role"] for message in expected]
    for wanted, message in zip(expected, messages, strict=True):
        if wanted.get("text"):
            assert value_of(message.text) == value_of(wanted["text"])
        if wanted.get("has_image"):
            assert message.has_image
        if wanted.get("tool_calls"):
            check_requests(wanted["tool_calls"], message.tool_calls)


def check_requests(expected: list[dict[str, Any]], calls: list[RequestedCall]) -> None:
    assert [(call.name, value_of(call.arguments)) for call in calls] == [
        (wanted["name"], value_of(wanted["arguments"])) for wanted in expected
    ]


def check_tools(expected: dict[str, Any], runs: list[ToolCall]) -> None:
    assert len(runs) == len(expected["tool_executions"])
    for wanted in expected["tool_executions"]:
        run = best(runs, lambda one, wanted=wanted: run_likeness(one, wanted))
        assert run.name == wanted["name"]
        assert value_of(run.arguments) == value_of(wanted["arguments"])
        assert (run.span_id is not None) == wanted["has_own_span"]
        if wanted["has_own_span"] and "result" in wanted and wanted.get("result_on_tool_span", True):
            assert str(value_of(run.result)) == str(value_of(wanted["result"]))
        if wanted["has_own_span"] and (wanted.get("span_status_error") or not wanted.get("error")):
            assert bool(run.error) == bool(wanted.get("error"))


def run_likeness(run: ToolCall, wanted: dict[str, Any]) -> int:
    return 4 * (run.name == wanted["name"]) + 2 * (value_of(run.arguments) == value_of(wanted["arguments"]))


def check_retrievals(expected: dict[str, Any], found: list[Retrieval]) -> None:
    own = [retrieval for retrieval in expected["retrievals"] if retrieval["has_own_span"]]
    assert len(found) == len(own)
    for wanted, retrieval in zip(own, found, strict=True):
        assert squeezed(retrieval.query) == squeezed(wanted.get("query") or retrieval.query)
        assert len(retrieval.documents) == len(wanted["documents"])
        for want, document in zip(wanted["documents"], retrieval.documents, strict=True):
            assert want.get("id") in (None, document.id)
            assert squeezed(want.get("text") or document.text) == squeezed(document.text)
            if want.get("score") is not None:
                assert document.score == pytest.approx(want["score"], abs=1e-4)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=name_of)
def test_the_order_of_arrival_makes_no_difference(scenario: Path) -> None:
    _, forward = read(scenario)
    _, backward = read(scenario, reverse=True)
    assert {trace.trace_id: trace for trace in forward} == {trace.trace_id: trace for trace in backward}


RAG = [path for path in SCENARIOS if "rag" in path.name or path.name.startswith("handbook_")]


@pytest.mark.parametrize("scenario", RAG, ids=name_of)
def test_question_answer_and_passages_of_a_retrieval_are_found_in_every_dialect(scenario: Path) -> None:
    expected, traces = read(scenario)
    (trace,) = traces
    passages = [doc["text"] for found in expected["retrievals"] for doc in found["documents"] if doc.get("text")]
    queries = [found["query"] for found in expected["retrievals"] if found.get("query")]
    asked = expected["llm_calls"][0]["input_messages"][-1]["text"]
    assert trace.question == queries[0] if queries else trace.question in asked
    assert squeezed(trace.answer) == squeezed(expected["llm_calls"][-1]["output_text"])
    assert len(trace.contexts) >= max(1, len(passages))
    for passage in passages:
        assert any(squeezed(passage) in squeezed(context) for context in trace.contexts)


@pytest.mark.parametrize("scenario", [path for path in SCENARIOS if "structured" in path.name], ids=name_of)
def test_a_structured_answer_is_known_to_be_one(scenario: Path) -> None:
    _, (trace,) = read(scenario)
    assert trace.llm_calls[-1].output_schema is not None


NAMED_BY_SCOPE = {
    *("logfire-agents/agents_chatcompletions", "logfire-agents/agents_support"),  # attributes `input`, `name`, `output`
    *("openlit-v1.34/error_429", "openllmetry-mistralai/chat"),  # a span without attributes; a span that repeats usage
    "openllmetry-google-genai/image",  # the parts of one message as messages of their own
}


@pytest.mark.parametrize("scenario", [one for one in SCENARIOS if name_of(one) not in NAMED_BY_SCOPE], ids=name_of)
def test_under_a_scope_that_nobody_knows_no_call_loses_its_prompt_or_answer(scenario: Path) -> None:
    expected = json.loads(scenario.read_text())
    recording = Recording()
    for name in expected["files"]:
        recording.add((scenario.parent / name).read_bytes(), name)
    for trace_id in recording.spans:
        spans, events = recording.decoded(trace_id)
        renamed = [replace(span, scope_name="wrapped", scope_version="") for span in spans]
        known, unknown = normalise(trace_id, spans, events), normalise(trace_id, renamed, events)
        assert [told(call) for call in unknown.llm_calls] == [told(call) for call in known.llm_calls]
        assert len(unknown.tool_executions) == len(known.tool_executions)
        assert len(unknown.retrievals) == len(known.retrievals)


def told(call: LLMCall) -> tuple[Any, ...]:
    said = bool(call.output_text or call.tool_calls or call.refusal)
    return call.request_model, call.input_tokens, [message.role for message in call.input_messages], said


JSON_ANSWERS = [path for path in SCENARIOS if '"output_text": "{' in path.read_text()]


@pytest.mark.parametrize("scenario", JSON_ANSWERS, ids=name_of)
def test_an_answer_that_is_json_stays_as_it_was_said(scenario: Path) -> None:
    expected, (trace,) = read(scenario)
    assert json.loads(trace.answer or "") == json.loads(expected["llm_calls"][-1]["output_text"])
    assert trace.question


TOOLS = [
    path
    for path in SCENARIOS
    if path.name.startswith(("tools_", "agent_", "agents_lab", "responses_tools", "support_"))
]


@pytest.mark.parametrize("scenario", TOOLS, ids=name_of)
def test_what_was_asked_of_an_agent_and_what_it_answered_are_known(scenario: Path) -> None:
    expected, traces = read(scenario)
    told = [squeezed(m.get("text")) for m in expected["llm_calls"][0]["input_messages"] if m["role"] == "user"]
    answers = {squeezed(call.get("output_text")) for call in expected["llm_calls"]}
    assert any(trace.question and squeezed(trace.question) in said for trace in traces for said in told)
    assert {squeezed(trace.answer) for trace in traces} & answers


WITHOUT_DEFINITIONS = {
    *("otel-openai-v2-legacy/tools_support", "otel-openai-v2-eventonly/tools_travel"),
    "strands/support_events",  # the agent's span names its tools; only the span of a tool's run has its schema
}


@pytest.mark.parametrize("scenario", [path for path in TOOLS if name_of(path) not in WITHOUT_DEFINITIONS], ids=name_of)
def test_the_tools_that_a_call_may_use_are_known_with_their_schemas(scenario: Path) -> None:
    _, traces = read(scenario)
    asking = [call for trace in traces for call in trace.llm_calls if call.tool_calls]
    assert asking
    for call in asking:
        defined = {tool["name"]: tool["parameters"] for tool in call.tool_definitions}
        assert {asked.name for asked in call.tool_calls} <= set(defined)
        assert all(isinstance(schema, dict) and "properties" in schema for schema in defined.values())
