"""Do contexts and answer speak of what was asked? Lexical: the share of the question's content that they take up."""

import re

from collector.core.model import Trace
from scorers.base import Score, scorer
from scorers.builtin.overlap import held_weight, relevances, weights_of
from scorers.text import Text, clipped_note, read

_OPENING = 0.3  # of an answer's relevance: whether its first sentence is about the question
_ENOUGH = 5.0  # weight of the question that an answer may be expected to repeat, however long the question is
_FRAGMENT_WORDS = 8
_FRAGMENT = 0.5  # "Paris." repeats nothing of its question and may answer it: nothing tells

RELEVANT = 0.1
"""From here on a context counts as relevant. 5% of the documents that people judged relevant to a query of the
Cranfield collection fall below, and none of the best contexts of RAGTruth's questions."""

_ASKS_NUMBER = re.compile(r"(?:^|\W)(?:when|how (?:many|much|old|long|far|tall|high)|(?:what|which) (?:year|date))\b")
_NUMBER_TERM = re.compile(r"\d")


@scorer(name="context_relevance", needs=("question", "contexts"), passing=f">= {RELEVANT}", version="1")
def context_relevance(trace: Trace) -> Score | None:
    """How much of the question the best context takes up: 1 all of its content words, 0 none.

    Words weigh by length, numbers more; forms of a word that share their start count in part. Wrong on synonyms (a
    relevant context in other words scores low) and on contexts that repeat the question's words without an answer.
    """
    question = read(trace.question or "")
    if not question.terms:
        return None
    found = relevances(question, trace.contexts)
    best = max(range(len(found)), key=found.__getitem__)
    relevant = sum(value >= RELEVANT for value in found)
    told = f"context {best + 1} of {len(found)} fits best; {relevant} are relevant"
    return Score(found[best], explanation=told + clipped_note(question))


@scorer(name="answer_relevance", needs=("question", "answer"), passing=">= 0.25", version="1")
def answer_relevance(trace: Trace) -> Score | None:
    """How far the answer takes up what was asked: 1 wholly, near 0 it speaks of something else.

    Content words of the question that the answer repeats, and whether its first sentence is about them. An answer of a
    few words gets 0.5 unless the question asks for a number or a time and it holds none. Wrong on answers that say in
    other words what was asked (scored low) and on evasive answers that repeat the question (scored high).
    """
    question, answer = read(trace.question or ""), read(trace.answer or "")
    if not question.terms or not answer.words:
        return None
    weights = weights_of(question)
    total = sum(weights.values())
    expected = min(total, max(_ENOUGH, 0.6 * total))
    taken_up = min(1.0, held_weight(weights, answer) / expected)
    opening = answer.sentences[0].terms
    about = min(1.0, 2 * len(opening & question.terms) / len(opening)) if opening else 0.0
    value = (1 - _OPENING) * taken_up + _OPENING * about
    note = f"the answer takes up {taken_up:.0%} of what may be expected of the question's content"
    if value < _FRAGMENT and len(answer.words) <= _FRAGMENT_WORDS and not _lacks_number(question, answer):
        value, note = _FRAGMENT, "too short to tell"
    return Score(round(value, 4), explanation=note + clipped_note(question, answer))


def _lacks_number(question: Text, answer: Text) -> bool:
    """Whether a short answer to "when" or "how many" has no number in it."""
    short = len(answer.words) <= _FRAGMENT_WORDS
    return short and bool(_ASKS_NUMBER.search(question.lower)) and not any(_NUMBER_TERM.search(t) for t in answer.terms)
