"""Vectors that need no model, and the scorer that gives them to monitors."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.core.errors import UserError
from collector.core.model import Trace
from scorers.base import Score, scorer
from scorers.ledger import decision_to_json
from scorers.models.hashed import Hashed
from scorers.outcome import BadOutcome, scores_of
from scorers.testing import HOSTILE_TEXTS, check_scorer
from scorers.vectors import DIMENSIONS, packed
from tests.scorers.models.evaluation import configured, evaluate

GOLDEN = "d34b43ae1ee20f0000bd1edb"


def cosine(one: str, other: str) -> float:
    first, second = Hashed().embed([one, other])
    return float(first @ second)


# --- hashed ---


def test_texts_that_share_words_are_near_and_others_are_strangers() -> None:
    question = "Where is my refund for the damaged parcel?"
    assert cosine(question, "refund for a damaged parcel, where is it?") > 0.9
    assert cosine(question, "the parcel was damaged and I was refunded") > 0.5
    assert abs(cosine(question, "Which opera did Verdi compose in 1853?")) < 0.25
    assert abs(cosine(question, "get my money back")) < 0.25  # what it cannot see


def test_it_is_the_same_everywhere() -> None:
    """The numbers of a text are fixed: detectors hold what comes tomorrow, from another process, against today's."""
    (row,) = Hashed().embed(["refund the parcel"])
    assert row.shape == (DIMENSIONS,)
    assert packed(row.tolist())[:12].hex() == GOLDEN


def test_no_words_are_zeros_and_no_texts_are_no_rows() -> None:
    assert not Hashed().embed(["", "  ...  "]).any()
    assert Hashed().embed([]).shape == (0, DIMENSIONS)


@pytest.mark.parametrize("text", HOSTILE_TEXTS.values(), ids=HOSTILE_TEXTS)
def test_it_stands_whatever_comes(text: str) -> None:
    (row,) = Hashed().embed([text])
    assert np.isfinite(row).all()
    assert np.linalg.norm(row) == pytest.approx(1.0, abs=1e-4) or not row.any()


# --- packed ---


@given(st.lists(st.floats(-1e300, 1e300), min_size=2, max_size=300))
def test_a_vector_keeps_its_direction(numbers: list[float]) -> None:
    if not any(numbers):
        with pytest.raises(ValueError, match="all numbers are 0"):
            packed(numbers)
        return
    found = packed(numbers)
    assert len(found) == min(len(numbers), DIMENSIONS)
    assert any(found)
    if len(numbers) <= DIMENSIONS:
        given_row = np.asarray(numbers) / np.abs(numbers).max()
        kept = np.frombuffer(found, dtype=np.int8) / 127
        assert np.abs(given_row - kept).max() <= 0.5 / 127 + 1e-9


def test_a_projection_keeps_angles() -> None:
    rng = np.random.default_rng(1)
    base = rng.standard_normal((200, 768))
    base[1::2] = 0.7 * base[::2] + 0.7 * base[1::2]
    rows = np.array([np.frombuffer(packed(row), dtype=np.int8) for row in base], dtype=np.float64)

    def cosines(some: Any) -> Any:
        some = some / np.linalg.norm(some, axis=1, keepdims=True)
        return (some[::2] * some[1::2]).sum(axis=1)

    off = cosines(rows) - cosines(base)
    assert abs(off.mean()) < 0.02
    assert off.std() < 0.08


@pytest.mark.parametrize(
    ("vector", "problem"),
    [
        ([], "shape"),
        ([1.0], "shape"),
        ([[1.0, 2.0]], "shape"),
        ([1.0] * 70_000, "shape"),
        ([1.0, float("nan")], "not finite"),
        ([1.0, float("inf")], "not finite"),
        ([0.0, 0.0], "all numbers are 0"),
        ("ab", "list of numbers"),
        ([1, "x"], "list of numbers"),
        (b"\x00\x00", "bytes"),
        (b"\x01", "bytes"),
        (b"\x01" * 257, "bytes"),
        ({1: 2}, "needed"),
    ],
)
def test_what_is_no_vector_is_refused(vector: Any, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        packed(vector)


def test_of_a_scorer_that_does_not_embed_a_vector_is_wrong() -> None:
    plain = scorer(name="plain")(lambda trace: None)
    with pytest.raises(BadOutcome, match="embeds=True"):
        scores_of(plain, Score(0.5, vector=[1.0, 2.0]))
    embeds = scorer(name="embeds", embeds=True)(lambda trace: None)
    with pytest.raises(BadOutcome, match="not finite"):
        scores_of(embeds, Score(0.5, vector=[1.0, float("nan")]))
    (score,) = scores_of(embeds, Score(None, vector=[1.0, 2.0], terms=["a\ud800"] * 40))
    assert score.vector == packed([1.0, 2.0])
    assert score.terms == ("a?",) * 12


# --- the scorer ---


@pytest.mark.parametrize("of", ["question", "answer", "contexts"])
def test_what_is_asked_for_is_embedded(of: str) -> None:
    trace = Trace("1" * 32, question="refund please", answer="parcel sent", contexts=["returns take a week", "labels"])
    (found,) = evaluate(configured("embedding", of=of), trace)
    texts = {"question": [trace.question], "answer": [trace.answer], "contexts": trace.contexts}[of]
    expected = packed(Hashed().embed([text or "" for text in texts]).mean(axis=0).tolist())
    assert found.score is not None
    assert found.score.vector == expected
    assert found.score.value is None


def test_terms_are_words_that_tell_and_no_numbers() -> None:
    trace = Trace("1" * 32, question="Where is the voucher 4711 of jane@example.com? The VOUCHER of order A17!")
    (found,) = evaluate(configured("embedding", terms=3), trace)
    (none,) = evaluate(configured("embedding", terms=0), trace)
    assert found.score is not None
    assert none.score is not None
    assert found.score.terms[0] == "voucher"
    (all_of_them,) = evaluate(configured("embedding", terms=12), trace)
    assert all_of_them.score is not None
    assert set(all_of_them.score.terms) == {"voucher", "order"}
    assert not any(any(letter.isdigit() for letter in term) for term in found.score.terms)
    assert none.score.terms == ()


def test_neither_vector_nor_terms_are_in_the_record() -> None:
    (found,) = evaluate(configured("embedding"), Trace("1" * 32, question="refund the voucher"))
    assert "voucher" not in str(decision_to_json(found))
    assert "vector" not in str(decision_to_json(found))


def test_what_has_no_words_has_nothing_to_score() -> None:
    found = evaluate(
        configured("embedding"), Trace("1" * 32, question="..."), Trace("2" * 32), Trace("3" * 32, question="parcel")
    )
    assert [(one.decision, one.reason) for one in found[:2]] == [("filtered", "nothing to score")] * 2
    assert found[2].decision == "scored"


def test_it_keeps_the_contract_of_scorers() -> None:
    for of in ("question", "answer", "contexts"):
        check_scorer(configured("embedding", of=of))


@pytest.mark.parametrize("kind", ["model2vec", "onnx"])
def test_models_embed_too(kind: str, static_folder: Path, encoder_folder: Path) -> None:
    folder = {"model2vec": static_folder, "onnx": encoder_folder}[kind]
    found = evaluate(
        configured("embedding", model=f"{kind}:{folder}"),
        Trace("1" * 32, question="refund"),
        Trace("2" * 32, question="money back"),
        Trace("3" * 32, question="parcel"),
    )
    vectors = [one.score.vector for one in found if one.score is not None]
    refund, money, parcel = (np.frombuffer(vector, dtype=np.int8) / 127.0 for vector in vectors)  # type: ignore[arg-type]
    assert refund @ money > 2 * abs(refund @ parcel)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"model": "minilm"}, "'minilm' is not KIND:FOLDER with one of the kinds"),
        ({"of": "prompt"}, "options.of"),
        ({"terms": 13}, "options.terms"),
        ({"model": "onnx:./none"}, "there is no such folder"),
    ],
)
def test_a_wrong_option_is_told_at_start(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(UserError) as refused:
        configured("embedding", **options)
    assert problem in str(refused.value)
