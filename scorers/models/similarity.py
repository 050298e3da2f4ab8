"""Scorers of tier 1 that compare texts by what they mean: by the angle between their embeddings."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from collector.core.model import Trace
from scorers.base import Filtered, Outcome, Score, scorer
from scorers.models.embedders import Embedder, MissingExtra, Vectors, files_of, load_embedder

_MOST_CONTEXTS = 50
OTHER = "other"


def _model_files(options: dict[str, Any]) -> list[Path]:
    return files_of(options["model"]) if options.get("model") else []


@scorer(
    name="semantic_similarity",
    needs=("answer",),
    range=(-1, 1),
    tier=1,
    version="1",
    batch=32,
    data=_model_files,
    required=("model",),
)
def semantic_similarity(
    traces: Sequence[Trace], *, model: str = "", to: Literal["reference", "question", "contexts"] = "reference"
) -> Sequence[Outcome]:
    """How alike answer and reference are in meaning: the cosine of their embeddings, -1 to 1.

    Unjudged unless `passing` is set, for what is alike depends on the model. Of `contexts`, the nearest counts. Wrong
    on negation and numbers, which hardly move an embedding: it does not say that an answer is supported.

    Args:
        traces: with an answer.
        model: a reference such as `model2vec:./potion-base-8M` or `onnx:./all-MiniLM-L6-v2`; there is no default.
        to: what the answer is compared with.
    """
    return _with(model, traces, lambda embedder: _similarities(embedder, traces, to))


def _similarities(embedder: Embedder, traces: Sequence[Trace], to: str) -> list[Outcome]:
    others = [_others(trace, to) for trace in traces]
    vectors = embedder.embed([*(trace.answer or "" for trace in traces), *(text for some in others for text in some)])
    found: list[Outcome] = []
    at = len(traces)
    for answer, some in zip(vectors, others, strict=False):
        near = [_cosine(answer, other) for other in vectors[at : at + len(some)]]
        at += len(some)
        found.append(Score(max(near)) if near else None)
    return found


def _others(trace: Trace, to: str) -> list[str]:
    if to == "contexts":
        return [text for text in trace.contexts[:_MOST_CONTEXTS] if text]
    text = trace.question if to == "question" else trace.reference
    return [text] if text else []


@scorer(
    name="topic",
    needs=("question",),
    range=(-1, 1),
    tier=1,
    version="1",
    batch=32,
    data=_model_files,
    required=("model", "topics"),
)
def topic(
    traces: Sequence[Trace], *, model: str = "", topics: dict[str, list[str]] | None = None, least: float = 0.3
) -> Sequence[Outcome]:
    """What the question is about: the topic whose examples it is nearest to, as its label; how near, as its value.

    Unjudged. The label is `other` where none is as near as `least`. Wrong on questions with several matters, and where
    examples of two topics are alike.

    Args:
        traces: with a question.
        model: as of `semantic_similarity`.
        topics: for each topic some examples of its questions.
        least: the cosine below which a question is of no topic.
    """
    named = topics or {}

    def assigned(embedder: Embedder) -> list[Outcome]:
        centres = {name: _centre(embedder.embed(examples)) for name, examples in named.items() if examples}
        if not centres:
            return [None for _ in traces]
        questions = embedder.embed([trace.question or "" for trace in traces])
        return [_nearest(question, centres, least) for question in questions]

    return _with(model, traces, assigned)


def _nearest(question: Vectors, centres: dict[str, Vectors], least: float) -> Score:
    near = {name: _cosine(question, centre) for name, centre in centres.items()}
    best = max(sorted(near), key=near.__getitem__)
    return Score(near[best], label=best if near[best] >= least else OTHER)


def _centre(rows: Vectors) -> Vectors:
    mean: Vectors = rows.mean(axis=0)
    length = float(np.linalg.norm(mean))
    return mean / length if length else mean


def _cosine(one: Vectors, other: Vectors) -> float:
    return round(max(-1.0, min(1.0, float(one @ other))), 4)


def _with(model: str, traces: Sequence[Trace], judge: Callable[[Embedder], Sequence[Outcome]]) -> Sequence[Outcome]:
    try:
        embedder = load_embedder(model)
    except MissingExtra:
        return [Filtered.EXTRA_NOT_INSTALLED for _ in traces]
    return judge(embedder)
