"""What a whole conversation shows and none of its turns does."""

from collections.abc import Iterator
from dataclasses import dataclass

from collector.core.model import Session
from scorers.base import Score, scorer
from scorers.text import read

_MOST_TURNS = 200
_REQUEST_CHARACTERS = 2_000


@scorer(
    name="repeated_questions",
    needs=("question", "several_turns"),
    range=(0, 1),
    passing="== 0",
    better="lower",
    target="session",
    version="1",
)
def repeated_questions(session: Session, *, similarity: float = 0.8) -> Score | None:
    """Share of the questions of a session that ask once more what was asked before: a sign of an unresolved turn.

    A question repeats an earlier one if the content words that both have are at least `similarity` of those that
    either has, stop words left out, words cut to their stems, and all numbers are the same. Asked again in other words
    it is not found. Wrong where asking again is the point: a quiz, a check of a status, a regenerated answer.
    Questions without a content word (`Why?`, `Go on.`) are left out.
    """
    asked = list(_questions(session))
    if len(asked) < 2:
        return None
    repeats: list[int] = []
    for at, one in enumerate(asked):
        if any(_alike(one, earlier, similarity) for earlier in asked[:at]):
            repeats.append(at)
    told = ", ".join(str(asked[at].turn + 1) for at in repeats[:5])
    explanation = f"{len(repeats)} of {len(asked)} questions were asked before" + (f": turn {told}" if told else "")
    return Score(
        round(len(repeats) / len(asked), 6), label="repeated" if repeats else "distinct", explanation=explanation
    )


@scorer(name="session_turns", range=(1, float("inf")), better="lower", unit="turns", target="session", version="1")
def session_turns(session: Session) -> float | None:
    """How many turns a session took.

    Long may mean lost, or engaged: watch it for change rather than for its level. A session that was cut
    (`assemble.session_max_turns`) counts the turns it had by then.
    """
    return float(len(session.turns)) if session.turns else None


@scorer(name="unanswered_ending", needs=("question",), range=(0, 1), passing="== 0", better="lower", target="session")
def unanswered_ending(session: Session) -> Score | None:
    """1 if the last turn of a session failed or has no answer, so that the user left with nothing, else 0.

    An answer that is no help is an answer to it. A turn whose answer is not traced (content capture is off) looks
    unanswered: a session without any answer is filtered unless its last turn failed.
    """
    last = session.turns[-1]
    if not last.error and not any(turn.answer for turn in session.turns):
        return None
    if last.error:
        return Score(1.0, label="failed", explanation=f"turn {len(session.turns)}, the last, failed")
    if last.question and not last.answer:
        return Score(1.0, label="no answer", explanation=f"turn {len(session.turns)}, the last, has no answer")
    return Score(0.0, label="answered")


@dataclass(frozen=True, slots=True)
class _Asked:
    turn: int
    words: frozenset[str]
    numbers: frozenset[str]


def _questions(session: Session) -> Iterator[_Asked]:
    """The turns that ask something, each with its content words."""
    for at, turn in enumerate(session.turns[:_MOST_TURNS]):
        question = read((turn.question or "")[:_REQUEST_CHARACTERS])
        if question.terms:
            yield _Asked(at, question.terms, question.numbers)


def _alike(one: _Asked, earlier: _Asked, similarity: float) -> bool:
    shared = len(one.words & earlier.words)
    enough = shared >= similarity * (len(one.words) + len(earlier.words) - shared)
    return enough and one.numbers == earlier.numbers
