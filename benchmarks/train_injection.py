"""Trains the models of `prompt_injection` and `context_injection`: `python -m benchmarks.train_injection FOLDER [OUT]`.

FOLDER has the labelled sets; OUT a folder for the weights of all rows. Prints how good models and phrases are
together on what was left out: clusters of near-duplicates of prompts, attacks and the documents they stand in, whole
sources. Then what is flagged in questions and contexts of other sets, which nobody attacked. Deterministic.
"""

import hashlib
import json
import math
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from benchmarks import logistic
from scorers.builtin import instructions
from scorers.builtin.instructions import ORDERS, PROMPTS, judge_document, judge_prompt, order_features, prompt_features
from scorers.linear import LinearModel
from scorers.quality import auroc
from scorers.text import read

T = TypeVar("T")

PARTS = 5
LEAST_ROWS = {PROMPTS: 3, ORDERS: 2}
PENALTY = {PROMPTS: 0.03, ORDERS: 0.1}
SMALLEST = {PROMPTS: 0.03, ORDERS: 0.1}  # least weight kept: a small table is quick to look up
QUESTION_WEIGHT = 0.3  # of a question of another set, to a prompt of the labelled one
REQUEST_WEIGHT = 0.3  # of all requests of other sets together, to all attacks in documents
FLAGGED = 0.5
QUESTIONS = (
    "qa_correctness/evouna",
    "groundedness/ragtruth_qa",
    "tool_calls/bfcl_irrelevance",
    "tool_calls/bfcl_mutations",
)
CONTEXTS = {
    "groundedness/ragtruth_qa": None,
    "groundedness/wice_claim": None,
    "groundedness/halueval_qa": None,
    "groundedness/begin_wow": None,
    "groundedness/summedits": None,
    "retrieval_relevance/cranfield": 60,
}
"""Sets of contexts that nobody attacked, and how many of each are learnt: of abstracts some say what all do."""
REQUESTS = ("self-instruct", "MT-bench", "WildGuard")
"""Sources of prompts whose first sentence asks for something: attacks in documents that nobody has thought of yet."""

ORDERS_INTERCEPT = -1.5
"""Added to that of the model of orders, so that few clean documents are flagged; stricter than `nested` at 1%."""


def rows_of(folder: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


def part(text: str) -> int:
    return int(hashlib.md5(text.encode(), usedforsecurity=False).hexdigest(), 16) % PARTS


def distinct(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))


# --- prompts ---


def fit_prompts(prompts: Sequence[dict[str, Any]], questions: Sequence[str]) -> LinearModel:
    features = [set(prompt_features(read(text))) for text in (*(row["text"] for row in prompts), *questions)]
    labels = [*(row["label"] for row in prompts), *(0 for _ in questions)]
    weights = [*(1.0 for _ in prompts), *(QUESTION_WEIGHT for _ in questions)]
    return fitted(PROMPTS, features, labels, weights)


def fitted(name: str, features: list[set[str]], labels: list[int], weights: list[float]) -> LinearModel:
    return logistic.fit(
        features,
        labels,
        weights,
        characters=0,
        least_rows=LEAST_ROWS[name],
        penalty=PENALTY[name],
        smallest=SMALLEST[name],
    )


def said_by(model: LinearModel, name: str, judge: Callable[[T], tuple[float, Any]], rows: Iterable[T]) -> list[float]:
    """What the scorer would say of each row with this model."""
    shipped = instructions._model
    instructions._model = lambda asked: model if asked == name else shipped(asked)  # type: ignore[assignment]
    try:
        return [judge(row)[0] for row in rows]
    finally:
        instructions._model = shipped


def prompts_left_out(
    prompts: list[dict[str, Any]], questions: list[str], group: Callable[[dict[str, Any]], Any]
) -> dict[str, float]:
    said: dict[str, float] = {}
    for one in sorted({group(row) for row in prompts}):
        inside = [row for row in prompts if group(row) == one]
        model = fit_prompts(
            [row for row in prompts if group(row) != one],
            [text for text in questions if not isinstance(one, int) or part(text) != one],
        )
        values = said_by(model, PROMPTS, judge_prompt, (read(row["text"]) for row in inside))
        said |= zip((row["id"] for row in inside), values, strict=True)
    return said


# --- documents ---


def order_rows(texts: Iterable[str]) -> list[set[str]]:
    return [set(order_features(text, sentence)) for text in map(read, texts) for sentence in text.sentences]


def fit_orders(attacks: Sequence[str], requests: Sequence[str], clean: Sequence[str]) -> LinearModel:
    groups = [order_rows(distinct(attacks)), order_rows(requests), order_rows(clean)]
    shares = [1.0, REQUEST_WEIGHT, 1.0]
    features = [row for group in groups for row in group]
    labels = [label for group, label in zip(groups, (1, 1, 0), strict=True) for _ in group]
    total = len(groups[2])
    weights = [share * total / len(group) for group, share in zip(groups, shares, strict=True) for _ in group]
    model = fitted(ORDERS, features, labels, weights)
    return LinearModel(0, round(model.intercept + ORDERS_INTERCEPT, 3), model.weights)


def judge_row(row: dict[str, Any]) -> tuple[float, Any]:
    return judge_document(row["text"], read(row["question"]).terms)


def documents_left_out(documents: Sequence[dict[str, Any]], requests: Sequence[str]) -> dict[str, float]:
    def place(row: dict[str, Any]) -> int:
        return part(row["meta"]["attack"] if row["label"] else row["text"])

    said: dict[str, float] = {}
    for one in range(PARTS):
        inside = [row for row in documents if place(row) == one]
        outside = [row for row in documents if place(row) != one]
        model = fit_orders(
            [row["meta"]["attack"] for row in outside if row["label"]],
            requests,
            distinct(row["text"] for row in outside if not row["label"]),
        )
        said |= zip((row["id"] for row in inside), said_by(model, ORDERS, judge_row, inside), strict=True)
    return said


def contexts_of(folder: Path, name: str) -> dict[str, dict[str, Any]]:
    """As clean documents, by their text."""
    return {
        text: {"id": text, "text": text, "question": row.get("question") or "", "label": 0}
        for row in reversed(rows_of(folder, name))
        for text in row["contexts"]
    }


# --- what is printed ---


def tell(title: str, values: Sequence[float], labels: Sequence[int], most: float) -> None:
    clean = sorted((value for value, label in zip(values, labels, strict=True) if not label), reverse=True)
    limit = clean[int(most * len(clean))]
    attacks = [value for value, label in zip(values, labels, strict=True) if label]
    recall = sum(value > limit for value in attacks) / len(attacks)
    print(
        f"{title:30s} AUROC {auroc(values, labels):.4f}  recall at {most:.0%} {recall:.3f}, above {limit:.2f}; at "
        f"{FLAGGED}: recall {rate(attacks):.3f} FPR {rate(clean):.4f}  rows {len(values)}",
        flush=True,
    )


def nested(said: dict[str, float], most: float) -> None:
    """What is flagged of some parts of clean documents at the limit that flags `most` of the others.

    Args:
        said: by text.
    """
    limits, flagged = [], 0
    for one in range(PARTS):
        others = sorted((value for text, value in said.items() if part(text) != one), reverse=True)
        at = int(most * len(others))
        limits.append((others[at - 1] + others[at]) / 2)
        flagged += sum(value >= limits[-1] for text, value in said.items() if part(text) == one)
    shifts = ", ".join(f"{-math.log(limit / (1 - limit)):+.2f}" for limit in sorted(limits))
    print(f"  limit for {most:.1%} of the other parts: {flagged / len(said):.4f} of {len(said)}; intercept {shifts}")


def rate(values: Sequence[float]) -> float:
    return sum(value >= FLAGGED for value in values) / max(1, len(values))


def main(folder: Path, out: Path | None) -> None:
    prompts = rows_of(folder, "injection/direct")
    questions = distinct(row["question"] for name in QUESTIONS for row in rows_of(folder, name))
    said = prompts_left_out(prompts, questions, lambda row: part(row["meta"]["cluster"]))
    tell("prompts, clusters left out", [said[row["id"]] for row in prompts], [row["label"] for row in prompts], 0.01)
    for source in distinct(row["source"] for row in prompts):
        for label in (0, 1):
            some = [said[row["id"]] for row in prompts if row["source"] == source and row["label"] == label]
            if some:
                print(f"  {source:40s} label {label}: flagged {rate(some):.3f} of {len(some)}")
    by_source = prompts_left_out(prompts, questions, lambda row: row["source"])
    for source in distinct(row["source"] for row in prompts):
        for label in (0, 1):
            some = [by_source[row["id"]] for row in prompts if row["source"] == source and row["label"] == label]
            if some:
                print(f"  {source:40s} left out, label {label}: flagged {rate(some):.3f} of {len(some)}")

    documents = rows_of(folder, "injection/indirect_bipia")
    contexts = {name: contexts_of(folder, name) for name in CONTEXTS}
    learnt = {text: row for name, rows in contexts.items() for text, row in list(rows.items())[: CONTEXTS[name]]}
    every = [*documents, *learnt.values()]
    requests = [
        text.text[text.sentences[0].start : text.sentences[0].end]
        for row in prompts
        if not row["label"] and row["source"].startswith(REQUESTS) and (text := read(row["text"])).sentences
    ]
    requests += distinct(row["question"] for row in rows_of(folder, "tool_calls/bfcl_irrelevance"))[:300]
    said = documents_left_out(every, requests)
    values, labels = [said[row["id"]] for row in documents], [row["label"] for row in documents]
    tell("documents, attacks left out", values, labels, 0.05)
    tell("documents, attacks left out", values, labels, 0.02)
    for source in distinct(row["source"] for row in documents):
        some = [said[row["id"]] for row in documents if row["source"] == source]
        print(f"  {source:40s} flagged {rate(some):.3f} of {len(some)}")
    for name, rows in contexts.items():
        some = [said[text] for text in rows if text in said]
        print(f"  {name + ', contexts':40s} flagged {rate(some):.3f} of {len(some)}")
    passages = contexts["groundedness/ragtruth_qa"].values()
    clean = {row["text"]: said[row["id"]] for row in (*documents, *passages) if not row["label"]}
    for most in (0.01, 0.015, 0.02):
        nested(clean, most)
    if out is not None:
        logistic.write(fit_prompts(prompts, questions), out / PROMPTS)
        attacks = [row["meta"]["attack"] for row in documents if row["label"]]
        quiet = distinct(row["text"] for row in every if not row["label"])
        orders = fit_orders(attacks, requests, quiet)
        logistic.write(orders, out / ORDERS)
        for name, rows in contexts.items():
            values = said_by(orders, ORDERS, judge_row, (rows[text] for text in rows if text not in learnt))
            if values:
                print(f"  {name + ', contexts not learnt':40s} flagged {rate(values):.3f} of {len(values)}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
