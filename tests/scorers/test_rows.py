import pytest

from collector.core.model import LLMCall, ToolCall, Trace
from scorers.base import Scorer, scorer
from scorers.builtin.retrieval import retrieval_mrr
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


def test_labels_of_relevance_rank_the_contexts_of_a_retrieval() -> None:
    row = {"question": "Which dam?", "contexts": ["the Hoover Dam", "a ferret"], "relevance": [0, 1]}
    (result,) = score_rows(retrieval_mrr, [row])
    assert (result["score"], result["error"]) == (0.5, None)


@pytest.mark.parametrize("relevance", [[1], ["yes", "no"], 1, [1, 0, 0]])
def test_labels_that_do_not_fit_the_contexts_are_refused(relevance: object) -> None:
    row = {"contexts": ["the Hoover Dam", "a ferret"], "relevance": relevance}
    (result,) = score_rows(retrieval_mrr, [row])
    assert result["error"].startswith("relevance: ")


@scorer(name="brevity", target="llm_call", needs=("answer",))
def brevity(call: LLMCall, trace: Trace) -> float:
    """Is the answer of a model call short?"""
    return 1.0 if len(call.output_text or "") < 20 else 0.0


@scorer(name="has_place", target="tool_call", needs=("arguments",))
def has_place(run: ToolCall, trace: Trace) -> bool:
    """Does a tool run say where?"""
    return "place" in run.arguments


def test_a_row_has_one_result_from_all_its_operations_the_worst() -> None:
    rows: list[object] = [
        {"question": "Why?", "answer": "Because."},
        {
            "messages": [
                {"role": "assistant", "content": "Let me look."},
                {"role": "assistant", "content": "It is because of the tides, which come and go."},
            ]
        },
        {"question": "Why?"},
    ]
    found = list(score_rows(brevity, rows))
    assert [one["score"] for one in found] == [1.0, 0.0, None]
    assert found[2]["error"] == "filtered: needs:answer"


def test_the_calls_of_a_row_stand_for_tool_runs() -> None:
    tools = [{"name": "weather", "arguments": {"place": "Bonn"}}, {"name": "weather", "arguments": {}}]
    found = list(score_rows(has_place, [{"calls": tools[:1]}, {"calls": tools}, {"calls": []}]))
    assert [one["score"] for one in found] == [1.0, 0.0, None]
    assert found[2]["error"] == "filtered: needs:tool_executions"
