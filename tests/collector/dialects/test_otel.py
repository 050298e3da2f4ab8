"""OpenTelemetry GenAI in forms that no recording has: span events, and events that came before or after the span."""

from typing import Any

import pytest

from collector.core.model import LogEvent, Message, Span, SpanEvent
from collector.normalise import normalise


def chat(events: list[SpanEvent] | None = None, **attributes: Any) -> Span:
    plain = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m", **attributes}
    return Span("t", "s", None, "chat m", 3, 0, 9, plain, events or [], [], 0, "", "x", "", {})


def log(name: str, body: Any, at: int = 0, **attributes: Any) -> LogEvent:
    return LogEvent("t", "s", name, at, body, attributes, "x", {})


def test_message_events_are_read_in_order_of_time_whatever_the_order_of_arrival() -> None:
    events = [
        log("gen_ai.choice", {"index": 0, "finish_reason": "stop", "message": {"content": "ho"}}, 3),
        log("gen_ai.user.message", {"content": "hi"}, 2),
        log("gen_ai.system.message", {"content": "be kind"}, 1),
    ]
    (call,) = normalise("t", [chat()], events).llm_calls
    assert call.input_messages == [Message("system", "be kind"), Message("user", "hi")]
    assert (call.output_text, call.finish_reason) == ("ho", "stop")


def test_events_of_another_span_are_not_taken() -> None:
    other = LogEvent("t", "other", "gen_ai.user.message", 0, {"content": "hi"}, {}, "x", {})
    (call,) = normalise("t", [chat()], [other]).llm_calls
    assert call.input_messages == []


def test_span_events_hold_messages_too() -> None:
    events = [
        SpanEvent("gen_ai.user.message", 0, {"gen_ai.event.content": '{"content": "hi"}'}),
        SpanEvent("gen_ai.choice", 1, {"finish_reason": "stop", "message": '{"role": "assistant", "content": "ho"}'}),
    ]
    (call,) = normalise("t", [chat(events)]).llm_calls
    assert call.input_messages == [Message("user", "hi")]
    assert (call.output_text, call.finish_reason) == ("ho", "stop")


def test_the_oldest_form_holds_all_messages_in_one_span_event() -> None:
    events = [
        SpanEvent("gen_ai.content.prompt", 0, {"gen_ai.prompt": '[{"role": "user", "content": "hi"}]'}),
        SpanEvent("gen_ai.content.completion", 1, {"gen_ai.completion": '[{"role": "assistant", "content": "ho"}]'}),
    ]
    (call,) = normalise("t", [chat(events)]).llm_calls
    assert (call.input_messages, call.output_text) == ([Message("user", "hi")], "ho")


def test_instructions_given_apart_come_first_as_system() -> None:
    said = chat(**{
        "gen_ai.system_instructions": '[{"type": "text", "content": "be kind"}]',
        "gen_ai.input.messages": '[{"role": "user", "parts": [{"type": "text", "content": "hi"}]}]',
    })  # fmt: skip
    (call,) = normalise("t", [said]).llm_calls
    assert call.input_messages == [Message("system", "be kind"), Message("user", "hi")]


@pytest.mark.parametrize(
    ("attribute", "value", "schema"),
    [
        ("gen_ai.output.type", "json", True),
        ("gen_ai.output.type", "text", None),
        ("gen_ai.request.structured_output_schema", '{"type": "object"}', {"type": "object"}),
    ],
)
def test_the_schema_asked_for_is_known(attribute: str, value: str, schema: Any) -> None:
    (call,) = normalise("t", [chat(**{attribute: value})]).llm_calls
    assert call.output_schema == schema


def test_an_operation_of_memory_or_of_ones_own_is_no_step_of_the_trace() -> None:
    said = chat(**{"gen_ai.operation.name": "search_memory"})
    assert list(normalise("t", [said]).operations()) == []
