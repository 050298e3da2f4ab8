import pytest

from collector.core.model import Document, Failure, LLMCall, Retrieval, ToolCall, Trace
from scorers.base import Score
from scorers.builtin.waste import wasted_steps, wasted_tokens

NOTE = "I shall look up the order now."


def turn(at: int, text: str = "", tokens: int = 10, failed: bool = False) -> LLMCall:
    error = Failure("E", "bad") if failed else None
    return LLMCall(None, at, error=error, output_text=text, input_tokens=tokens - 1, output_tokens=1)


def run(at: int, arguments: object, result: str, failed: bool = False) -> ToolCall:
    error = Failure("E", "bad") if failed else None
    return ToolCall(None, at, error=error, name="f", arguments=arguments, result=result)  # type: ignore[arg-type]


def judge(*operations: LLMCall | ToolCall | Retrieval) -> tuple[Score, Score]:
    trace = Trace(
        "t",
        llm_calls=[one for one in operations if isinstance(one, LLMCall)],
        tool_executions=[one for one in operations if isinstance(one, ToolCall)],
        retrievals=[one for one in operations if isinstance(one, Retrieval)],
    )
    steps, tokens = wasted_steps(trace), wasted_tokens(trace)
    assert isinstance(steps, Score)
    assert isinstance(tokens, Score)
    return steps, tokens


def test_a_run_that_brought_something_wastes_nothing() -> None:
    steps, tokens = judge(turn(1, NOTE), run(2, 1, "found"), turn(3, "Here is your order, sir."))
    assert (steps.value, tokens.value) == (0, 0)


def test_failed_empty_and_repeated_steps_are_counted_by_kind() -> None:
    steps, _ = judge(
        turn(1, NOTE),
        run(2, 1, "found"),
        run(3, 1, "found"),
        run(4, 2, "", failed=True),
        run(5, 3, "[]"),
        turn(6, NOTE),
    )
    assert steps.value == pytest.approx(4 / 6, abs=1e-6)
    assert steps.explanation == "4 of 6 steps brought nothing: failed 1, empty 1, repeated 2"


def test_another_result_of_the_same_call_is_no_waste() -> None:
    steps, _ = judge(turn(1), run(2, 1, "queued"), run(3, 1, "done"))
    assert steps.value == 0


def test_an_empty_retrieval_is_wasted_and_one_that_found_something_is_not() -> None:
    steps, _ = judge(turn(3), Retrieval(None, 1, query="q"), Retrieval(None, 2, query="q", documents=[Document("x")]))
    assert steps.value == pytest.approx(1 / 3, abs=1e-6)


def test_tokens_are_wasted_by_turns_all_of_whose_runs_were() -> None:
    _, tokens = judge(
        turn(1, tokens=100), run(2, 1, "[]"), turn(3, tokens=10), run(4, 1, "[]"), run(5, 2, "found"), turn(6, tokens=1)
    )
    assert tokens.value == pytest.approx(100 / 111, abs=1e-6)
    assert tokens.explanation == "100 of 111 tokens are of turns that brought nothing"


def test_tokens_of_a_failed_turn_are_wasted() -> None:
    _, tokens = judge(turn(1, tokens=30, failed=True), turn(2, tokens=10))
    assert tokens.value == 0.75
