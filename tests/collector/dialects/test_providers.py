"""What providers' instrumentations write, in forms that no recording has."""

import json
from typing import Any

import pytest

from collector.core.model import LogEvent, Message, RequestedCall, Span, SpanEvent
from collector.dialects.reprs import is_part
from collector.normalise import normalise


def span(scope: str, at: int = 0, identity: str = "s", parent: str | None = None, **attributes: Any) -> Span:
    start, end = at * 10**9, (at + 1) * 10**9
    return Span("t", identity, parent, "name", 3, start, end, attributes, [], [], 0, "", scope, "", {})


BOTOCORE = "opentelemetry.instrumentation.botocore.bedrock-runtime"


def bedrock(**attributes: Any) -> Span:
    told = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m", **attributes}
    return span(BOTOCORE, **told)


def test_bedrock_counts_cached_tokens_beside_the_input() -> None:
    told = {
        "gen_ai.usage.input_tokens": 600,
        "gen_ai.usage.cache_read.input_tokens": 300,
        "gen_ai.usage.cache_creation.input_tokens": 20,
    }
    (call,) = normalise("t", [bedrock(**told)]).llm_calls
    assert (call.input_tokens, call.cached_input_tokens) == (920, 300)


def test_an_input_smaller_than_its_cached_part_does_not_include_it() -> None:
    told = {"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 4}
    (call,) = normalise("t", [span("x", **told, **{"gen_ai.usage.cache_read.input_tokens": 512})]).llm_calls
    assert call.input_tokens == 516


def test_a_model_that_embeds_is_no_call_of_a_chat_model() -> None:
    trace = normalise("t", [bedrock(**{"gen_ai.operation.name": "text_completion", "gen_ai.request.model": "x-embed"})])
    assert (trace.llm_calls, [found.model for found in trace.embeddings]) == ([], ["x-embed"])


def test_a_result_told_as_the_tools_message_and_within_the_users_counts_once() -> None:
    told = [
        ("gen_ai.user.message", {"content": [{"text": "Dover?"}]}),
        ("gen_ai.assistant.message", {"tool_calls": [{"id": "a", "function": {"name": "tide", "arguments": {}}}]}),
        ("gen_ai.tool.message", {"id": "a", "content": [{"json": {"high": 1}}]}),
        ("gen_ai.user.message", {"content": [{"toolResult": {"toolUseId": "a", "content": [{"json": {"high": 1}}]}}]}),
    ]
    events = [LogEvent("t", "s", name, at, body, {}, "x", {}) for at, (name, body) in enumerate(told)]
    (call,) = normalise("t", [bedrock()], events).llm_calls
    assert call.input_messages == [
        Message("user", "Dover?"),
        Message("assistant", None, [RequestedCall("tide", {}, "a")]),
        Message("tool", '{"high":1}', tool_call_id="a"),
    ]


OPENINFERENCE = {"openinference.span.kind": "LLM", "llm.model_name": "m"}


@pytest.mark.parametrize(
    "request_body",
    [
        '{"contents": [{"parts": [{"text": "Dover?"}]}], "systemInstruction": {"parts": [{"text": "S"}]}}',
        '{"prompt": "Dover?", "system": "S"}',
        '{"inputText": "Dover?", "system": "S"}',
        '{"message": "Dover?", "preamble": "S", "chat_history": []}',
        '{"system": [{"text": "S"}], "messages": [{"role": "user", "content": [{"text": "Dover?"}]}]}',
    ],
)
def test_a_request_that_the_library_did_not_take_apart_is_read_as_its_provider_takes_it(request_body: str) -> None:
    told = {**OPENINFERENCE, "input.value": request_body, "output.value": "At noon."}
    (call,) = normalise("t", [span("openinference.instrumentation.x", **told)]).llm_calls
    assert call.input_messages == [Message("system", "S"), Message("user", "Dover?")]
    assert call.output_text == "At noon."


@pytest.mark.parametrize("written", ["<groq.Stream object at 0x7f1a>", "None"])
def test_the_repr_of_an_answer_that_nobody_read_is_no_answer(written: str) -> None:
    told = {**OPENINFERENCE, "input.value": "Dover?", "output.value": written}
    (call,) = normalise("t", [span("openinference.instrumentation.x", **told)]).llm_calls
    assert (call.input_messages, call.output_text) == ([Message("user", "Dover?")], None)


@pytest.mark.parametrize("content", ["[{'type': 'text', 'text': '11:42'}]", [{"type": "text", "text": "11:42"}]])
def test_a_tools_result_in_parts_is_its_text(content: Any) -> None:
    told = {
        **OPENINFERENCE,
        "llm.input_messages.0.message.role": "user",
        "llm.input_messages.0.message.tool_call_id": "a",
        "llm.input_messages.0.message.content": content,
    }
    (call,) = normalise("t", [span("openinference.instrumentation.x", **told)]).llm_calls
    assert call.input_messages == [Message("tool", "11:42", tool_call_id="a")]


def chat(at: int, asked: list[dict[str, Any]], answered: str | None = None) -> Span:
    told: dict[str, Any] = {"gen_ai.operation.name": "chat", "gen_ai.input.messages": asked}
    if answered:
        told["gen_ai.output.messages"] = [{"role": "assistant", "content": answered}]
    return span("x", at, f"s{at}", **told)


def test_an_answer_that_its_span_leaves_out_is_found_in_the_prompt_that_goes_on_from_it() -> None:
    first = [{"role": "user", "content": "Hi"}]
    asks = {"role": "assistant", "content": "I look.", "tool_calls": [{"id": "a", "name": "tide", "arguments": {}}]}
    then = [*first, asks, {"role": "tool", "tool_call_id": "a", "content": "11:42"}]
    early, late = normalise("t", [chat(0, first), chat(1, then, "At 11:42.")]).llm_calls
    assert (early.output_text, early.tool_calls) == ("I look.", [RequestedCall("tide", {}, "a")])
    assert late.output_text == "At 11:42."


def test_the_answer_to_another_question_is_not_taken_for_it() -> None:
    other = [
        {"role": "user", "content": "Ho"},
        {"role": "assistant", "content": "Ha"},
        {"role": "user", "content": "?"},
    ]
    early, _ = normalise("t", [chat(0, [{"role": "user", "content": "Hi"}]), chat(1, other, "!")]).llm_calls
    assert early.output_text is None


def test_a_call_told_by_two_scopes_without_content_counts_once_if_the_tokens_agree() -> None:
    usage = {"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 5, "gen_ai.usage.output_tokens": 2}
    pair = [span("x", 0, "a", "root", **usage), span("y", 0, "b", "root", **usage)]
    assert len(normalise("t", pair).llm_calls) == 1
    pair[1].attributes["gen_ai.usage.output_tokens"] = 3
    assert len(normalise("t", pair).llm_calls) == 2


def test_the_sdks_own_span_of_an_embedding_is_not_another() -> None:
    own = {"mistral_ai.operation.id": "embeddings_v1_embeddings_post", "gen_ai.request.model": "e"}
    seen = {"llm.request.type": "embedding", "gen_ai.request.model": "e"}
    spans = [
        span("mistralai_sdk_tracer", 0, "a", "root", **own),
        span("opentelemetry.instrumentation.mistralai", 0, "b", "root", **seen),
    ]
    trace = normalise("t", spans)
    assert (len(trace.embeddings), trace.llm_calls) == (1, [])


def test_a_search_that_does_not_tell_its_results_is_no_retrieval() -> None:
    silent = span("opentelemetry.instrumentation.qdrant", **{"db.system": "Qdrant", "db.vector.query.top_k": 2})
    assert list(normalise("t", [silent]).operations()) == []
    found = {"db.search.result.id": "7", "db.search.result.score": 0.5, "db.search.result.document": "Dover"}
    silent.events.append(SpanEvent("db.search.result", 0, found))
    (retrieval,) = normalise("t", [silent]).retrievals
    assert [(doc.id, doc.text, doc.score) for doc in retrieval.documents] == [("7", "Dover", 0.5)]


@pytest.mark.parametrize("prefix", ["lk.", "lk.pii."])
def test_livekit_names_its_content_in_two_ways(prefix: str) -> None:
    context = '{"items": [{"type": "message", "role": "user", "content": ["Dover?"]}]}'
    node = span("livekit-agents", 0, "n", **{prefix + "chat_ctx": context, prefix + "response.text": "At noon."})
    failing = {
        "lk.function_tool.name": "tide",
        prefix + "function_tool.arguments": '{"port": "Calais"}',
        prefix + "function_tool.output": "no such port",
        "lk.function_tool.is_error": True,
    }
    trace = normalise("t", [node, span("livekit-agents", 2, "f", **failing)])
    assert [(call.input_messages, call.output_text) for call in trace.llm_calls] == [
        ([Message("user", "Dover?")], "At noon.")
    ]
    (run,) = trace.tool_executions
    assert (run.name, run.arguments, run.result) == ("tide", {"port": "Calais"}, None)
    assert run.error is not None


def test_mastra_tells_a_call_by_a_step_and_the_inference_in_it() -> None:
    step = {
        "mastra.span.type": "model_step",
        "mastra.model_step.input": '[{"role": "user", "content": "Dover?"}]',
        "mastra.model_step.output": '{"text": "", "toolCalls": [{"toolCallId": "a", "toolName": "tide", "args": {}}]}',
    }
    inference = {"mastra.span.type": "model_inference", "gen_ai.usage.input_tokens": 7, "gen_ai.request.model": "m"}
    outer = span("@mastra/otel-exporter", 0, "step", **step)
    (call,) = normalise("t", [outer, span("@mastra/otel-exporter", 0, "inf", "step", **inference)]).llm_calls
    assert (call.input_messages, call.tool_calls) == ([Message("user", "Dover?")], [RequestedCall("tide", {}, "a")])
    assert (call.input_tokens, call.request_model) == (7, "m")


def test_flat_messages_are_read_under_any_scope() -> None:
    told = {"gen_ai.system": "x", "gen_ai.request.model": "m", "gen_ai.prompt.0.role": "user"}
    (call,) = normalise("t", [span("nobody.knows", **told, **{"gen_ai.prompt.0.content": "Hi"})]).llm_calls
    assert call.input_messages == [Message("user", "Hi")]


@pytest.mark.parametrize("said", ["a=b type=c", "x = 1", "text", "kind='note'", "", "url=http://x type=page"])
def test_what_a_person_wrote_is_no_repr_of_a_part(said: str) -> None:
    assert not is_part(said)


def autogen(**told: Any) -> Span:
    return span("openinference.instrumentation.autogen_agentchat", **{"openinference.span.kind": "LLM", **told})


ASKED = "message.tool_calls.0.tool_call."


def test_what_autogens_model_says_with_its_tool_calls_is_its_thought() -> None:
    told = {
        "llm.input_messages.0.message.role": "user",
        "llm.input_messages.0.message.content": "Dover?",
        "llm.input_messages.1.message.role": "assistant",
        f"llm.input_messages.1.{ASKED}id": "a",
        f"llm.input_messages.1.{ASKED}function.name": "tide",
        "llm.input_messages.1.thought": "The tables know.",
        f"llm.output_messages.0.{ASKED}id": "b",
        f"llm.output_messages.0.{ASKED}function.name": "tide",
        "output.value": '{"finish_reason": "function_calls", "content": [{"id": "b"}], "thought": "Once more."}',
    }
    (call,) = normalise("t", [autogen(**told)]).llm_calls
    assert call.input_messages[1] == Message("assistant", "The tables know.", [RequestedCall("tide", None, "a")])
    assert (call.output_text, [one.id for one in call.tool_calls], call.reasoning) == ("Once more.", ["b"], None)


def test_what_autogens_model_thinks_before_it_answers_is_no_answer() -> None:
    told = {
        "llm.output_messages.0.message.role": "assistant",
        "llm.output_messages.0.message.content": "At 11:42.",
        "output.value": '{"finish_reason": "stop", "content": "At 11:42.", "thought": "Dover in England."}',
    }
    (call,) = normalise("t", [autogen(**told)]).llm_calls
    assert (call.output_text, call.reasoning) == ("At 11:42.", "Dover in England.")


HAYSTACK_ASKED = "ToolCall(tool_name='tide', arguments={'port': \"Land's End\"}, id='a', extra=None)"
HAYSTACK_RESULT = f'ToolCallResult(result=\'{{"high": "it\\\'s 11:42"}}\', origin={HAYSTACK_ASKED}, error=False)'
HAYSTACK_HISTORY = [
    "ChatMessage(_role=<ChatRole.USER: 'user'>, _content=[TextContent(text='When?')], _name=None, _meta={})",
    f"ChatMessage(_role=<ChatRole.ASSISTANT: 'assistant'>, _content=[{HAYSTACK_ASKED}], _name=None, _meta={{}})",
    f"ChatMessage(_role=<ChatRole.TOOL: 'tool'>, _content=[{HAYSTACK_RESULT}], _name=None, _meta={{}})",
]


def haystack(history: list[str]) -> Span:
    told: dict[str, Any] = {f"llm.input_messages.{at}.message.role": role for at, role in enumerate(ROLES)}
    told["llm.input_messages.0.message.content"] = "When?"
    told["input.value"] = json.dumps({"messages": history})
    return span("openinference.instrumentation.haystack", **{"openinference.span.kind": "LLM", **told})


ROLES = ("user", "assistant", "tool")


def test_haystacks_calls_and_results_are_read_from_the_repr_of_its_messages() -> None:
    (call,) = normalise("t", [haystack(HAYSTACK_HISTORY)]).llm_calls
    assert call.input_messages == [
        Message("user", "When?"),
        Message("assistant", None, [RequestedCall("tide", {"port": "Land's End"}, "a")]),
        Message("tool", '{"high": "it\'s 11:42"}', tool_call_id="a"),
    ]


@pytest.mark.parametrize("cut", [0, 13, 60, 90, 120, 150])
def test_a_repr_that_was_cut_takes_no_other_message_with_it(cut: int) -> None:
    (call,) = normalise(
        "t", [haystack([HAYSTACK_HISTORY[0], *(said[:cut] for said in HAYSTACK_HISTORY[1:])])]
    ).llm_calls
    assert call.input_messages[0] == Message("user", "When?")
