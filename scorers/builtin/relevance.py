"""Do contexts and answer speak of what was asked? Lexical: the share of the question's content that they take up."""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

from collector.core.model import Trace
from scorers.base import Score, scorer
from scorers.text import BEGINNING, Text, clipped_note, read, read_passage

_NUMBER = 1.5  # a number or year of the question is seldom there by chance
_LETTERS = 7.0  # long words are rarer: a stand-in for how rare a word is, which needs no table of a language
_SHORTEST_WEIGHT, _GREATEST_WEIGHT = 0.3, 1.3
_SENTENCE = 0.3  # of a context's relevance: what a single sentence holds of the question
_OPENING = 0.3  # of an answer's relevance: whether its first sentence is about the question
_ROUNDING = 1e-6  # more than the order of adding up some thousand weights can make
_ENOUGH = 5.0  # weight of the question that an answer may be expected to repeat, however long the question is
_FRAGMENT_WORDS = 8
_FRAGMENT = 0.5  # "Paris." repeats nothing of its question and may answer it: nothing tells

_MOST_CONTEXTS = 200
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
    weights = _weights(question)
    total = sum(weights.values())
    expected = min(total, max(_ENOUGH, 0.6 * total))
    taken_up = min(1.0, _held(weights, answer) / expected)
    opening = answer.sentences[0].terms
    about = min(1.0, 2 * len(opening & question.terms) / len(opening)) if opening else 0.0
    value = (1 - _OPENING) * taken_up + _OPENING * about
    note = f"the answer takes up {taken_up:.0%} of what may be expected of the question's content"
    if value < _FRAGMENT and len(answer.words) <= _FRAGMENT_WORDS and not _lacks_number(question, answer):
        value, note = _FRAGMENT, "too short to tell"
    return Score(round(value, 4), explanation=note + clipped_note(question, answer))


def relevances(question: Text, contexts: Sequence[str]) -> list[float]:
    """Of each context (the first 200), how much of the question it takes up, 0 to 1."""
    return [_relevance(question, read_passage(context)) for context in contexts[:_MOST_CONTEXTS]]


@lru_cache(maxsize=512)  # of a trace, and of those evaluated with it: several scorers ask
def _relevance(question: Text, context: Text) -> float:
    weights = _weights(question)
    total = sum(weights.values())
    best = _best_sentence(weights, question.terms & context.terms, context)
    return round(((1 - _SENTENCE) * _held(weights, context) + _SENTENCE * best) / total, 4) if total else 0.0


def _best_sentence(weights: Mapping[str, float], asked: frozenset[str], context: Text) -> float:
    """The greatest weight of what one sentence has of the terms."""
    if not asked:
        return 0.0
    sentences, where = context.sentences, context.where
    rough = [0.0] * len(sentences)
    for term in asked:
        weight = weights[term]
        for at in where[term]:
            rough[at] += weight
    near = max(rough) - _ROUNDING
    # A sum of floats depends on its order, so those that may be the greatest are added up in the order of their terms.
    shared = [asked & sentence.terms for sentence, about in zip(sentences, rough, strict=True) if about >= near]
    return max([sum(map(weights.__getitem__, sorted(terms))) for terms in shared])


def _weights(question: Text) -> dict[str, float]:
    return question.once(_weigh)


def _weigh(text: str) -> dict[str, float]:
    return {term: _weight(term) for term in sorted(read(text).terms)}


def _weight(term: str) -> float:
    return _NUMBER if term[0].isdigit() else min(_GREATEST_WEIGHT, _SHORTEST_WEIGHT + len(term) / _LETTERS)


def _held(weights: Mapping[str, float], text: Text) -> float:
    """The weight of the terms that `text` has, in part for those that it has in another form."""
    terms, beginnings = text.terms, text.beginnings
    held = 0.0
    absent: dict[str, list[str]] = {}  # by their first letters
    for term, weight in weights.items():
        if term in terms:
            held += weight
        elif (beginning := term[:BEGINNING]) in beginnings and len(term) > BEGINNING and not term[0].isdigit():
            absent.setdefault(beginning, []).append(term)
    if not absent:
        return held
    likest: dict[str, float] = {}
    for other in terms:
        for term in absent.get(other[:BEGINNING], ()):
            likest[term] = max(likest.get(term, 0.0), shared_start(term, other) / max(len(term), len(other)))
    return held + sum([weight * likest[term] for term, weight in weights.items() if term in likest])


@lru_cache(maxsize=16_384)
def shared_start(one: str, other: str) -> int:
    """How many letters two words share at their start.

    >>> shared_start("spanish", "spain")
    3
    """
    for at, (left, right) in enumerate(zip(one, other, strict=False)):
        if left != right:
            return at
    return min(len(one), len(other))


def _lacks_number(question: Text, answer: Text) -> bool:
    """Whether a short answer to "when" or "how many" has no number in it."""
    short = len(answer.words) <= _FRAGMENT_WORDS
    return short and bool(_ASKS_NUMBER.search(question.lower)) and not any(_NUMBER_TERM.search(t) for t in answer.terms)
