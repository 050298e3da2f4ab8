"""Points and changes as JSON, for the logs they travel through.

Decoding is strict: a wrong type, a missing or an unknown field is a `ValueError` that names it, because a misread
number would be worse than a missing one.
"""

from collections.abc import Mapping
from dataclasses import fields
from math import isfinite
from typing import Any, cast

import orjson

from drift.model import Carrier, Change, Estimate, Point

_MOST_SLICES = 64
_LONGEST_TEXT = 4096


def encode_point(point: Point) -> bytes:
    """JSON of a point.

    Raises:
        ValueError: a number that is not finite, which JSON cannot hold.
    """
    if not (isfinite(point.value) and isfinite(point.probability)):
        raise ValueError(f"value {point.value} and probability {point.probability} must be finite")
    return _dumps(point)


def encode_change(change: Change) -> bytes:
    """JSON of a change."""
    return _dumps(change)


def decode_point(data: bytes) -> Point:
    """The point that `encode_point` wrote.

    Raises:
        ValueError: not such JSON; names the field.
    """
    raw = _object(data, Point)
    if len(data) <= _LONGEST_TEXT and _is_plain(raw):
        return Point(**raw)
    for name in ("score_id", "metric", "trace_id", "span_id", "evaluator_id"):
        _text(raw, name)
    _integer(raw, "at_ns")
    raw.setdefault("revision", 0)
    _integer(raw, "revision")
    _number(raw, "value")
    _number(raw, "probability")
    if raw["passed"] not in (True, False, None) or type(raw["passed"]) in (int, float):
        raise ValueError(f"passed is {raw['passed']!r:.80}; it must be true, false or null")
    _texts(raw, "slices")
    return Point(**raw)


def _is_plain(raw: Mapping[str, Any]) -> bool:
    """Whether all is as we write it ourselves, told quickly; if not, the checks one by one say what is wrong."""
    return (
        "revision" in raw
        and type(raw["value"]) is float
        and type(raw["probability"]) is float
        and type(raw["at_ns"]) is type(raw["revision"]) is int
        and raw["at_ns"] >= 0 <= raw["revision"]
        and type(raw["score_id"]) is type(raw["metric"]) is type(raw["trace_id"]) is str
        and type(raw["span_id"]) is type(raw["evaluator_id"]) is str
        and (raw["passed"] is None or type(raw["passed"]) is bool)
        and type(raw["slices"]) is dict
        and len(raw["slices"]) <= _MOST_SLICES
        and all(type(value) is str for value in raw["slices"].values())
    )


def decode_change(data: bytes) -> Change:
    """The change that `encode_change` wrote.

    Raises:
        ValueError: not such JSON; names the field.
    """
    raw = _object(data, Change)
    for name in ("id", "monitor", "metric", "detector", "reason", "related"):
        _text(raw, name)
    for name in ("detected_ns", "onset_ns", "onset_low_ns", "onset_high_ns", "sequence"):
        _integer(raw, name)
    for name in ("evidence", "threshold", "clipped"):
        _number(raw, name)
    _one_of(raw, "status", ("active", "resolved"))
    _one_of(raw, "statistic", ("mean", "pass_rate"))
    _one_of(raw, "direction", ("down", "up"))
    if type(raw["paged"]) is not bool:
        raise ValueError(f"paged is {raw['paged']!r:.80}; it must be true or false")
    if raw["resolved_ns"] is not None:
        _integer(raw, "resolved_ns")
    _texts(raw, "slice")
    for name in ("before", "after", "size"):
        raw[name] = decode_estimate(raw[name], name)
    for name in ("traces", "contrast_traces"):
        if type(raw[name]) is not list or any(type(item) is not str for item in raw[name]):
            raise ValueError(f"{name} must be a list of trace ids")
    if type(raw["carriers"]) is not list:
        raise ValueError("carriers must be a list")
    raw["carriers"] = [_carrier(item) for item in raw["carriers"]]
    return Change(**raw)


def decode_estimate(raw: object, name: str) -> Estimate:
    """The estimate in an object that JSON gave; ValueError if it is none."""
    checked = _fields(raw, Estimate, name)
    for key in ("value", "lower", "upper", "n"):
        _number(checked, key)
    return Estimate(**checked)


def _carrier(raw: object) -> Carrier:
    checked = _fields(raw, Carrier, "carriers")
    _text(checked, "attribute")
    _text(checked, "value")
    for key in ("share", "mix", "within", "traffic"):
        _number(checked, key)
    for key in ("before", "after"):
        if checked[key] is not None:
            _number(checked, key)
    if type(checked["is_new"]) is not bool:
        raise ValueError(f"is_new is {checked['is_new']!r:.80}; it must be true or false")
    return Carrier(**checked)


def _dumps(value: object) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError as error:
        raise ValueError(f"cannot be written as JSON: {error}") from error


def _object(data: bytes, kind: type[Any]) -> dict[str, Any]:
    try:
        raw = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error}") from error
    return _fields(raw, kind, kind.__name__)


_KNOWN: dict[type[Any], tuple[frozenset[str], frozenset[str]]] = {}


def _fields(raw: object, kind: type[Any], name: str) -> dict[str, Any]:
    """`raw` as the arguments of `kind`: an object with all of its fields and no others."""
    if type(raw) is not dict:
        raise ValueError(f"{name} must be an object, not {type(raw).__name__}")
    if kind not in _KNOWN:
        every = frozenset(item.name for item in fields(kind))
        _KNOWN[kind] = every, every - {"revision"}
    known, needed = _KNOWN[kind]
    if not needed <= raw.keys() <= known:
        wrong = sorted((needed - raw.keys()) | (raw.keys() - known))
        raise ValueError(f"{name}: missing or unknown fields: {', '.join(map(str, wrong))[:200]}")
    return cast("dict[str, Any]", raw)


def _text(raw: Mapping[str, Any], name: str) -> None:
    if type(raw[name]) is not str or len(raw[name]) > _LONGEST_TEXT:
        raise ValueError(f"{name} is {raw[name]!r:.80}; it must be text of at most {_LONGEST_TEXT} characters")


def _integer(raw: Mapping[str, Any], name: str) -> None:
    if type(raw[name]) is not int or raw[name] < 0:
        raise ValueError(f"{name} is {raw[name]!r:.80}; it must be a whole number, not negative")


def _number(raw: dict[str, Any], name: str) -> None:
    if type(raw[name]) is int:
        raw[name] = float(raw[name])
    if type(raw[name]) is not float or not isfinite(raw[name]):
        raise ValueError(f"{name} is {raw[name]!r:.80}; it must be a finite number")


def _one_of(raw: Mapping[str, Any], name: str, allowed: tuple[str, ...]) -> None:
    if raw[name] not in allowed:
        raise ValueError(f"{name} is {raw[name]!r:.80}; it must be one of {', '.join(allowed)}")


def _texts(raw: Mapping[str, Any], name: str) -> None:
    value = raw[name]
    if type(value) is not dict or len(value) > _MOST_SLICES:
        raise ValueError(f"{name} must be an object of at most {_MOST_SLICES} texts")
    for item in value.values():
        if type(item) is not str or len(item) > _LONGEST_TEXT:
            raise ValueError(f"{name} holds {item!r:.80}; it must be text of at most {_LONGEST_TEXT} characters")
