import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scorers.base import Evidence, Score
from scorers.ledger import (
    DECISION_KINDS,
    Decision,
    decision_from_json,
    decision_to_json,
    decision_to_row,
    row_to_json,
    score_id,
)

texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
numbers = st.floats(allow_nan=False, allow_infinity=False)
evidence = st.builds(Evidence, st.integers(0, 2**40), st.integers(0, 2**40), texts, texts)
scores = st.builds(
    Score,
    st.none() | numbers,
    st.none() | st.booleans(),
    st.none() | texts,
    st.none() | texts,
    st.lists(evidence, max_size=3).map(tuple),
    st.none() | texts,
)
decisions = st.builds(
    Decision,
    texts,
    texts,
    st.sampled_from(DECISION_KINDS),
    texts,
    st.floats(0, 1),
    texts,
    st.none() | scores,
    st.none() | texts,
    texts,
)


@given(decisions)
def test_a_decision_survives_being_stored(decision: Decision) -> None:
    assert decision_from_json(orjson.loads(orjson.dumps(decision_to_json(decision)))) == decision


@given(decisions, st.floats(0, 1), texts)
def test_a_row_says_the_same_whatever_is_usual(decision: Decision, probability: float, rule: str) -> None:
    row = orjson.loads(orjson.dumps(decision_to_row(decision, probability, rule)))
    assert decision_from_json(row_to_json(row, probability, rule)) == decision


def test_a_score_of_zero_is_kept_as_zero() -> None:
    decision = Decision("s", "e", "scored", "ok", 1.0, "r", Score(0.0, passed=False))
    assert decision_to_json(decision)["score"] == {"value": 0.0, "passed": False}


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"decision": "guessed"},
        {"decision": "scored", "scorer": "s"},
        {"scorer": "s", "evaluator_id": "e", "decision": "scored", "reason": "", "probability": "x", "rule": ""},
        {"scorer": "s", "evaluator_id": "e", "decision": "scored", "reason": "", "probability": None, "rule": ""},
        {
            "scorer": "s",
            "evaluator_id": "e",
            "decision": "scored",
            "reason": "",
            "probability": 1,
            "rule": "",
            "score": 3,
        },
    ],
)
def test_what_is_no_decision_is_refused(record: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        decision_from_json(record)


def test_score_ids_differ_in_every_part_and_do_not_run_together() -> None:
    ids = {
        score_id("t", None, "s", 0),
        score_id("t", "a", "s", 0),
        score_id("t", None, "s", 1),
        score_id("ta", None, "s", 0),
        score_id("t", "as", "", 0),
    }
    assert len(ids) == 5
