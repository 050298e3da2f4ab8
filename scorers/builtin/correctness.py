"""Does the answer say what the reference says? Lexical, with spelling variants, numbers and order."""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import islice

from collector.core.model import Trace
from scorers.base import Score, scorer
from scorers.builtin.overlap import shared_start
from scorers.text import LIMIT_CHARACTERS, STOP_WORDS, clipped_note, read, stem

_MOST_ALTERNATIVES = 100
_MOST_REFERENCE_WORDS = 200
_MOST_SPELLINGS = 100  # words of the references that are looked for in other spellings

_MOST_NAMES = 20  # of two words, among the references
_MOST_CANDIDATES = 500  # words of the answer, with the same first letter, that one is held against

_PART = 0.9  # of the words of a reference, against 1 for all of them in a row
_GLUED = 0.93  # all of it with spaces elsewhere: "New York12", "data base"
_SHORT = 0.75  # an answer whose every new word is in the reference: less than was wanted, none of it wrong
_SHORT_WORDS = 12
_LATE = 0.06  # what a phrase loses that comes 60 words into the answer: it may be there by chance
_ASKED = 0.25  # weight of a word that the question has: repeating it shows nothing
_ECHO = 0.6  # the most that a reference is worth whose words are all in the question
_OTHER_NUMBER = 0.5  # factor where the reference's number is missing and another one stands in the answer
_DECLINED = 0.5  # factor where the answer begins by saying that it was not found
_CLOSE = 0.05  # relative difference at which a measure is nearly right; years must be exact
_NEARLY = 0.55
_PERIOD = 0.6  # a decade or a century for a year in it
_OTHER_DATE = 0.5  # factor where the references give a date and the answer gives another
_OTHER_NAME = (
    0.5  # factor where the answer has half of a name of two words, and another half: "Dennis Wilson" for "Carl"
)
_LIKE = 0.6  # share of letter pairs (Dice) from which on a word is a spelling of another

_WORD = re.compile(r"\d+(?:\.\d+)*|[^\W\d_]+(?:'[^\W\d_]+)?")
_THOUSANDS = re.compile(r"(\d),(\d{3})")
_LITTLE_WORDS = "the a an of in on at and to by is was it for from with as or that this were are be st nd rd th s i"
_LITTLE = {stem(word) for word in {*_LITTLE_WORDS.split(), *STOP_WORDS} - {"no", "not", "yes"}}
_DECADE = re.compile(r"\b(\d{3})0s\b")
_CENTURY = re.compile(r"\b(\d{1,2})(?:st|nd|rd|th) century\b")
_MONTH = r"(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
_DATE = re.compile(
    rf"\b(?:{_MONTH} (\d{{1,2}})(?:st|nd|rd|th)?,? (\d{{4}})|(\d{{1,2}})(?:st|nd|rd|th)? {_MONTH},? (\d{{4}}))\b"
)
_NOT_FOUND = re.compile(
    r"(?:couldn't|could not|can't|cannot|unable to|didn't|did not) (?:find|determine|provide)|no information"
    r"|not (?:have|enough) (?:any |enough )?information|(?:don't|do not) (?:know|have)|there (?:is|was) no"
    r"|(?:is|was) not clear|not (?:possible|sure)"
)
_BEGINNING_CHARACTERS = 300
_NAME = re.compile(r"([A-ZÀ-ÖØ-Þ][\w'’-]{1,40}) ([A-ZÀ-ÖØ-Þ][\w'’-]{1,40})")
_NAMES = re.compile(rf"\b(?={_NAME.pattern})")
_UNKNOWN = (
    0.05  # an answer that has nothing of the reference may still say it in other words; one that declines does not
)


@scorer(name="answer_correctness", needs=("question", "answer", "reference"), passing=">= 0.4", version="2")
def answer_correctness(trace: Trace) -> Score | None:
    """Whether the answer says what the reference says: 1 word for word, near 0 nothing of it.

    `/` separates alternative references. Words are compared with their spelling variants, numbers must be equal; a
    decade or century stands in part for a year in it, and another full date than the references', or half of a name
    with another half, is wrong. Wrong on right answers in other words and on answers that name the reference among
    others or deny it.
    """
    reference, answer = trace.reference or "", trace.answer or ""
    said = _Said(answer[:LIMIT_CHARACTERS], (trace.question or "")[:LIMIT_CHARACTERS])
    alternatives = list(dict.fromkeys([reference[:LIMIT_CHARACTERS], *reference[:LIMIT_CHARACTERS].split("/")]))
    worth = [said.worth(words) for words in map(_words, alternatives[:_MOST_ALTERNATIVES]) if words]
    if not worth:
        return None
    best = max(worth)
    note = f"the best of {len(worth)} references is matched at {best:.2f}"
    wanted, given = _dates(reference), _dates(answer)
    if wanted and given and wanted.isdisjoint(given):
        best, note = best * _OTHER_DATE, note + ", but the answer gives another date"
    if best < _PART and said.has_other_name(alternatives[:_MOST_ALTERNATIVES], answer[:LIMIT_CHARACTERS]):
        best, note = best * _OTHER_NAME, note + ", but the answer gives another name"
    if _NOT_FOUND.search(_folded(answer[:_BEGINNING_CHARACTERS])):
        best, note = best * _DECLINED, note + ", but the answer begins by declining"
    else:
        best = max(best, _UNKNOWN)
    return Score(round(best, 4), explanation=note + clipped_note(read(answer), read(reference)))


class _Said:
    """The words of an answer, for one reference after another."""

    def __init__(self, answer: str, question: str) -> None:
        self._words = _words(answer)
        self._periods = list(_periods(_folded(answer)))
        self._all = frozenset(self._words)
        self._row = " ".join(["", *(word for word in self._words if word not in _LITTLE), ""])
        self._glued = "".join(self._words)
        self._asked = frozenset(_words(question))
        self._new = sorted(word for word in self._all - self._asked if word not in _LITTLE)
        self._by_letter: dict[str, list[str]] = {}
        for word in sorted(self._all):
            self._by_letter.setdefault(word[0], []).append(word)
        self._likeness: dict[str, float] = {}

    def worth(self, reference: list[str]) -> float:
        """How far the answer says the reference, 0 to 1."""
        core = [word for word in reference if word not in _LITTLE][:_MOST_REFERENCE_WORDS] or reference[:1]
        value = max(_PART * self._share(core), _SHORT * self._precision(core), self._phrase(core, reference))
        return min(value, _ECHO) if self._asked.issuperset(core) else value

    def has_other_name(self, references: Iterable[str], answer: str) -> bool:
        """Whether the answer has, in place of a name of two words, another that shares one of them."""
        told = (name.groups() for name in map(_NAME.fullmatch, map(str.strip, references)) if name)
        names = list(islice(told, _MOST_NAMES))
        if not names:
            return False
        said = {name.groups() for name in islice(_NAMES.finditer(answer), _MOST_CANDIDATES)}
        halves = [(_words(first), _words(last)) for first, last in names]
        if any(self._all.issuperset(first + last) for first, last in halves):
            return False
        return any(
            (last == other_last and self._differs(first, other_first))
            or (first == other_first and self._differs(last, other_last))
            for first, last in names
            for other_first, other_last in said
        )

    def _differs(self, wanted: str, given: str) -> bool:
        """Whether one part of a name is neither a spelling nor a short form of another, nor a word of the question."""
        if wanted.startswith(given) or given.startswith(wanted):
            return False
        left, right = _words(wanted), _words(given)
        if not left or not right or right[0] in _LITTLE or right[0] in self._asked:
            return False
        return _like(right[0], left[0]) == 0

    def _share(self, core: list[str]) -> float:
        """The share of the reference's words that are there; the first ones weigh most, since asides come later."""
        held = total = 0.0
        lacking = False
        for at, word in enumerate(core):
            number = word[0].isdigit()
            weight = (_ASKED if word in self._asked else 1.0) * (1.5 if number else 1.0) / (1 + at / 6)
            near = self._near(word)
            lacking = lacking or (number and not near and word not in self._asked)
            total += weight
            held += weight * near
        other = lacking and any(word[0].isdigit() and word not in core for word in self._new)
        return held / total * (_OTHER_NUMBER if other else 1.0)

    def _precision(self, core: list[str]) -> float:
        """The share of a short answer's own words that the reference has."""
        if not 0 < len(self._new) <= _SHORT_WORDS:
            return 0.0
        known = set(core)
        return sum(1.0 if word in known else _most_like(word, core[:_SHORT_WORDS]) for word in self._new) / len(
            self._new
        )

    def _phrase(self, core: list[str], reference: list[str]) -> float:
        at = self._row.find(f" {' '.join(core)} ")
        if at >= 0:
            return 1.0 - _LATE * min(1.0, self._row.count(" ", 0, at) / 60)
        glued = "".join(reference)
        return _GLUED if len(glued) > 4 and glued in self._glued else 0.0

    def _near(self, word: str) -> float:
        if word in self._all:
            return 1.0
        if word not in self._likeness:
            if len(self._likeness) >= _MOST_SPELLINGS:
                return 0.0
            self._likeness[word] = self._nearest(word)
        return self._likeness[word]

    def _nearest(self, word: str) -> float:
        if word[0].isdigit():
            numbers = [other for digit in "123456789" for other in self._by_letter.get(digit, ())]
            if len(word) <= 4 and word.isdecimal() and any(first <= int(word) <= last for first, last in self._periods):
                return _PERIOD
            return max((_same_number(word, other) for other in numbers), default=0.0)
        return _most_like(word, self._by_letter.get(word[0], [])[:_MOST_CANDIDATES])


def _periods(folded: str) -> Iterator[tuple[int, int]]:
    """First and last year of the decades and centuries that a text names."""
    for decade in _DECADE.finditer(folded):
        yield int(decade[1]) * 10, int(decade[1]) * 10 + 9
    for century in _CENTURY.finditer(folded):
        yield int(century[1]) * 100 - 99, int(century[1]) * 100


def _dates(text: str) -> set[tuple[str, int, str]]:
    """Month, day and year of the dates that a text gives in full."""
    found = _DATE.findall(_folded(text[:LIMIT_CHARACTERS]))
    return {(one[0] or one[4], int(one[1] or one[3]), one[2] or one[5]) for one in found}


def _same_number(wanted: str, said: str) -> float:
    """Whether a number stands for another: with a footnote mark glued to a year, or nearly the same measure."""
    if len(wanted) == 4 and len(said) == 5 and said.startswith(wanted):
        return 0.9
    if max(len(wanted), len(said)) > 15 or wanted.count(".") > 1 or said.count(".") > 1:
        return 0.0
    if not (wanted + said).replace(".", "").isascii():
        return 0.0
    one, other = float(wanted), float(said)
    year = wanted.isdigit() and 1000 <= one < 2100
    return _NEARLY if not year and one > 20 and abs(one - other) <= _CLOSE * one else 0.0


def _most_like(word: str, others: Iterable[str]) -> float:
    return max((_like(word, other) for other in others), default=0.0) if len(word) > 3 else 0.0


@lru_cache(maxsize=16_384)
def _like(one: str, other: str) -> float:
    """How much a word looks like a spelling or another form of another, 0 to 1; 0 below `_LIKE`."""
    if len(other) < 3 or other[0].isdigit() or one[0].isdigit() or len(one) + len(other) > 80:
        return 0.0
    left, right = _pairs(one), _pairs(other)
    alike = 2 * len(left & right) / (len(left) + len(right))
    start = shared_start(one, other)
    if start >= 4 or start == len(other):
        alike = max(alike, 0.5 + 0.5 * start / max(len(one), len(other)))
    return alike if alike >= _LIKE else 0.0


@lru_cache(maxsize=16_384)
def _pairs(word: str) -> frozenset[str]:
    padded = f"^{word}$"
    return frozenset(padded[at : at + 2] for at in range(len(padded) - 1))


def _folded(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text.lower().replace("’", "'"))
    return plain if plain.isascii() else "".join(letter for letter in plain if not unicodedata.combining(letter))


def _words(text: str) -> list[str]:
    """The words of a text, stemmed, without accents; digits apart from letters, since marks get glued to words."""
    return [stemmed for word in _WORD.findall(_THOUSANDS.sub(r"\1\2", _folded(text))) if (stemmed := stem(word))]
