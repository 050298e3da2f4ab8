"""One reading of a text, shared by all scorers: sentences, words, and content terms.

Reading is bounded (`LIMIT_CHARACTERS`), linear, and cached by content, so that ten scorers that look at one answer
split it once. Languages without spaces are read as overlapping pairs of characters.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache, partial
from itertools import chain, product
from operator import itemgetter
from string import ascii_letters
from typing import Any, Generic, NamedTuple, TypeVar

from mypy_extensions import mypyc_attr

T = TypeVar("T")

LIMIT_CHARACTERS = 32_768
"""What is read of one text. Longer than nearly all answers; keeps a 1 MB answer from costing a second."""

_CACHED_TEXTS = 224  # questions, answers and parts of them, of the traces that are scored together
_CACHED_LONG_TEXTS = 48  # about 200 kB each as it is read
_CACHED_WORDS = 32_768
_LONGEST_CACHED_WORD = 64
BEGINNING = 4
"""Letters that two forms of a word share at their start."""
_PASSAGE_CHARACTERS = 4_096  # up to here a text may be a passage of a knowledge base, which many traces retrieve
_CACHED_PASSAGES = 1_024  # about 10 kB each as it is read

_WORD = re.compile(r"[^\W_]+(?:['’][^\W\d_]+)?")
_ASCII_WORD = re.compile(r"[a-z0-9]+(?:'[a-z]+)?")  # the same of a text in ASCII and lower case, in less time
_BETWEEN_WORDS = {code: " " for code in range(128) if not chr(code).isalnum()}
_NUMBER = re.compile(r"\d\d*(?:[.,]\d+)*")  # `\d+` would say the same, but be tried at every character
_ASCII_NUMBER = re.compile(r"[0-9][0-9]*(?:[.,][0-9]+)*")  # the same of a text in ASCII, in less time
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]+")
_BOUNDARY = re.compile("[.!?؟।;。！？\n][.!?\"'”’)\\]」』]*")  # ends a sentence if space follows, or it is one of
_BOUNDARY_WITHOUT_SPACE = "。！？\n"
_ABBREVIATION_LIST = """
    mr mrs ms dr prof st vs etc inc ltd co corp no vol fig approx jr sr dept est jan feb mar apr jun jul aug sep sept
    oct nov dec
"""
_ABBREVIATION = re.compile(
    rf"(?:^|[\s(])(?:[A-Za-z]|(?:[A-Za-z]\.)+[A-Za-z]|{'|'.join(_ABBREVIATION_LIST.split())})$", re.IGNORECASE
)
_NO_ABBREVIATION = frozenset(map("".join, product(ascii_letters, repeat=2))) - {
    first + second
    for word in _ABBREVIATION_LIST.split()
    for first, second in product((word[-2], word[-2].upper()), (word[-1], word[-1].upper()))
}
"""Two letters that end no abbreviation: nearly all sentences need no more to tell."""

_STOP_WORD_LIST = """
    a about above after again against all also although am an and any are aren't as at be because been before
    being below between both but by can can't cannot could couldn't did didn't do does doesn't doing don't down
    due during each either else etc even every few for from further get gets got had hadn't has hasn't have
    haven't having he he's her here here's hers herself him himself his how however i i'm i've if in into is
    isn't it it's its itself just let let's like may me might more most much must my myself neither no nor not
    now of off on once one's only onto or other others our ours ourselves out over own per please provide
    provided same she she's should shouldn't since so some such than that that's the their theirs them
    themselves then there there's therefore these they they're this those though through thus to too toward
    towards under until up upon us use used using very via was wasn't we we're well were weren't what what's
    when where whether which while who who's whom whose why will with within without won't would wouldn't yes
    yet you you're your yours yourself yourselves based given passage passages context contexts document
    documents according following mentioned information answer question der die das und ist ein eine einen den
    dem des zu mit von für auf nicht im in es sich auch als an bei aus wie oder le la les un une des et est que
    qui dans pour par sur au aux du ne pas en ce cette el los las una unos y es que en por para con del al se no
    lo
"""
STOP_WORDS = frozenset(_STOP_WORD_LIST.split())
"""Words that carry no claim. Enough for English; for German, French and Spanish the commonest."""

_UNITS = """
    zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
    eighteen nineteen twenty
"""
_TENS = "thirty forty fifty sixty seventy eighty ninety"
_NUMBER_WORDS = {word: str(value) for value, word in enumerate(_UNITS.split())} | {
    word: str(value * 10) for value, word in enumerate(_TENS.split(), start=3)
}


class Sentence(NamedTuple):
    """A sentence of a text. `terms` are its content words, stemmed; `numbers` its numbers in one spelling."""

    start: int
    end: int
    words: tuple[str, ...]
    terms: frozenset[str]
    numbers: frozenset[str]


_new_sentence: Callable[[tuple[Any, ...]], Sentence] = partial(tuple.__new__, Sentence)  # in half the time


@mypyc_attr(native_class=False)
class _kept(Generic[T]):  # noqa: N801 - it is used as a decorator
    """`functools.cached_property` without the lock that it has before Python 3.12, which costs more than many of these.
    Two threads may make the same value; one is kept."""

    def __init__(self, make: Callable[[Any], T]) -> None:
        self._make, self.__doc__ = make, make.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, text: Any, kind: type) -> T:
        found = text.__dict__[self._name] = self._make(text)
        return found


@mypyc_attr(native_class=False)  # compiled as well it has a `__dict__`, where `_kept` keeps
class Text:
    """A text as scorers read it. Get one from `read`.

    >>> text = read("Mr. Lee paid 1,200 euros. He did not complain!")
    >>> [(s.start, s.end) for s in text.sentences]
    [(0, 25), (26, 46)]
    >>> sorted(text.sentences[0].terms), set(text.sentences[0].numbers)
    (['1200', 'euro', 'lee', 'mr', 'paid'], {'1200'})
    """

    def __init__(self, text: str, clipped: bool) -> None:
        self.text = text
        self.clipped = clipped  # there was more than is read
        self._found: dict[Callable[[str], Any], Any] = {}

    def once(self, judge: Callable[[str], T]) -> T:
        """What `judge`, a pure function of a module, says of the text; kept as long as the reading is."""
        if judge not in self._found:
            self._found[judge] = judge(self.text)
        found: T = self._found[judge]
        return found

    @_kept
    def lower(self) -> str:
        return self.text.lower()

    @_kept
    def sentences(self) -> tuple[Sentence, ...]:
        if self.text.isascii():
            return _ascii_sentences(self.text, self.lower)
        return tuple([_sentence(self.text, start, end) for start, end in _sentence_spans(self.text)])

    @_kept
    def words(self) -> tuple[str, ...]:
        """All words in order, in lower case."""
        if self._is_split:
            return tuple(chain.from_iterable([sentence.words for sentence in self.sentences]))
        return _words(self.lower)

    # No word and no number goes over the end of a sentence. So what they have all together is read from them where they
    # were split already, and else from the text as it is, which takes half the time.

    @_kept
    def terms(self) -> frozenset[str]:
        if self._is_split:
            return frozenset().union(*[sentence.terms for sentence in self.sentences])
        return _terms(self.vocabulary) | self.numbers

    @_kept
    def vocabulary(self) -> frozenset[str]:
        """All its words, each once."""
        return frozenset(self.words)

    @_kept
    def where(self) -> dict[str, list[int]]:
        """For each term, the sentences that hold it, by number."""
        index: dict[str, list[int]] = {}
        for at, sentence in enumerate(self.sentences):
            for term in sentence.terms:
                if term in index:
                    index[term].append(at)
                else:
                    index[term] = [at]
        return index

    @_kept
    def beginnings(self) -> frozenset[str]:
        """The first `BEGINNING` letters of its terms: without one in common, no two words are forms of each other."""
        return beginnings_of(self.terms)

    @_kept
    def numbers(self) -> frozenset[str]:
        if self._is_split:
            return frozenset().union(*[sentence.numbers for sentence in self.sentences])
        return _numbers(self.lower)

    @property
    def _is_split(self) -> bool:
        return "sentences" in self.__dict__


def read(text: str) -> Text:
    """The reading of `text`, at most its first `LIMIT_CHARACTERS` characters; kept while its trace is scored."""
    if len(text) <= _PASSAGE_CHARACTERS:
        return _read(text)
    return _read_long(text) if len(text) <= LIMIT_CHARACTERS else _read_clipped(text[:LIMIT_CHARACTERS])


def read_passage(text: str) -> Text:
    """The same for a passage of a knowledge base: other traces will retrieve it too, so it is kept longer."""
    return _read_passage(text) if len(text) <= _PASSAGE_CHARACTERS else read(text)


def spelled(words: Iterable[str]) -> tuple[str, ...]:
    """The same words, each the object that stands for it in all texts: equal ones are compared in no time."""
    return tuple(map(_SPELLINGS.__getitem__, words))


def content(words: Iterable[str]) -> list[str]:
    """The stems of the words that carry a claim, in order; numbers in digits are not among them."""
    return list(filter(None, map(_TERMS.__getitem__, words)))


def beginnings_of(words: Iterable[str]) -> frozenset[str]:
    """The first `BEGINNING` letters of each."""
    return frozenset(map(_BEGINNINGS.__getitem__, words))


def clipped_note(*texts: Text) -> str:
    """What to add to an explanation when a text was longer than is read, else nothing."""
    for text in texts:
        if text.clipped:
            return f" (only the first {LIMIT_CHARACTERS} characters were read)"
    return ""


@lru_cache(maxsize=_CACHED_PASSAGES)
def _read_passage(text: str) -> Text:
    return Text(text, clipped=False)


@lru_cache(maxsize=_CACHED_TEXTS)
def _read(text: str) -> Text:
    return Text(text, clipped=False)


@lru_cache(maxsize=_CACHED_LONG_TEXTS)
def _read_long(text: str) -> Text:
    return Text(text, clipped=False)


@lru_cache(maxsize=8)
def _read_clipped(text: str) -> Text:
    return Text(text, clipped=True)


def _sentence_spans(text: str) -> Iterator[tuple[int, int]]:
    start = 0
    for boundary in _BOUNDARY.finditer(text):
        stop, end = boundary.span()
        mark = text[stop]
        if mark not in _BOUNDARY_WITHOUT_SPACE and not text[end : end + 1].isspace():
            continue
        if mark == "." and text[stop - 2 : stop] not in _NO_ABBREVIATION and _abbreviated(text, stop):
            continue
        first = start + (text[start] == " ")  # nearly always one blank, and none behind a mark
        if mark == "\n" or text[first].isspace():
            yield from _stripped(text, start, end)
        else:
            yield first, end
        start = end
    yield from _stripped(text, start, len(text))


def _stripped(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The place without the space around it; none if there is nothing else."""
    if piece := text[start:end].strip():
        first = text.index(piece[0], start)
        yield first, first + len(piece)


def _abbreviated(text: str, stop: int) -> bool:
    """Whether the full stop at `stop` ends an abbreviation."""
    return _ABBREVIATION.search(text, max(0, stop - 12), stop) is not None


def _ascii_sentences(text: str, lower: str) -> tuple[Sentence, ...]:
    """What `_sentence` makes of each. What can be done of all at once is: in ASCII each letter stays in its place."""
    parted, quotes = lower.translate(_BETWEEN_WORDS), "'" in lower
    numbers = list(_ASCII_NUMBER.finditer(lower))
    found, told, count = [], 0, len(numbers)
    for start, end in _sentence_spans(text):
        first = told
        while told < count and numbers[told].start() < end:
            told += 1
        if quotes and lower.find("'", start, end) >= 0:
            words = spelled(_ASCII_WORD.findall(lower, start, end))
        else:
            words = spelled(parted[start:end].split())
        terms, own = _terms(words), _NO_NUMBERS
        if first < told:
            own = frozenset([_plain_number(number.group()) for number in numbers[first:told]])
            terms |= own
        found.append(_new_sentence((start, end, words, terms, own)))
    return tuple(found)


def _sentence(text: str, start: int, end: int) -> Sentence:
    piece = text[start:end].lower()
    words, numbers = _words(piece), _numbers(piece)
    terms = _terms(words)
    return Sentence(start, end, words, terms | numbers if numbers else terms, numbers)


def _words(lower: str) -> tuple[str, ...]:
    if lower.isascii():  # mostly without an apostrophe, and then a fifth of the time is enough
        return spelled(_ASCII_WORD.findall(lower) if "'" in lower else lower.translate(_BETWEEN_WORDS).split())
    return spelled(_WORD.findall(_UNSPACED.sub(_pairs, lower.replace("’", "'"))))


def _terms(words: Iterable[str]) -> frozenset[str]:
    return frozenset(filter(None, map(_TERMS.__getitem__, words)))


def _numbers(lower: str) -> frozenset[str]:
    found = (_ASCII_NUMBER if lower.isascii() else _NUMBER).findall(lower)
    return frozenset(map(_plain_number, found)) if found else _NO_NUMBERS


_NO_NUMBERS: frozenset[str] = frozenset()


def _term(word: str) -> str:
    """None for words that carry no claim, and for numbers, which are read by themselves."""
    return "" if word in STOP_WORDS or word[:1].isdigit() else stem(word)


class _OfWords(dict[str, str]):
    """What `make` says of a word, told once a word. There are too many numbers to keep."""

    def __init__(self, make: Callable[[str], str]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, word: str) -> str:
        found = self._make(word)
        if len(word) <= _LONGEST_CACHED_WORD and not word[:1].isdigit():
            if len(self) >= _CACHED_WORDS:
                self.clear()
            self[word] = found
        return found


_SPELLINGS = _OfWords(str)
"""A word as the object that stands for it wherever it is read: texts take less memory, and words compare in no time."""
_TERMS = _OfWords(_term)
_BEGINNINGS = _OfWords(itemgetter(slice(BEGINNING)))


def _pairs(run: re.Match[str]) -> str:
    """A run of text without spaces as pairs of characters, each overlapping the next."""
    text = run.group()
    return f" {' '.join(text[at : at + 2] for at in range(max(1, len(text) - 1)))} "


def _plain_number(number: str) -> str:
    """`1,200.50` and `1200.5` are one number; a date such as `3.4.2024` stays as it is.

    >>> _plain_number("1,200.50"), _plain_number("007"), _plain_number("3.4.2024")
    ('1200.5', '7', '3.4.2024')
    """
    if number.isdecimal():
        return number.lstrip("0") or "0"
    plain = number.replace(",", "")
    if plain.count(".") > 1:
        return plain
    whole, _, fraction = plain.partition(".")
    fraction = fraction.rstrip("0")
    whole = whole.lstrip("0") or "0"
    return f"{whole}.{fraction}" if fraction else whole


def stem(word: str) -> str:
    """A word without its commonest English endings; the same for `pays`, `paying`; number words become digits.

    >>> [stem(word) for word in ("studies", "paying", "stopped", "loss", "seven", "lee's")]
    ['study', 'pay', 'stop', 'loss', '7', 'lee']
    """
    word = _NUMBER_WORDS.get(word, word)
    if word.endswith("'s"):
        word = word[:-2]
    if len(word) <= 3 or not word.isascii():
        return word
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-2] if word.endswith(("sses", "ches", "shes", "xes")) else word[:-1]
    for ending in ("ing", "ed", "ly"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            base = word[: -len(ending)]
            return base[:-1] if base[-1] == base[-2] and base[-1] not in "lsz" else base
    return word[:-1] if word.endswith("e") and len(word) > 4 else word
