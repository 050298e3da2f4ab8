import gc

import pytest

from collector.core.model import Document, Failure, LLMCall, Message, Retrieval, ToolCall, Trace
from scorers.steps import MOST_STEPS, Step, same_call, steps_of


def test_steps_are_in_the_order_of_time_with_the_users_messages_before_the_call_that_first_has_them() -> None:
    first, answer, second = Message("user", "hi"), Message("assistant", "hello"), Message("user", "book it")
    trace = Trace(
        "t",
        llm_calls=[
            LLMCall("b", 40, input_messages=[first, answer, second], output_text="done"),
            LLMCall("a", 10, input_messages=[first], output_text="hello"),
        ],
        tool_executions=[ToolCall("c", 30, name="book")],
        retrievals=[Retrieval("d", 20, query="q", documents=[Document("x")])],
    )
    assert [(step.kind, step.text) for step in steps_of(trace)] == [
        ("user", "hi"), ("model", "hello"), ("retrieval", ""), ("tool", ""), ("user", "book it"), ("model", "done"),
    ]  # fmt: skip


def test_messages_of_the_user_that_a_call_repeats_are_no_new_steps() -> None:
    said = [Message("user", "a"), Message("user", "b")]
    calls = [LLMCall(None, at, input_messages=said, output_text=str(at)) for at in range(3)]
    assert [step.kind for step in steps_of(Trace("t", llm_calls=calls))] == ["user", "user", "model", "model", "model"]


@pytest.mark.parametrize(
    ("run", "failed", "empty"),
    [
        (ToolCall(None, name="f", result="4 found"), False, False),
        (ToolCall(None, name="f", error=Failure("TimeoutError", "late")), True, False),
        (ToolCall(None, name="f", result="Error: no such user"), True, False),
        (ToolCall(None, name="f", result={"error": "no such user"}), True, False),
        (ToolCall(None, name="f", result="errors are explained in chapter 3"), False, False),
        (ToolCall(None, name="f", result=[]), False, True),
        (ToolCall(None, name="f", result=""), False, True),
        (ToolCall(None, name="f", result="No results found"), False, True),
        (ToolCall(None, name="f", result=None), False, False),  # not captured
    ],
)
def test_a_tool_run_failed_or_found_nothing_by_its_span_or_its_result(run: ToolCall, failed: bool, empty: bool) -> None:
    (step,) = steps_of(Trace("t", tool_executions=[run]))
    assert (step.failed, step.empty) == (failed, empty)


@pytest.mark.parametrize(
    ("text", "kind", "failed", "empty"),
    [
        ("exitcode: 1 (execution failed)\nCode output: Traceback", "tool", True, False),
        ("exitcode: 0 (execution succeeded)\nCode output: []\n", "tool", False, True),
        ("exitcode: 0 (execution succeeded)\nCode output: 12", "tool", False, False),
        ("There is no code from the last 1 message for me to execute.", "tool", False, False),
        ("The exitcode: 1 tells of a failure", "model", False, False),
    ],
)
def test_what_a_code_executor_says_in_a_group_chat_is_a_result(text: str, kind: str, failed: bool, empty: bool) -> None:
    (step,) = steps_of(Trace("t", llm_calls=[LLMCall(None, output_text=text)]))
    assert (step.kind, step.failed, step.empty) == (kind, failed, empty)


def test_a_failed_run_has_its_error_before_its_result() -> None:
    run = ToolCall(None, name="f", error=Failure("E", "rate limit"), result="partly")
    (step,) = steps_of(Trace("t", tool_executions=[run]))
    assert step.text == "E\nrate limit\npartly"


def test_the_same_call_is_the_same_as_text_and_in_another_order() -> None:
    one, other = Step("tool", "f", arguments={"a": 1, "b": 2}), Step("tool", "f", arguments='{"b": 2, "a": 1}')
    assert same_call(one) == same_call(other)
    assert same_call(one) != same_call(Step("tool", "g", arguments={"a": 1, "b": 2}))
    assert same_call(Step("tool", "f", arguments="{broken")) != same_call(one)


def test_a_run_without_end_is_cut() -> None:
    runs = [ToolCall(None, at, name="f") for at in range(MOST_STEPS + 10)]
    assert len(steps_of(Trace("t", tool_executions=runs))) == MOST_STEPS


def test_steps_are_kept_for_the_trace_itself_and_for_no_other_of_its_name() -> None:
    traces = [Trace("t", tool_executions=[ToolCall(None, name=name)]) for name in ("find", "book")]
    assert steps_of(traces[0]) is steps_of(traces[0])
    assert [steps_of(trace)[0].name for trace in traces] == ["find", "book"]
    assert steps_of(Trace("t", tool_executions=[ToolCall(None, name="find")])) == steps_of(traces[0])


def test_steps_are_not_kept_for_ever() -> None:
    kept = [steps_of(Trace(str(at))) for at in range(500)]
    traces = [held for held in gc.get_objects() if isinstance(held, Trace) and held.trace_id.isdecimal()]
    assert len(kept) == 500 and len(traces) <= 64
