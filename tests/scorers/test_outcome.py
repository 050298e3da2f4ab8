import math

import pytest

from collector.core.model import Trace
from scorers.base import Evidence, Score, Scorer
from scorers.outcome import BadOutcome, scores_of
from scorers.passing import parse_passing


def of(returned: object, **declared: object) -> list[Score]:
    return scores_of(Scorer("s", lambda trace: None, **declared), returned)  # type: ignore[arg-type]


def test_nothing_is_no_score() -> None:
    assert of(None) == []
    assert of([]) == []


def test_zero_is_a_score() -> None:
    assert of(0) == [Score(0.0)]


def test_passing_judges_a_number() -> None:
    assert of(0.4, passing=parse_passing(">= 0.5"))[0].passed is False


def test_a_verdict_of_the_scorer_stands() -> None:
    assert of(Score(0.4, passed=True), passing=parse_passing(">= 0.5"))[0].passed is True


@pytest.mark.parametrize(("better", "verdict"), [("higher", True), ("lower", False)])
def test_true_is_good_where_higher_is_better(better: str, verdict: bool) -> None:
    assert of(True, better=better) == [Score(1.0, passed=verdict)]


def test_a_text_is_a_label() -> None:
    assert of("calm", passing=parse_passing("in calm")) == [Score(None, True, "calm")]


def test_scores_of_several_operations_are_kept_apart() -> None:
    assert [score.span_id for score in of([Score(0.1, span_id="a"), Score(0.2, span_id="b")])] == ["a", "b"]


@pytest.mark.parametrize(
    ("returned", "reason"),
    [
        (math.nan, "not_finite"),
        (math.inf, "not_finite"),
        (10**400, "not_finite"),
        (1.01, "out_of_range"),
        (-0.01, "out_of_range"),
        (b"bytes", "wrong_type"),
        ({"value": 1}, "wrong_type"),
        (object(), "wrong_type"),
        (1j, "wrong_type"),
        (Score("1"), "wrong_type"),  # type: ignore[arg-type]
        (Score(None), "wrong_type"),
        (Score(0.5, passed="yes"), "wrong_type"),  # type: ignore[arg-type]
        (Score(0.5, label=3), "wrong_type"),  # type: ignore[arg-type]
        (Score(0.5, evidence=["x"]), "wrong_type"),  # type: ignore[list-item]
        (Score(0.5, evidence=[Evidence(0.5, 1, "x")]), "wrong_type"),  # type: ignore[arg-type]
        (Score(0.5, evidence=[Evidence(-1, 1, "x")]), "wrong_type"),
        (Score(0.5, evidence=[Evidence(2, 1, "x")]), "wrong_type"),
        (Score(0.5, evidence=[Evidence(0, 2**70, "x")]), "wrong_type"),
        (Score(0.5, evidence=[Evidence(0, 1, None)]), "wrong_type"),  # type: ignore[arg-type]
        ([0.5, 0.6], "wrong_type"),
        ([Score(0.5)] * 1001, "wrong_type"),
    ],
)
def test_what_cannot_be_believed_is_refused_with_its_reason(returned: object, reason: str) -> None:
    with pytest.raises(BadOutcome) as refused:
        of(returned)
    assert refused.value.reason == reason


def test_texts_are_cut_and_can_be_stored() -> None:
    (score,) = of(Score(0.5, label="\ud800" + "x" * 500, explanation="y" * 9_000))
    assert score.label is not None
    assert len(score.label) == 100
    assert score.label.startswith("?x")
    assert score.explanation is not None
    assert len(score.explanation) == 2_000


def test_evidence_is_cut_and_can_be_stored() -> None:
    class Text(str):
        pass

    (score,) = of(Score(0.5, evidence=[Evidence(False, True, "\ud800" + "x" * 500, Text("y" * 9_000))]))
    (found,) = score.evidence
    assert (found.start, found.end, len(found.type), found.type[:2], len(found.text)) == (0, 1, 100, "?x", 2_000)
    assert {type(part) for part in (found.start, found.end, found.type, found.text)} == {int, str}


def test_a_message_of_a_refusal_holds_no_content() -> None:
    with pytest.raises(BadOutcome) as refused:
        of({"secret": Trace("t")})
    assert "secret" not in str(refused.value)
