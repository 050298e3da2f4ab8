"""Points and changes as JSON, for the logs they travel through.

Decoding is strict: a wrong type, a missing or an unknown field is a `ValueError` that names it, because a misread
number would be worse than a missing one.
"""

import binascii
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import fields
from math import isfinite
from operator import attrgetter
from typing import Any, cast

import orjson

from drift.model import Carrier, Change, Coincidence, Companion, Estimate, Point

_MOST_SLICES = 64
_LONGEST_TEXT = 4096
_MOST_TERMS = 64
_POINT_FIELDS = frozenset({"trace_id", "at_ns", "slices", "provenance", "points"})
_MOST_PROVENANCE = 65_536
_ROW = ("metric", "span_id", "value", "passed", "probability", "evaluator_id", "corrects", "label")
_row_of = attrgetter(*_ROW)
_CHANGE_FIELDS, _ESTIMATE_FIELDS, _CARRIER_FIELDS, _COINCIDENCE_FIELDS, _COMPANION_FIELDS = (
    frozenset(item.name for item in fields(kind)) for kind in (Change, Estimate, Carrier, Coincidence, Companion)
)
_LATER: dict[str, object] = {  # fields that older releases lack
    "moved": "",
    "coincidences": [],
    "typical_traces": [],
    "companions": [],
    "evaluators_before": [],
    "evaluators_after": [],
    "staked": 0.0,
}
_STATISTICS = ("mean", "pass_rate", "typical", "share")


def encode_points(points: Sequence[Point]) -> bytes:
    """JSON of the points of one evaluation: what they share (trace, time, slices, provenance) stands there once.

    Raises:
        ValueError: a number that is not finite, which JSON cannot hold; or no point.
    """
    if not points:
        raise ValueError("no points")
    rows = []
    for point in points:
        if not (isfinite(point.value or 0.0) and isfinite(point.probability)):
            raise ValueError(f"value {point.value} and probability {point.probability} must be finite")
        row = _row_of(point)
        rows.append((*row, b64encode(point.vector).decode(), point.terms) if point.vector else row)
    first = points[0]
    shared = {name: getattr(first, name) for name in ("trace_id", "at_ns", "slices", "provenance")}
    return _dumps({**shared, "points": rows})


def encode_change(change: Change) -> bytes:
    """JSON of a change."""
    return _dumps(change)


def decode_points(data: bytes) -> list[Point]:
    """The points that `encode_points` wrote; they share one dictionary of slices.

    Raises:
        ValueError: not such JSON; names the field.
    """
    raw = _object(data, _POINT_FIELDS, "points", later={"provenance": ""})
    _text(raw, "trace_id")
    _integer(raw, "at_ns")
    _texts(raw, "slices")
    if type(raw["points"]) is not list:
        raise ValueError("points must be a list")
    trace_id, at_ns, slices, provenance = raw["trace_id"], raw["at_ns"], raw["slices"], raw["provenance"]
    if type(provenance) is not str or len(provenance) > _MOST_PROVENANCE:
        raise ValueError(f"provenance is {provenance!r:.80}; it must be text of at most {_MOST_PROVENANCE} characters")
    points: list[Point] = []
    for row in raw["points"]:
        vector: bytes = b""
        terms: tuple[str, ...] = ()
        if type(row) is list and len(row) == len(_ROW) - 1:
            row = [*row, ""]  # of a release that told no labels
        elif type(row) is list and len(row) == len(_ROW) + 2:
            vector, terms = _embedded(*row[len(_ROW) :])
            row = row[: len(_ROW)]
        if type(row) is not list or len(row) != len(_ROW):
            raise ValueError(f"a point is {row!r:.80}; it must be a list of {', '.join(_ROW)}")
        if not _is_plain(row):
            row = _checked_row(row)
        metric, span_id, value, passed, probability, evaluator_id, corrects, label = row
        told = (slices, evaluator_id, corrects, label, provenance, vector, terms)
        points.append(Point(metric, trace_id, span_id, at_ns, value, passed, probability, *told))
    return points


def _embedded(vector: object, terms: object) -> tuple[bytes, tuple[str, ...]]:
    if type(vector) is not str or len(vector) > _LONGEST_TEXT:
        raise ValueError(f"vector is {vector!r:.80}; it must be text of at most {_LONGEST_TEXT} characters")
    if type(terms) is not list or len(terms) > _MOST_TERMS:
        raise ValueError(f"terms is {terms!r:.80}; it must be a list of at most {_MOST_TERMS} words")
    for term in terms:
        if type(term) is not str or len(term) > _LONGEST_TEXT:
            raise ValueError(f"terms holds {term!r:.80}; it must be text of at most {_LONGEST_TEXT} characters")
    try:
        return b64decode(vector, validate=True), tuple(terms)
    except binascii.Error as error:
        raise ValueError(f"vector cannot be read: {error}") from error


def _is_plain(row: list[Any]) -> bool:
    """Whether all is as we write it ourselves, told quickly; if not, the checks one by one say what is wrong."""
    metric, span_id, value, passed, probability, evaluator_id, corrects, label = row
    return (
        type(value) is type(probability) is float
        and type(metric) is type(span_id) is type(evaluator_id) is type(label) is str
        and len(metric) + len(span_id) + len(evaluator_id) + len(label) <= _LONGEST_TEXT
        and (passed is None or type(passed) is bool)
        and type(corrects) is bool
    )


def _checked_row(row: list[Any]) -> list[Any]:
    raw = dict(zip(_ROW, row, strict=True))
    for name in ("metric", "span_id", "evaluator_id", "label"):
        _text(raw, name)
    if raw["value"] is not None:
        _number(raw, "value")
    _number(raw, "probability")
    if raw["passed"] is not None:
        _truth(raw, "passed")
    _truth(raw, "corrects")
    return list(raw.values())


def decode_change(data: bytes) -> Change:
    """The change that `encode_change` wrote.

    Raises:
        ValueError: not such JSON; names the field.
    """
    raw = _object(data, _CHANGE_FIELDS, "Change", later=_LATER)
    for name in ("id", "monitor", "metric", "detector", "reason", "related", "moved"):
        _text(raw, name)
    for name in ("detected_ns", "onset_ns", "onset_low_ns", "onset_high_ns", "sequence"):
        _integer(raw, name)
    for name in ("evidence", "threshold", "clipped", "staked"):
        _number(raw, name)
    _one_of(raw, "status", ("active", "resolved"))
    _one_of(raw, "statistic", _STATISTICS)
    _one_of(raw, "direction", ("down", "up"))
    _truth(raw, "paged")
    if raw["resolved_ns"] is not None:
        _integer(raw, "resolved_ns")
    _texts(raw, "slice")
    for name in ("before", "after", "size"):
        raw[name] = decode_estimate(raw[name], name)
    for name in ("traces", "contrast_traces", "typical_traces", "evaluators_before", "evaluators_after"):
        if type(raw[name]) is not list or any(type(item) is not str for item in raw[name]):
            raise ValueError(f"{name} must be a list of ids")
    for name, decode in (("carriers", _carrier), ("coincidences", _coincidence), ("companions", _companion)):
        if type(raw[name]) is not list:
            raise ValueError(f"{name} must be a list")
        raw[name] = [decode(item) for item in raw[name]]
    return Change(**raw)


def decode_estimate(raw: object, name: str) -> Estimate:
    """The estimate in an object that JSON gave; ValueError if it is none."""
    checked = _fields(raw, _ESTIMATE_FIELDS, name)
    for key in ("value", "lower", "upper", "n"):
        _number(checked, key)
    return Estimate(**checked)


def _carrier(raw: object) -> Carrier:
    checked = _fields(raw, _CARRIER_FIELDS, "carriers")
    _text(checked, "attribute")
    _text(checked, "value")
    for key in ("share", "mix", "within", "traffic"):
        _number(checked, key)
    for key in ("before", "after"):
        if checked[key] is not None:
            _number(checked, key)
    _truth(checked, "is_new")
    return Carrier(**checked)


def _coincidence(raw: object) -> Coincidence:
    checked = _fields(raw, _COINCIDENCE_FIELDS, "coincidences")
    for key in ("kind", "value"):
        _text(checked, key)
    _one_of(checked, "how", ("new", "gone", "more", "less"))
    for key in ("before", "after"):
        _number(checked, key)
    if checked["at_ns"] is not None:
        _integer(checked, "at_ns")
    return Coincidence(**checked)


def _companion(raw: object) -> Companion:
    checked = _fields(raw, _COMPANION_FIELDS, "companions")
    for key in ("change_id", "metric"):
        _text(checked, key)
    _one_of(checked, "statistic", _STATISTICS)
    _texts(checked, "slice")
    _one_of(checked, "direction", ("down", "up"))
    for key in ("before", "after"):
        _number(checked, key)
    return Companion(**checked)


def _dumps(value: object) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError as error:
        raise ValueError(f"cannot be written as JSON: {error}") from error


def _object(data: bytes, names: frozenset[str], what: str, later: Mapping[str, object] | None = None) -> dict[str, Any]:
    """The object with these names; those of `later` came with a later release, and are filled in."""
    try:
        raw = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error}") from error
    if later and type(raw) is dict:
        raw = {**later, **raw}
    return _fields(raw, names, what)


def _fields(raw: object, names: frozenset[str], what: str) -> dict[str, Any]:
    """`raw` as an object with all of these fields and no others."""
    if type(raw) is not dict:
        raise ValueError(f"{what} must be an object, not {type(raw).__name__}")
    if raw.keys() != names:
        wrong = sorted(names ^ raw.keys())
        raise ValueError(f"{what}: missing or unknown fields: {', '.join(map(str, wrong))[:200]}")
    return cast("dict[str, Any]", raw)


def _truth(raw: Mapping[str, Any], name: str) -> None:
    if type(raw[name]) is not bool:
        raise ValueError(f"{name} is {raw[name]!r:.80}; it must be true or false")


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
