# ruff: noqa: E501 - a pattern is read as one line
"""What goes wrong between the turns of a conversation: people who are not served, and answers that contradict."""

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from collector.core.model import Session
from collector.patterns import PatternSet
from scorers.base import Score, scorer
from scorers.text import Sentence, Text, read

_MOST_TURNS = 200
_MOST_SENTENCES = 400  # of all answers together
_LEAST_TERMS = 4
_STATED = ".!"  # ends a statement; what ends otherwise is a question, a heading or an item of a list
_ASSENT = re.compile(r"\W*(?:yes|yeah|yep|sure|ok|okay|please|alright|fine|i see|thank)", re.IGNORECASE)
_ALIKE = 0.8
_ASIDE = re.compile(r"^\W*no\s*[,.;:]|,\s*(?:and |but )?not\b[^,;]*")
"""What negates no statement: the "no" that answers a question, and what a thing is said not to be in passing."""
_NEGATIONS = frozenset(
    [
        "not",
        "no",
        "never",
        "none",
        "cannot",
        "can't",
        "won't",
        "isn't",
        "aren't",
        "wasn't",
        "weren't",
        "doesn't",
        "don't",
        "didn't",
        "hasn't",
        "haven't",
        "without",
        "neither",
        "nor",
        "unable",
        "nicht",
        "kein",
        "keine",
        "pas",
        "aucun",
    ]
)

_FRUSTRATED = PatternSet(
    {
        "not_what_i_asked": r"\b(?:that['’]?s|this is|it['’]?s) (?:still )?not (?:what|the (?:thing|one|answer|question)) (?:i|i['’]m|we)\b|\bnot what i (?:asked|meant|said|want(?:ed)?|need(?:ed)?)\b|\byou (?:did ?n['’]?t|did not|have ?n['’]?t|still (?:have ?n['’]?t|did ?n['’]?t)|are not|aren['’]?t) (?:answer|listen|understand|read|help|get|address)\w*",
        "said_already": r"\b(?:i|i['’]ve|we) (?:have )?(?:already|just) (?:told|said|gave|asked|explained|mentioned|sent|tried|provided)\b|\b(?:as|like) i (?:already )?said\b|\bfor the (?:second|third|fourth|\w+th) time\b|\bhow many times\b",
        "still_wrong": r"\b(?:still|again) (?:does ?n['’]?t|does not|is ?n['’]?t|not|won['’]?t|doesnt) (?:work\w*|right|correct|loading|helping|fixed)\b|\b(?:wrong|incorrect) again\b|\bthat (?:does ?n['’]?t|did ?n['’]?t|does not) (?:work|help|answer|make (?:any )?sense)\b",
        "useless": r"\b(?:you['’]?re|you are|this is|that['’]?s|it['’]?s|so|completely|totally) (?:\w+ )?(?:useless|ridiculous|a joke|no help|unhelpful|pointless|absurd|frustrating|a waste of (?:my )?time)\b|\b(?:waste|wasting) (?:of )?my time\b|\bi['’]?m (?:getting |so |very |really )?(?:frustrated|annoyed|fed up|losing (?:my )?patience)\b",
        "wants_a_person": r"\b(?:speak|talk|connect|transfer|put|get)(?: me)?(?: \w+){0,2} (?:to|with|through to) (?:a |an |the |your |some)?(?:real |actual |live |human )*(?:human|person|agent|representative|manager|supervisor|someone|somebody)\b|\b(?:real|actual|live) (?:human|person|agent)\b",
        "gives_up": r"\b(?:forget it|never ?mind,? (?:this|that|i['’]ll)|i give up|i['’]?ll (?:do it|figure it out|find it) myself|this is(?: not|n['’]t) (?:working|helping|going anywhere))\b",
    }
)  # fmt: skip


@scorer(name="frustration", needs=("question",), passing="== 0", better="lower", target="session", version="1")
def frustration(session: Session) -> Score | None:
    """Share of the turns in which the person says that they are not served: "that is not what I asked", "I already told
    you", "let me talk to a human".

    English phrases in what people write after the first answer. The label is the first sign. Wrong on anger without
    such words, on other languages, and on a person who asks for a colleague in a friendly way.
    """
    asked = [(at, turn.question) for at, turn in enumerate(session.turns[:_MOST_TURNS]) if turn.question]
    if not asked:
        return None
    signs = [(at, names[0]) for at, text in asked[1:] if (names := _signs(text))]
    if not signs:
        return Score(0.0, label="none")
    told = ", ".join(f"turn {at + 1}: {name}" for at, name in signs[:5])
    return Score(round(len(signs) / len(asked), 6), label=signs[0][1], explanation=told)


@scorer(
    name="contradiction",
    needs=("answer", "several_turns"),
    passing="== 0",
    better="lower",
    target="session",
    version="2",
)
def contradiction(session: Session) -> Score | None:
    """Share of the later answers of a session in which a sentence takes back what an earlier answer said.

    Two sentences of different turns that share nearly all content words, neither having one in place of another of
    the other's, and differ in a number, or in being negated. Wrong where the matter changed between the turns (a new
    price, another order of the same kind), and on contradictions in other words, which are not found.
    """
    answers = [(at, turn.answer) for at, turn in enumerate(session.turns[:_MOST_TURNS]) if turn.answer]
    if len(answers) < 2:
        return None
    said: list[_Said] = []
    against: list[tuple[int, _Said]] = []
    for at, answer in answers:
        sentences = list(_sentences(at, answer))[:_MOST_SENTENCES]
        alike = _by_telling_terms(said)
        found = next((other for one in sentences if (other := _first_against(one, alike))), None)
        if found is not None:
            against.append((at, found))
        said = (said + sentences)[-_MOST_SENTENCES:]
    told = ", ".join(f"turn {at + 1} against turn {other.turn + 1}" for at, other in against[:5])
    return Score(
        round(len(against) / (len(answers) - 1), 6),
        label="contradicts" if against else "consistent",
        explanation=told or None,
    )


def _signs(text: str) -> list[str]:
    """By name. To say yes to the offer of a colleague is none."""
    found = _FRUSTRATED.names(read(text).lower)
    return [name for name in found if name != "wants_a_person"] if _ASSENT.match(text) else found


@dataclass(frozen=True, slots=True)
class _Said:
    turn: int
    terms: frozenset[str]
    numbers: frozenset[str]
    negated: bool
    telling: Sequence[str]
    """So many of its terms, the longest first, that a sentence with none of them cannot share enough of all of them."""


def _sentences(turn: int, answer: str) -> Iterator[_Said]:
    text = read(answer)
    for sentence in text.sentences:
        words = sentence.terms - sentence.numbers
        if len(words) >= _LEAST_TERMS and text.text[sentence.end - 1] in _STATED:
            yield _Said(turn, words, sentence.numbers, _negated(text, sentence), _telling(words))


def _negated(text: Text, sentence: Sentence) -> bool:
    """Whether a sentence denies what it says; to deny twice ("cannot ... without") is to say it."""
    if _NEGATIONS.isdisjoint(sentence.words):
        return False
    said = read(_ASIDE.sub(" ", text.lower[sentence.start : sentence.end]))
    return sum(word in _NEGATIONS for word in said.words) % 2 == 1


def _telling(terms: frozenset[str]) -> list[str]:
    enough = math.ceil(_ALIKE * len(terms))
    return sorted(terms, key=lambda term: (-len(term), term))[: len(terms) - enough + 1]


def _by_telling_terms(said: Iterable[_Said]) -> Mapping[str, list[_Said]]:
    """Two sentences that are alike have a telling term in common: the others need not be compared."""
    found: defaultdict[str, list[_Said]] = defaultdict(list)
    for one in said:
        for term in one.telling:
            found[term].append(one)
    return found


def _first_against(one: _Said, said: Mapping[str, list[_Said]]) -> _Said | None:
    against = [other for term in one.telling for other in said.get(term, ()) if _contradicts(one, other)]
    return min(against, key=lambda other: other.turn, default=None)


def _contradicts(one: _Said, other: _Said) -> bool:
    shared = len(one.terms & other.terms)
    if shared < _ALIKE * max(len(one.terms), len(other.terms)):
        return False
    if shared < min(len(one.terms), len(other.terms)):
        return False  # each names what the other does not ("a silver member", "a gold member"): two matters
    if one.negated != other.negated:
        return one.numbers == other.numbers
    return bool(one.numbers) and len(one.numbers) == len(other.numbers) == len(one.numbers - other.numbers) == 1
