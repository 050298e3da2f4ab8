"""From whatever a scorer returned to scores that can be believed, or to the reason why not."""

import math
from collections.abc import Sequence
from types import NoneType

from collector.patterns import storable
from scorers.base import Evidence, Filtered, Score, Scorer
from scorers.vectors import packed

_MOST_SCORES = 1_000  # of one scorer for one trace
_MOST_EVIDENCE = 50  # spans kept with a score
_LONGEST_LABEL = 100
_MOST_TERMS = 12  # of one score
_LONGEST_TEXT = 2_000
_LAST_PLACE = 2**53  # of evidence: the largest whole number that every reader of JSON has


class BadOutcome(Exception):
    """What a scorer returned is no score. `reason` is a failure reason of the ledger; the message has no content."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


_PLAIN = frozenset({NoneType, bool, int, float, str})


def is_plain(returned: object) -> bool:
    """Whether to look at this runs nobody's code but ours: types of Python itself, and no subclasses of them."""
    if type(returned) is not Score:
        return type(returned) in _PLAIN
    parts = (returned.value, returned.passed, returned.label, returned.explanation, returned.span_id)
    return type(returned.evidence) is tuple and not returned.evidence and all(type(part) in _PLAIN for part in parts)


def scores_of(scorer: Scorer, returned: object) -> list[Score]:
    """The scores in what `scorer` returned; empty if it had nothing to say.

    Raises:
        BadOutcome: it is of another type, not finite, or out of the declared range.
    """
    if returned is None or isinstance(returned, Filtered):
        return []
    if isinstance(returned, (Score, float)):  # nearly always; the check below is slow
        return [_checked(scorer, _as_score(scorer, returned))]
    if isinstance(returned, Sequence) and not isinstance(returned, str | bytes):
        return _several(scorer, returned)
    return [_checked(scorer, _as_score(scorer, returned))]


def _several(scorer: Scorer, returned: Sequence[object]) -> list[Score]:
    if len(returned) > _MOST_SCORES:
        raise BadOutcome("wrong_type", f"{len(returned)} scores for one trace; at most {_MOST_SCORES}")
    scores = [_checked(scorer, _as_score(scorer, item)) for item in returned]
    if len({score.span_id for score in scores}) < len(scores):
        raise BadOutcome("wrong_type", "two scores for one operation: several scores need different span ids")
    return scores


def _as_score(scorer: Scorer, item: object) -> Score:
    if isinstance(item, Score):
        return item
    if isinstance(item, bool):
        # True is the good end: 1 where higher is better, and for "lower" a True such as "refused" is the bad one.
        verdict = None if scorer.passing else item is (scorer.better == "higher")
        return Score(float(item), passed=verdict)
    if isinstance(item, int | float):
        return Score(item)
    if isinstance(item, str):
        return Score(None, label=item)
    raise BadOutcome(
        "wrong_type", f"returned {type(item).__name__}; allowed are float, bool, str, Score, a list of Score, None"
    )


def _checked(scorer: Scorer, score: Score) -> Score:
    value = _number(scorer, score.value)
    if score.passed is not None and not isinstance(score.passed, bool):
        raise BadOutcome("wrong_type", f"passed is {type(score.passed).__name__}; allowed are True, False, None")
    vector = None if score.vector is None else _packed(scorer, score.vector)
    if value is None and score.label is None and vector is None:
        raise BadOutcome("wrong_type", "a score with neither value nor label")
    passed, label, explanation, span_id = score.passed, score.label, score.explanation, score.span_id
    if label is not None:
        label = _plain(label, "label", _LONGEST_LABEL)
    if explanation is not None:
        explanation = _plain(explanation, "explanation", _LONGEST_TEXT)
    if span_id is not None:
        span_id = _plain(span_id, "span_id", 64)
    if scorer.calibration is not None and value is not None:
        value, passed = scorer.calibration.value(value), None
    if passed is None and scorer.passing is not None:
        passed = scorer.passing.judge(value, label)
    evidence = _evidence(score.evidence) if score.evidence else ()
    if vector is None:
        return Score(value, passed, label, explanation, evidence, span_id)
    terms = tuple(_plain(term, "terms", _LONGEST_LABEL) for term in score.terms[:_MOST_TERMS])
    return Score(value, passed, label, explanation, evidence, span_id, vector, terms)


def _packed(scorer: Scorer, vector: object) -> bytes:
    if not scorer.embeds:
        raise BadOutcome("wrong_type", "a vector, of a scorer that does not say so: @scorer(embeds=True)")
    try:
        return packed(vector)
    except ValueError as error:
        raise BadOutcome("wrong_type", f"vector: {error}") from None


def _number(scorer: Scorer, value: object) -> float | None:
    if value is None:
        return None
    if type(value) is float and scorer.range[0] <= value <= scorer.range[1] and value - value == 0:
        return value  # nearly always
    if not isinstance(value, int | float):
        raise BadOutcome("wrong_type", f"value is {type(value).__name__}; a number is needed")
    try:
        number = float(value)
    except OverflowError:
        raise BadOutcome("not_finite", "value is larger than any float") from None
    if not math.isfinite(number):
        raise BadOutcome("not_finite", f"value is {number}")
    low, high = scorer.range
    if not low <= number <= high:
        raise BadOutcome("out_of_range", f"value {number:g} is not within {low:g} to {high:g}")
    return number


def _evidence(given: Sequence[Evidence]) -> tuple[Evidence, ...]:
    if not isinstance(given, Sequence) or not all(isinstance(item, Evidence) for item in given):
        raise BadOutcome("wrong_type", "evidence is not a list of Evidence")
    return tuple(_believed(item) for item in given[:_MOST_EVIDENCE])


def _believed(item: Evidence) -> Evidence:
    """As it can be stored: a place within some text, and bounded texts."""
    start, end, kind, text = item.start, item.end, item.type, item.text
    exact = type(item) is Evidence and type(start) is int and type(end) is int and type(text) is str
    if exact and not text and 0 <= start <= end <= _LAST_PLACE:
        plain = _plain(kind, "evidence.type", _LONGEST_LABEL)
        return item if plain is kind else Evidence(start, end, plain)  # nearly always the first
    if not isinstance(start, int) or not isinstance(end, int):
        raise BadOutcome("wrong_type", "evidence needs whole numbers for start and end, and a text for type")
    if not 0 <= start <= end <= _LAST_PLACE:
        raise BadOutcome("wrong_type", "evidence needs 0 <= start <= end")
    quoted = "" if text is None else _plain(text, "evidence.text", _LONGEST_TEXT)
    return Evidence(int(start), int(end), _plain(kind, "evidence.type", _LONGEST_LABEL), quoted)


def _plain(text: object, name: str, longest: int) -> str:
    """Bounded, and without lone surrogates: they cannot be stored as UTF-8."""
    if type(text) is str and len(text) <= longest and text.isascii():
        return text  # nearly always
    if not isinstance(text, str):
        raise BadOutcome("wrong_type", f"{name} is {type(text).__name__}; a text is needed")
    exact = str.__str__(text)  # of a subclass as well: what is stored later must run nobody's code
    return storable(exact if len(text) <= longest else exact[: longest - 1] + "…")
