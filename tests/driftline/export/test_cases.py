"""Failing traces as regression cases: they can be tried again, say where they come from, and tell nobody's secrets."""

from collections import Counter
from dataclasses import replace
from importlib.metadata import version
from typing import Any

import orjson
import pytest

from collector.core.engine import EVENTS_KIND, SPANS, TRACES_KIND, Entry
from collector.core.model import LLMCall, Message, RequestedCall, ToolCall, Trace
from collector.engines.sqlite_reader import read_log
from collector.redaction.redactor import Redactor
from driftline.export.cases import Case, case_of, has_content, openai_evals
from driftline.export.choose import Choice, choose
from driftline.export.content import EXPIRED, NO_CONTENT, PARTLY_EXPIRED, recorded, with_content
from driftline.records import read_sheet
from driftline.view import View, view_path
from scorers.loading import ScorerConfig, load_scorer
from scorers.offline import score_rows
from tests.driftline.export.store import Store
from tests.driftline.export.test_rows import TRACE_ID, a_decision, a_sheet, validate
from tests.driftline.test_pipeline import chat

TRACE = Trace(
    TRACE_ID,
    question="Where is the parcel of jo@example.org?",
    contexts=["Its key is sk-ant-api03-" + "aB3d" * 12],
    answer="Ask jo@example.org",
    span_count=3,
    llm_calls=[
        LLMCall(
            "s1",
            input_messages=[Message("system", "Be kind."), Message("user", "Where is the parcel of jo@example.org?")],
            tool_calls=[RequestedCall("find", {"mail": "jo@example.org"}, "c1")],
            tool_definitions=[{"name": "find", "description": "finds", "parameters": {"type": "object"}}],
        ),
        LLMCall(
            "s2",
            input_messages=[
                Message("system", "Be kind."),
                Message("user", "Where is the parcel of jo@example.org?"),
                Message("assistant", None, [RequestedCall("find", {"mail": "jo@example.org"}, "c1")]),
                Message("tool", "on its way", tool_call_id="c1"),
            ],
            output_text="Ask jo@example.org",
        ),
    ],
    tool_executions=[ToolCall("s3", name="find", arguments={"mail": "jo@example.org"}, result="on its way", id="c1")],
)


def a_case(redactor: Redactor | None = None, trace: Trace = TRACE) -> Case:
    sheet = a_sheet(2, a_decision())
    return case_of(trace, sheet, sheet["decisions"], redactor)


# --- golden ---


def test_a_case_as_it_is_written() -> None:
    case = a_case(Redactor())
    validate("case", case)
    call = {"id": "c1", "type": "function", "function": {"name": "find", "arguments": '{"mail":"[EMAIL]"}'}}
    assert case == {
        "form": "driftline.case/1",
        "id": TRACE_ID,
        "question": "Where is the parcel of [EMAIL]?",
        "contexts": ["Its key is [SECRET]"],
        "answer": "Ask [EMAIL]",
        "messages": [
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": "Where is the parcel of [EMAIL]?"},
            {"role": "assistant", "content": "", "tool_calls": [call]},
            {"role": "tool", "content": "on its way", "tool_call_id": "c1"},
            {"role": "assistant", "content": "Ask [EMAIL]"},
        ],
        "tools": [{"name": "find", "description": "finds", "parameters": {"type": "object"}}],
        "calls": [{"name": "find", "arguments": {"mail": "[EMAIL]"}}],
        "provenance": {
            "trace_id": TRACE_ID,
            "revision": 2,
            "event_time": "2023-11-14T22:13:20.000000123Z",
            "slices": {"service": "shop", "version": "v2"},
            "scores": [
                {
                    "scorer": "groundedness",
                    "evaluator_id": "e1",
                    "span_id": None,
                    "value": 0.125,
                    "passed": False,
                    "label": "made up",
                    "explanation": "an explanation",
                }
            ],
            "redacted": 7,
            "written_by": f"driftline {version('driftline')}",
        },
    }


def test_arguments_stay_json_whatever_is_replaced_in_them() -> None:
    arguments = {"card": 4111111111111111, "note": "Mail:\njo@example.org"}
    asked = LLMCall("s", input_messages=[Message("user", "pay")], tool_calls=[RequestedCall("pay", arguments, "c")])
    case = a_case(Redactor(), Trace(TRACE_ID, question="pay", llm_calls=[asked]))
    (call,) = case["messages"][-1]["tool_calls"]
    told = {"card": "[CREDIT_CARD]", "note": "Mail:\n[EMAIL]"}
    assert orjson.loads(call["function"]["arguments"]) == told
    assert case["calls"] == [{"name": "pay", "arguments": told}]


def test_a_sample_of_openai_evals() -> None:
    sample = openai_evals(a_case(Redactor()))
    assert set(sample) == {"input", "metadata"}
    assert [message["role"] for message in sample["input"]] == ["system", "user", "assistant", "tool"]
    assert sample["metadata"]["answer"] == "Ask [EMAIL]"
    assert sample["metadata"]["scores"][0]["evaluator_id"] == "e1"
    bare = openai_evals(a_case(Redactor(), Trace(TRACE_ID, question="Why?")))
    assert bare["input"] == [{"role": "user", "content": "Why?"}]


def test_without_redaction_everything_stays_and_the_case_says_so() -> None:
    case = a_case()
    validate("case", case)
    assert case["provenance"]["redacted"] is None
    assert case["question"] == TRACE.question
    assert "[" not in case["answer"]


# --- round trip ---


@pytest.mark.parametrize("scorer", ["groundedness", "refusal"])
def test_a_case_is_a_row_that_scores_as_its_trace_did(store: Store, scorer: str) -> None:
    view = View(view_path(store.config.store.path), read_only=True)
    chosen = {
        sheet["trace_id"]: (sheet, scores)
        for sheet, scores in choose(view.sheets_between(0, 2**63 - 1), Choice(scorer))
    }
    recording = recorded(chosen, read_log(store.config.store.path, SPANS), [])
    missing: Counter[str] = Counter()
    cases = [case_of(*found, redactor=Redactor()) for found in with_content(chosen, recording, missing)]
    assert (len(cases), missing) == (len(chosen), Counter())
    assert len(cases) > 5
    results = score_rows(load_scorer(ScorerConfig(use=scorer)), orjson.loads(orjson.dumps(cases)))
    for case, result in zip(cases, results, strict=True):
        validate("case", case)
        (told,) = case["provenance"]["scores"]
        assert (result["id"], result["score"], result["passed"]) == (case["id"], told["value"], told["passed"])


# --- which traces ---


def test_what_is_chosen() -> None:
    scores = [a_decision(), a_decision(scorer="refusal", score=replace(a_decision().score, passed=True))]  # type: ignore[type-var]
    sheet = a_sheet(0, *scores, a_decision(scorer="latency", decision="filtered", score=None))

    def chosen(*arguments: Any) -> list[str]:
        return [one["scorer"] for one in Choice(*arguments).scores(sheet)]

    assert chosen() == ["groundedness"]
    assert chosen("refusal") == []
    assert chosen("refusal", False) == ["refusal"]
    assert chosen(None, False) == ["groundedness", "refusal"]
    assert chosen(None, True, {"service": "shop", "version": "v2"}) == ["groundedness"]
    assert chosen(None, True, {"service": "bank"}) == []
    assert chosen(None, True, {"region": "eu"}) == []


# --- what is no longer there ---


def test_what_has_gone_is_counted_and_makes_no_case(store: Store) -> None:
    inbox = [entry for entry in read_log(store.config.store.path, SPANS) if entry.kind in (TRACES_KIND, EVENTS_KIND)]
    sheets = [read_sheet(entry.value) for entry in store.decisions]
    chosen = {sheet["trace_id"]: (sheet, sheet["decisions"]) for sheet in sheets}

    def found(entries: list[Entry]) -> tuple[int, Counter[str]]:
        missing: Counter[str] = Counter()
        return len(list(with_content(chosen, recorded(chosen, entries, []), missing))), missing

    everything, missing = found(inbox)
    assert missing[EXPIRED] == missing[PARTLY_EXPIRED] == 0
    assert found([]) == (0, Counter({EXPIRED: len(chosen)}))
    half, missing = found(inbox[len(inbox) // 2 :])
    assert 0 < half < everything
    assert missing[EXPIRED] > 0
    assert missing[PARTLY_EXPIRED] > 0
    assert half + missing.total() == len(chosen)
    broken, _ = found([Entry(0, b"\xff\xff", b"", TRACES_KIND), *inbox])
    assert broken == everything


def test_a_trace_that_says_nothing_makes_no_case() -> None:
    assert not has_content(Trace(TRACE_ID, answer="42"))
    assert has_content(Trace(TRACE_ID, question="?"))
    silent = chat(1, 1, 10**18, root=True)
    sheet = {**a_sheet(0, a_decision()), "trace_id": f"{1:032x}", "counts": {"spans": 1}}
    chosen = {sheet["trace_id"]: (sheet, sheet["decisions"])}
    missing: Counter[str] = Counter()
    recording = recorded(chosen, [Entry(0, silent.value, b"", silent.kind)], [])
    assert list(with_content(chosen, recording, missing)) == []
    assert missing == {NO_CONTENT: 1}
