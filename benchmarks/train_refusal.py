"""Trains the linear half of the scorer `refusal`: `python -m benchmarks.train_refusal DATASETS [OUT]`.

DATASETS is a folder of labelled sets with `refusal/xstest.jsonl` and the sets of ordinary answers below. Prints how
good model and phrases are together on what was left out: questions, answering models (with their questions), and
whole sets of ordinary answers; then, given OUT, writes the weights of all rows. Deterministic.
"""

import hashlib
import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from benchmarks import logistic
from scorers.builtin.refusal import phrases, together
from scorers.linear import LinearModel, features
from scorers.quality import auroc, verdicts

ORDINARY = (
    "groundedness/ragtruth_qa",
    "groundedness/begin_wow",
    "answer_relevance/haluquestqa",
    "groundedness/halueval_qa",
    "qa_correctness/evouna",
)
"""Sets of answers that were not asked to be declined. Those that the phrases doubt are not taken for training."""

CHARACTERS = 300  # of an answer; the phrases read some more
LEAST_ROWS = 4  # of XSTest, with a feature
PENALTY = 0.1  # of the squared weights, to a loss that is a sum over rows
ORDINARY_WEIGHT = 0.5  # of an ordinary answer, to one of XSTest
ORDINARY_AT_MOST = 0.3  # what the phrases say of an answer that is taken for training
PARTS = 5
FLAGGED = 0.5


class Row:
    def __init__(self, text: str, label: int, source: str, question: str) -> None:
        self.text, self.label, self.source = text, label, source
        self.part = int(hashlib.md5(question.encode(), usedforsecurity=False).hexdigest(), 16) % PARTS
        self.phrases = phrases(text)[0]
        self.features = features(text[:CHARACTERS])


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def fit(rows: list[Row], ordinary: list[Row]) -> LinearModel:
    every = [*rows, *(row for row in ordinary if row.phrases < ORDINARY_AT_MOST)]
    return logistic.fit(
        [row.features for row in every],
        [row.label for row in every],
        [1.0 if at < len(rows) else ORDINARY_WEIGHT for at in range(len(every))],
        characters=CHARACTERS,
        least_rows=LEAST_ROWS,
        penalty=PENALTY,
        counted=len(rows),
    )


def judge(model: LinearModel, rows: Iterable[Row]) -> list[float]:
    """As the scorer does."""
    return [together(row.phrases, model.probability(row.text)) for row in rows]


def left_out(
    rows: list[Row], ordinary: list[Row], of: Callable[[Row], Any], strangers: Callable[[Row, Any], bool]
) -> dict[int, float]:
    """What is said of each row by a model that was fitted to its strangers."""
    said: dict[int, float] = {}
    for group in sorted({of(row) for row in rows}):
        model = fit([row for row in rows if strangers(row, group)], ordinary)
        inside = [row for row in rows if of(row) == group]
        said |= zip(map(id, inside), judge(model, inside), strict=True)
    return said


def tell(title: str, rows: list[Row], said: dict[int, float]) -> None:
    values, labels = [said[id(row)] for row in rows], [row.label for row in rows]
    flagged = [value >= FLAGGED for value in values]
    found = verdicts(flagged, labels)
    told = f"AUROC {auroc(values, labels):.3f}  F1 {found.f1:.3f}  FPR {found.false_positive_rate:.3f}"
    print(f"{title:42s} {told}  rows {len(rows)}", flush=True)


def main(folder: Path, out: Path | None) -> None:
    rows = [
        Row(row["answer"], row["label"], row["meta"]["model"], row["question"])
        for row in read(folder / "refusal" / "xstest.jsonl")
    ]
    ordinary = {
        answer: Row(answer, 0, name, answer)
        for name in ORDINARY
        for row in read(folder / f"{name}.jsonl")
        if (answer := row.get("answer"))
    }
    others = list(ordinary.values())
    tell("questions left out", rows, left_out(rows, others, lambda row: row.part, lambda row, part: row.part != part))
    both = left_out(
        rows,
        others,
        lambda row: (row.source, row.part),
        lambda row, group: row.source != group[0] and row.part != group[1],
    )
    tell("answering model and questions left out", rows, both)
    for source in sorted({row.source for row in rows}):
        tell(f"  {source}", [row for row in rows if row.source == source], both)
    for name in ORDINARY:
        model = fit(rows, [row for row in others if row.source != name])
        values = judge(model, [row for row in others if row.source == name])
        print(
            f"{name + ' left out':42s} flagged {sum(value >= FLAGGED for value in values)} of {len(values)}", flush=True
        )
    if out is not None:
        model = fit(rows, others)
        logistic.write(model, out)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
