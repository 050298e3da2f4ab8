from collector.core.model import JSON, LLMCall, RequestedCall, ToolCall, Trace
from scorers.base import Score
from scorers.builtin.tool_choice import tool_choice

PLACE: JSON = {"type": "object", "properties": {"location": {"type": "string"}}, "required": ["location"]}
NUMBER: JSON = {"type": "object", "properties": {"amount": {"type": "number"}}, "required": ["amount"]}
SNOW: dict[str, JSON] = {
    "name": "get_snow_report",
    "description": "Snow on the slopes of a resort.",
    "parameters": PLACE,
}
WEATHER: dict[str, JSON] = {"name": "get_weather", "description": "Current weather of a place.", "parameters": PLACE}
MONEY: dict[str, JSON] = {"name": "weather_bet", "description": "Bet on the current weather.", "parameters": NUMBER}
ASKED = "What is the current weather in Boston?"


def judge(called: str, *tools: dict[str, JSON], question: str = ASKED, runs: tuple[str, ...] = ()) -> Score | None:
    call = LLMCall(None, tool_calls=[RequestedCall(called, {"location": "Boston"})], tool_definitions=list(tools))
    trace = Trace("t", question=question, llm_calls=[call], tool_executions=[ToolCall(None, name=run) for run in runs])
    found = tool_choice(trace)
    assert found is None or isinstance(found, Score)
    return found


def test_a_tool_that_is_nearer_to_the_question_and_takes_the_arguments_was_passed_over() -> None:
    found = judge("get_snow_report", SNOW, WEATHER)
    assert found is not None
    assert (found.value, found.label) == (0, "another")
    assert found.explanation == "for 1 of 1 calls another tool is nearer to the question: get_snow_report"


def test_the_nearest_tool_is_the_right_choice() -> None:
    found = judge("get_weather", SNOW, WEATHER)
    assert found is not None
    assert (found.value, found.label) == (1, "nearest")


def test_a_tool_that_does_not_take_the_arguments_is_no_rival() -> None:
    assert judge("get_snow_report", SNOW, MONEY) is None


def test_a_tool_that_is_called_in_the_trace_too_is_no_rival() -> None:
    assert judge("get_snow_report", SNOW, WEATHER, runs=("get_snow_report", "get_weather")) is None


def test_a_call_that_does_not_fit_its_own_tool_is_for_others_to_judge() -> None:
    assert judge("weather_bet", MONEY, WEATHER) is None
    assert judge("unknown", SNOW, WEATHER) is None


def test_where_no_tool_has_much_in_common_with_the_question_none_was_passed_over() -> None:
    found = judge("get_snow_report", SNOW, WEATHER, question="Who painted the ceiling of the chapel?")
    assert found is not None
    assert found.value == 1
