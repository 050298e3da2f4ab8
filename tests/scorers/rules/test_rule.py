"""Rules as scorers: what they say, what they ask of others, and how they are loaded."""

from pathlib import Path
from typing import Any

import pytest

from collector.core.clock import FakeClock
from collector.core.errors import UserError
from collector.core.model import LLMCall, RequestedCall, Session, ToolUse, Trace, Turn
from collector.core.telemetry import Telemetry
from collector.sample import Admission
from scorers.base import Scorer, scorer
from scorers.builtin.operations import latency
from scorers.builtin.refusal import refusal
from scorers.builtin.retrieval import retrieval_mrr
from scorers.builtin.sessions import session_turns
from scorers.ledger import Decision
from scorers.loading import ScorerConfig, load_scorer
from scorers.offline import score_rows
from scorers.rules.rule import RuleConfig, load_rules, rule_scorer
from scorers.runner import Runner
from scorers.testing import check_scorer, trace_of_text

PROMISES: dict[str, Any] = {
    "id": "no-price-promises",
    "description": "Prices are quoted with their conditions.",
    "when": {"question": {"matches": "(?i)price|discount"}},
    "must": [{"answer": {"contains": "subject to change"}}],
    "must_not": [{"answer": {"matches": "(?i)guarantee"}}, {"tool": {"name": "refund"}}],
}


def rules(*raw: dict[str, Any], scorers: tuple[Scorer, ...] = (refusal, latency)) -> list[Scorer]:
    return load_rules([RuleConfig.model_validate(one) for one in raw], scorers)


def judged(raw: dict[str, Any], trace: Trace) -> Decision:
    (one,) = rules(raw)
    return decisions([one], trace)[0]


def decisions(scorers: list[Scorer], trace: Trace, admission: Admission | None = None) -> list[Decision]:
    runner = Runner(scorers, Telemetry(), FakeClock())
    try:
        return runner.evaluate(trace, admission or Admission(0.5, 1.0, 1.0, "sample.rate"))
    finally:
        runner.close()


def test_a_kept_rule_is_1_and_a_broken_one_0_with_the_clause_and_where_it_shows() -> None:
    asked = "What is the price?"
    kept = judged(PROMISES, Trace("1" * 32, question=asked, answer="20 euros, subject to change."))
    assert kept.score is not None
    assert (kept.score.value, kept.score.passed, kept.score.label) == (1.0, True, "kept")
    answer = "20 euros. I guarantee it."
    broken = judged(PROMISES, Trace("1" * 32, question=asked, answer=answer))
    assert broken.score is not None
    assert (broken.score.value, broken.score.passed, broken.score.label) == (0.0, False, "broken")
    assert broken.score.explanation == (
        "must[0]: answer contains 'subject to change'; must_not[0]: answer matches '(?i)guarantee'"
    )
    assert [answer[one.start : one.end] for one in broken.score.evidence] == ["guarantee"]


@pytest.mark.parametrize("question", ["Who are you?", None])
def test_a_trace_that_a_rule_does_not_apply_to_is_filtered(question: str | None) -> None:
    found = judged(PROMISES, Trace("1" * 32, question=question, answer="I guarantee it."))
    assert (found.decision, found.reason) == ("filtered", "rule does not apply")


def test_a_rule_that_the_trace_does_not_answer_says_nothing_unless_it_is_broken_all_the_same() -> None:
    silent = judged(PROMISES, Trace("1" * 32, question="price?"))
    assert (silent.decision, silent.reason) == ("filtered", "nothing to score")
    call = LLMCall("a" * 16, tool_calls=[RequestedCall("refund")])
    broken = judged(PROMISES, Trace("1" * 32, question="price?", llm_calls=[call]))
    assert broken.score is not None
    assert broken.score.explanation == "must_not[1]: a tool call with name is 'refund'"


def test_rules_ask_for_scores_of_the_same_trace_and_of_other_rules_in_any_order() -> None:
    found = decisions(
        [
            refusal,
            *rules(
                {"id": "last", "must": {"score": {"first": {"passed": True}}}},
                {"id": "first", "must_not": {"score": {"refusal": {"ge": 0.5}}}},
            ),
        ],
        Trace("1" * 32, answer="I'm sorry, but I cannot help with that."),
    )
    told = {one.scorer: (one.score and one.score.value, one.score and one.score.explanation) for one in found}
    assert list(told) == ["refusal", "first", "last"]
    assert told["first"] == (0.0, "must_not[0]: the score of refusal >= 0.5")
    assert told["last"] == (0.0, "must[0]: the passed of first is True")


def test_a_score_that_was_not_sampled_is_unknown_and_its_chance_is_that_of_the_rule() -> None:
    half = refusal.configured(rate=0.5)
    (rule,) = rules({"id": "kind", "must_not": {"score": {"refusal": {"ge": 0.5}}}}, scorers=(half,))
    trace = Trace("1" * 32, answer="The sky is blue.")
    in_sample = decisions([half, rule], trace, Admission(0.2, 1.0, 1.0, "sample.rate"))[1]
    assert in_sample.score is not None
    assert (in_sample.score.value, in_sample.probability) == (1.0, 0.5)
    out = decisions([half, rule], trace, Admission(0.7, 1.0, 1.0, "sample.rate"))[1]
    assert (out.decision, out.reason) == ("filtered", "nothing to score")


def test_the_evaluator_id_is_that_of_what_the_rule_asks() -> None:
    (one,), (renamed_text,), (same,) = (
        rules(raw)
        for raw in (
            PROMISES,
            {**PROMISES, "must_not": [{"answer": {"matches": "(?i)promise"}}]},
            {**PROMISES, "description": "Other words for people."},
        )
    )
    assert one.evaluator_id == same.evaluator_id != renamed_text.evaluator_id


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        ({"id": "x"}, "rules[0]: it has neither must nor must_not, so nothing can break it"),
        ({"id": "x", "must": [{"anser": "y"}]}, "rules[0].must[0].anser: 'anser' is not a field that rules know"),
        ({"id": "x", "when": {"error": 3}, "must": {"error": False}}, "rules[0].when.error.is: 3 is not true or false"),
        ({"id": "refusal", "must": {"error": False}}, "rules[0].id: 'refusal' is the name of another scorer or rule"),
        ({"id": "x", "must": {"score": {"refusals": {"lt": 1}}}}, "rules[0]: score 'refusals' is not one of latency"),
        ({"id": "x", "must": {"score": {"x": {"lt": 1}}}}, "rules: x ask for each other's scores in a circle"),
        (
            {"id": "x", "must": {"score": {"retrieval_mrr": {"lt": 1}}}},
            "rules[0]: 'retrieval_mrr' scores each retrieval, and rules ask of whole traces",
        ),
        (
            {"id": "x", "must": {"score": {"session_turns": {"lt": 9}}}},
            "rules[0]: 'session_turns' scores each session, and rules ask of whole traces",
        ),
        (
            {"id": "x", "must": {"score": {"salted": {"lt": 1}}}},
            "rules[0]: 'salted' has a salt, so that it sees other traces than the rule",
        ),
    ],
)
def test_every_wrong_rule_is_refused_at_start_with_its_path(raw: dict[str, Any], problem: str) -> None:
    salted = refusal.configured(name="salted", salt="s")
    with pytest.raises(UserError) as refused:
        rules(raw, scorers=(refusal, latency, retrieval_mrr, session_turns, salted))
    assert refused.value.problems[0].startswith(problem)


@pytest.mark.parametrize("wrong", ["", "a b", "-x", "x" * 101, "é"])
def test_an_id_is_a_name(wrong: str) -> None:
    with pytest.raises(ValueError, match="is not a name of letters"):
        RuleConfig.model_validate({"id": wrong, "must": {"error": False}})


def test_a_rule_stands_whatever_comes() -> None:
    check_scorer(rule_scorer(RuleConfig.model_validate(PROMISES)))
    adversarial = {"id": "slow", "must_not": [{"answer": {"matches": "(a*)*(a|aa)+$"}}, {"context": {"contains": "a"}}]}
    check_scorer(rule_scorer(RuleConfig.model_validate(adversarial)))


def test_a_rule_of_a_file_scores_rows(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text("rules:\n- {id: brief, must: {answer_characters: {lt: 10}}}\n- {id: other, must: {error: false}}\n")
    one = load_scorer(ScorerConfig(use="./policy.yaml:brief"), tmp_path)
    found = list(score_rows(one, [{"answer": "Yes."}, {"answer": "Well, it depends."}, {"question": "?"}]))
    assert [result["score"] for result in found] == [1.0, 0.0, None]
    with pytest.raises(UserError, match="has no rule 'brif'; its rules are brief, other"):
        load_scorer(ScorerConfig(use="./policy.yaml:brif"), tmp_path)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("rules: [", "cannot be read as YAML"),
        ("rules: 3", "has no rule 'x'"),
        ("rules: [{id: x}]", "rule 'x': it has neither must nor must_not"),
        ("rules: [{id: x, mst: 3}]", "rule 'x': 1 validation error"),
        ("rules: [{id: x, must: {score: {y: {lt: 1}}}}]", "rule 'x' asks for the scores of y: apply it in a service"),
    ],
)
def test_a_file_that_has_no_such_rule_is_told(tmp_path: Path, content: str, problem: str) -> None:
    (tmp_path / "policy.yaml").write_text(content)
    with pytest.raises(UserError) as refused:
        load_scorer(ScorerConfig(use="./policy.yaml:x"), tmp_path)
    assert problem in str(refused.value)


def test_a_scorer_of_ones_own_may_ask_for_scores_too() -> None:
    @scorer(name="twice", after=("latency",), range=(0, 100))
    def twice(trace: Trace, scores: dict[str, Any]) -> float:
        """Twice the latency."""
        return 2.0 * float(scores["latency"].value)

    found = decisions([latency, twice], trace_of_text("Why?"))
    assert found[1].score is not None
    assert found[1].score.value == pytest.approx(5.0, abs=1e-5)


GOAL: dict[str, Any] = {
    "id": "refund-completed",
    "target": "session",
    "when": {"first_question": {"matches": "(?i)refund"}},
    "must": [{"tool": {"name": "refund", "error": False}}, {"turns": {"le": 2}}],
    "must_not": [{"last_answer": {"contains": "call us"}}],
}


def conversation(*turns: tuple[str, str], tools: list[ToolUse] | None = None) -> Session:
    made = [Turn(f"{at:032x}", at, at + 1, *turn) for at, turn in enumerate(turns)]
    made[-1].tools = tools or []
    return Session("s", "shop", made)


@pytest.mark.parametrize(
    ("session", "value", "told"),
    [
        (conversation(("A refund, please", "Done."), tools=[ToolUse("refund", '{"order": 1}')]), 1.0, None),
        (
            conversation(("A refund, please", "Done.")),
            0.0,
            "must[0]: a tool call with name is 'refund', error is False",
        ),
        (
            conversation(("A refund, please", "No."), ("Why?", "Call us."), tools=[ToolUse("refund", failed=True)]),
            0.0,
            "must[0]: a tool call with name is 'refund', error is False; must_not[0]: last_answer contains 'call us'",
        ),
        (conversation(("Hello", "Hi"), ("A refund", "No.")), None, None),
    ],
)
def test_whether_a_session_reached_its_goal_is_a_rule(session: Session, value: float | None, told: str | None) -> None:
    (one,) = rules(GOAL)
    runner = Runner([one], Telemetry(), FakeClock())
    (found,) = runner.evaluate_session((session, Admission(0.5, 1.0, 1.0, "sample.rate"), ()))
    runner.close()
    assert (found.score and found.score.value, found.score and found.score.explanation) == (value, told)
    assert value is not None or found.reason == "rule does not apply"


@pytest.mark.parametrize("must", [{"context": "x"}, {"score": {"refusal": 1}}, {"resource.x": "y"}, {"model": "m"}])
def test_a_rule_for_sessions_asks_of_sessions(must: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="is not a field that rules know"):
        rules({"id": "x", "target": "session", "must": must})


def test_a_rule_for_sessions_stands_whatever_comes() -> None:
    check_scorer(rule_scorer(RuleConfig.model_validate(GOAL)))
