"""Is the answer supported by the contexts? Lexical: what it says in words, numbers and names that they do not."""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from collector.core.model import Trace
from scorers.base import Evidence, Score, scorer
from scorers.text import STOP_WORDS, Sentence, Text, clipped_note, read, stem

_MOST_ANSWER_SENTENCES = 200
_MOST_CONTEXT_SENTENCES = 2_000
_MOST_CONTEXT_CHARACTERS = 200_000

# What counts how much against a sentence; one content word that no context has is 1. Set by hand, comparing variants on
# the labelled sets of docs/scorers.md.
_NUMBER = 1.0  # on top of being a missing word: numbers are where answers are wrong and readers are hurt
_NAME = 0.5
_NEGATION = 0.5
_FUNCTION_WORD = 0.2
_SPEAKER = 0.5  # "I", "my", "yes": a remark of the speaker, which no document supports

_HALF = 10.0
"""Weighed unsupported words per square root of sentences at which the value is 0.5.
Set so that about one in twenty human-approved answers falls below, on RAGTruth QA and WiCE."""

_HALF_SHORT = 2.0
_HALF_SHARE = 0.5
"""Short answers have fewer words to spare: there the value is 0.5 at two words and half of the content words."""

_SUPPORTED = 0.6
"""Share of a sentence's idf mass that its two best context sentences must hold; less makes it evidence."""

_NAME_PATTERN = re.compile(r"(?<=[\w,;:] )[A-Z][\w’'-]+")
_NEGATIONS = frozenset(
    {"not", "no", "never", "none", "nobody", "nothing", "neither", "nor", "cannot", "without"}
    | {"kein", "keine", "nicht", "nie", "pas", "jamais", "aucun", "nunca", "ningún", "sin"}
)
_SPEAKER_WORDS = frozenset({"i", "i'm", "i've", "i'd", "i'll", "me", "my", "mine", "myself", "yes", "no"})


@scorer(name="groundedness", needs=("answer", "contexts"), range=(0, 1), passing=">= 0.5", version="1")
def groundedness(trace: Trace) -> Score | None:
    """How far the contexts support the answer: 1 everything in it is found there, near 0 hardly anything is.

    Each answer sentence is held against the two context sentences that cover it best (words weighed by inverse sentence
    frequency), with numbers, names and negation checked on their own. Wrong on free paraphrase (supported, scored
    low) and on known words in a false relation (unsupported, scored high). Unsupported sentences are the evidence.
    """
    answer = read(trace.answer or "")
    contexts = _read_contexts(trace.contexts)
    known = _Known(contexts)
    findings = [
        _examine(answer.text, sentence, known)
        for sentence in answer.sentences[:_MOST_ANSWER_SENTENCES]
        if sentence.words
    ]
    if not findings or not known.says_anything:
        return None
    scale = math.sqrt(len(findings))
    burden = sum(finding.burden for finding in findings) / scale
    half = min(_HALF, _HALF_SHORT + _HALF_SHARE * sum(finding.terms for finding in findings) / scale)
    return Score(
        round(1 / (1 + burden / half), 4),
        explanation=_explain(findings) + clipped_note(answer, *contexts),
        evidence=tuple(Evidence(f.start, f.end, f.fault) for f in findings if f.fault),
    )


@dataclass(frozen=True, slots=True)
class _Finding:
    start: int
    end: int
    terms: int
    burden: float
    fault: str  # empty: supported


class _Known:
    """The sentences of all contexts. Each text brings its own index, made once however often the text is retrieved."""

    def __init__(self, contexts: Sequence[Text]) -> None:
        self.sentences: list[Sentence] = []
        self._texts: list[tuple[int, Text]] = []  # with the number of its first sentence
        for text in contexts:
            if len(self.sentences) >= _MOST_CONTEXT_SENTENCES:
                break
            self._texts.append((len(self.sentences), text))
            self.sentences += text.sentences
        self.says_anything = any(text.vocabulary for _, text in self._texts)
        self._places: dict[str, list[int]] = {}
        self.missing_weight = self._weight(0)

    def where(self, term: str) -> list[int]:
        """The sentences that hold a term, by number."""
        places = self._places.get(term)
        if places is None:
            places = [first + at for first, text in self._texts for at in text.where.get(term, ())]
            self._places[term] = places
        return places

    def has_word(self, word: str) -> bool:
        return any(word in text.vocabulary for _, text in self._texts)

    def _weight(self, frequency: int) -> float:
        return math.log1p((len(self.sentences) + 1) / (frequency + 1)) / math.log(len(self.sentences) + 2)

    def weights(self, terms: Iterable[str]) -> dict[str, float]:
        """Inverse sentence frequency: about 1 for a term that is nowhere, towards 0 for one that is everywhere."""
        return {
            term: self._weight(len(places)) if (places := self.where(term)) else self.missing_weight for term in terms
        }

    def best_two(self, weights: dict[str, float]) -> tuple[float, int | None]:
        """The mass that the best pair of sentences covers (greedily chosen), and the best sentence."""
        first, best = self._best(weights, weights)
        if best is None:
            return 0.0, None
        rest = [term for term in weights if term not in self.sentences[best].terms]
        second, _ = self._best(weights, rest)
        return first + second, best

    def _best(self, weights: dict[str, float], terms: Iterable[str]) -> tuple[float, int | None]:
        mass: dict[int, float] = defaultdict(float)
        for term in terms:
            weight = weights[term]
            for at in self.where(term):
                mass[at] += weight
        if not mass:
            return 0.0, None
        best = max(mass, key=mass.__getitem__)
        return mass[best], best


def _read_contexts(contexts: Sequence[str]) -> list[Text]:
    read_so_far, texts = 0, []
    for context in contexts:
        if read_so_far >= _MOST_CONTEXT_CHARACTERS:
            break
        text = read(context)
        read_so_far += len(text.text)
        texts.append(text)
    return texts


def _examine(answer: str, sentence: Sentence, known: _Known) -> _Finding:
    weights = known.weights(sentence.terms)
    total = sum(weights.values())
    covered, best = known.best_two(weights)
    missing = [term for term in sentence.terms if not known.where(term)]
    numbers = sum(not known.where(number) for number in sentence.numbers)
    names = _missing_names(answer[sentence.start : sentence.end], set(missing))
    support = covered / total if total else 1.0
    negated = best is not None and support > _SUPPORTED and _negated(sentence) != _negated(known.sentences[best])
    strange = {word for word in sentence.words if not known.has_word(word)}
    burden = (
        len(missing)
        + _NUMBER * numbers
        + _NAME * names
        + _NEGATION * negated
        + _FUNCTION_WORD * sum(word in STOP_WORDS for word in strange)
        + _SPEAKER * sum(word in _SPEAKER_WORDS for word in strange)
    )
    return _Finding(sentence.start, sentence.end, len(sentence.terms), burden, _fault(numbers, names, negated, support))


def _fault(numbers: int, names: int, negated: bool, support: float) -> str:
    if numbers:
        return "number"
    if names:
        return "name"
    if negated:
        return "negation"
    return "unsupported" if support < _SUPPORTED else ""


def _missing_names(sentence: str, missing: set[str]) -> int:
    if not missing:
        return 0
    return len({stem(name.lower()) for name in _NAME_PATTERN.findall(sentence)} & missing)


def _negated(sentence: Sentence) -> bool:
    return any(word in _NEGATIONS or word.endswith("n't") for word in sentence.words)


_FAULTS = {
    "number": "with a number",
    "name": "with a name",
    "negation": "negated differently",
    "unsupported": "with words",
}


def _explain(findings: Sequence[_Finding]) -> str:
    faults = Counter(finding.fault for finding in findings if finding.fault)
    if not faults:
        return f"all {len(findings)} sentences are supported"
    kinds = ", ".join(f"{count} {_FAULTS[fault]}" for fault, count in faults.most_common())
    return f"{faults.total()} of {len(findings)} sentences are not in the contexts: {kinds}"
