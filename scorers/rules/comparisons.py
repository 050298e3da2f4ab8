"""What a field's value may be held against: `{contains: free}`, `{gt: 100}`, `{in: [a, b]}`, or what it is to be."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from collector.patterns import compiled, storable
from scorers.rules.facts import Kind, Value


class Match(NamedTuple):
    """Whether a value holds, and in a text where."""

    holds: bool
    start: int = 0
    end: int = 0


class Test(NamedTuple):
    """One comparison, and how it is told."""

    told: str
    match: Callable[[Value], Match]


EXISTS = "exists"
TEXT_TESTS = ("is", "in", "contains", "matches", "starts_with", "ends_with")
NUMBER_TESTS = ("is", "in", "lt", "le", "gt", "ge")
ALLOWED = {"text": TEXT_TESTS, "number": NUMBER_TESTS, "truth": ("is",), "any": (*TEXT_TESTS, *NUMBER_TESTS[2:])}
_COMPARED: dict[str, tuple[str, Callable[[float, float], bool]]] = {
    "lt": ("<", lambda value, limit: value < limit),
    "le": ("<=", lambda value, limit: value <= limit),
    "gt": (">", lambda value, limit: value > limit),
    "ge": (">=", lambda value, limit: value >= limit),
}


def parse_test(name: str, wanted: Any, kind: Kind | None) -> Test:
    """The test `name: wanted` of a field of a kind; None if it may be any.

    Raises:
        ValueError: there is no such test for the kind, or what is wanted is of another; the message says what may be.
    """
    allowed = ALLOWED[kind or "any"]
    if name not in allowed:
        raise ValueError(f"{name!r} is not one of {', '.join((*allowed, EXISTS))}")
    if name in _COMPARED:
        limit, (sign, holds) = _number(wanted), _COMPARED[name]
        return Test(f"{sign} {limit:g}", lambda value: Match(_is_number(value) and holds(float(value), limit)))
    if name == "is":
        plain = _value(wanted, kind)
        return Test(f"is {plain!r}", lambda value: Match(_equal(value, plain)))
    if name == "in":
        if not isinstance(wanted, list) or not wanted:
            raise ValueError(f"{wanted!r} is not a list of values")
        several = [_value(one, kind) for one in wanted]
        return Test(f"in {several}", lambda value: Match(any(_equal(value, one) for one in several)))
    if name == "matches":
        return _pattern_test(_text(wanted))
    return _text_test(name, _text(wanted))


def _pattern_test(pattern: str) -> Test:
    found = compiled(pattern)

    def match(value: Value) -> Match:
        where = found.search(storable(value)) if isinstance(value, str) else None
        return Match(False) if where is None else Match(True, *where.span())

    return Test(f"matches {pattern!r}", match)


def _text_test(name: str, wanted: str) -> Test:
    low = wanted.lower()

    def match(value: Value) -> Match:
        if not isinstance(value, str):
            return Match(False)
        text = value.lower()
        if name == "starts_with":
            return Match(text.startswith(low), 0, len(low))
        if name == "ends_with":
            return Match(text.endswith(low), max(0, len(text) - len(low)), len(text))
        start = text.find(low)
        return Match(start >= 0, max(0, start), max(0, start) + len(low))

    return Test(f"{name.replace('_', ' ')} {wanted!r}", match)


def _equal(value: Value, wanted: Value) -> bool:
    if isinstance(value, bool) or isinstance(wanted, bool):
        return value is wanted
    return value == wanted


def _is_number(value: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value)


def _number(wanted: Any) -> float:
    if not isinstance(wanted, int | float) or isinstance(wanted, bool) or not math.isfinite(wanted):
        raise ValueError(f"{wanted!r} is not a number")
    return float(wanted)


def _text(wanted: Any) -> str:
    if not isinstance(wanted, str) or not wanted:
        raise ValueError(f"{wanted!r} is not a text")
    return wanted


def _value(wanted: Any, kind: Kind | None) -> Value:
    plain: Value = wanted
    if isinstance(wanted, bool):
        right = kind in ("truth", None)
    elif isinstance(wanted, str):
        right = kind in ("text", None)
    else:
        right = kind in ("number", None) and isinstance(wanted, int | float)
    if not right:
        what = {"text": "a text", "number": "a number", "truth": "true or false", None: "a text, number, true or false"}
        raise ValueError(f"{wanted!r} is not {what[kind]}")
    return plain
