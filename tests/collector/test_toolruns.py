"""Tool runs with and without spans, and the requests that belong to them."""

from typing import Any

from collector.core.model import LLMCall, Message, RequestedCall, ToolCall
from collector.toolruns import complete_history, complete_runs


def asks(at: int, *calls: RequestedCall, prompt: list[Message] | None = None, text: str | None = None) -> LLMCall:
    return LLMCall(f"llm{at}", at, at + 1, input_messages=prompt or [], tool_calls=list(calls), output_text=text)


def request(name: str, call_id: str | None = None, **arguments: Any) -> RequestedCall:
    return RequestedCall(name, arguments, call_id)


def said(*calls: RequestedCall) -> Message:
    return Message("assistant", None, list(calls))


def answer(text: str, call_id: str | None = None) -> Message:
    return Message("tool", text, tool_call_id=call_id)


def test_a_result_in_the_next_prompt_is_a_run_without_a_span() -> None:
    weather = request("weather", "c1", city="Oslo")
    runs = complete_runs([asks(1, weather), asks(5, prompt=[said(weather), answer('{"degrees": 4}', "c1")])], [])
    assert runs == [ToolCall(None, 2, 5, None, "weather", {"city": "Oslo"}, {"degrees": 4}, "c1")]


def test_a_request_that_nothing_answers_is_no_run() -> None:
    assert complete_runs([asks(1, request("weather", "c1"))], []) == []


def test_history_from_before_this_trace_is_no_run_but_what_came_since_the_last_answer_is() -> None:
    old, new = request("old", "c1"), request("new", "c2")
    prompt = [Message("user", "q"), said(old), answer("1", "c1"), said(new), answer("2", "c2")]
    assert [run.name for run in complete_runs([asks(5, prompt=prompt)], [])] == ["new"]


def test_a_prompt_that_repeats_results_counts_each_run_once() -> None:
    first, second = request("f", "c1"), request("f", "c2")
    history = [said(first), answer("1", "c1")]
    calls = [asks(1, first), asks(3, second, prompt=history)]
    calls.append(asks(5, prompt=[*history, said(second), answer("2", "c2")]))
    assert [run.result for run in complete_runs(calls, [])] == ["1", "2"]


def test_results_without_ids_belong_to_the_calls_in_order() -> None:
    first, second = request("f", n=1), request("g", n=2)
    runs = complete_runs([asks(5, prompt=[said(first, second), answer("a"), answer("b")])], [])
    assert [(run.name, run.result) for run in runs] == [("f", "a"), ("g", "b")]


def test_a_span_is_completed_by_the_request_it_belongs_to() -> None:
    run = ToolCall("s1", 3, 4, name="lookup", arguments="A-7")
    wanted = request("lookup", "c1", order_id="A-7")
    complete_runs([asks(1, wanted), asks(5, prompt=[said(wanted), answer("found", "c1")])], [run])
    assert (run.id, run.arguments, run.result) == ("c1", {"order_id": "A-7"}, "found")


def test_parallel_runs_of_one_tool_are_told_apart_by_their_arguments() -> None:
    spans = [ToolCall("s1", 3, 4, name="f", arguments={"n": 2}), ToolCall("s2", 3, 4, name="f", arguments={"n": 1})]
    complete_runs([asks(1, request("f", "c1", n=1), request("f", "c2", n=2))], spans)
    assert [run.id for run in spans] == ["c2", "c1"]


def test_a_run_that_ended_before_the_request_is_not_its_run() -> None:
    early = ToolCall("s1", 0, 1, name="f")
    complete_runs([asks(5, request("f", "c1"))], [early])
    assert early.id is None


def test_text_that_a_library_leaves_out_of_the_history_is_given_back() -> None:
    wanted = request("f", "c1")
    later = asks(5, prompt=[said(wanted), answer("1", "c1")])
    complete_history([asks(1, wanted, text="I will look."), later])
    assert later.input_messages[0].text == "I will look."


def test_a_call_without_a_prompt_after_one_that_asked_for_tools_is_left_as_it_is() -> None:
    first, later = asks(1, request("weather", "c1"), text="I will look."), asks(5, text="Four degrees.")
    complete_history([first, later])
    assert later.input_messages == []
