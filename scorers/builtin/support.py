"""Where the words of an answer are in its contexts, and what each weighs."""

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, pairwise
from typing import TypeAlias

from scorers.text import BEGINNING, Sentence, Text, content, read_passage

_MOST_CONTEXT_SENTENCES = 2_000
_MOST_CONTEXT_CHARACTERS = 200_000
_UNIT = 2**32
_FORM_SHARE = 0.7
"""Share of the longer of two words that both begin with, if they are forms of one."""

_Place: TypeAlias = tuple[int, Sequence[int]]
"""Of a term in a context: the number of the context's first sentence, and which of its sentences have the term."""


class Known:
    """The sentences of all contexts, and where the words of an answer are in them.

    Each text brings its own index, made once however often the text is retrieved.

    Args:
        answer: whose words are looked for.
        contexts: where.
        counted: words without content that are `strange` if the answer has them and no context does.
    """

    def __init__(self, answer: Text, contexts: Sequence[Text], counted: frozenset[str]) -> None:
        self.sentences: list[Sentence] = []
        self.contexts: list[tuple[int, Text]] = []  # with the number of its first sentence
        for text in contexts:
            if len(self.sentences) >= _MOST_CONTEXT_SENTENCES:
                break
            self.contexts.append((len(self.sentences), text))
            self.sentences += text.sentences
        self.says_anything = any(text.vocabulary for _, text in self.contexts)
        self.strange = counted & answer.vocabulary
        for _, text in self.contexts:
            self.strange = self.strange - text.vocabulary  # not `-=`, which would walk through the vocabulary
        self._find(answer.terms)

    def place(self, number: int) -> str:
        """Where a sentence is, in words without content: the context counted from 0, and its characters."""
        context = bisect_right(self.contexts, number, key=lambda one: one[0]) - 1
        sentence = self.sentences[number]
        return f"contexts[{context}] {sentence.start}-{sentence.end}"

    def forms(self, words: Set[str]) -> int:
        """How many of the words some context has in another form."""
        return sum(
            [any(_has_form(text, word) for _, text in self.contexts) for word in words if len(word) >= BEGINNING]
        )

    def support(self, terms: frozenset[str]) -> "Support":
        """What the context sentences hold of an answer sentence's terms."""
        missing = terms - self._found
        held = terms & self._found
        covered, best = self._heaviest(held)
        if best is None:
            return Support(0.0 if terms else 1.0, missing, None, None)
        second = None
        if others := held - self.sentences[best].terms:
            more, second = self._heaviest(others)
            covered += more
        return Support(covered / sum(map(self._weight.__getitem__, terms)), missing, best, second)

    def strange_pairs(self, sentence: Sentence) -> int:
        """How many neighbours among the words that the contexts have are neighbours in none of them."""
        told = _neighbours([sentence])
        for _, text in self.contexts:
            told -= text.once(_pairs)
        return sum(one in self._found and other in self._found for one, other in told)

    def _find(self, terms: frozenset[str]) -> None:
        """Note where the terms are, and what each weighs."""
        self._places: dict[str, list[_Place]] = {}
        frequency = dict.fromkeys(terms, 0)
        for first, text in self.contexts:
            where = text.where
            for term in terms & text.terms:
                numbers = where[term]
                frequency[term] += len(numbers)
                if term in self._places:
                    self._places[term].append((first, numbers))
                else:
                    self._places[term] = [(first, numbers)]
        self._found = frozenset(self._places)
        by_frequency = _weights(len(self.sentences))
        self._weight = {term: by_frequency[count] for term, count in frequency.items()}

    def _heaviest(self, terms: Iterable[str]) -> tuple[int, int | None]:
        """The greatest mass of one sentence's terms, and the first sentence that has it."""
        masses = [0] * len(self.sentences)
        for term in terms:
            weight = self._weight[term]
            for first, numbers in self._places[term]:
                for number in numbers:
                    masses[first + number] += weight
        most = max(masses, default=0)
        return most, masses.index(most) if most else None


class _Weights(dict[int, int]):
    """Inverse sentence frequency: about 1 for a term that is nowhere, towards 0 for one that is everywhere.

    In whole parts of `_UNIT`, so that a sum does not depend on the order of its parts.
    """

    def __init__(self, sentences: int) -> None:
        super().__init__()
        self._sentences = sentences

    def __missing__(self, frequency: int) -> int:
        weight = math.log1p((self._sentences + 1) / (frequency + 1)) / math.log(self._sentences + 2)
        self[frequency] = found = round(weight * _UNIT)
        return found


_weights = lru_cache(maxsize=64)(_Weights)  # traces have few different numbers of context sentences


@dataclass(slots=True)
class Support:
    """How far the contexts support a sentence of the answer."""

    share: float  # of the idf mass, that the best pair of sentences holds (greedily chosen)
    missing: frozenset[str]  # terms that are nowhere
    best: int | None  # the number of the sentence that holds most
    second: int | None  # of the one that holds most of the rest


def read_contexts(contexts: Sequence[str]) -> list[Text]:
    """The contexts, as many as are held against an answer."""
    read_so_far, texts = 0, []
    for context in contexts:
        if read_so_far >= _MOST_CONTEXT_CHARACTERS:
            break
        text = read_passage(context)
        read_so_far += len(text.text)
        texts.append(text)
    return texts


def _pairs(text: str) -> frozenset[tuple[str, str]]:
    return _neighbours(read_passage(text).sentences)


def _neighbours(sentences: Iterable[Sentence]) -> frozenset[tuple[str, str]]:
    """Content words that follow each other in a sentence."""
    return frozenset(chain.from_iterable([pairwise(content(sentence.words)) for sentence in sentences]))


def _has_form(text: Text, word: str) -> bool:
    if word[:BEGINNING] not in text.beginnings:
        return False
    least = word[: max(BEGINNING, math.ceil(_FORM_SHARE * len(word)))]  # of the start that they share
    near = [other for other in text.terms if other.startswith(least)]
    return any(other.isalpha() and _one_word(word, other) for other in near)


def _one_word(word: str, other: str) -> bool:
    shared = math.ceil(_FORM_SHARE * max(len(word), len(other)))
    return word[:shared] == other[:shared]
