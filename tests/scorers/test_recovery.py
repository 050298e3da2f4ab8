import pytest

from collector.core.model import JSON, Failure, ToolCall, Trace
from scorers.base import Score
from scorers.builtin.recovery import error_recovery, unchanged_retry

Run = tuple[str, JSON, str | None]  # tool, arguments, error


def trace(*runs: Run) -> Trace:
    return Trace(
        "t",
        tool_executions=[
            ToolCall(
                None,
                at,
                error=None if error is None else Failure("E", error),
                name=name,
                arguments=arguments,
                result="ok",
            )
            for at, (name, arguments, error) in enumerate(runs)
        ],
    )


def retried(*runs: Run) -> Score | None:
    found = unchanged_retry(trace(*runs))
    assert found is None or isinstance(found, Score)
    return found


def recovered(*runs: Run) -> Score | None:
    found = error_recovery(trace(*runs))
    assert found is None or isinstance(found, Score)
    return found


def test_the_same_arguments_after_a_failure_are_a_retry_without_change() -> None:
    found = retried(("f", {"a": 1}, "no such user"), ("g", {}, None), ("f", {"a": 1}, None))
    assert found is not None
    assert (found.value, found.label) == (1, "unchanged")
    assert found.explanation == "1 of 1 failed runs were tried again unchanged: f"


def test_other_arguments_and_no_retry_are_not() -> None:
    assert retried(("f", {"a": 1}, "no such user"), ("f", {"a": 2}, None)).value == 0  # type: ignore[union-attr]
    assert retried(("f", {"a": 1}, "no such user"), ("g", {"a": 1}, None)).value == 0  # type: ignore[union-attr]


def test_only_the_next_run_of_the_tool_is_its_retry() -> None:
    found = retried(("f", 1, "bad"), ("f", 2, "bad"), ("f", 1, None))
    assert found is not None
    assert found.value == 0


@pytest.mark.parametrize(
    "error", ["timed out", "HTTP 429", "rate_limit_exceeded", "503 Service Unavailable", "try again later"]
)
def test_failures_that_pass_by_themselves_are_not_counted(error: str) -> None:
    assert retried(("f", 1, error), ("f", 1, None)) is None


def test_a_retry_whose_arguments_were_not_captured_is_not_called_unchanged() -> None:
    assert retried(("f", None, "bad"), ("f", None, "bad")).value == 0  # type: ignore[union-attr]


def test_a_tool_that_works_after_its_last_failure_has_recovered() -> None:
    found = recovered(("f", 1, "bad"), ("g", 1, "bad"), ("f", 2, None))
    assert found is not None
    assert (found.value, found.label) == (0.5, "not recovered")
    assert found.explanation == "1 of 2 tools that failed worked later: g"


def test_a_success_before_the_failure_is_no_recovery() -> None:
    assert recovered(("f", 1, None), ("f", 2, "bad")).value == 0  # type: ignore[union-attr]


def test_without_a_failure_there_is_nothing_to_say() -> None:
    assert recovered(("f", 1, None)) is None
    assert retried(("f", 1, None)) is None
