"""Scorers of whole sessions: what they find, what they leave, and that they stand what every scorer must."""

import random

import pytest

from collector.core.model import Session, Trace, Turn
from collector.core.telemetry import Telemetry
from collector.sample import Admission
from scorers.base import Score, scorer
from scorers.builtin import conversation
from scorers.builtin.conversation import contradiction, frustration
from scorers.builtin.sessions import repeated_questions, session_turns, unanswered_ending
from scorers.offline import score_rows
from scorers.runner import Runner
from scorers.testing import check_scorer

ALWAYS = Admission(0.0, 1.0, 1.0, "sample.rate")


def session(*questions: str | None, answer: str | None = "Yes.") -> Session:
    return Session("s", turns=[Turn(f"{at:032x}", at, at + 1, said, answer) for at, said in enumerate(questions)])


@pytest.mark.parametrize("one", [repeated_questions, session_turns, unanswered_ending, frustration, contradiction])
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


def test_a_salt_of_its_own_makes_an_independent_choice_of_sessions() -> None:
    runner = Runner([session_turns.configured(rate=0.5, salt="other")], Telemetry())
    some = [Session(f"s{number}", turns=[Turn("a" * 32)]) for number in range(200)]
    scored = [runner.evaluate_session((one, ALWAYS, ()))[0].decision == "scored" for one in some]
    assert 60 < sum(scored) < 140
    assert scored == [runner.evaluate_session((one, ALWAYS, ()))[0].decision == "scored" for one in some]


def test_rows_with_turns_are_scored_offline() -> None:
    turns = [{"question": "Where is my parcel?"}, {"question": "Where is my parcel??", "answer": "There."}]
    good, bad, worse = score_rows(repeated_questions, [{"id": 7, "turns": turns}, {"turns": "x"}, []])
    assert (good["id"], good["score"], good["passed"]) == (7, 0.5, False)
    assert bad["error"] == "turns: a list of JSON objects"
    assert worse["error"] == "a row is a JSON object, not list"


def talk(*turns: tuple[str, str]) -> Session:
    return Session("s", turns=[Turn(f"{at:032x}", at, at + 1, *turn) for at, turn in enumerate(turns)])


@pytest.mark.parametrize(
    ("said", "sign"),
    [
        ("That's not what I asked.", "not_what_i_asked"),
        ("You didn't answer my question", "not_what_i_asked"),
        ("I already told you my order number!", "said_already"),
        ("It still doesn't work", "still_wrong"),
        ("This is completely useless", "useless"),
        ("I want to talk to a human agent", "wants_a_person"),
        ("Forget it, I'll do it myself", "gives_up"),
    ],
)
def test_a_person_who_is_not_served_is_heard(said: str, sign: str) -> None:
    found = frustration(talk(("Where is my order?", "Which?"), (said, "Sorry.")))
    assert isinstance(found, Score)
    assert (found.value, found.label, found.explanation) == (0.5, sign, f"turn 2: {sign}")


@pytest.mark.parametrize(
    "said",
    ["Yes, please transfer me to a human agent.", "Thanks, that works!", "Not today.", "Can you tell me again?", ""],
)
def test_a_person_who_is_served_is_not(said: str) -> None:
    found = frustration(talk(("Where is my order?", "Shall I connect you?"), (said, "Sure.")))
    assert isinstance(found, Score)
    assert found.value == 0


def test_anger_before_the_first_answer_is_no_sign_of_it() -> None:
    found = frustration(talk(("Your shop is completely useless", "Sorry."), ("Thanks", "Bye")))
    assert isinstance(found, Score)
    assert found.value == 0


@pytest.mark.parametrize(
    ("earlier", "later", "against"),
    [
        ("Your premium ticket costs 20 euros per month.", "Your premium ticket costs 30 euros per month.", 1.0),
        ("Premium tickets can be refunded within a month.", "Premium tickets cannot be refunded within a month.", 1.0),
        ("Your premium ticket costs 20 euros per month.", "Your premium ticket costs 20 euros per month!", 0.0),
        ("The red ticket costs 20 euros.", "The blue annual parking permit costs 30 euros.", 0.0),
        ("Premium ticket prices: 20 euros per month:", "Premium ticket prices: 30 euros per month:", 0.0),
        ("Order 17 and order 18 were shipped to Bonn.", "Order 19 and order 20 were shipped to Bonn.", 0.0),
        ("Silver members have 2 free bags per flight.", "Gold members have 3 free bags per flight.", 0.0),
        ("To refund premium tickets I need the code.", "I cannot refund premium tickets without the code.", 0.0),
        ("The cost is due to the better class.", "The cost is due to the better class, not a fee.", 0.0),
        ("Premium tickets can be refunded within a month.", "No, premium tickets can be refunded within a month.", 0.0),
        ("Premium tickets can be refunded, not changed.", "Premium tickets cannot be refunded, not changed.", 1.0),
    ],
)
def test_an_answer_that_takes_back_another_is_found(earlier: str, later: str, against: float) -> None:
    found = contradiction(talk(("What is it?", earlier), ("Really?", later)))
    assert isinstance(found, Score)
    assert found.value == against
    assert (found.explanation == "turn 2 against turn 1") == (against > 0)


def test_what_one_answer_says_twice_is_no_contradiction_between_turns() -> None:
    both = "Premium tickets can be refunded within a month. Premium tickets cannot be refunded within a month."
    found = contradiction(talk(("Can I?", both), ("Thanks", "You are welcome.")))
    assert isinstance(found, Score)
    assert found.value == 0


def statements(rng: random.Random, words: list[str], count: int) -> str:
    def statement() -> str:
        told = " ".join(rng.sample(words, rng.randint(4, 7)))
        return f"The {told} {rng.choice(('can', 'cannot'))} be {rng.randint(1, 3)}."

    return " ".join(statement() for _ in range(count))


def test_of_long_answers_few_sentences_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = 0

    def never(one: object, other: object) -> bool:
        nonlocal compared
        compared += 1
        return False

    monkeypatch.setattr(conversation, "_contradicts", never)
    rng = random.Random(1)
    words = [f"w{first}{second}{third}" for first in "bcdfgh" for second in "aeiou" for third in "klmnp"]
    turns, count = 6, 100
    contradiction(talk(*[("Go on", statements(rng, words, count)) for _ in range(turns)]))
    pairs = sum(count * min(400, at * count) for at in range(turns))
    assert 0 < compared < pairs / 10


def test_a_contradiction_is_found_wherever_comparing_all_sentences_finds_one() -> None:
    rng = random.Random(2)
    words = ["premium", "ticket", "refund", "month", "order", "silver", "member", "flight"]
    found = 0
    for _ in range(300):
        earlier, later = statements(rng, words, 3), statements(rng, words, 3)
        before, after = (list(conversation._sentences(at, text)) for at, text in enumerate((earlier, later)))
        expected = any(conversation._contradicts(one, other) for one in after for other in before)
        score = contradiction(talk(("What is it?", earlier), ("Really?", later)))
        assert isinstance(score, Score)
        assert score.value == expected
        found += expected
    assert 30 < found < 270
