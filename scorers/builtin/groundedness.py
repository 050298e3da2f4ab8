"""Is the answer supported by the contexts? Lexical: what it says in words, numbers and names that they do not."""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from collector.core.model import Trace
from scorers.base import Evidence, Score, scorer
from scorers.builtin.support import Known, Support, read_contexts
from scorers.text import STOP_WORDS, Sentence, Text, clipped_note, read, stem

_MOST_ANSWER_SENTENCES = 200

# What counts how much against a sentence; one content word that no context has is 1. Set by hand, comparing variants on
# the labelled sets of docs/scorers.md.
_NEARLY = 0.2  # in place of 1, where a context has the word in another form: "motivated" for "motivation"
_NUMBER = 1.5  # on top of being a missing word: numbers are where answers are wrong and readers are hurt
_NAME = 1.0
_NEGATED = 1.0  # a sentence that denies what its best two context sentences say without a negation
_NEGATION_LOST = 0.5  # the best context sentence denies what the sentence says
_NO_LONGER = 1.25  # times as many words as the sentence: in a longer one another part may be what is denied
_NEGATION_WORD = 0.5  # "not", "never" and the like in contexts that have none
_FUNCTION_WORD = 0.2
_SPEAKER = 0.5  # "I", "my", "you", "yes": a remark from person to person, which no document supports
_QUESTION = 1.5  # a sentence that asks states nothing that could be supported

# A summary is to say the same in its own words. There these count less, and names, numbers and who does what to whom
# tell it from its source.
_OWN_WORDS = 0.25  # factor for words that no context has, and are no names or numbers
_RETOLD = 0.15  # share of a sentence's idf mass that its best two context sentences must hold, or it retells nothing
_PAIR = 0.2  # two words of the contexts as neighbours that they are nowhere in them
_SUMMARY_HALF = 0.55  # factor for what is half a value, by the same false positives

_HALF = 12.0
"""Weighed unsupported words, as the root of the sum of squares over sentences, at which the value is 0.5.
Set so that about one in fifteen human-approved answers falls below, on RAGTruth QA and WiCE."""

_HALF_SHORT = 1.5
_HALF_SHARE = 0.5
"""Short answers have fewer words to spare: there the value is 0.5 at one and a half and half of the content words."""

_FEW = 5.0
_ENOUGH = 1.02
"""In an answer of up to 7 content words (a half of 5), a number that no context has is enough for a value below 0.5."""

_SUPPORTED = 0.6
"""Share of a sentence's idf mass that its two best context sentences must hold; less makes it evidence."""

_DENIED = 0.4
"""The same share, from which on a negation that only the answer has counts."""

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
_ENUMERATOR_CHARACTERS = 5
_CITED = re.compile(
    r"[\[【][\d\s,;–-]{1,60}[\]】]|\b(?:passage|document|doc|source|context|reference|ref)s?[ #.:_-]{0,2}\d{1,3}(?!\d)"
    r"(?:(?:, ?| ?[–-] ?| and | & | to )\d{1,3}(?!\d))*",
    re.IGNORECASE,
)
_DIGITS = re.compile(r"\d+")
_SUMMARIES = (
    "summar",
    "tl;dr",
    "condense",
    "paraphras",
    "rephrase",
    "shorten",
    "main points",
    "key points",
    "takeaway",
)
_ASKED_CHARACTERS = 300
"""Of the beginning and of the end of a question, where it says what is to be done with the text between them."""
_COUNTED = STOP_WORDS | _SPEAKER_WORDS


@scorer(name="groundedness", needs=("answer", "contexts"), range=(0, 1), passing=">= 0.5", version="4")
def groundedness(trace: Trace, *, support: bool = False) -> Score | None:
    """How far the contexts support the answer: 1 everything in it is found there, near 0 hardly anything is.

    Each answer sentence is held against the two context sentences that cover it best (words weighed by inverse sentence
    frequency), with numbers, names and negation checked on their own. One sentence without support counts for more than
    as many such words spread over all. Where there is no question, or it asks for a summary, other words than the
    contexts' count little, and neighbours that are none in them count. Wrong on free paraphrase (supported, scored low)
    and on known words in a false relation (unsupported, scored high). Unsupported sentences are the evidence; with the
    option `support` every sentence is, with the place of the context sentence that covers it best.
    """
    answer = read(trace.answer or "")
    contexts = read_contexts(trace.contexts)
    known = Known(answer, contexts, _COUNTED)
    summary = _is_summary(trace.question or "")
    findings = [_examine(answer.text, sentence, known, summary) for sentence in _claims(answer)]
    if not findings or not known.says_anything:
        return None
    burden = math.hypot(*(finding.burden for finding in findings))
    half = min(_HALF, _HALF_SHORT + _HALF_SHARE * math.hypot(*(finding.terms for finding in findings)))
    short = half <= _FEW
    if summary:
        half *= _SUMMARY_HALF
    if short and any(finding.fault == "number" for finding in findings):
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


def _claims(answer: Text) -> list[Sentence]:
    """The sentences that may state something: with words, and no "2." before an entry of a list."""
    sentences = answer.sentences[:_MOST_ANSWER_SENTENCES]
    last = len(sentences) - 1
    return [one for at, one in enumerate(sentences) if one.words and (at == last or not _enumerates(one))]


def _enumerates(sentence: Sentence) -> bool:
    short = sentence.end - sentence.start <= _ENUMERATOR_CHARACTERS
    return short and len(sentence.words) == 1 and sentence.words[0].isdigit()


def _is_summary(question: str) -> bool:
    """Whether the answer is to say what its sources say in other words: nothing is asked, or a summary is."""
    if not question.strip():
        return True
    asked = f"{question[:_ASKED_CHARACTERS]}\n{question[-_ASKED_CHARACTERS:]}".lower()
    return any(word in asked for word in _SUMMARIES)


def _examine(answer: str, sentence: Sentence, known: Known, summary: bool) -> _Finding:
    found = known.support(sentence.terms)
    text = answer[sentence.start : sentence.end]
    if cited := _cited(text, found.missing):
        found = known.support(sentence.terms - cited)
    numbers, names = _numbers(sentence, found.missing), _missing_names(text, found.missing)
    denied, lost = _negation(sentence, found, known)
    strange = known.strange.intersection(sentence.words) if known.strange else known.strange
    words = max(0.0, len(found.missing) - numbers - names - (1 - _NEARLY) * known.forms(found.missing))
    words += _FUNCTION_WORD * len(strange & STOP_WORDS)
    if summary:
        words *= _OWN_WORDS if found.share > _RETOLD else 1.0
        words += _PAIR * known.strange_pairs(sentence)
    burden = (
        words
        + (1 + _NUMBER) * numbers
        + (1 + _NAME) * names
        + _NEGATED * denied
        + _NEGATION_LOST * lost
        + _NEGATION_WORD * len(strange & _NEGATIONS)
        + _SPEAKER * len(strange & _SPEAKER_WORDS)
        + _QUESTION * text.endswith(_ASKS)
    )
    fault = _fault(numbers, names, denied or lost, found.share)
    return _Finding(sentence.start, sentence.end, len(sentence.terms), burden, fault, found.best)


def _cited(text: str, missing: frozenset[str]) -> frozenset[str]:
    """Those of the missing numbers that only say which passage the sentence is from."""
    if not any(term[0].isdigit() for term in missing):
        return frozenset()
    return missing.intersection([number for part in _CITED.findall(text) for number in _DIGITS.findall(part)])


def _numbers(sentence: Sentence, missing: frozenset[str]) -> int:
    """How many of the missing words are numbers, in digits or not; "one" is mostly none."""
    found = {term for term in missing if term[0].isdigit()}
    return len(found) - ("1" in found and "1" not in sentence.numbers)


def _negation(sentence: Sentence, found: Support, known: Known) -> tuple[bool, bool]:
    """Whether the sentence denies what the contexts say, and whether it says what they deny."""
    if found.best is None or found.share <= _DENIED:
        return False, False
    nearest = known.sentences[found.best]
    best = _negated(nearest)
    if not _negated(sentence):
        alike = found.share > _SUPPORTED and len(nearest.terms) <= _NO_LONGER * len(sentence.terms)
        return False, best and alike
    return not best and not (found.second is not None and _negated(known.sentences[found.second])), False


def _evidence(findings: Sequence[_Finding], known: Known | None) -> tuple[Evidence, ...]:
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
