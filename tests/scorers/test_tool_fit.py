import random
from typing import Any

import pytest

from benchmarks.train_tool_fit import fit
from collector.core.model import JSON, LLMCall, Trace
from scorers.base import Score
from scorers.builtin.tool_fit import FEATURES, measure, tool_fit

FORECAST: dict[str, JSON] = {
    "name": "getWeatherForecast",
    "description": "Retrieves the weather forecast of a city.",
    "parameters": {
        "type": "object",
        "properties": {
            "city": {"type": "string", "description": "The city."},
            "days": {"type": "integer", "description": "Days ahead."},
        },
        "required": ["city"],
    },
}
ANCESTORS: dict[str, JSON] = {"name": "math.fibonacci", "description": "Calculates a Fibonacci sequence up to a limit."}


def judge(question: str, *tools: dict[str, JSON]) -> Score | None:
    found = tool_fit(Trace("t", question=question, llm_calls=[LLMCall(None, tool_definitions=list(tools))]))
    assert found is None or isinstance(found, Score)
    return found


def fits(question: str, *tools: dict[str, JSON]) -> float:
    found = judge(question, *tools)
    assert found is not None
    assert found.value is not None
    return found.value


def test_a_tool_whose_words_are_asked_for_fits_and_another_does_not() -> None:
    asked = "Give me the weather forecast for Oslo in the next 3 days"
    assert fits(asked, FORECAST) > 0.8
    assert fits("What is the common ancestor of lion and zebra?", ANCESTORS) < 0.2


def test_one_tool_that_fits_is_enough() -> None:
    asked = "Give me the weather forecast for Oslo in the next 3 days"
    assert fits(asked, ANCESTORS, FORECAST) > 0.8


def test_names_are_read_however_they_are_joined() -> None:
    shares = []
    for name in ("weatherForecast", "weather_forecast", "weather.forecast"):
        found = measure("weather forecast", [{"name": name}])
        assert found is not None
        shares.append(found[FEATURES.index("named")])
    assert shares == [1.0, 1.0, 1.0]


def test_near_forms_count_in_part() -> None:
    named = FEATURES.index("named")
    exact = measure("translation", [{"name": "translation"}])
    near = measure("translate this", [{"name": "translation"}])
    other = measure("transport this", [{"name": "translation"}])
    assert exact is not None
    assert near is not None
    assert other is not None
    assert exact[named] > near[named] > other[named]


def test_a_required_value_that_the_question_does_not_give_counts_against_the_tool() -> None:
    given, lacking = "Show me the weather forecast for Oslo", "Show me the weather forecast"
    assert fits(given, FORECAST) > fits(lacking, FORECAST)
    assert "1 required values are not given" in (judge(lacking, FORECAST).explanation or "")  # type: ignore[union-attr]


def test_without_required_those_parameters_are_needed_that_speak_of_no_default() -> None:
    lacking = FEATURES.index("values_lacking")
    tool: dict[str, JSON] = {
        "name": "f",
        "parameters": {"a": "A city.", "b": "A unit. Default is C.", "c": "Optional."},
    }
    found = measure("weather", [tool])
    assert found is not None
    assert found[lacking] == 1


FETCH: JSON = {
    "type": "object",
    "properties": {"url": {"type": "string", "description": "The page's URL."}, "max": {"type": "integer"}},
    "required": ["url"],
}


@pytest.mark.parametrize(
    ("question", "parameters", "lacks"),
    [
        ("fetch the list of nodes", FETCH, 1.0),
        ("fetch the list of nodes of https://nodes.test/list", FETCH, 0.0),
        ("fetch the nodes from www.nodes.test", FETCH, 0.0),
        ("fetch what is at nodes.org", FETCH, 0.0),
        ("fetch the list of nodes", {**FETCH, "required": ["max"]}, 0.0),
        ("fetch the list of nodes", {"to": "The URI to read from"}, 1.0),
        ("fetch the list of nodes", {"to": "The URI to read from, default is the local one"}, 0.0),
        ("fetch the list of nodes", {"name": "URL-friendly name of the list"}, 0.0),
        ("fetch the list of nodes", {"curls": "how often to curl"}, 0.0),
    ],
)
def test_a_web_address_that_is_needed_and_not_given_counts(question: str, parameters: JSON, lacks: float) -> None:
    at = FEATURES.index("no_address")
    fetch: dict[str, JSON] = {"name": "fetch", "description": "Fetches a list of nodes.", "parameters": parameters}
    found = measure(question, [fetch])
    assert found is not None
    assert found[at] == lacks
    other: dict[str, JSON] = {"name": "list_nodes", "description": "Lists nodes.", "parameters": {}}
    with_other = measure(question, [fetch, other])
    assert with_other is not None
    assert with_other[at] == 0.0


def test_without_words_or_tools_there_is_nothing_to_say() -> None:
    assert judge("?!", FORECAST) is None
    assert judge("weather") is None


@pytest.mark.parametrize("parameters", [None, [], "x", {"properties": []}, {"properties": {"a": None}}, {"a": [1]}])
def test_broken_declarations_are_read_as_far_as_they_go(parameters: JSON) -> None:
    assert fits("weather forecast", {"name": "weather_forecast", "parameters": parameters}) > 0.2


def test_the_explanation_holds_no_words_of_the_question() -> None:
    found = judge("the Zanzibar dossier", FORECAST)
    assert found is not None
    assert "anzibar" not in (found.explanation or "")


def test_training_finds_the_weights_that_made_the_rows() -> None:
    np: Any = pytest.importorskip("numpy")
    rng = random.Random(5)
    x = np.array([[rng.gauss(0, 1), rng.gauss(3, 2)] for _ in range(2_000)])
    y = np.array([float(rng.random() < 1 / (1 + np.exp(-(2 * a - b + 3)))) for a, b in x])
    weights, intercept = fit(x, y)
    assert weights[0] == pytest.approx(2, abs=0.3)
    assert weights[1] == pytest.approx(-1, abs=0.2)
    assert intercept == pytest.approx(3, abs=0.6)
