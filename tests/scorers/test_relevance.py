import pytest

from collector.core.model import Trace
from scorers.base import Score
from scorers.builtin.overlap import relevances
from scorers.builtin.relevance import answer_relevance, context_relevance
from scorers.text import read

QUESTION = "When was the Hoover Dam on the Colorado River completed?"
FITTING = "The Hoover Dam on the Colorado River was completed in 1936."
OTHER = "Leonard Nimoy, who played Mr. Spock in Star Trek, directed a comedy about three men and a baby."


def answered(answer: str, question: str = QUESTION) -> Score:
    found = answer_relevance(Trace("t", question=question, answer=answer))
    assert isinstance(found, Score)
    return found


def passes(score: Score) -> bool | None:
    assert answer_relevance.passing is not None
    return answer_relevance.passing.judge(score.value, None)


def test_an_answer_about_the_question_passes_and_one_about_something_else_does_not() -> None:
    assert answered(FITTING).value == 1.0
    assert passes(answered(OTHER)) is False


def test_a_short_answer_is_not_blamed_for_repeating_nothing() -> None:
    assert answered("In 1936.").value == 0.5
    assert answered("Paris", "What is the capital of France?").value == 0.5


@pytest.mark.parametrize(
    "question", ["When did it open?", "how many rooms are there", "What year was the treaty signed?"]
)
def test_a_short_answer_without_a_number_does_not_pass_where_one_was_asked_for(question: str) -> None:
    assert passes(answered("Blue whales", question)) is False
    assert passes(answered("1936", question)) is True
    assert passes(answered("seven", question)) is True


def test_a_long_question_need_not_be_repeated_whole() -> None:
    story = " ".join(f"I once visited place{at} and wondered about thing{at}." for at in range(12))
    assert passes(answered(f"{FITTING} place1 thing1 place2 thing2 place3 thing3 visited", f"{QUESTION} {story}"))


def test_an_evasive_answer_that_repeats_the_question_is_known_to_pass() -> None:
    assert passes(answered("The Hoover Dam on the Colorado River is a dam that was completed by builders.")) is True


def test_the_context_that_fits_best_decides_and_is_named() -> None:
    found = context_relevance(Trace("t", question=QUESTION, contexts=[OTHER, FITTING, OTHER]))
    assert isinstance(found, Score)
    assert found.value == 1.0
    assert found.explanation == "context 2 of 3 fits best; 1 are relevant"


def test_contexts_about_something_else_do_not_pass() -> None:
    found = context_relevance(Trace("t", question=QUESTION, contexts=[OTHER, OTHER]))
    assert isinstance(found, Score)
    assert found.value == 0.0


def test_another_form_of_a_word_counts_in_part() -> None:
    exact, form, none = relevances(read("visualisation"), ["visualisation", "to visualise", "vistas"])
    assert exact == 1.0
    assert exact > form > none == 0.0


def test_a_question_without_content_is_not_judged() -> None:
    assert context_relevance(Trace("t", question="What is it?", contexts=[FITTING])) is None
    assert answer_relevance(Trace("t", question="?", answer=FITTING)) is None
    assert answer_relevance(Trace("t", question=QUESTION, answer="?!")) is None


def test_explanations_hold_no_words_of_the_texts() -> None:
    for score in (answered(FITTING), context_relevance(Trace("t", question=QUESTION, contexts=[FITTING]))):
        assert isinstance(score, Score)
        assert score.explanation is not None
        assert "Hoover" not in score.explanation
