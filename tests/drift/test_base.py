"""Points and changes as JSON: round trips, and strict decoding."""

from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.core.errors import UserError
from drift.base import (
    Carrier,
    Change,
    Coincidence,
    Estimate,
    Point,
    decode_change,
    decode_points,
    detector,
    encode_change,
    encode_points,
)

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
number = st.floats(allow_nan=False, allow_infinity=False)
moment = st.integers(0, 2**62)
heads = st.tuples(text, moment, st.dictionaries(text, text, max_size=5), text)
rows = st.tuples(
    text, text, st.none() | number, st.sampled_from([True, False, None]), number, text, st.booleans(), text
)
estimates = st.builds(Estimate, number, number, number, number)
carriers = st.builds(
    Carrier, text, text, number, st.none() | number, st.none() | number, st.booleans(), number, number, number
)
coincident = st.builds(
    Coincidence, text, text, st.sampled_from(["new", "gone", "more", "less"]), number, number, st.none() | moment
)
changes = st.builds(
    Change, text, st.sampled_from(["active", "resolved"]), text, text,
    st.sampled_from(["mean", "pass_rate", "typical", "share"]),
    st.dictionaries(text, text, max_size=3), st.sampled_from(["down", "up"]), text, number, number, moment, moment,
    moment, moment, estimates, estimates, estimates, st.lists(carriers, max_size=3), st.lists(text, max_size=3),
    st.lists(text, max_size=3), st.booleans(), st.none() | moment, st.integers(0, 99), text, text, number,
    text, st.lists(coincident, max_size=3), st.lists(text, max_size=3),
)  # fmt: skip

POINT = Point("m", "t", "", 5, 0.5, True, 1.0, {"service": "shop"}, "e", False, provenance="version 2")
ROW = ["m", "", 0.5, True, 1.0, "e", False, ""]
HEAD = {"trace_id": "t", "at_ns": 5, "slices": {"service": "shop"}, "provenance": "version 2", "points": [ROW]}


@settings(deadline=None)
@given(heads, st.lists(rows, min_size=1, max_size=4))
def test_the_points_of_an_evaluation_survive_json(head: Any, told: list[Any]) -> None:
    trace_id, at_ns, slices, made_by = head
    points = [
        Point(
            *(metric, trace_id, span_id, at_ns, value, passed, probability, slices, evaluator, corrects, label, made_by)
        )
        for metric, span_id, value, passed, probability, evaluator, corrects, label in told
    ]
    assert decode_points(encode_points(points)) == points


def test_a_point_is_written_as_documented() -> None:
    assert orjson.loads(encode_points([POINT])) == HEAD


@settings(deadline=None)
@given(changes)
def test_a_change_survives_json(change: Change) -> None:
    assert decode_change(encode_change(change)) == change


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("trace_id", None), ("at_ns", 1.5), ("at_ns", -1), ("at_ns", True), ("slices", []), ("slices", {"a": 1}),
        ("slices", {str(i): "" for i in range(100)}), ("points", {}), ("points", [[]]), ("points", ["mmmmmmm"]),
        ("unknown_field", 1), ("provenance", None), ("provenance", "x" * 70_000),
    ],
)  # fmt: skip
def test_a_wrong_field_of_points_is_named(field: str, value: object) -> None:
    with pytest.raises(ValueError, match="a point is" if field == "points" and value else field):
        decode_points(orjson.dumps({**HEAD, field: value}))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("label", None), ("value", "1"), ("value", True), ("passed", 1), ("passed", "yes"), ("metric", None),
        ("metric", "x" * 5000), ("span_id", 7), ("corrects", 0), ("corrects", None), ("probability", []),
        ("evaluator_id", None),
    ],
)  # fmt: skip
def test_a_wrong_field_of_a_point_is_named(field: str, value: object) -> None:
    names = ("metric", "span_id", "value", "passed", "probability", "evaluator_id", "corrects", "label")
    row = [value if name == field else known for name, known in zip(names, ROW, strict=True)]
    with pytest.raises(ValueError, match=field):
        decode_points(orjson.dumps({**HEAD, "points": [row]}))


def test_points_that_were_written_before_labels_were_told_are_read() -> None:
    assert decode_points(orjson.dumps({**HEAD, "points": [ROW[:-1]]})) == [POINT]


def test_points_that_were_written_before_provenance_was_told_are_read() -> None:
    (point,) = decode_points(orjson.dumps({name: value for name, value in HEAD.items() if name != "provenance"}))
    assert point.provenance == ""


def test_a_change_that_was_written_before_it_said_what_changed_then_is_read() -> None:
    one = Coincidence("version", "2", "new", 0.0, 1.0, 5)
    told = Change(
        *("i", "active", "m", "m", "mean", {}, "down", "mean", 2.0, 1.0, 9, 5, 4, 6),
        *(Estimate(0.5, 0.4, 0.6, 9.0) for _ in range(3)),
        coincidences=[one],
        typical_traces=["t"],
    )
    raw = orjson.loads(encode_change(told))
    before = decode_change(orjson.dumps({k: v for k, v in raw.items() if k not in ("coincidences", "typical_traces")}))
    assert (before.coincidences, before.typical_traces) == ([], [])
    for wrong in ({}, [1], [{**raw["coincidences"][0], "how": "caused"}], [{**raw["coincidences"][0], "at_ns": -1}]):
        with pytest.raises(ValueError, match=r"coincidences|how|at_ns"):
            decode_change(orjson.dumps({**raw, "coincidences": wrong}))


def test_a_change_that_was_written_before_it_said_what_moved_is_read() -> None:
    told = Change(
        *("i", "active", "m", "m", "mean", {}, "down", "mean", 2.0, 1.0, 9, 5, 4, 6),
        *(Estimate(0.5, 0.4, 0.6, 9.0) for _ in range(3)),
        moved="traffic",
    )
    raw = orjson.loads(encode_change(told))
    del raw["moved"]
    assert decode_change(orjson.dumps(raw)).moved == ""
    with pytest.raises(ValueError, match="moved"):
        decode_change(orjson.dumps({**raw, "moved": 1}))


def test_a_change_that_was_written_before_it_told_evaluators_and_budget_is_read() -> None:
    told = Change(
        *("i", "active", "m", "m", "mean", {}, "down", "mean", 2.0, 1.0, 9, 5, 4, 6),
        *(Estimate(0.5, 0.4, 0.6, 9.0) for _ in range(3)),
        evaluators_before=["e1"],
        evaluators_after=["e1", "e2"],
        staked=0.25,
    )
    raw = orjson.loads(encode_change(told))
    older = {key: value for key, value in raw.items() if key not in ("evaluators_before", "evaluators_after", "staked")}
    read = decode_change(orjson.dumps(older))
    assert (read.evaluators_before, read.evaluators_after, read.staked) == ([], [], 0.0)
    for wrong in ({"evaluators_after": [1]}, {"evaluators_before": "e"}, {"staked": "much"}):
        with pytest.raises(ValueError, match=r"evaluators|staked"):
            decode_change(orjson.dumps({**raw, **wrong}))


def test_whole_numbers_are_numbers() -> None:
    (point,) = decode_points(orjson.dumps({**HEAD, "points": [["m", "", 1, True, 1, "e", False]]}))
    assert (type(point.value), point.value, type(point.probability)) == (float, 1.0, float)


def test_a_missing_field_is_named() -> None:
    with pytest.raises(ValueError, match="trace_id"):
        decode_points(orjson.dumps({name: value for name, value in HEAD.items() if name != "trace_id"}))


def test_numbers_that_json_cannot_hold_are_not_written() -> None:
    for value in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="finite"):
            encode_points([Point("m", "t", "", 5, value, True, 1.0, {}, "e")])


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 400), st.integers(0, 255))
def test_any_bytes_are_read_or_refused(noise: bytes, at: int, byte: int) -> None:
    good = encode_points([POINT])
    for data in (noise, good[:at] + bytes([byte]) + good[at + 1 :], good[:at]):
        for decode in (decode_points, decode_change):
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
