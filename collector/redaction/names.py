"""Names of people in a text, by a linear model of each word and of what stands around it.

A word that may be part of a name is one with a capital; in a text without any, one that is in a list of names and no
ordinary word.
Each has features: what lists it is in, how it begins and ends, its shape, its neighbours, the run of capitals it is in.
Their weights add up to the log odds of "part of a name"; neighbours in a run pay for being told apart, and the
cheapest labels of all are taken (Viterbi). `names.json` has lists and weights; `benchmarks/train_names.py` writes it.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeAlias

import orjson

from collector.redaction.found import readable, without_escapes

Span: TypeAlias = tuple[int, int]

FILE = Path(__file__).with_name("names.json")
TOKEN = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]{2,})*|\d+|\n|[^\w\s]|_")
KINDS = "FLPoc"
"""What lists a word may be in: first names, last names, places, words beside names (`Street`, `Inc`), common words."""

_NO_KIND = "-"
_PARTICLES_TEXT = """
    de van von da la le del der den di dos bin al el ter af av
"""
_PARTICLES = frozenset(_PARTICLES_TEXT.split())
_LONGEST = 32  # letters of a word that are looked at
_SHORTEST = 3  # letters of a word without a capital that may be a name
_MOST_NEAR = 12  # tokens of a line that are looked at to either side
_TELLING = 4  # tokens to either side in which a number tells of an address
_APART = 1.0
"""What it costs, in log odds, that one word of a run is of a name and its neighbour is not."""

_THRESHOLD = math.log(0.4 / 0.6)


@dataclass(frozen=True)
class NameModel:
    """Lists and weights."""

    kinds: Mapping[str, str]
    intercept: float
    weights: Mapping[str, float]

    @classmethod
    def load(cls, path: Path) -> "NameModel":
        """The model of a file that we ship.

        Raises:
            OSError: the file cannot be read.
            ValueError: it is not the JSON of a model.
        """
        told = orjson.loads(path.read_bytes())
        try:
            kinds = {word: kind for kind, words in told["kinds"].items() for word in words.split()}
            return cls(kinds, float(told["intercept"]), told["weights"])
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{path}: not a model of names: {error!r}") from None

    def kind(self, word: str) -> str:
        """Which lists have a word, as letters of `KINDS`; of a word with a hyphen, which have a part of it."""
        lower = word.lower()
        found = self.kinds.get(lower)
        if found is None and "-" in lower:
            parts = "".join(self.kinds.get(part, "") for part in lower.split("-"))
            found = "".join(kind for kind in KINDS if kind in parts)
        return found or _NO_KIND

    def spans(self, text: str) -> list[Span]:
        """Where names are: from the first to the last word of each, without titles, in order."""
        seen = Reading(text, self.kind)
        weight = self.weights.get
        odds = [
            self.intercept + sum(weight(feature, 0.0) for feature in seen.features(at)) - _THRESHOLD
            for at in seen.candidates
        ]
        return seen.joined(_likeliest(odds, seen.linked))


class Reading:
    """The tokens of a text, which of them may be of a name, and what a model sees of those.

    Args:
        text: any.
        kind: of a word, see `NameModel.kind`; training hides some.
    """

    def __init__(self, text: str, kind: Callable[[str], str]) -> None:
        self._text = text
        found = list(TOKEN.finditer(text))
        self.words = [match[0][:_LONGEST] for match in found]
        self.places = [match.span() for match in found]
        self._lower = [word.lower() for word in self.words]
        self.kinds = [kind(word) if word[0].isalpha() else "" for word in self.words]
        self.candidates = list(self._candidates())
        pairs = zip((None, *self.candidates), self.candidates)  # noqa: B905 - the last has no next
        self.linked = [before is not None and self._in_one_run(before, at) for before, at in pairs]
        self.runs = self._in_runs()

    def features(self, at: int) -> list[str]:
        """What the model sees of a candidate, each once."""
        run, place = self.runs[at]
        first, last = run[0], run[-1]
        word, kind, shape = self._lower[at], self.kinds[at], self._shape(at)
        before, after = self._kind_near(at - 1), self._kind_near(at + 1)
        size = min(len(run), 5)
        lists = [self.kinds[one] for one in run[:4]]
        told = [
            f"k {kind} {shape}",
            f"k {kind}",
            f"s {shape}",
            f"length {min(len(word), 9)}",
            f"< {self._word(at - 1)}",
            f"> {self._word(at + 1)}",
            f"<< {self._word(at - 2)}",
            f">> {self._word(at + 2)}",
            f"<k {before} {kind}",
            f"k> {kind} {after}",
            f"<k> {before} {kind} {after}",
            f"<<s {self._shape(at - 2)} {self._shape(at - 1)}",
            f"s>> {self._shape(at + 1)} {self._shape(at + 2)}",
            f"<e {self._word(at - 1)[-2:]}",
            f"e> {self._word(at + 1)[-2:]}",
            f"run {size}",
            f"run {min(place, 4)} {size}",
            f"run< {self._word(first - 1)}",
            f"run> {self._word(last + 1)}",
            f"run<> {self._shape(first - 1)} {self._shape(last + 1)}",
            f"run1 {lists[0]}",
            f"run9 {self.kinds[last]}",
            f"runk {' '.join(lists)}",
        ]
        told += (f"e {word[-size:]}" for size in (2, 3, 4) if len(word) > size)
        told += (f"b {word[:size]}" for size in (2, 3) if len(word) > size)
        told += self._of_line(at, run)
        return told

    def joined(self, flags: Sequence[bool]) -> list[Span]:
        """The places of names, given which candidates are part of one."""
        spans: list[Span] = []
        for at, (candidate, flag) in enumerate(zip(self.candidates, flags, strict=True)):
            if not flag:
                continue
            start, end = self.places[candidate]
            if spans and self.linked[at] and flags[at - 1]:
                spans[-1] = (spans[-1][0], end)
            else:
                spans.append((start, end))
        return [(start, end) for start, end in spans if end - start > 1]

    def _candidates(self) -> Iterator[int]:
        capitals = any(word[0].isupper() and len(word) > 1 for word in self.words)
        before = -1  # a candidate in small letters
        for at, (word, kind) in enumerate(zip(self.words, self.kinds, strict=True)):
            if not kind:
                continue
            if word[0].isupper():
                yield at
            elif capitals:
                continue
            elif _listed_name(word, kind) or (before >= 0 and self._goes_on(before, at)):
                yield at
                before = at

    def _goes_on(self, before: int, at: int) -> bool:
        """Is what follows a name in small letters the rest of it: an initial, or a word that no list has?"""
        word, kind = self.words[at], self.kinds[at]
        initial = len(word) == 1 and word not in "ai"
        unlisted = kind == _NO_KIND and len(word) >= _SHORTEST
        return at - before <= 2 and (initial or unlisted) and self._in_one_run(before, at)

    def _in_one_run(self, one: int, other: int) -> bool:
        """Is what stands between two candidates blank, but for the dot of an initial?"""
        gap = self._text[self.places[one][1] : self.places[other][0]]
        return "\n" not in gap and (gap.isspace() or (gap.strip() == "." and len(self.words[one]) == 1))

    def _in_runs(self) -> dict[int, tuple[list[int], int]]:
        """Each candidate's run, and its place in it."""
        runs: list[list[int]] = []
        for candidate, linked in zip(self.candidates, self.linked, strict=True):
            if linked:
                runs[-1].append(candidate)
            else:
                runs.append([candidate])
        return {candidate: (run, place) for run in runs for place, candidate in enumerate(run)}

    def _word(self, at: int) -> str:
        """In lower case; a dot with the short word before it, so that a title is told from an end."""
        if not 0 <= at < len(self.words):
            return "^" if at < 0 else "$"
        word = self._lower[at]
        if word == "." and at and len(self._lower[at - 1]) <= 4 and self.places[at - 1][1] == self.places[at][0]:
            return self._lower[at - 1] + "."
        return word

    def _shape(self, at: int) -> str:
        if not 0 <= at < len(self.words):
            return "^" if at < 0 else "$"
        return shape(self.words[at])

    def _kind_near(self, at: int) -> str:
        if 0 <= at < len(self.words) and self.kinds[at]:
            return self.kinds[at] + ("x" if self.words[at].islower() else "X")
        return self._shape(at)

    def _of_line(self, at: int, run: list[int]) -> Iterator[str]:
        """Is the run alone on its line, and are there numbers near on it, as in addresses?"""
        start, end = at, at
        while start > 0 and at - start < _MOST_NEAR and self.words[start - 1] != "\n":
            start -= 1
        while end < len(self.words) - 1 and end - at < _MOST_NEAR and self.words[end + 1] != "\n":
            end += 1
        if all(run[0] <= one <= run[-1] or not self.words[one][0].isalnum() for one in range(start, end + 1)):
            yield "alone"
        if any(self.words[one][0].isdigit() for one in range(max(start, at - _TELLING), at)):
            yield "number before"
        if any(self.words[one][0].isdigit() for one in range(at + 1, min(end, at + _TELLING) + 1)):
            yield "number behind"


def find_names(text: str) -> list[Span]:
    """Where names of people are in a text, in order.

    >>> text = "Dear Mrs. Keller, this is Anna from the bank."
    >>> [text[start:end] for start, end in find_names(text)]
    ['Keller', 'Anna']
    """
    return _shipped().spans(without_escapes(readable(text)))


@cache
def _shipped() -> NameModel:
    return NameModel.load(FILE)


def shape(token: str) -> str:
    """
    >>> [shape(token) for token in ("Anna", "J", "USA", "McCoy", "word", "2024", ",")]
    ['Xx', 'X', 'XX', 'Xm', 'x', '9', ',']
    """
    if not token[0].isalpha():
        return "9" if token[0].isdigit() else token
    if token.islower():
        return "x"
    if token.isupper():
        return "X" if len(token) == 1 else "XX"
    return "Xx" if token[0].isupper() and token[1:].islower() else "Xm"


def _listed_name(word: str, kind: str) -> bool:
    listed = ("F" in kind or "L" in kind) and "c" not in kind and "o" not in kind
    return listed and len(word) >= _SHORTEST and word not in _PARTICLES


def _likeliest(odds: Sequence[float], linked: Sequence[bool]) -> list[bool]:
    """The labels of the greatest sum of log odds, less what it costs to tell linked neighbours apart.

    >>> _likeliest([2.0, -0.5, -3.0], [False, True, False])
    [True, True, False]
    """
    no = yes = 0.0
    back: list[tuple[bool, bool]] = []
    for odd, link in zip(odds, linked, strict=True):
        cost = _APART if link else 0.0
        before = (yes - cost > no, yes >= no - cost)
        no, yes = max(no, yes - cost), max(yes, no - cost) + odd
        back.append(before)
    flags: list[bool] = []
    flag = yes > no
    for before in reversed(back):
        flags.append(flag)
        flag = before[flag]
    return flags[::-1]
