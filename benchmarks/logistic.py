"""Logistic regression on sets of features, for the weights of `scorers.linear`. Deterministic."""

import json
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.sparse import csr_matrix

from scorers.linear import LinearModel


def fit(
    features: Sequence[set[str]],
    labels: Sequence[int],
    weights: Sequence[float],
    *,
    characters: int,
    least_rows: int,
    penalty: float,
    counted: int | None = None,
    smallest: float = 0.0,
) -> LinearModel:
    """L2-penalised, both classes weighing the same in all.

    Args:
        features: of each row.
        labels: 1 for what is to be found.
        weights: of each row, before the classes are made equal.
        characters: of a text that the model reads.
        least_rows: with a feature, for it to have a weight.
        penalty: of the squared weights, to a loss that is a sum over rows.
        counted: how many of the first rows decide which features there are; all if None.
        smallest: weights below it are left out.
    """
    counts = Counter(feature for row in features[:counted] for feature in row)
    names = sorted(name for name, count in counts.items() if count >= least_rows)
    column = {name: at for at, name in enumerate(names)}
    starts, columns, values = [0], list[int](), list[float]()
    for row in features:
        known = sorted(column[name] for name in row if name in column)
        columns += known
        values += [1 / math.sqrt(len(known))] * len(known)
        starts.append(len(columns))
    x = csr_matrix((values, columns, starts), shape=(len(features), len(names)))
    y, weight = np.array(labels, dtype=float), np.array(weights, dtype=float)
    positive = weight[y == 1].sum()
    weight *= np.where(y == 1, weight.sum() / 2 / positive, weight.sum() / 2 / (weight.sum() - positive))

    def loss(parameters: Any) -> tuple[float, Any]:
        w, b = parameters[:-1], parameters[-1]
        z = x @ w + b
        slope = weight * (1 / (1 + np.exp(-z)) - y)
        value = float((weight * (np.logaddexp(0, z) - y * z)).sum() + penalty / 2 * w @ w)
        return value, np.append(x.T @ slope + penalty * w, slope.sum())

    found = minimize(loss, np.zeros(len(names) + 1), jac=True, method="L-BFGS-B", options={"maxiter": 1000}).x
    rounded = {name: round(float(w), 3) for name, w in zip(names, found[:-1], strict=True)}
    kept = {name: weight for name, weight in rounded.items() if abs(weight) >= smallest}
    return LinearModel(characters, round(float(found[-1]), 3), kept)


def write(model: LinearModel, out: Path) -> None:
    """One weight a line, so that a change of them can be read."""
    told = {"characters": model.characters, "intercept": model.intercept, "weights": model.weights}
    out.write_text(json.dumps(told, ensure_ascii=False, indent=0, sort_keys=True) + "\n", encoding="utf-8")
