"""Conditions: three-valued, over fields, tools and scores, and every way to say one wrongly."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.core.model import Failure, LLMCall, Message, RequestedCall, ToolCall, Trace
from scorers.base import Score
from scorers.rules.conditions import BadCondition, parse_condition
from scorers.rules.facts import FIELDS, Facts

TRACE = Trace(
    "1" * 32,
    start_ns=0,
    end_ns=2_500_000_000,
    question="What is the PRICE of a ticket?",
    answer="It is 20 euros, guaranteed.",
    contexts=["A ticket is 20 euros.", "Children travel free."],
    resource={"service.name": "shop", "deployment.environment.name": "production"},
    llm_calls=[
        LLMCall(
            "a" * 16,
            response_model="gpt-4o-mini",
            provider="openai",
            input_tokens=900,
            output_tokens=20,
            finish_reason="stop",
            input_messages=[Message("system", "Be brief."), Message("user", "What is the PRICE?")],
        )
    ],
    tool_executions=[
        ToolCall("b" * 16, name="refund", arguments={"amount": 150, "order": {"id": "A-1"}, "tags": ["vip", "eu"]}),
        ToolCall("c" * 16, name="look_up", arguments='{"amount": 5}', result={"found": 3}, error=Failure("Timeout")),
    ],
)
SCORES = {"groundedness": Score(0.2, passed=False), "language": Score(0.9, label="de")}


def truth(condition: dict[str, Any], trace: Trace = TRACE) -> bool | None:
    return parse_condition(condition).judge(Facts(trace, SCORES)).truth


@pytest.mark.parametrize(
    "condition",
    [
        {"service": "shop"},
        {"service": ["bank", "shop"]},
        {"question": {"contains": "price"}},
        {"question": {"matches": r"(?i)\bprice\b"}},
        {"answer": {"starts_with": "it is", "ends_with": "guaranteed."}},
        {"context": {"contains": "children"}},
        {"system": "Be brief."},
        {"resource.deployment.environment.name": {"in": ["staging", "production"]}},
        {"model": {"starts_with": "gpt-4o"}, "provider": "openai"},
        {"input_tokens": {"ge": 900}, "output_tokens": {"lt": 21}},
        {"latency_seconds": {"gt": 2, "le": 2.5}},
        {"contexts": 2, "llm_calls": {"is": 1}, "tool_calls": {"gt": 1}},
        {"error": False},
        {"refusal": {"exists": False}},
        {"cost_usd": {"exists": False}},
        {"not": {"answer": {"contains": "dollar"}}},
        {"any": [{"service": "bank"}, {"answer": {"contains": "euro"}}]},
        {"all": [{"service": "shop"}, {"not": {"error": True}}]},
        {"tool": {"name": "refund", "arguments.amount": {"gt": 100}}},
        {"tool": {"arguments.order.id": {"matches": "^A-"}}},
        {"tool": {"arguments.tags": "vip"}},
        {"tool": {"arguments.amount": 5, "error": True}},
        {"tool": {"result": {"contains": "found"}}},
        {"tool": {"name": "refund", "result": {"exists": False}}},
        {"score": {"groundedness": {"lt": 0.3}}},
        {"score": {"groundedness": {"passed": False}, "language": {"label": ["de", "nl"]}}},
    ],
)
def test_what_holds_of_the_trace(condition: dict[str, Any]) -> None:
    assert truth(condition) is True
    assert truth({"not": condition}) is False


@pytest.mark.parametrize(
    "condition",
    [
        {"cost_usd": {"gt": 1}},
        {"first_token_seconds": {"lt": 1}},
        {"user": "me"},
        {"resource.region": "eu"},
        {"score": {"refusal": {"gt": 0.5}}},
        {"score": {"language": {"passed": True}}},
        {"all": [{"service": "shop"}, {"user": "me"}]},
        {"any": [{"service": "bank"}, {"user": "me"}]},
    ],
)
def test_what_the_trace_does_not_tell_is_unknown_and_so_is_its_opposite(condition: dict[str, Any]) -> None:
    assert truth(condition) is None
    assert truth({"not": condition}) is None


@pytest.mark.parametrize(
    "condition",
    [
        {"tool": {"name": "refund", "arguments.amount": 5}},  # of two different calls
        {"tool": {"name": "delete"}},
        {"error": True},
        {"contexts": {"gt": 2}},
        {"all": [{"service": "bank"}, {"user": "me"}]},
        {"model": 4},
    ][:5],
)
def test_what_does_not_hold(condition: dict[str, Any]) -> None:
    assert truth(condition) is False


def test_calls_that_were_asked_for_stand_for_runs_where_there_are_none() -> None:
    asked = Trace("t", llm_calls=[LLMCall("a" * 16, tool_calls=[RequestedCall("refund", {"amount": 7})])])
    assert truth({"tool": {"name": "refund", "arguments.amount": 7}}, asked) is True
    assert truth({"tool": {"name": "refund"}}, Trace("t")) is False, "no call at all is no refund"


def test_evidence_is_where_question_or_answer_show_it() -> None:
    told = parse_condition({"answer": {"matches": "guarant\\w+"}}).judge(Facts(TRACE, {}))
    (found,) = told.evidence
    assert (found.type, (TRACE.answer or "")[found.start : found.end]) == ("answer", "guaranteed")


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ({}, "{} is not a condition, such as {answer: {contains: refund}}"),
        ({"anser": "x"}, "anser: 'anser' is not a field that rules know; did you mean 'answer'?"),
        ({"answer": {"contain": "x"}}, "answer.contain: 'contain' is not one of is, in, contains, matches,"),
        ({"answer": 3}, "answer.is: 3 is not a text"),
        ({"answer": {}}, "answer: nothing is asked of it"),
        ({"answer": {"contains": ""}}, "answer.contains: '' is not a text"),
        ({"answer": {"matches": "("}}, "answer.matches: '(' is not a regular expression that RE2 knows: missing )"),
        ({"answer": {"matches": "(?=x)"}}, "answer.matches: '(?=x)' is not a regular expression that RE2 knows"),
        ({"answer": {"exists": "yes"}}, "answer.exists: 'yes' is not true or false"),
        ({"latency_seconds": {"gt": "2s"}}, "latency_seconds.gt: '2s' is not a number"),
        ({"latency_seconds": {"gt": float("nan")}}, "latency_seconds.gt: nan is not a number"),
        ({"latency_seconds": {"contains": "2"}}, "latency_seconds.contains: 'contains' is not one of is, in, lt,"),
        ({"error": "yes"}, "error.is: 'yes' is not true or false"),
        ({"llm_calls": True}, "llm_calls.is: True is not a number"),
        ({"service": []}, "service.in: [] is not a list of values"),
        ({"any": {"error": True}}, "any: {'error': True} is not a list of conditions"),
        ({"any": [{"error": True}, {"eror": True}]}, "any[1].eror: 'eror' is not a field that rules know"),
        ({"not": ["x"]}, "not: ['x'] is not a condition"),
        ({"tool": "refund"}, "tool: 'refund' is not what a tool call is, such as {name: refund}"),
        ({"tool": {"nam": "refund"}}, "tool.nam: 'nam' is not one of name, result, error, arguments.NAME"),
        ({"tool": {"arguments.x": {"gt": "a"}}}, "tool.arguments.x.gt: 'a' is not a number"),
        ({"score": "groundedness"}, "score: 'groundedness' is not what scores are"),
        ({"score": {"groundedness": {"passed": 1}}}, "score.groundedness.passed.is: 1 is not true or false"),
        ({"score": {"groundedness": {"exists": True}}}, "score.groundedness: whether a score exists is not asked"),
    ],
)
def test_every_wrong_condition_says_where_and_what_is_allowed(condition: Any, message: str) -> None:
    with pytest.raises(BadCondition) as refused:
        parse_condition(condition)
    assert str(refused.value).startswith(message)


def test_conditions_that_never_end_are_refused() -> None:
    deep: dict[str, Any] = {"error": True}
    for _ in range(1_000):
        deep = {"not": deep}
    with pytest.raises(BadCondition, match="nested more than 20 deep"):
        parse_condition(deep)


atoms = st.sampled_from([({"service": "shop"}, True), ({"service": "bank"}, False), ({"user": "me"}, None)])
trees = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.tuples(st.just("not"), inner),
        st.tuples(st.sampled_from(["all", "any"]), st.lists(inner, min_size=1, max_size=3)),
    ),
    max_leaves=12,
)


def written(tree: Any) -> dict[str, Any]:
    if isinstance(tree[0], dict):
        return dict(tree[0])
    if tree[0] == "not":
        return {"not": written(tree[1])}
    return {tree[0]: [written(one) for one in tree[1]]}


def kleene(tree: Any) -> float:
    """0 false, 0.5 unknown, 1 true: and is the least, or the greatest."""
    if isinstance(tree[0], dict):
        return {True: 1.0, False: 0.0, None: 0.5}[tree[1]]
    if tree[0] == "not":
        return 1 - kleene(tree[1])
    return (min if tree[0] == "all" else max)(kleene(one) for one in tree[1])


@given(trees)
def test_conditions_follow_three_valued_logic(tree: Any) -> None:
    assert {True: 1.0, False: 0.0, None: 0.5}[truth(written(tree))] == kleene(tree)


@given(st.sampled_from(sorted(FIELDS)), st.text(max_size=5))
def test_any_field_of_any_trace_can_be_asked(name: str, text: str) -> None:
    for trace in (TRACE, Trace("t"), Trace("t", question=text, answer=text, contexts=[text])):
        assert parse_condition({name: {"exists": True}}).judge(Facts(trace, {})).truth in (True, False)
