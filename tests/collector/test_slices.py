"""Where a trace has what it is broken down by."""

import pytest

from collector.core.model import LLMCall, ToolCall, Trace
from collector.slices import SliceReader, check_path

TRACE = Trace(
    "00",
    name="ask",
    prompt_version="7",
    dialects=["openinference", "genai"],
    resource={"service.name": "shop", "nested": {"a": 1}},
    llm_calls=[LLMCall("01", response_model="big-1")],
    tool_executions=[ToolCall("02", name=name) for name in ("search", "book", "search", "")],
)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("resource.service.name", "shop"), ("resource.nested", "unknown"), ("resource.none", "unknown"),
        ("name", "ask"), ("prompt_version", "7"), ("tenant", "unknown"),
        ("dialect", "openinference+genai"), ("tools", "book+search"),
        ("llm.response_model", "big-1"), ("llm.request_model", "unknown"),
    ],
)  # fmt: skip
def test_a_place_in_a_trace_is_read(path: str, expected: str) -> None:
    assert SliceReader({"it": path}).read(TRACE) == {"it": expected}


def test_a_value_is_one_short_line() -> None:
    trace = Trace("00", name=" a\n b " + 500 * "x")
    found = SliceReader({"it": "name"}).read(trace)["it"]
    assert found.startswith("a b x")
    assert len(found) <= 120


def test_an_unknown_place_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match=r"'attributes.x' is not one of name, .*dialect, tools"):
        check_path("attributes.x")
