"""Scorers of operations: called for each, a decision for each."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.allowance import parse_limit
from collector.core.clock import FakeClock
from collector.core.model import LLMCall, Message, Operation, Repeat, Retrieval, ToolCall, Trace
from collector.core.telemetry import Telemetry
from collector.quota import Allowances
from collector.sample import Admission
from scorers.base import Score, Scorer, scorer
from scorers.ledger import MORE_OPERATIONS, TOLD_ELSEWHERE, Decision
from scorers.runner import Runner
from scorers.targets import MOST_OPERATIONS, OPERATIONS, parts_of, span_of

EVERYTHING = Admission(unit=0.5, rate=1.0, upstream=1.0, rule="sample.rate")
A, B = "00f067aa0ba902b7", "00f067aa0ba902b8"


@scorer(name="brevity", target="llm_call", needs=("answer",), passing=">= 0.5")
def brevity(call: LLMCall, trace: Trace) -> float:
    """Is the answer of a model call short?"""
    return 1.0 if len(call.output_text or "") < 20 else 0.0


def evaluate(one: Scorer, trace: Trace, admission: Admission = EVERYTHING) -> list[Decision]:
    runner = Runner([one], Telemetry(), FakeClock())
    try:
        return runner.evaluate(trace, admission)
    finally:
        runner.close()


def test_each_operation_has_its_decision() -> None:
    calls = [LLMCall(A, output_text="short"), LLMCall(B), LLMCall(None, output_text="a rather long answer, this")]
    found = evaluate(brevity, Trace("1" * 32, llm_calls=calls))
    told = [(one.span_id, one.decision, one.reason, one.score and one.score.passed) for one in found]
    assert sorted(told, key=lambda one: str(one[0])) == [
        ("#1", "scored", "ok", False),
        (A, "scored", "ok", True),
        (B, "filtered", "needs:answer", None),
    ]
    assert all(one.score is None or one.score.span_id == one.span_id for one in found)


def test_what_is_no_need_of_an_operation_is_asked_of_its_trace() -> None:
    @scorer(name="on_topic", target="retrieval", needs=("documents", "answer"))
    def on_topic(retrieval: Retrieval, trace: Trace) -> float:
        raise AssertionError("not called")

    bare = Trace("1" * 32, retrievals=[Retrieval(A)])
    assert [one.reason for one in evaluate(on_topic, bare)] == ["needs:documents"]
    assert [one.reason for one in evaluate(on_topic, Trace("1" * 32))] == ["needs:retrievals"]


def test_a_trace_whose_calls_another_tells_says_so() -> None:
    trace = Trace("1" * 32, repeats=[Repeat(A, "2" * 32)])
    (found,) = evaluate(brevity, trace)
    assert (found.decision, found.reason, found.span_id) == ("filtered", TOLD_ELSEWHERE, None)


def test_a_trace_that_is_not_sampled_has_one_decision() -> None:
    out = Admission(unit=0.5, rate=0.1, upstream=1.0, rule="sample.rate")
    (found,) = evaluate(brevity, Trace("1" * 32, llm_calls=[LLMCall(A, output_text="x")] * 3), out)
    assert (found.decision, found.span_id) == ("not_sampled", None)


def test_two_scores_of_one_operation_are_a_failure() -> None:
    @scorer(name="twice", target="llm_call")
    def twice(call: LLMCall, trace: Trace) -> list[Score]:
        return [Score(0.1, span_id="a"), Score(0.2, span_id="b")]

    (found,) = evaluate(twice, Trace("1" * 32, llm_calls=[LLMCall(A)]))
    assert (found.decision, found.reason, found.span_id) == ("failed", "wrong_type", A)


def test_a_failure_is_of_its_operation_alone() -> None:
    @scorer(name="fragile", target="tool_call")
    def fragile(run: ToolCall, trace: Trace) -> float:
        return 1.0 / len(run.name)

    runs = [ToolCall(A, name="x"), ToolCall(B)]
    found = evaluate(fragile, Trace("1" * 32, tool_executions=runs))
    assert [(one.span_id, one.decision, one.reason) for one in found] == [
        (A, "scored", "ok"),
        (B, "failed", "exception"),
    ]


def test_a_limit_counts_each_operation() -> None:
    limited = brevity.configured(limit=parse_limit("5 per hour"))
    runner = Runner([limited], Telemetry(), FakeClock())
    allowances = Allowances(runner.limits())
    allowances.now_ns = 10**9
    calls = [LLMCall(f"{number:016x}", output_text="x") for number in range(1, 9)]
    first = Admission(unit=0.0, rate=1.0, upstream=1.0, rule="sample.rate")  # of all places the last to be throttled
    (found,) = runner.evaluate_all([(Trace("1" * 32, llm_calls=calls), first, ())], allowances)
    assert Counter(one.decision for one in found) == {"scored": 5, "over_budget": 3}
    assert len({one.probability for one in found}) == 1
    last = Admission(unit=0.999, rate=1.0, upstream=1.0, rule="sample.rate")
    (found,) = runner.evaluate_all([(Trace("2" * 32, llm_calls=calls), last, ())], allowances)
    assert {one.decision for one in found} <= {"throttled", "over_budget"}
    runner.close()


def test_operations_beyond_the_limit_are_told_in_one_decision() -> None:
    calls = [LLMCall(f"{number:016x}", output_text="x") for number in range(1, MOST_OPERATIONS + 8)]
    found = evaluate(brevity, Trace("1" * 32, llm_calls=calls))
    last = next(one for one in found if one.span_id is None)
    assert (len(found), last.decision, last.reason) == (MOST_OPERATIONS + 1, "filtered", MORE_OPERATIONS)
    assert last.detail == "7 more than the first"


@given(st.lists(st.sampled_from([None, "", A, B])), st.sampled_from(sorted(OPERATIONS)))
def test_operations_have_an_identity_each_and_keep_their_span(spans: list[str | None], target: str) -> None:
    trace = Trace("1" * 32)
    operations: list[Operation] = getattr(trace, OPERATIONS[target])
    operations += [Operation(span_id) for span_id in spans]
    parts = list(parts_of(target, trace))
    assert len({part.span_id for part in parts}) == len(spans)
    assert [span_of(part.span_id) for part in parts] == [span_id or "" for span_id in spans]


@pytest.mark.parametrize(
    ("need", "call"),
    [
        ("question", LLMCall(A, input_messages=[Message("user", "Why?")])),
        ("answer", LLMCall(A, output_text="So.")),
        ("response", LLMCall(A, refusal="No.")),
        ("messages", LLMCall(A, input_messages=[Message("system", "Be kind.")])),
        ("output_schema", LLMCall(A, output_schema=True)),
        ("tokens", LLMCall(A, output_tokens=0)),
        ("reasoning", LLMCall(A, reasoning="Well.")),
    ],
)
def test_needs_of_a_model_call_are_its_own(need: str, call: LLMCall) -> None:
    @scorer(name="one", target="llm_call", needs=(need,))
    def one(call: LLMCall, trace: Trace) -> float:
        return 1.0

    found = evaluate(one, Trace("1" * 32, question="Q", answer="A", llm_calls=[call, LLMCall(B)]))
    assert sorted((decision.span_id or "", decision.reason) for decision in found) == [
        (A, "ok"),
        (B, f"needs:{need}"),
    ]
