"""Trains the weights of the scorer `tool_fit`: `python -m benchmarks.train_tool_fit DATASETS [OUT]`.

DATASETS is a folder of labelled sets with `tool_calls/bfcl_irrelevance.jsonl`. Prints how well rows are told apart
whose tools, and then whose kind (written by people for a service, or for the benchmark), were left out; then, given
OUT, writes the weights of all rows. Deterministic.
"""

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import minimize

from scorers.builtin.tool_fit import FEATURES, measure
from scorers.quality import auroc

PENALTY = 3.0  # of the squared weights of standardised features, to a loss that is a sum over rows
PARTS = 10
FALSE_POSITIVES = 0.02


def fit(x: Any, y: Any) -> tuple[Any, float]:
    """L2-penalised logistic regression on standardised features, told in the features' own units."""
    mean, deviation = x.mean(axis=0), x.std(axis=0) + 1e-9
    z = (x - mean) / deviation

    def loss(parameters: Any) -> tuple[float, Any]:
        w, b = parameters[:-1], parameters[-1]
        total = z @ w + b
        slope = 1 / (1 + np.exp(-total)) - y
        value = float((np.logaddexp(0, total) - y * total).sum() + PENALTY / 2 * w @ w)
        return value, np.append(z.T @ slope + PENALTY * w, slope.sum())

    found = minimize(loss, np.zeros(x.shape[1] + 1), jac=True, method="L-BFGS-B").x
    weights = found[:-1] / deviation
    return weights, float(found[-1] - weights @ mean)


def left_out(x: Any, y: Any, parts: Any) -> Any:
    """The probability that a tool fits, of each row by the weights of the other parts."""
    told = np.zeros(len(y))
    for part in sorted(set(parts)):
        here = parts == part
        weights, intercept = fit(x[~here], y[~here])
        told[here] = 1 / (1 + np.exp(-(x[here] @ weights + intercept)))
    return told


def report(name: str, told: Any, y: Any) -> None:
    threshold = float(np.quantile(told[y == 1], FALSE_POSITIVES))
    found, bad = float((told[y == 0] < threshold).mean()), auroc(list(-told), [int(1 - one) for one in y])
    print(f"{name:28s} {len(y)} rows, AUROC {bad:.3f}, below {threshold:.3f}: {found:.1%} of those without a tool")


def main(folder: Path, out: Path | None) -> None:
    lines = (folder / "tool_calls" / "bfcl_irrelevance.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    measured = [(row, measure(row["question"], row["tools"])) for row in rows]
    kept = [(row, found) for row, found in measured if found is not None]
    x = np.array([found for _, found in kept])
    y = np.array([1.0 - row["label"] for row, _ in kept])  # 1: a tool fits
    names = ["".join(sorted(tool["name"] for tool in row["tools"])) for row, _ in kept]
    tools = np.array([int(hashlib.md5(name.encode(), usedforsecurity=False).hexdigest(), 16) % PARTS for name in names])
    live = np.array(["live" in row["source"] for row, _ in kept])
    print(f"{len(rows) - len(kept)} of {len(rows)} rows have nothing to measure")
    of_tools, of_kinds = left_out(x, y, tools), left_out(x, y, live)
    report("tools left out", of_tools, y)
    report("tools left out, live", of_tools[live], y[live])
    report("tools left out, others", of_tools[~live], y[~live])
    report("live left out", of_kinds[live], y[live])
    report("others left out", of_kinds[~live], y[~live])
    weights, intercept = fit(x, y)
    report("in-sample", 1 / (1 + np.exp(-(x @ weights + intercept))), y)
    if out is not None:
        told = {
            "intercept": round(intercept, 4),
            "weights": dict(zip(FEATURES, np.round(weights, 4).tolist(), strict=True)),
        }
        out.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
