import pytest

from scorers.base import Scorer, scorer
from scorers.offline import parse_line, score_rows
from scorers.rows import BadRow, trace_of


def needing(*needs: str) -> Scorer:
    return scorer(name="s", needs=needs)(lambda trace: 1.0)


def test_text_stands_for_what_the_scorer_needs() -> None:
    row = {"id": 7, "text": "hello"}
    assert trace_of(row, needing("question")).question == "hello"
    assert trace_of(row, needing("answer")).answer == "hello"
    assert trace_of(row, needing("foreign_text")).contexts == ["hello"]
    assert trace_of({**row, "question": "q"}, needing("question", "contexts")).contexts == ["hello"]


def test_labels_and_notes_are_not_shown_to_a_scorer() -> None:
    row = {"id": "a", "question": "q", "label": 1, "label_kind": "human", "meta": {"x": 1}, "source": "s"}
    assert "human" not in repr(trace_of(row, needing()))


def test_tools_and_calls_become_a_model_call() -> None:
    row = {
        "tools": [{"type": "function", "function": {"name": "get"}}],
        "calls": [{"name": "get", "arguments": {"a": 1}}],
    }
    (call,) = trace_of(row, needing()).llm_calls
    assert call.tool_definitions == [{"name": "get"}]
    assert (call.tool_calls[0].name, call.tool_calls[0].arguments) == ("get", {"a": 1})


@pytest.mark.parametrize(("schema", "expected"), [(True, {}), (False, {"not": {}}), ({"a": 1}, {"a": 1})])
def test_boolean_schemas_are_not_taken_for_any_object(schema: object, expected: object) -> None:
    (call,) = trace_of({"schema": schema, "instance": [1]}, needing()).llm_calls
    assert (call.output_schema, call.output_text) == (expected, "[1]")


def test_a_conversation_becomes_calls_and_runs() -> None:
    messages = [
        {"role": "user", "content": "find it"},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "name": "find", "arguments": "{}"}]},
        {"role": "tool", "content": "found"},
        {"role": "assistant", "content": [{"type": "text", "text": "Here."}]},
    ]
    trace = trace_of({"trajectory": messages}, needing())
    assert (trace.question, trace.answer, len(trace.llm_calls)) == ("find it", "Here.", 2)
    assert [(run.name, run.arguments, run.result) for run in trace.tool_executions] == [("find", "{}", "found")]


@pytest.mark.parametrize(
    ("row", "field"),
    [
        ([], "JSON object"),
        (None, "JSON object"),
        ({"question": 3}, "question"),
        ({"contexts": "text"}, "contexts"),
        ({"contexts": [1]}, "contexts"),
        ({"calls": [{"arguments": {}}], "tools": []}, "calls"),
        ({"tools": "x"}, "tools"),
        ({"schema": "x"}, "schema"),
        ({"messages": [{"role": "narrator"}]}, "messages\\[0\\].role"),
        ({"messages": [{}]}, "messages\\[0\\].role"),
    ],
)
def test_a_wrong_field_is_named(row: object, field: str) -> None:
    with pytest.raises(BadRow, match=field):
        trace_of(row, needing())


def test_bad_rows_are_error_rows_in_their_place() -> None:
    rows = [{"id": 1, "answer": "a"}, parse_line(b"{"), {"id": 3, "answer": 3}, {"id": 4}, {"id": 5, "answer": "e"}]
    results = list(score_rows(needing("answer"), rows))
    assert [result["id"] for result in results] == [1, None, 3, 4, 5]
    assert [result["score"] for result in results] == [1.0, None, None, None, 1.0]
    assert [result["error"] and result["error"].split(":")[0] for result in results] == [
        None,
        "not JSON",
        "answer",
        "filtered",
        None,
    ]


def test_the_sampling_rate_of_a_scorer_is_for_production_only() -> None:
    (result,) = score_rows(needing().configured(rate=0), [{"id": 1}])
    assert result["score"] == 1.0
