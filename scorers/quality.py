"""How well scores tell labelled rows apart: AUROC, average precision, F1. Label 1 is what a scorer should flag."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Verdicts:
    """Counts of passed and not passed against labels; flagged means not passed."""

    true_positives: int
    false_positives: int
    false_negatives: int
    true_negatives: int

    @property
    def precision(self) -> float:
        return _ratio(self.true_positives, self.true_positives + self.false_positives)

    @property
    def recall(self) -> float:
        return _ratio(self.true_positives, self.true_positives + self.false_negatives)

    @property
    def f1(self) -> float:
        return _ratio(2 * self.true_positives, 2 * self.true_positives + self.false_positives + self.false_negatives)

    @property
    def false_positive_rate(self) -> float:
        return _ratio(self.false_positives, self.false_positives + self.true_negatives)


def auroc(risks: Sequence[float], labels: Sequence[int]) -> float:
    """Probability that a row of label 1 has a higher risk than one of label 0, ties counting half.

    Source: Hanley and McNeil, "The meaning and use of the area under a ROC curve", Radiology 143 (1982), section III.

    >>> auroc([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1])
    0.75
    """
    positives = sum(labels)
    negatives = len(labels) - positives
    if positives == 0 or negatives == 0:
        return float("nan")
    order = sorted(range(len(risks)), key=risks.__getitem__)
    ranks, start = 0.0, 0
    while start < len(order):
        end = start
        while end < len(order) and risks[order[end]] == risks[order[start]]:
            end += 1
        ranks += (start + end + 1) / 2 * sum(labels[at] for at in order[start:end])
        start = end
    return (ranks - positives * (positives + 1) / 2) / (positives * negatives)


def average_precision(risks: Sequence[float], labels: Sequence[int]) -> float:
    """Mean precision over the recall steps, rows of equal risk taken together.

    >>> round(average_precision([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1]), 4)
    0.8333
    """
    positives = sum(labels)
    if positives == 0:
        return float("nan")
    order = sorted(range(len(risks)), key=lambda at: -risks[at])
    total, hits, start = 0.0, 0, 0
    while start < len(order):
        end = start
        while end < len(order) and risks[order[end]] == risks[order[start]]:
            end += 1
        found = sum(labels[at] for at in order[start:end])
        hits += found
        total += found * hits / end
        start = end
    return total / positives


def verdicts(flagged: Sequence[bool], labels: Sequence[int]) -> Verdicts:
    pairs = list(zip(flagged, labels, strict=True))
    return Verdicts(
        sum(flag and label == 1 for flag, label in pairs),
        sum(flag and label == 0 for flag, label in pairs),
        sum(not flag and label == 1 for flag, label in pairs),
        sum(not flag and label == 0 for flag, label in pairs),
    )


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")
