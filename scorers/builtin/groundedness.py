"""Is the answer supported by the contexts? Lexical: what it says in words, numbers and names that they do not."""

import math
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from collector.core.model import Trace
from scorers.base import Evidence, Score, scorer
from scorers.text import BEGINNING, STOP_WORDS, Sentence, Text, clipped_note, read, read_passage, stem

_MOST_ANSWER_SENTENCES = 200
_MOST_CONTEXT_SENTENCES = 2_000
_MOST_CONTEXT_CHARACTERS = 200_000

# What counts how much against a sentence; one content word that no context has is 1. Set by hand, comparing variants on
# the labelled sets of docs/scorers.md.
_NEARLY = 0.2  # in place of 1, where a context has the word in another form: "motivated" for "motivation"
_NUMBER = 1.0  # on top of being a missing word: numbers are where answers are wrong and readers are hurt
_NAME = 1.0
_NEGATION = 0.5
_FUNCTION_WORD = 0.2
_SPEAKER = 0.5  # "I", "my", "you", "yes": a remark from person to person, which no document supports
_QUESTION = 1.5  # a sentence that asks states nothing that could be supported

_HALF = 12.0
"""Weighed unsupported words, as the root of the sum of squares over sentences, at which the value is 0.5.
Set so that about one in twenty human-approved answers falls below, on RAGTruth QA and WiCE."""

_HALF_SHORT = 1.5
_HALF_SHARE = 0.5
"""Short answers have fewer words to spare: there the value is 0.5 at one and a half and half of the content words."""

_FEW = 5.0
_ENOUGH = 1.02
"""In an answer of up to 7 content words (a half of 5), a number that no context has is enough for a value below 0.5."""

_SUPPORTED = 0.6
"""Share of a sentence's idf mass that its two best context sentences must hold; less makes it evidence."""

_UNIT = 2**32

_ASKS = ("?", '?"', "?”", "？")

_NAME_PATTERN = re.compile(r"(?<=[\w,;:] )[A-Z][\w’'-]+")
_CONTRACTED = "are ca could dare did does do had has have is might must need ought sha should was were wo would ai"
_NEGATIONS = frozenset(
    {"not", "no", "never", "none", "nobody", "nothing", "neither", "nor", "cannot", "without"}
    | {f"{verb}n't" for verb in _CONTRACTED.split()}
    | {"kein", "keine", "nicht", "nie", "pas", "jamais", "aucun", "nunca", "ningún", "sin"}
)
_SPEAKER_WORDS = frozenset({"i", "i'm", "i've", "i'd", "i'll", "me", "my", "mine", "myself", "yes", "no"}) | frozenset(
    {"you", "you're", "you'd", "you'll", "your", "we", "we're", "our", "us", "let's"}
)
_FORM_SHARE = 0.7
"""Share of the longer of two words that both begin with, if they are forms of one."""
_COUNTED = STOP_WORDS | _SPEAKER_WORDS


@scorer(name="groundedness", needs=("answer", "contexts"), range=(0, 1), passing=">= 0.5", version="3")
def groundedness(trace: Trace, *, support: bool = False) -> Score | None:
    """How far the contexts support the answer: 1 everything in it is found there, near 0 hardly anything is.

    Each answer sentence is held against the two context sentences that cover it best (words weighed by inverse sentence
    frequency), with numbers, names and negation checked on their own. One sentence without support counts for more than
    as many such words spread over all. Wrong on free paraphrase (supported, scored low) and on known words in a false
    relation (unsupported, scored high). Unsupported sentences are the evidence; with the option `support` every
    sentence is, with the place of the context sentence that covers it best.
    """
    answer = read(trace.answer or "")
    contexts = _read_contexts(trace.contexts)
    known = _Known(answer, contexts)
    findings = [
        _examine(answer.text, sentence, known)
        for sentence in answer.sentences[:_MOST_ANSWER_SENTENCES]
        if sentence.words
    ]
    if not findings or not known.says_anything:
        return None
    burden = math.hypot(*(finding.burden for finding in findings))
    half = min(_HALF, _HALF_SHORT + _HALF_SHARE * math.hypot(*(finding.terms for finding in findings)))
    if half <= _FEW and any(finding.fault == "number" for finding in findings):
        burden = max(burden, _ENOUGH * half)
    return Score(
        round(1 / (1 + burden / half), 4),
        explanation=_explain(findings) + clipped_note(answer, *contexts),
        evidence=_evidence(findings, known if support else None),
    )


@dataclass(slots=True)
class _Finding:
    start: int
    end: int
    terms: int
    burden: float
    fault: str  # empty: supported
    best: int | None  # the number of the context sentence that covers it best


_Place: TypeAlias = tuple[int, Sequence[int]]
"""Of a term in a context: the number of the context's first sentence, and which of its sentences have the term."""


class _Known:
    """The sentences of all contexts, and where the words of an answer are in them.

    Each text brings its own index, made once however often the text is retrieved.
    """

    def __init__(self, answer: Text, contexts: Sequence[Text]) -> None:
        self.sentences: list[Sentence] = []
        self.contexts: list[tuple[int, Text]] = []  # with the number of its first sentence
        for text in contexts:
            if len(self.sentences) >= _MOST_CONTEXT_SENTENCES:
                break
            self.contexts.append((len(self.sentences), text))
            self.sentences += text.sentences
        self.says_anything = any(text.vocabulary for _, text in self.contexts)
        self.strange = _COUNTED & answer.vocabulary
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

    def support(self, terms: frozenset[str]) -> "_Support":
        """What the context sentences hold of an answer sentence's terms."""
        missing = terms - self._found
        held = terms & self._found
        covered, best = self._heaviest(held)
        if best is None:
            return _Support(0.0 if terms else 1.0, missing, None)
        if others := held - self.sentences[best].terms:
            covered += self._heaviest(others)[0]
        return _Support(covered / sum(map(self._weight.__getitem__, terms)), missing, best)

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
class _Support:
    share: float  # of the idf mass, that the best pair of sentences holds (greedily chosen)
    missing: frozenset[str]  # terms that are nowhere
    best: int | None  # the number of the sentence that holds most


def _read_contexts(contexts: Sequence[str]) -> list[Text]:
    read_so_far, texts = 0, []
    for context in contexts:
        if read_so_far >= _MOST_CONTEXT_CHARACTERS:
            break
        text = read_passage(context)
        read_so_far += len(text.text)
        texts.append(text)
    return texts


def _examine(answer: str, sentence: Sentence, known: _Known) -> _Finding:
    found = known.support(sentence.terms)
    numbers = len(sentence.numbers & found.missing)
    names = _missing_names(answer[sentence.start : sentence.end], found.missing)
    negated = (
        found.best is not None
        and found.share > _SUPPORTED
        and _negated(sentence) != _negated(known.sentences[found.best])
    )
    strange = known.strange.intersection(sentence.words) if known.strange else known.strange
    burden = (
        len(found.missing)
        - (1 - _NEARLY) * known.forms(found.missing)
        + _NUMBER * numbers
        + _NAME * names
        + _NEGATION * negated
        + _FUNCTION_WORD * len(strange & STOP_WORDS)
        + _SPEAKER * len(strange & _SPEAKER_WORDS)
        + _QUESTION * answer[sentence.start : sentence.end].endswith(_ASKS)
    )
    fault = _fault(numbers, names, negated, found.share)
    return _Finding(sentence.start, sentence.end, len(sentence.terms), burden, fault, found.best)


def _has_form(text: Text, word: str) -> bool:
    if word[:BEGINNING] not in text.beginnings:
        return False
    least = word[: max(BEGINNING, math.ceil(_FORM_SHARE * len(word)))]  # of the start that they share
    near = [other for other in text.terms if other.startswith(least)]
    return any(other.isalpha() and _one_word(word, other) for other in near)


def _one_word(word: str, other: str) -> bool:
    shared = math.ceil(_FORM_SHARE * max(len(word), len(other)))
    return word[:shared] == other[:shared]


def _evidence(findings: Sequence[_Finding], known: _Known | None) -> tuple[Evidence, ...]:
    """The sentences without support; with the contexts given, all of them, each with what comes nearest to it."""
    if known is None:
        return tuple(Evidence(f.start, f.end, f.fault) for f in findings if f.fault)
    return tuple(
        Evidence(f.start, f.end, f.fault or "supported", known.place(f.best) if f.best is not None else "")
        for f in findings
    )


def _fault(numbers: int, names: int, negated: bool, support: float) -> str:
    if numbers:
        return "number"
    if names:
        return "name"
    if negated:
        return "negation"
    return "unsupported" if support < _SUPPORTED else ""


def _missing_names(sentence: str, missing: frozenset[str]) -> int:
    if not missing or sentence[1:].islower():  # a name has a capital
        return 0
    return len({stem(name.lower()) for name in _NAME_PATTERN.findall(sentence)} & missing)


def _negated(sentence: Sentence) -> bool:
    return not _NEGATIONS.isdisjoint(sentence.words)


_FAULTS = {
    "number": "with a number",
    "name": "with a name",
    "negation": "negated differently",
    "unsupported": "with words",
}


def _explain(findings: Sequence[_Finding]) -> str:
    faulty = [finding.fault for finding in findings if finding.fault]
    if not faulty:
        return f"all {len(findings)} sentences are supported"
    faults = Counter(faulty)
    kinds = ", ".join(f"{count} {_FAULTS[fault]}" for fault, count in faults.most_common())
    return f"{len(faulty)} of {len(findings)} sentences are not in the contexts: {kinds}"
