"""The published forms: what is written follows the schemas, says what the log says, and is the same each time."""

from dataclasses import replace
from typing import Any

import jsonschema_rs
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.core.model import Trace
from collector.sample import Admission
from drift.base import decode_change
from driftline.export.parquet import record_batch
from driftline.export.rows import (
    CHANGE_FORM,
    SCORE_FORM,
    change_key,
    change_row,
    rfc3339,
    score_key,
    score_rows,
)
from driftline.export.schemas import FORMS, schema
from driftline.export.stage import changes, scores
from driftline.records import read_sheet, sheet
from scorers.base import Score
from scorers.ledger import DECISION_KINDS, Decision, score_id
from tests.alerts.conftest import EXAMPLE
from tests.driftline.export.store import Store

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"


def closed(form: dict[str, Any]) -> dict[str, Any]:
    """The schema with no room for a field that it does not describe."""
    if "properties" in form:
        inner = {name: closed(one) for name, one in form["properties"].items()}
        form = {**form, "properties": inner, "additionalProperties": False}
    if "$defs" in form:
        form = {**form, "$defs": {name: closed(one) for name, one in form["$defs"].items()}}
    if isinstance(form.get("items"), dict):
        form = {**form, "items": closed(form["items"])}
    return form


def validate(form: str, row: Any) -> None:
    """Through JSON, as others get it."""
    validator = jsonschema_rs.validator_for(closed(schema(form)), validate_formats=True)
    validator.validate(orjson.loads(orjson.dumps(row)))


# --- what is really written ---


def test_all_rows_of_a_real_store_follow_their_schemas(store: Store) -> None:
    score = [row for entry in store.decisions for row in scores(True).rows(entry.value)]
    change = [row for entry in store.changes for row in changes().rows(entry.value)]
    assert {row["decision"] for row in score} == {"scored", "filtered", "not_sampled"}
    assert {row["event"] for row in change} >= {"opened", "updated"}
    for row in score[:400]:
        validate("score", row)
    for row in change:
        validate("change", row)
    for rows in (score, change):
        assert len({row["id"] for row in rows}) == len(rows)


@pytest.mark.parametrize("form", FORMS)
def test_a_schema_is_one_and_requires_everything_it_describes(form: str) -> None:
    described = schema(form)
    jsonschema_rs.meta.validate(described)
    optional = {"tools", "calls", "schema"} if form == "case" else set()
    assert set(described["required"]) == set(described["properties"]) - optional
    for inner in described.get("$defs", {}).values():
        assert set(inner["required"]) == set(inner["properties"])


def test_a_schema_refuses_what_is_not_as_it_says() -> None:
    row = score_rows(a_sheet(0, a_decision()))[0]
    for wrong in ({"value": "0.5"}, {"revision": -1}, {"decision": "lost"}, {"event_time": "yesterday"}, {"more": 1}):
        with pytest.raises(jsonschema_rs.ValidationError):
            validate("score", {**row, **wrong})
    for name in row:
        with pytest.raises(jsonschema_rs.ValidationError):
            validate("score", {key: value for key, value in row.items() if key != name})


# --- golden ---


def a_decision(**other: Any) -> Decision:
    known: dict[str, Any] = {
        "scorer": "groundedness",
        "evaluator_id": "e1",
        "decision": "scored",
        "reason": "ok",
        "probability": 0.25,
        "rule": "sample.rate",
        "score": Score(0.125, False, "made up", "an explanation", (), None),
    }
    return Decision(**{**known, **other})


def a_sheet(revision: int, *decisions: Decision) -> dict[str, Any]:
    trace = Trace(TRACE_ID, start_ns=1, end_ns=2, session_id="s1", error=True)
    slices = {"service": "shop", "version": "v2"}
    admission = Admission(0.1, 0.5, 0.5, "sample.rate")
    return read_sheet(sheet(trace, revision, 1_700_000_000_000_000_123, slices, admission, decisions))


def test_a_score_as_it_leaves() -> None:
    assert score_rows(a_sheet(0, a_decision())) == [
        {
            "form": "driftline.score/1",
            "id": score_id(TRACE_ID, None, "groundedness", 0),
            "trace_id": TRACE_ID,
            "revision": 0,
            "session_id": "s1",
            "event_time": "2023-11-14T22:13:20.000000123Z",
            "slices": {"service": "shop", "version": "v2"},
            "trace_error": True,
            "trace_incomplete": False,
            "span_id": None,
            "scorer": "groundedness",
            "evaluator_id": "e1",
            "decision": "scored",
            "reason": "ok",
            "value": 0.125,
            "passed": False,
            "label": "made up",
            "probability": 0.25,
            "weight": 4.0,
            "rule": "sample.rate",
        }
    ]


def test_a_change_as_it_leaves() -> None:
    change = replace(EXAMPLE, sequence=0)
    row = change_row(change)
    validate("change", row)
    assert (row["id"], row["change_id"], row["event"]) == (f"{change.id}/{change.sequence}", change.id, "opened")
    assert row["slices"] == change.slice
    assert row["onset_time"] == rfc3339(change.onset_ns)
    assert row["resolved_time"] is None
    assert row["size"] == {name: getattr(change.size, name) for name in ("value", "lower", "upper", "n")}
    assert change_row(replace(change, sequence=3))["event"] == "updated"
    over = change_row(replace(change, sequence=4, status="resolved", resolved_ns=1_700_000_000_000_000_000))
    assert (over["event"], over["resolved_time"]) == ("resolved", "2023-11-14T22:13:20.000000000Z")
    assert change_key(over) == change_key(row) == change.id.encode()


# --- which rows ---


def test_what_has_no_score_is_left_out_unless_it_is_asked_for_or_may_take_one_back() -> None:
    decisions = a_decision(), a_decision(scorer="refusal", decision="filtered", reason="needs:answer", score=None)
    assert [row["scorer"] for row in score_rows(a_sheet(0, *decisions))] == ["groundedness"]
    everything = score_rows(a_sheet(0, *decisions), unscored=True)
    assert [(row["scorer"], row["value"], row["reason"]) for row in everything] == [
        ("groundedness", 0.125, "ok"),
        ("refusal", None, "needs:answer"),
    ]
    revised = score_rows(a_sheet(1, *decisions))
    assert [row["scorer"] for row in revised] == ["groundedness", "refusal"]


def test_a_revision_has_other_ids_under_the_same_keys() -> None:
    spans = [a_decision(span_id=span, score=Score(1.0, True, span_id=span)) for span in ("a", "b")]
    first, second = (score_rows(a_sheet(revision, *spans)) for revision in (0, 1))
    assert [score_key(row) for row in first] == [score_key(row) for row in second]
    assert len({score_key(row) for row in first}) == 2
    assert not {row["id"] for row in first} & {row["id"] for row in second}


def test_what_cannot_have_been_seen_has_no_weight() -> None:
    never = a_decision(decision="not_sampled", reason="rate", probability=0.0, score=None)
    (row,) = score_rows(a_sheet(0, never), unscored=True)
    assert (row["probability"], row["weight"]) == (0.0, None)
    validate("score", row)


# --- round trips ---

texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
decisions = st.builds(
    Decision,
    scorer=texts,
    evaluator_id=texts,
    decision=st.sampled_from(DECISION_KINDS),
    reason=texts,
    probability=st.floats(1e-9, 1),
    rule=texts,
    score=st.none()
    | st.builds(
        Score,
        value=st.none() | st.floats(allow_nan=False, allow_infinity=False),
        passed=st.none() | st.booleans(),
        label=st.none() | texts,
    ),
    span_id=st.none() | texts,
)


@settings(deadline=None)  # the first example loads pyarrow
@given(st.lists(decisions, max_size=4), st.integers(0, 3), st.integers(0, 2**64 - 1), st.booleans())
def test_rows_say_what_was_decided_in_json_and_in_columns(
    found: list[Decision], revision: int, event_ns: int, unscored: bool
) -> None:
    trace = Trace(TRACE_ID)
    written = sheet(trace, revision, event_ns, {"service": "ü"}, Admission(0.1, 1.0, 1.0, "sample.rate"), found)
    rows = score_rows(read_sheet(written), unscored=unscored)
    kept = [one for one in found if unscored or revision or one.score is not None]
    assert [
        (row["scorer"], row["span_id"], row["decision"], row["reason"], row["probability"], row["value"], row["passed"])
        for row in rows
    ] == [
        (
            *(one.scorer, one.span_id, one.decision, one.reason, one.probability),
            *((one.score.value, one.score.passed) if one.score else (None, None)),
        )
        for one in kept
    ]
    assert orjson.loads(orjson.dumps(rows)) == rows
    for row in rows:
        validate("score", row)
    columns = record_batch(SCORE_FORM, rows).to_pylist()
    assert [{**row, "event_time": None, "slices": dict(row["slices"])} for row in columns] == [
        {**row, "event_time": None} for row in rows
    ]
    for row, column in zip(rows, columns, strict=True):
        assert f"{column['event_time']:%Y-%m-%dT%H:%M:%S.%f}" == row["event_time"][:26]


def _plain(name: str, value: Any) -> Any:
    """A column's value with its maps, which come as pairs, as JSON has them."""
    if name == "companions":
        return [{**one, "slices": dict(one["slices"])} for one in value]
    return dict(value) if name == "slices" else value


def test_changes_are_the_same_in_json_and_in_columns(store: Store) -> None:
    rows = [change_row(decode_change(entry.value)) for entry in store.changes]
    columns = record_batch(CHANGE_FORM, rows).to_pylist()
    for row, column in zip(rows, columns, strict=True):
        assert column.keys() == row.keys()
        for name, value in row.items():
            if name.endswith("_time"):
                assert (column[name] is None) == (value is None)
                assert value is None or f"{column[name]:%Y-%m-%dT%H:%M:%S.%f}" == value[:26]
            else:
                assert _plain(name, column[name]) == value
