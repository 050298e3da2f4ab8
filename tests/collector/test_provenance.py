"""What made a trace is told by name or by hash, bounded, and never its content."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.core.model import LLMCall, Message, Span, ToolCall, Trace
from collector.provenance import KINDS, MOST_OF_A_KIND, ProvenanceReader


def span(scope: str = "openai", version: str = "1.0") -> Span:
    return Span("t", "s", None, "n", 0, 0, 0, {}, [], [], 0, "", scope, version, {})


def tool(name: str, about: str = "looks it up") -> dict[str, Any]:
    return {"name": name, "description": about, "parameters": {"type": "object"}}


def read(trace: Trace, *spans: Span, schema: str = "") -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for kind, value in ProvenanceReader().read(trace, spans, {schema}):
        found.setdefault(kind, []).append(value)
    return found


def call(instructions: str = "Be kind.", tools: tuple[dict[str, Any], ...] = ()) -> LLMCall:
    return LLMCall(
        "s",
        request_model="gpt-5",
        response_model="gpt-5-2025",
        input_messages=[Message("system", instructions), Message("user", "My name is Ada.")],
        tool_definitions=list(tools),
    )


def test_everything_that_made_a_trace_is_told() -> None:
    trace = Trace(
        "t",
        prompt_name="greet",
        prompt_version="7",
        dialects=["openinference"],
        resource={"service.version": "2.1", "telemetry.sdk.language": "python", "telemetry.sdk.version": "1.37"},
        llm_calls=[call(tools=(tool("search"),))],
        tool_executions=[ToolCall("x", name="cart"), ToolCall("y", name="cart")],
    )
    found = read(trace, span(), span(), span("http", ""), schema="https://opentelemetry.io/schemas/1.37.0")
    assert found.keys() == KINDS.keys()
    assert found["version"] == ["2.1"]
    assert (found["model"], found["answering_model"]) == (["gpt-5"], ["gpt-5-2025"])
    assert found["prompt"] == ["greet 7"]
    assert found["tool"] == ["cart"]
    assert found["instrumentation"] == ["http", "openai 1.0"]
    assert found["sdk"] == ["python 1.37"]
    assert found["tool_schema"][0].startswith("search ")


def test_content_is_told_by_a_hash_alone_that_changes_with_it() -> None:
    plain = read(Trace("t", llm_calls=[call()]))
    assert plain == read(Trace("t", llm_calls=[call()]))
    assert "kind" not in str(plain)
    assert "Ada" not in str(plain)
    assert plain["instructions"] != read(Trace("t", llm_calls=[call("Be brief.")]))["instructions"]
    one, other = (read(Trace("t", llm_calls=[call(tools=(tool("search", about),))])) for about in ("a", "b"))
    assert one["tool_schema"] != other["tool_schema"]
    assert "a" not in one["tool_schema"][0].removeprefix("search").split()


def test_what_a_trace_does_not_tell_is_left_out() -> None:
    assert read(Trace("t")) == {}


def test_there_is_a_bound_and_like_traces_tell_the_same_part() -> None:
    names = [f"tool-{i:03}" for i in range(500)]
    one = Trace("t", tool_executions=[ToolCall("x", name=name) for name in names])
    two = Trace("t", tool_executions=[ToolCall("x", name=name) for name in reversed(names)])
    assert read(one) == read(two) == {"tool": names[:MOST_OF_A_KIND]}


@pytest.mark.parametrize("value", [{"a": 1}, [1], None, "", " \n ", True, 1.5, "\ud800", "x" * 10**6])
def test_any_value_is_one_short_line(value: object) -> None:
    for pair in ProvenanceReader().read(Trace("t", resource={"service.version": value}), [], ()):
        assert "\n" not in pair[1]
        assert len(pair[1]) <= 120
        pair[1].encode()


@given(
    st.recursive(
        st.none() | st.floats() | st.text() | st.integers(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_any_tool_definition_is_read(definition: object) -> None:
    reader = ProvenanceReader()
    for _ in range(2):
        reader.read(
            Trace("t", llm_calls=[LLMCall("s", tool_definitions=[{"name": definition, "x": definition}])]), [], ()
        )
