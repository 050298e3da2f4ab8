"""How much of a question's content a text takes up: words weigh by length, numbers more, forms of a word in part."""

from collections.abc import Mapping, Sequence
from functools import lru_cache

from scorers.text import BEGINNING, Text, read, read_passage

_NUMBER = 1.5  # a number or year of the question is seldom there by chance
_LETTERS = 7.0  # long words are rarer: a stand-in for how rare a word is, which needs no table of a language
_SHORTEST_WEIGHT, _GREATEST_WEIGHT = 0.3, 1.3
_SENTENCE = 0.3  # of a context's relevance: what a single sentence holds of the question
_ROUNDING = 1e-6  # more than the order of adding up some thousand weights can make

_MOST_CONTEXTS = 200


def relevances(question: Text, contexts: Sequence[str]) -> list[float]:
    """Of each context (the first 200), how much of the question it takes up, 0 to 1."""
    return [_relevance(question, read_passage(context)) for context in contexts[:_MOST_CONTEXTS]]


@lru_cache(maxsize=512)  # of a trace, and of those evaluated with it: several scorers ask
def _relevance(question: Text, context: Text) -> float:
    weights = weights_of(question)
    total = sum(weights.values())
    best = _best_sentence(weights, question.terms & context.terms, context)
    return round(((1 - _SENTENCE) * held_weight(weights, context) + _SENTENCE * best) / total, 4) if total else 0.0


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


def weights_of(question: Text) -> dict[str, float]:
    """What each of its terms weighs."""
    return question.once(_weigh)


def _weigh(text: str) -> dict[str, float]:
    return {term: _weight(term) for term in sorted(read(text).terms)}


def _weight(term: str) -> float:
    return _NUMBER if term[0].isdigit() else min(_GREATEST_WEIGHT, _SHORTEST_WEIGHT + len(term) / _LETTERS)


def held_weight(weights: Mapping[str, float], text: Text) -> float:
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
