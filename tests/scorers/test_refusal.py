import pytest

from collector.core.model import LLMCall, Trace
from scorers.base import Score
from scorers.builtin.refusal import refusal

JUDGED = refusal.passing


def judge(answer: str | None, field: str | None = None) -> Score:
    found = refusal(Trace("t", answer=answer, llm_calls=[LLMCall(None, refusal=field)]))
    assert isinstance(found, Score)
    return found


@pytest.mark.parametrize(
    "answer",
    [
        "I'm sorry, but I can't assist with that.",
        "I cannot provide instructions for that.",
        "Sorry, I’m not able to help with this request.",
        "As an AI language model, I do not condone or promote violence in any form.",
        "I must respectfully decline.",
        "Unfortunately, we are unable to share account details.",
        "Es tut mir leid, aber dabei kann ich nicht helfen.",
        "Je suis désolé, je ne peux pas répondre à cette question.",
        "Lo siento, no puedo ayudar con eso.",
    ],
)
def test_a_refusal_is_seen(answer: str) -> None:
    assert judge(answer).label == "refused"


@pytest.mark.parametrize(
    "answer",
    [
        "Paris is the capital of France.",
        "No, the shop is closed on Sundays.",
        "I'm sorry to hear about your dog. A vet can tell you more.",
        "You cannot return opened software, but you can exchange it.",
        "The function returns None because it can not find the key.",
        "To kill a Python process, use os.kill with its id.",
        "It is important to note that prices may change.",
        "",
        "\ud800",
    ],
)
def test_an_answer_is_no_refusal(answer: str) -> None:
    score = judge(answer)
    assert (score.label, score.value is not None and score.value < 0.6) == ("answered", True)


def test_the_refusal_field_decides() -> None:
    assert judge(None, field="I can't.").value == 1.0
    assert judge("Sure! Here it is.", field="policy").value == 1.0


def test_only_the_opening_counts() -> None:
    assert judge("Here is the report. " * 30 + "I'm sorry, but I can't assist with that.").value == 0.0


def test_the_evidence_is_the_phrase() -> None:
    (first, *_) = judge("Well, I cannot help you.").evidence
    assert (first.type, first.start) == ("i_cannot_help", 6)


def test_known_to_be_wrong_a_quoted_refusal_counts() -> None:
    assert judge('The bot said: "I cannot help you with that."').label == "refused"


def test_known_to_be_wrong_a_change_of_subject_does_not() -> None:
    assert judge("Let's talk about something nicer. How about gardening?").label == "answered"
