"""Points and changes as JSON: round trips, and strict decoding."""

from contextlib import suppress
from dataclasses import asdict

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.core.errors import UserError
from drift.base import (
    Carrier,
    Change,
    Estimate,
    Point,
    decode_change,
    decode_point,
    detector,
    encode_change,
    encode_point,
)

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
number = st.floats(allow_nan=False, allow_infinity=False)
moment = st.integers(0, 2**62)
points = st.builds(
    Point, text, text, text, text, moment, number, st.sampled_from([True, False, None]), number,
    st.dictionaries(text, text, max_size=5), text, st.integers(0, 1000),
)  # fmt: skip
estimates = st.builds(Estimate, number, number, number, number)
carriers = st.builds(
    Carrier, text, text, number, st.none() | number, st.none() | number, st.booleans(), number, number, number
)
changes = st.builds(
    Change, text, st.sampled_from(["active", "resolved"]), text, text, st.sampled_from(["mean", "pass_rate"]),
    st.dictionaries(text, text, max_size=3), st.sampled_from(["down", "up"]), text, number, number, moment, moment,
    moment, moment, estimates, estimates, estimates, st.lists(carriers, max_size=3), st.lists(text, max_size=3),
    st.lists(text, max_size=3), st.booleans(), st.none() | moment, st.integers(0, 99), text, text, number,
)  # fmt: skip

POINT = Point("s", "m", "t", "", 5, 0.5, True, 1.0, {"service": "shop"}, "e", 0)


@settings(deadline=None)
@given(points)
def test_a_point_survives_json(point: Point) -> None:
    assert decode_point(encode_point(point)) == point


@settings(deadline=None)
@given(changes)
def test_a_change_survives_json(change: Change) -> None:
    assert decode_change(encode_change(change)) == change


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("value", None), ("value", "1"), ("value", True), ("at_ns", 1.5), ("at_ns", -1), ("at_ns", True), ("passed", 1),
        ("passed", "yes"), ("metric", None), ("metric", "x" * 5000), ("slices", []), ("slices", {"a": 1}),
        ("slices", {str(i): "" for i in range(100)}), ("revision", "0"), ("revision", False), ("probability", []),
        ("unknown_field", 1),
    ],
)  # fmt: skip
def test_a_wrong_field_of_a_point_is_named(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=field):
        decode_point(orjson.dumps({**asdict(POINT), field: value}))


def test_a_missing_field_is_named() -> None:
    raw = asdict(POINT)
    del raw["trace_id"]
    with pytest.raises(ValueError, match="trace_id"):
        decode_point(orjson.dumps(raw))


def test_numbers_that_json_cannot_hold_are_not_written() -> None:
    for value in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="finite"):
            encode_point(Point("s", "m", "t", "", 5, value, True, 1.0, {}, "e"))


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 400), st.integers(0, 255))
def test_any_bytes_are_read_or_refused(noise: bytes, at: int, byte: int) -> None:
    good = encode_point(POINT)
    for data in (noise, good[:at] + bytes([byte]) + good[at + 1 :], good[:at]):
        for decode in (decode_point, decode_change):
            with suppress(ValueError):
                decode(data)


@pytest.mark.parametrize(
    ("name", "options", "named"),
    [
        ("no_such_detector", {}, "no_such_detector"),
        ("drift.detectors.mean:MeanDetector", {"arl": -1}, "arl"),
        ("drift.detectors.mean:MeanDetector", {"speed": 1}, "speed"),
        ("json:dumps", {"obj": 1}, "made a str"),
        ("math:pi", {}, "float"),
    ],
)
def test_a_detector_that_cannot_be_made_says_why(name: str, options: dict[str, object], named: str) -> None:
    with pytest.raises(UserError, match=named):
        detector(name, **options)
