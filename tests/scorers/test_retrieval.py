import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.core.model import Document, Retrieval, Trace
from scorers.base import Score, Scorer
from scorers.builtin.retrieval import (
    context_precision,
    context_recall,
    empty_retrieval,
    retrieval_hit,
    retrieval_mrr,
    retrieval_ndcg,
    retrieval_precision,
    unused_contexts,
)
from scorers.ranking import average_precision, ndcg, precision_at, reciprocal_rank

FITTING = "The Hoover Dam stands on the Colorado River."
OTHER = "Leonard Nimoy played Mr. Spock in Star Trek."
MORE = "Ferrets live in groups called a business."


def value(scorer: Scorer, trace: Trace) -> float | None:
    found = scorer(trace)
    assert isinstance(found, Score)
    return found.value


def ranked(*scores: float | None) -> Retrieval:
    return Retrieval("s1", documents=[Document("x", "d", score) for score in scores])


def measured(scorer: Scorer, retrieval: Retrieval, **options: Any) -> float | None:
    found = scorer(retrieval, Trace("t", retrievals=[retrieval]), **options)
    assert found is None or isinstance(found, Score)
    return None if found is None else found.value


def test_retrievals_that_brought_nothing_are_counted() -> None:
    trace = Trace("t", retrievals=[Retrieval("a"), Retrieval("b", documents=[Document("x")]), Retrieval("c")])
    trace.retrievals[2].documents = [Document("  ")]
    found = empty_retrieval(trace)
    assert isinstance(found, Score)
    assert found.value == pytest.approx(2 / 3)
    assert found.explanation == "2 of 3 retrievals brought nothing"


def test_a_document_known_only_by_its_id_is_something() -> None:
    assert value(empty_retrieval, Trace("t", retrievals=[Retrieval("a", documents=[Document(None, "doc-1")])])) == 0


def test_contexts_of_which_the_answer_takes_nothing_are_unused() -> None:
    trace = Trace("t", answer="The Hoover Dam is on the Colorado River.", contexts=[FITTING, OTHER, MORE])
    assert value(unused_contexts, trace) == pytest.approx(2 / 3)


def test_an_answer_from_both_contexts_leaves_none_unused() -> None:
    trace = Trace("t", answer="Nimoy played Spock. The Hoover Dam stands on a river.", contexts=[FITTING, OTHER])
    assert value(unused_contexts, trace) == 0


def test_precision_is_worse_where_the_relevant_context_comes_last() -> None:
    question = "Where does the Hoover Dam stand?"
    assert value(context_precision, Trace("t", question=question, contexts=[FITTING, OTHER])) == 1
    assert value(context_precision, Trace("t", question=question, contexts=[OTHER, FITTING])) == 0.5
    assert value(context_precision, Trace("t", question=question, contexts=[OTHER])) == 0


def test_recall_is_the_share_of_the_reference_that_the_contexts_hold() -> None:
    assert value(context_recall, Trace("t", reference="Hoover Dam, Nevada", contexts=[OTHER, FITTING])) == 0.6667


def test_scores_of_documents_in_order_are_the_best_order() -> None:
    assert measured(retrieval_ndcg, ranked(0.9, 0.5, 0.1)) == 1.0
    expected = (0.1 + 0.5 / math.log2(3) + 0.9 / 2) / (0.9 + 0.5 / math.log2(3) + 0.1 / 2)
    assert measured(retrieval_ndcg, ranked(0.1, 0.5, 0.9)) == pytest.approx(expected)


def test_rank_precision_and_hit_follow_the_threshold_and_k() -> None:
    retrieval = ranked(0.2, 0.6, 0.1, 0.7)
    assert measured(retrieval_mrr, retrieval) == 0.5
    assert measured(retrieval_mrr, retrieval, relevant=0.65) == 0.25
    assert measured(retrieval_precision, retrieval, k=2) == 0.5
    assert measured(retrieval_hit, retrieval, k=1) == 0.0
    assert measured(retrieval_hit, retrieval, k=2) == 1.0


@pytest.mark.parametrize("scores", [(), (None,), (0.5, None), (float("nan"),), (-1.0, 0.5), (float("inf"),)])
@pytest.mark.parametrize("scorer", [retrieval_ndcg, retrieval_mrr, retrieval_precision, retrieval_hit])
def test_retrievals_without_usable_scores_are_not_judged(scorer: Scorer, scores: tuple[float | None, ...]) -> None:
    assert measured(scorer, ranked(*scores)) is None


gains = st.lists(st.floats(0, 1e6), max_size=30)


@given(gains, st.integers(1, 40))
def test_ndcg_is_one_exactly_for_the_sorted_order_and_never_above(found: list[float], k: int) -> None:
    value = ndcg(found, k)
    assert value is None or 0 <= value <= 1
    best = ndcg(sorted(found, reverse=True), k)
    assert best is None or best == 1.0


@given(st.lists(st.booleans(), max_size=30), st.integers(1, 40))
def test_measures_of_a_ranking_agree(relevant: list[bool], k: int) -> None:
    assert (reciprocal_rank(relevant) > 0) == any(relevant) == (average_precision(relevant) > 0)
    assert 0 <= precision_at(relevant, k) <= 1
    if relevant[:k] == [True] * k:
        assert precision_at(relevant, k) == 1
