import pytest

from collector.core.model import JSON, Failure, LLMCall, RequestedCall, ToolCall, Trace
from scorers.base import Score
from scorers.builtin.tools import repeated_calls, tool_call_validity

WEATHER = {
    "name": "weather",
    "parameters": {
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "days": {"type": "integer", "default": 1},
            "unit": {"type": "string", "enum": ["C", "F"]},
        },
        "required": ["city"],
    },
}


def judge(name: str, arguments: JSON, tools: list[dict[str, JSON]] | None = None) -> Score:
    call = LLMCall(
        None, tool_calls=[RequestedCall(name, arguments)], tool_definitions=[WEATHER] if tools is None else tools
    )
    found = tool_call_validity(Trace("t", llm_calls=[call]))
    assert isinstance(found, Score)
    return found


@pytest.mark.parametrize(
    ("name", "arguments", "label"),
    [
        ("weather", {"city": "Oslo"}, "valid"),
        ("weather", '{"city": "Oslo", "days": 3}', "valid"),
        ("weather", {"city": "Oslo", "unit": None}, "valid"),
        ("weather", {"city": "Oslo", "days": 1}, "valid"),
        ("forecast", {"city": "Oslo"}, "unknown_tool"),
        ("weather", {}, "missing_argument"),
        ("weather", None, "missing_argument"),
        ("weather", {"city": None}, "bad_argument"),
        ("weather", {"city": "Oslo", "day": 3}, "unknown_argument"),
        ("weather", {"city": "Oslo", "days": "3"}, "bad_argument"),
        ("weather", {"city": "Oslo", "unit": "K"}, "bad_argument"),
        ("weather", '{"city": ', "not_an_object"),
        ("weather", ["Oslo"], "not_an_object"),
    ],
)
def test_faults_have_names(name: str, arguments: JSON, label: str) -> None:
    score = judge(name, arguments)
    assert (score.label, score.value) == (label, float(label == "valid"))


def test_a_schema_may_allow_other_arguments() -> None:
    parameters = {**WEATHER["parameters"], "additionalProperties": True}  # type: ignore[dict-item]
    assert judge("weather", {"city": "Oslo", "day": 3}, [{"name": "weather", "parameters": parameters}]).value == 1.0


@pytest.mark.parametrize("parameters", [None, "text", {"type": "nonsense"}, {"$ref": "#/nowhere"}])
def test_a_tool_with_a_broken_schema_is_checked_by_name_only(parameters: JSON) -> None:
    tool = {"name": "weather", "parameters": parameters}
    assert judge("weather", {"x": 1}, [tool]).value == 1.0
    assert judge("other", {"x": 1}, [tool]).value == 0.0


def test_the_value_is_the_share_of_valid_calls() -> None:
    calls = [RequestedCall("weather", {"city": "Oslo"})] * 3 + [RequestedCall("weather", {})]
    score = tool_call_validity(Trace("t", llm_calls=[LLMCall(None, tool_calls=calls, tool_definitions=[WEATHER])]))
    assert isinstance(score, Score)
    assert score.value == 0.75


def test_the_explanation_holds_no_argument_values() -> None:
    explanation = judge("weather", {"city": "Oslo", "unit": "my secret"}).explanation
    assert explanation == "1 of 1 calls are not valid: bad_argument weather"


def test_known_to_be_wrong_a_wrong_value_of_the_right_type_is_valid() -> None:
    assert judge("weather", {"city": "Atlantis"}).value == 1.0


def runs(*calls: tuple[str, JSON, bool]) -> Trace:
    return Trace(
        "t",
        tool_executions=[
            ToolCall(None, at, at, Failure("Timeout") if failed else None, name, arguments)
            for at, (name, arguments, failed) in enumerate(calls)
        ],
    )


def repeats(trace: Trace, **options: int) -> float | None:
    found = repeated_calls(trace, **options)
    assert isinstance(found, Score)
    return found.value


def test_the_same_call_again_is_a_repeat_however_it_is_spelled() -> None:
    trace = runs(("get", {"a": 1, "b": 2}, False), ("get", '{"b": 2, "a": 1}', False))
    assert repeats(trace) == 0.5


def test_other_arguments_are_no_repeat() -> None:
    assert repeats(runs(("get", {"a": 1}, False), ("get", {"a": 2}, False), ("put", {"a": 1}, False))) == 0.0


def test_one_retry_after_a_failure_is_free() -> None:
    trace = runs(("get", {}, True), ("get", {}, True), ("get", {}, False))
    assert repeats(trace) == pytest.approx(1 / 3)
    assert repeats(trace, retries=2) == 0.0
    assert repeats(trace, retries=0) == pytest.approx(2 / 3)


def test_requested_calls_stand_in_for_runs_without_spans() -> None:
    calls = [RequestedCall("get", {"a": 1}), RequestedCall("get", {"a": 1})]
    assert repeats(Trace("t", llm_calls=[LLMCall(None, tool_calls=calls)])) == 0.5


def test_known_to_be_wrong_polling_counts_as_repetition() -> None:
    assert repeats(runs(*[("job_status", {"id": 7}, False)] * 4)) == 0.75
