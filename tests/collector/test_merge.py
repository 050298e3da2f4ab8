"""One provider call is one LLM call, however many spans tell it."""

from typing import Any

from collector.core.model import Span
from collector.normalise import normalise

SDK = "com.anthropic.sdk.python"


def chat(
    span_id: str,
    parent: str | None = None,
    start: int = 0,
    end: int = 10**9,
    scope: str = "app",
    failed: bool = False,
    **attributes: Any,
) -> Span:
    plain = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m"}
    plain |= {"gen_ai." + key.replace("__", "."): value for key, value in attributes.items()}
    return Span("t", span_id, parent, span_id, 0, start, end, plain, [], [], 2 if failed else 0, "", scope, "", {})


def test_a_wrapper_and_what_it_wraps_are_one_call_with_what_both_know() -> None:
    outer = chat("outer", None, 0, 100, input__messages="hi", output__messages="ho", usage__input_tokens=7)
    inner = chat("inner", "outer", 10, 90, scope=SDK, response__id="r1", usage__input_tokens=9, usage__output_tokens=3)
    (call,) = normalise("t", [outer, inner]).llm_calls
    assert (call.span_id, call.output_text, call.response_id) == ("outer", "ho", "r1")
    assert (call.input_tokens, call.output_tokens) == (9, 3)  # the provider's own count wins


def test_a_wrapper_around_several_calls_is_none_itself() -> None:
    outer = chat("outer", None, 0, 100, usage__input_tokens=30, output__messages="second")
    inner = [
        chat(f"inner{n}", "outer", 10 * n, 10 * n + 5, usage__input_tokens=10 * n, output__messages=f"answer {n}")
        for n in (1, 2)
    ]
    calls = normalise("t", [outer, *inner]).llm_calls
    assert [(call.span_id, call.input_tokens) for call in calls] == [("inner1", 10), ("inner2", 20)]


def test_a_call_that_a_tool_makes_is_a_call_of_its_own() -> None:
    outer = chat("outer", None, 0, 100, output__messages="one")
    tool = chat("tool", "outer", 10, 90)
    tool.attributes |= {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "f"}
    inner = chat("inner", "tool", 20, 80, output__messages="two")
    trace = normalise("t", [outer, tool, inner])
    assert len(trace.llm_calls) == 2
    assert trace.answer == "one"


def test_two_spans_with_one_answer_id_are_one_call() -> None:
    told = chat("a", None, 0, 100, output__messages="ho", response__id="r1")
    again = chat("b", None, 5, 95, scope=SDK, response__id="r1", usage__output_tokens=4)
    (call,) = normalise("t", [told, again]).llm_calls
    assert (call.span_id, call.output_tokens) == ("a", 4)


def test_an_answer_id_that_a_server_gives_to_every_answer_merges_nothing() -> None:
    calls = [
        chat(str(n), None, n * 10**10, n * 10**10 + 10**9, output__messages=str(n), response__id="chatcmpl-1")
        for n in range(3)
    ]
    assert len(normalise("t", calls).llm_calls) == 3


def test_a_failed_call_told_by_two_scopes_side_by_side_is_one() -> None:
    told = chat("a", "root", 0, 100, failed=True, input__messages="hi")
    again = chat("b", "root", 10, 90, scope=SDK, failed=True)
    (call,) = normalise("t", [chat("root", None, 0, 200), told, again]).llm_calls
    assert call.span_id == "a"


def test_parallel_calls_of_one_scope_stay_apart() -> None:
    calls = [chat(str(n), "root", n, 100 - n, output__messages=str(n)) for n in range(3)]
    calls += [chat("quiet", "root", 50, 60)]
    root = chat("root", None, 0, 200)
    root.attributes = {}
    assert len(normalise("t", [root, *calls]).llm_calls) == 4
