"""Scorers of tier 1 with real, small models; without the libraries; and with what is no model."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.core.errors import UserError
from collector.core.model import Trace
from scorers.base import Scorer, scorer
from scorers.ledger import Decision
from scorers.loading import ScorerConfig, load_scorer
from scorers.models.embedders import load_embedder, unit
from scorers.models.entailment import _load
from scorers.testing import check_scorer, traces
from tests.scorers.models.evaluation import configured, evaluate


@pytest.fixture(autouse=True)
def _models_are_loaded_anew() -> Iterator[None]:
    yield
    load_embedder.cache_clear()
    _load.cache_clear()


def value(decision: Decision) -> float | None:
    assert decision.score is not None, decision
    return decision.score.value


@pytest.mark.parametrize("kind", ["model2vec", "onnx"])
def test_alike_in_meaning_is_nearer_than_unlike(kind: str, static_folder: Path, encoder_folder: Path) -> None:
    folder = {"model2vec": static_folder, "onnx": encoder_folder}[kind]
    one = configured("semantic_similarity", model=f"{kind}:{folder}")
    near, far, none = evaluate(
        one,
        Trace("1" * 32, answer="refund", reference="money back"),
        Trace("2" * 32, answer="refund", reference="late parcel delivery"),
        Trace("3" * 32, answer="refund"),
    )
    near_value, far_value = value(near), value(far)
    assert near_value is not None
    assert far_value is not None
    assert near_value > 0.9 > 0.3 > far_value
    assert (none.decision, none.reason) == ("filtered", "nothing to score")


def test_of_contexts_the_nearest_counts(static_folder: Path) -> None:
    one = configured("semantic_similarity", model=f"model2vec:{static_folder}", to="contexts")
    (found,) = evaluate(one, Trace("1" * 32, answer="parcel", contexts=["refund money", "", "late delivery"]))
    nearest = value(found)
    assert nearest is not None
    assert nearest > 0.9


def test_a_question_is_of_the_topic_whose_examples_are_near(static_folder: Path) -> None:
    topics = {"refunds": ["refund", "money back"], "shipping": ["parcel late", "delivery"], "empty": []}
    one = configured("topic", model=f"model2vec:{static_folder}", topics=topics)
    asked = ["my money", "parcel", "xyz"]
    found = evaluate(one, *(Trace(f"{at}" * 32, question=text) for at, text in enumerate(asked)))
    assert [decision.score and decision.score.label for decision in found] == ["refunds", "shipping", "other"]


def test_an_answer_is_as_grounded_as_its_least_entailed_sentence(entailment_folder: Path) -> None:
    one = configured("groundedness_nli", model=str(entailment_folder))
    good, bad = evaluate(
        one,
        Trace("1" * 32, answer="refund", contexts=["parcel", "refund"]),
        Trace("2" * 32, answer="refund \n late", contexts=["parcel", "refund"]),
    )
    assert value(good) == pytest.approx(1 / (1 + np.exp(-4)), abs=1e-3)
    assert good.score is not None
    assert good.score.passed is True
    assert bad.score is not None
    assert bad.score.passed is False
    assert bad.score.explanation == "sentence 2 of 2 is entailed least"
    assert [(item.start, item.end, item.type) for item in bad.score.evidence] == [(9, 13, "not_entailed")]


@pytest.mark.parametrize("name", ["semantic_similarity", "topic", "groundedness_nli"])
def test_a_model_stands_whatever_comes(
    name: str, static_folder: Path, entailment_folder: Path, encoder_folder: Path
) -> None:
    options: dict[str, Any] = {
        "semantic_similarity": {"model": f"onnx:{encoder_folder}", "to": "contexts"},
        "topic": {"model": f"model2vec:{static_folder}", "topics": {"refunds": ["refund"]}},
        "groundedness_nli": {"model": str(entailment_folder)},
    }[name]
    check_scorer(configured(name, **options))


def test_a_batch_says_of_each_what_it_would_say_of_it_alone(encoder_folder: Path) -> None:
    one = configured("semantic_similarity", model=f"onnx:{encoder_folder}", to="contexts")
    some = [Trace(f"{at:032x}", answer=trace.answer, contexts=trace.contexts) for at, (_, trace) in enumerate(traces())]
    together, alone = evaluate(one, *some), [evaluate(one, trace)[0] for trace in some]
    for one_of_many, by_itself in zip(together, alone, strict=True):
        assert (one_of_many.decision, one_of_many.reason) == (by_itself.decision, by_itself.reason)
        if by_itself.score is not None:
            assert value(one_of_many) == pytest.approx(value(by_itself), abs=1e-3)


@pytest.mark.parametrize(
    ("name", "model", "library"),
    [
        ("semantic_similarity", "model2vec:minishlab/potion-base-8M", "model2vec"),
        ("topic", "sentence-transformers:all-MiniLM-L6-v2", "sentence_transformers"),
        ("groundedness_nli", "ENTAILMENT", "onnxruntime"),
    ],
)
def test_without_the_extra_a_candidate_is_filtered_and_nothing_fails_at_start(
    monkeypatch: pytest.MonkeyPatch, entailment_folder: Path, name: str, model: str, library: str
) -> None:
    monkeypatch.setitem(sys.modules, library, None)  # as if it were not installed
    options = {"model": str(entailment_folder) if model == "ENTAILMENT" else model}
    one = configured(name, **options, **({"topics": {"a": ["b"]}} if name == "topic" else {}))
    (found,) = evaluate(one, Trace("1" * 32, question="?", answer="refund", reference="money", contexts=["refund"]))
    assert (found.decision, found.reason) == ("filtered", "extra not installed")


@pytest.mark.parametrize(
    ("use", "options", "problem"),
    [
        ("semantic_similarity", {}, "scorers[0].options.model: 'semantic_similarity' needs it"),
        (
            "semantic_similarity",
            {"model": "minilm"},
            "model: 'minilm' is not KIND:FOLDER with one of the kinds",
        ),
        ("semantic_similarity", {"model": "onnx:./none"}, "./none cannot be read: there is no such folder"),
        ("topic", {"model": "model2vec:x"}, "scorers[0].options.topics: 'topic' needs it"),
        ("groundedness_nli", {"model": "./none"}, "none/model.onnx cannot be read: No such file or directory"),
    ],
)
def test_a_model_that_is_not_there_is_told_at_start(use: str, options: dict[str, Any], problem: str) -> None:
    with pytest.raises(UserError) as refused:
        configured(use, **options)
    assert problem in str(refused.value)


def test_what_is_no_model_fails_candidates_and_not_the_service(tmp_path: Path) -> None:
    for name in ("model.onnx", "tokenizer.json"):
        (tmp_path / name).write_text("{}")
    one = configured("semantic_similarity", model=f"onnx:{tmp_path}")
    (found,) = evaluate(one, Trace("1" * 32, answer="a", reference="b"))
    assert (found.decision, found.reason) == ("failed", "exception")


def test_the_evaluator_id_is_that_of_the_model_in_the_folder(tmp_path: Path, encoder_folder: Path) -> None:
    for name in ("model.onnx", "tokenizer.json"):
        (tmp_path / name).write_bytes((encoder_folder / name).read_bytes())
    before = configured("semantic_similarity", model=f"onnx:{tmp_path}").evaluator_id
    assert configured("semantic_similarity", model=f"onnx:{tmp_path}").evaluator_id == before
    (tmp_path / "tokenizer.json").write_bytes((tmp_path / "tokenizer.json").read_bytes() + b"\n")
    assert configured("semantic_similarity", model=f"onnx:{tmp_path}").evaluator_id != before


@given(st.lists(st.lists(st.floats(width=32), min_size=3, max_size=3), min_size=1, max_size=5))
def test_vectors_are_of_length_one_or_nothing(rows: list[list[float]]) -> None:
    with np.errstate(over="ignore", invalid="ignore"):
        found = unit(rows)
    for row in found:
        length = float(np.linalg.norm(row.astype(np.float64)))
        assert length == 0 or length == pytest.approx(1, abs=1e-3)


# --- batches ---


def batched(function: Any) -> Scorer:
    return scorer(name="b", batch=3)(function).configured(timeout_seconds=0.5)


ASKED = [Trace(f"{at:032x}", answer=str(at)) for at in range(1, 8)]


def test_a_batch_is_no_larger_than_declared_and_keeps_the_order() -> None:
    sizes = []

    def score(some: list[Trace]) -> list[float]:
        sizes.append(len(some))
        return [int(trace.trace_id, 16) / 10 for trace in some]

    found = evaluate(batched(score), *ASKED)
    assert [value(one) for one in found] == [at / 10 for at in range(1, 8)]
    assert sizes == [3, 3, 1]


def test_one_that_raises_fails_alone() -> None:
    def score(some: list[Trace]) -> list[float]:
        if any(trace.answer == "2" for trace in some):
            raise ValueError("2")
        return [1.0 for _ in some]

    assert [one.reason for one in evaluate(batched(score), *ASKED)] == ["ok", "exception", *["ok"] * 5]


@pytest.mark.parametrize("returned", [None, 1.0, "abc", [1.0], [1.0] * 4])
def test_an_answer_that_is_not_one_for_each_is_a_failure_of_each(returned: Any) -> None:
    found = evaluate(batched(lambda some: returned), *ASKED[:3])
    assert {(one.decision, one.reason) for one in found} == {("failed", "wrong_type")}


def test_a_wrong_outcome_among_others_is_its_own() -> None:
    found = evaluate(batched(lambda some: [0.5, float("nan"), None][: len(some)]), *ASKED[:3])
    assert [one.reason for one in found] == ["ok", "not_finite", "nothing to score"]


def test_batches_are_of_whole_traces() -> None:
    with pytest.raises(ValueError, match="batch: only a scorer of traces by themselves"):
        scorer(name="b", batch=3, target="llm_call")(lambda some: [])


def test_a_built_in_of_tier_1_can_be_listed_without_a_model() -> None:
    assert load_scorer(ScorerConfig(use="semantic_similarity")).tier == 1
