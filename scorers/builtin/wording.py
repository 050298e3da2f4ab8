"""How an answer is written: how long, how hard to read, and whether it keeps the form that it was asked for."""

import re
from collections.abc import Sequence
from functools import lru_cache
from math import inf
from typing import Annotated, Any, TypeAlias

import orjson
from pydantic import AfterValidator, NonNegativeInt

from collector.core.model import Trace
from collector.patterns import compiled, storable
from scorers.base import Score, scorer
from scorers.text import Text, clipped_note, read

_LEAST_WORDS = 30  # for a mean to say something
_LONG_WORD = 6  # letters; longer words count as long
_MARKDOWN = re.compile(
    r"^[ ]{0,3}(?:#{1,6} |```|[*+-] +\S|\d{1,3}[.)] +\S|> |\|.{0,200}\|)|\*\*[^*\n]{1,200}\*\*|`[^`\n]{1,200}`|\]\(\S",
    re.MULTILINE,
)


def _known_pattern(pattern: str) -> str:
    compiled(pattern)
    return pattern


Pattern: TypeAlias = Annotated[str, AfterValidator(_known_pattern)]


@scorer(name="answer_length", needs=("answer",), range=(0, inf), unit="words", version="1")
def answer_length(trace: Trace) -> Score:
    """Words of the answer; of languages without spaces, pairs of characters.

    Unjudged unless `passing` is set. Wrong on code, whose names and numbers count as words.
    """
    text = read(trace.answer or "")
    return Score(float(_words(text)), explanation=clipped_note(text).strip() or None)


@scorer(name="readability", needs=("answer",), range=(0, inf), better="lower", unit="points", version="1")
def readability(trace: Trace) -> Score | None:
    """How hard the answer is to read, as LIX: words a sentence, and percent of words of more than six letters.

    About 30 is easy, 40 as newspapers, 60 hard. None under 30 words. Source: Bjoernsson, "Laesbarhet" (1968). Unjudged
    unless `passing` is set. Wrong on lists and code, whose lines count as sentences, and on languages without spaces.
    """
    text = read(trace.answer or "")
    sentences = sum([bool(sentence.words) for sentence in text.sentences])
    words = text.words
    if len(words) < _LEAST_WORDS:
        return None
    long = sum(map(_LONG_WORD.__lt__, map(len, words)))
    return Score(len(words) / sentences + 100 * long / len(words), explanation=clipped_note(text).strip() or None)


@scorer(name="format", needs=("answer",), range=(0, 1), passing="== 1", version="1")
def format_rules(
    trace: Trace,
    *,
    starts_with: Sequence[str] = (),
    ends_with: Sequence[str] = (),
    contains: Sequence[str] = (),
    lacks: Sequence[str] = (),
    matches: Sequence[Pattern] = (),
    lacks_matches: Sequence[Pattern] = (),
    markdown: bool | None = None,
    valid_json: bool | None = None,
    least_words: NonNegativeInt | None = None,
    most_words: NonNegativeInt | None = None,
) -> Score | None:
    """Share of the given rules of form that the answer keeps; None if no rule is given.

    `starts_with` and `ends_with`: with one of these. `contains`, `matches` (RE2): each of these somewhere. `lacks`,
    `lacks_matches`: none of these. `markdown`, `valid_json`: whether it is to be that. White space around the answer
    and the case of letters are no matter, in patterns the case is. Wrong on what is past the first 32,768 characters,
    but for `ends_with` and `valid_json`.
    """
    whole = (trace.answer or "").strip()
    text = read(whole)
    lowered, searched = text.text.lower(), storable(text.text)
    held = {
        **{f"contains[{at}]": one.lower() in lowered for at, one in enumerate(contains)},
        **{f"lacks[{at}]": one.lower() not in lowered for at, one in enumerate(lacks)},
        **{f"matches[{at}]": _searcher(one).search(searched) is not None for at, one in enumerate(matches)},
        **{f"lacks_matches[{at}]": _searcher(one).search(searched) is None for at, one in enumerate(lacks_matches)},
    }
    if starts_with:
        held["starts_with"] = any(lowered.startswith(one.lower()) for one in starts_with)
    if ends_with:
        held["ends_with"] = any(whole[-2 * len(one) :].lower().endswith(one.lower()) for one in ends_with)
    if markdown is not None:
        held["markdown"] = (_MARKDOWN.search(text.text) is not None) == markdown
    if valid_json is not None:
        held["valid_json"] = _is_json(whole) == valid_json
    if least_words is not None:
        held["least_words"] = _words(text) >= least_words
    if most_words is not None:
        held["most_words"] = _words(text) <= most_words
    if not held:
        return None
    broken = ", ".join(name for name, kept in held.items() if not kept)
    told = (f"broken: {broken}" if broken else "all rules are kept") + clipped_note(text)
    return Score(sum(held.values()) / len(held), explanation=told)


def _words(text: Text) -> int:
    return sum(len(sentence.words) for sentence in text.sentences)


def _is_json(text: str) -> bool:
    try:
        orjson.loads(text)
    except ValueError:  # orjson's error is one, as that of a lone surrogate is
        return False
    return True


@lru_cache(maxsize=256)
def _searcher(pattern: str) -> Any:
    return compiled(pattern)
