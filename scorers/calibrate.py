"""From a score to a probability, by a user's own labels: what a value is worth on other people's traffic is not known.

A few hundred labelled rows turn the scale of a scorer into the probability that a row is good (where higher is better)
or bad (where lower is), and choose what passes by the false positives that are bearable. Logistic calibration has two
parameters, so that little can be fitted to chance.

Source: Platt, "Probabilistic outputs for support vector machines" (1999), with the targets and Newton steps of Lin, Lin
and Weng, "A note on Platt's probabilistic outputs", Machine Learning 68 (2007).
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import ValidationError

from collector.core.errors import UserError
from collector.core.settings import Settings
from scorers.quality import Verdicts, auroc, verdicts

LEAST_ROWS_EACH = 20
"""Of either label. With fewer, the threshold would be one or two rows' word."""

_FOLDS = 5
_BINS = 10
_STEPS = 100
_CLOSE = 1e-10


class Calibration(Settings):
    """How the values of one scorer become probabilities; a file that `driftline score --calibrate` writes.

    `slope` and `intercept` are of the log odds that a row is what the scorer should flag, by its value. `code_id` is
    `Scorer.code_id` of the scorer that gave the values.
    """

    scorer: str
    code_id: str
    better: Literal["higher", "lower"]
    slope: float
    intercept: float
    passing: str
    rows: int
    flagged_rows: int

    def value(self, raw: float) -> float:
        """The probability that a row with this value is good, or bad where lower is better; 0 to 1."""
        bad = logistic(self.slope * raw + self.intercept)
        return 1 - bad if self.better == "higher" else bad


def load_calibration(path: Path) -> Calibration:
    """Read a file.

    Raises:
        UserError: it cannot be read, or is none.
    """
    try:
        return Calibration.model_validate_json(path.read_bytes())
    except OSError as error:
        raise UserError(f"calibration: {path} cannot be read: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise UserError(f"calibration: {path}: {where}: {first['msg']}") from None


class Fit(NamedTuple):
    """What was fitted, and how good it is on rows that it was not fitted to."""

    slope: float
    intercept: float
    threshold: float  # of the probability of what is to be flagged; flagged is what has more
    brier: float
    error: float  # expected calibration error
    held_out: Verdicts


def fit(values: Sequence[float], labels: Sequence[int], most_false_positives: float) -> Fit:
    """Fit a calibration to labelled values.

    Args:
        values: what a scorer gave, in its own scale.
        labels: 1 is what it should flag.
        most_false_positives: share of the rows of label 0 that may be flagged, 0 to 1.

    Raises:
        UserError: too few rows of a label, or the values say nothing about the labels.
    """
    bad = sum(labels)
    for count, label in ((bad, 1), (len(labels) - bad, 0)):
        if count < LEAST_ROWS_EACH:
            raise UserError(f"{count} scored rows have label {label}; at least {LEAST_ROWS_EACH} are needed of each")
    told = auroc(values, labels)
    if 0.45 < told < 0.55:
        raise UserError(f"the scores say nothing about these labels (AUROC {told:.2f})")
    slope, intercept = fit_logistic(values, labels)
    chances = [logistic(slope * value + intercept) for value in values]
    outside, flagged = _held_out(values, labels, most_false_positives)
    return Fit(
        slope,
        intercept,
        threshold_for(chances, labels, most_false_positives),
        brier(outside, labels),
        calibration_error(outside, labels),
        verdicts(flagged, labels),
    )


def _held_out(values: Sequence[float], labels: Sequence[int], most: float) -> tuple[list[float], list[bool]]:
    """The probability of each row, and whether it is flagged, by fits to the other four fifths of each label."""
    fold = [0] * len(values)
    for label in (0, 1):
        for turn, at in enumerate(at for at, found in enumerate(labels) if found == label):
            fold[at] = turn % _FOLDS
    chances, flagged = [0.0] * len(values), [False] * len(values)
    for number in range(_FOLDS):
        inside = [at for at in range(len(values)) if fold[at] != number]
        known = [labels[at] for at in inside]
        slope, intercept = fit_logistic([values[at] for at in inside], known)
        cut = threshold_for([logistic(slope * values[at] + intercept) for at in inside], known, most)
        for at in range(len(values)):
            if fold[at] == number:
                chances[at] = logistic(slope * values[at] + intercept)
                flagged[at] = chances[at] > cut
    return chances, flagged


def fit_logistic(values: Sequence[float], labels: Sequence[int]) -> tuple[float, float]:
    """Slope and intercept of the log odds of label 1, by Newton's method with step halving."""
    bad = sum(labels)
    good = len(labels) - bad
    target = [(bad + 1) / (bad + 2) if label else 1 / (good + 2) for label in labels]
    slope, intercept = 0.0, math.log((bad + 1) / (good + 1))
    loss = _loss(slope, intercept, values, target)
    for _ in range(_STEPS):
        chances = [logistic(slope * value + intercept) for value in values]
        weights = [chance * (1 - chance) for chance in chances]
        gaps = [wanted - chance for wanted, chance in zip(target, chances, strict=True)]
        by_slope = sum(gap * value for gap, value in zip(gaps, values, strict=True))
        by_intercept = sum(gaps)
        a = sum(weight * value * value for weight, value in zip(weights, values, strict=True)) + _CLOSE
        b = sum(weight * value for weight, value in zip(weights, values, strict=True))
        c = sum(weights) + _CLOSE
        scale = a * c - b * b
        if scale <= 0 or abs(by_slope) + abs(by_intercept) < _CLOSE:
            break
        step = ((c * by_slope - b * by_intercept) / scale, (a * by_intercept - b * by_slope) / scale)
        size = 1.0
        while size > _CLOSE:
            found = _loss(slope + size * step[0], intercept + size * step[1], values, target)
            if found < loss:
                break
            size /= 2
        else:
            break
        slope, intercept, loss = slope + size * step[0], intercept + size * step[1], found
    return slope, intercept


def _loss(slope: float, intercept: float, values: Sequence[float], target: Sequence[float]) -> float:
    """Cross entropy, written so that it does not overflow."""
    total = 0.0
    for value, wanted in zip(values, target, strict=True):
        odds = slope * value + intercept
        total += max(odds, 0.0) - wanted * odds + math.log1p(math.exp(-abs(odds)))
    return total


def threshold_for(chances: Sequence[float], labels: Sequence[int], most_false_positives: float) -> float:
    """The lowest threshold over which at most that share of the rows of label 0 is.

    >>> threshold_for([0.1, 0.2, 0.3, 0.4, 0.9], [0, 0, 0, 0, 1], 0.25)
    0.3
    """
    clean = sorted((chance for chance, label in zip(chances, labels, strict=True) if not label), reverse=True)
    return clean[min(math.floor(most_false_positives * len(clean)), len(clean) - 1)]


def brier(chances: Sequence[float], labels: Sequence[int]) -> float:
    """Mean squared distance of probabilities from what was the case; 0 is best. Source: Brier (1950)."""
    return sum((chance - label) ** 2 for chance, label in zip(chances, labels, strict=True)) / len(labels)


class Bin(NamedTuple):
    """Rows whose probabilities lie within a tenth of one another."""

    rows: int
    told: float  # the mean probability
    found: float  # the share of label 1


def reliability(chances: Sequence[float], labels: Sequence[int]) -> list[Bin]:
    """What was told against what was found, in up to ten bins of equal width.

    >>> reliability([0.05, 0.95, 0.95], [0, 1, 0])
    [Bin(rows=1, told=0.05, found=0.0), Bin(rows=2, told=0.95, found=0.5)]
    """
    bins: dict[int, list[tuple[float, int]]] = {}
    for chance, label in zip(chances, labels, strict=True):
        bins.setdefault(min(int(chance * _BINS), _BINS - 1), []).append((chance, label))
    return [
        Bin(len(rows), sum(chance for chance, _ in rows) / len(rows), sum(label for _, label in rows) / len(rows))
        for _, rows in sorted(bins.items())
    ]


def calibration_error(chances: Sequence[float], labels: Sequence[int]) -> float:
    """Expected calibration error over those bins: the mean distance of told and found, by rows; 0 is best.

    Source: Naeini, Cooper and Hauskrecht, "Obtaining well calibrated probabilities using Bayesian binning" (2015).
    """
    return sum(one.rows * abs(one.told - one.found) for one in reliability(chances, labels)) / len(labels)


def logistic(odds: float) -> float:
    """The probability of log odds.

    >>> logistic(0.0), logistic(-1000.0), logistic(1000.0)
    (0.5, 0.0, 1.0)
    """
    if odds >= 0:
        return 1 / (1 + math.exp(-odds))
    chance = math.exp(max(odds, -745.0))
    return chance / (1 + chance) if odds > -745 else 0.0
