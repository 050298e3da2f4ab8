"""Scorers of whole sessions: what they find, what they leave, and that they stand what every scorer must."""

import pytest

from collector.core.model import Session, Trace, Turn
from collector.core.telemetry import Telemetry
from collector.sample import Admission
from scorers.base import Score, scorer
from scorers.builtin.sessions import repeated_questions, session_turns, unanswered_ending
from scorers.offline import score_rows
from scorers.runner import Runner
from scorers.testing import check_scorer

ALWAYS = Admission(0.0, 1.0, 1.0, "sample.rate")


def session(*questions: str | None, answer: str | None = "Yes.") -> Session:
    return Session("s", turns=[Turn(f"{at:032x}", at, at + 1, said, answer) for at, said in enumerate(questions)])


@pytest.mark.parametrize("one", [repeated_questions, session_turns, unanswered_ending])
def test_it_stands_what_every_scorer_must(one: object) -> None:
    check_scorer(one)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("questions", "share"),
    [
        (("How do I reset my password?", "how do i reset my PASSWORD"), 0.5),
        (("Reset my password", "What does it cost?", "Please, can you reset my passwords?", "reset password!!"), 0.5),
        (("Where is order 4711?", "Where is order 4712?"), 0.0),
        (("How far is the moon?", "How far is the sun?"), 0.0),
        (("Wie komme ich zum Bahnhof?", "Wie komme ich bitte zum Bahnhof?"), 0.5),
        (("東京の天気は?", "東京の天気は?"), 0.5),
    ],
)
def test_a_question_that_is_asked_again_is_found(questions: tuple[str, ...], share: float) -> None:
    found = repeated_questions(session(*questions))
    assert isinstance(found, Score)
    assert found.value == share


def test_the_explanation_says_which_turn_and_holds_no_content() -> None:
    found = repeated_questions(session("Cancel my subscription", None, "Cancel my subscription now"))
    assert isinstance(found, Score)
    assert found.explanation == "1 of 2 questions were asked before: turn 3"


def test_questions_without_content_are_left_out() -> None:
    assert repeated_questions(session("Why?", "Why?", "Why?")) is None


def test_a_session_that_ends_without_an_answer_says_so() -> None:
    ended = session("Where is it?", "And now?")
    assert isinstance(found := unanswered_ending(ended), Score)
    assert found.value == 0
    ended.turns[-1].answer = None
    assert isinstance(found := unanswered_ending(ended), Score)
    assert (found.value, found.label) == (1, "no answer")
    assert unanswered_ending(session("Where is it?", answer=None)) is None, "answers are not traced"
    ended.turns[-1].error = True
    assert isinstance(found := unanswered_ending(ended), Score)
    assert found.label == "failed"


def test_traces_are_given_to_scorers_of_traces_and_sessions_to_those_of_sessions() -> None:
    @scorer(name="of_trace", target="trace")
    def of_trace(trace: Trace) -> float:
        assert isinstance(trace, Trace)
        return 1.0

    runner = Runner([session_turns, of_trace, repeated_questions.configured(rate=0.5)], Telemetry())
    assert [one.scorer for one in runner.evaluate(Trace("t"), ALWAYS)] == ["of_trace"]
    decisions = runner.evaluate_session((session("Where is it?"), ALWAYS, ()))
    assert [(one.scorer, one.decision, one.reason, one.rule) for one in decisions] == [
        ("session_turns", "scored", "ok", "sample.rate"),
        ("repeated_questions", "filtered", "needs:several_turns", "scorers[2].rate"),
    ]
    runner.close()


def test_a_scorer_of_sessions_needs_what_sessions_have() -> None:
    with pytest.raises(ValueError, match="needs: 'contexts' is not one of answer, output, question, several_turns"):
        scorer(name="x", needs=("contexts",), target="session")
    with pytest.raises(ValueError, match="target: 'conversation' is not one of trace, "):
        scorer(name="x", target="conversation")(lambda trace: 1.0)  # type: ignore[arg-type]


def test_rows_with_turns_are_scored_offline() -> None:
    turns = [{"question": "Where is my parcel?"}, {"question": "Where is my parcel??", "answer": "There."}]
    good, bad, worse = score_rows(repeated_questions, [{"id": 7, "turns": turns}, {"turns": "x"}, []])
    assert (good["id"], good["score"], good["passed"]) == (7, 0.5, False)
    assert bad["error"] == "turns: a list of JSON objects"
    assert worse["error"] == "a row is a JSON object, not list"
