import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scorers.quality import auroc, average_precision, verdicts

labelled = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 1)), min_size=2, max_size=40).filter(
    lambda rows: len({label for _, label in rows}) == 2
)


@given(labelled)
def test_auroc_is_the_share_of_pairs_in_the_right_order(rows: list[tuple[int, int]]) -> None:
    positives = [risk for risk, label in rows if label]
    negatives = [risk for risk, label in rows if not label]
    pairs = [(p > n) + 0.5 * (p == n) for p in positives for n in negatives]
    assert auroc([risk for risk, _ in rows], [label for _, label in rows]) == pytest.approx(sum(pairs) / len(pairs))


def test_a_constant_score_has_the_precision_of_chance() -> None:
    assert average_precision([1, 1, 1, 1], [1, 0, 0, 0]) == 0.25
    assert auroc([1, 1, 1, 1], [1, 0, 0, 0]) == 0.5


def test_one_class_alone_has_no_auroc() -> None:
    assert math.isnan(auroc([0.1, 0.2], [1, 1]))
    assert math.isnan(average_precision([0.1, 0.2], [0, 0]))


def test_verdicts_are_counted() -> None:
    found = verdicts([True, True, False, False], [1, 0, 1, 0])
    assert (found.precision, found.recall, found.f1, found.false_positive_rate) == (0.5, 0.5, 0.5, 0.5)
    assert math.isnan(verdicts([False], [0]).precision)
