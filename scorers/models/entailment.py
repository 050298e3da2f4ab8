"""A scorer of tier 1 that asks a model of entailment whether the contexts support the answer, sentence by sentence."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from collector.core.model import Trace
from scorers.base import Evidence, Filtered, Outcome, Score, scorer
from scorers.models.embedders import readable
from scorers.models.onnx import OnnxModel
from scorers.text import read

_MOST_SENTENCES = 20
_MOST_CONTEXTS = 10


def _model_files(options: dict[str, Any]) -> list[Path]:
    folder = options.get("model")
    return [Path(folder) / name for name in ("model.onnx", "tokenizer.json")] if folder else []


@scorer(
    name="groundedness_nli",
    needs=("answer", "contexts"),
    passing=">= 0.5",
    tier=1,
    version="1",
    batch=8,
    data=_model_files,
    required=("model",),
)
def groundedness_nli(traces: Sequence[Trace], *, model: str = "", entailment: int = -1) -> Sequence[Outcome]:
    """How far the contexts entail the answer, by a model of entailment: the least of its sentences, 0 to 1.

    A sentence has the probability of the context that entails it most. Wrong where the model is, and on sentences that
    only several contexts together support. The evidence is the sentence that is entailed least.

    Args:
        traces: with answer and contexts.
        model: a folder with `model.onnx`, a cross-encoder of premise and hypothesis, and its `tokenizer.json`.
        entailment: which of the model's outputs is entailment; -1 the last. A model with one output gives its logit.
    """
    try:
        judge = _load(model)
    except ModuleNotFoundError:
        return [Filtered.EXTRA_NOT_INSTALLED for _ in traces]
    return [_judged(judge, trace, entailment) for trace in traces]


def _judged(model: OnnxModel, trace: Trace, entailment: int) -> Score | None:
    answer = read(trace.answer or "")
    sentences = answer.sentences[:_MOST_SENTENCES]
    contexts = [readable(text) for text in trace.contexts[:_MOST_CONTEXTS] if text]
    if not sentences or not contexts:
        return None
    said = [readable(answer.text[one.start : one.end]) for one in sentences]
    logits, _ = model.run([(context, sentence) for sentence in said for context in contexts])
    chances = _chances(logits, entailment).reshape(len(said), len(contexts)).max(axis=1)
    worst = int(chances.argmin())
    where = sentences[worst]
    told = f"sentence {worst + 1} of {len(said)} is entailed least"
    evidence = [Evidence(where.start, where.end, "not_entailed")] if chances[worst] < 0.5 else []
    return Score(round(float(chances[worst]), 4), explanation=told, evidence=evidence)


def _chances(logits: Any, entailment: int) -> Any:
    """Probabilities of entailment; a model with one output gives the logit of it."""
    rows = np.nan_to_num(np.asarray(logits, dtype=np.float64).reshape(len(logits), -1))
    if rows.shape[1] == 1:
        return 1 / (1 + np.exp(-np.clip(rows[:, 0], -30, 30)))
    shares = np.exp(rows - rows.max(axis=1, keepdims=True))
    return (shares / shares.sum(axis=1, keepdims=True))[:, entailment]


@lru_cache(maxsize=2)
def _load(folder: str) -> OnnxModel:
    return OnnxModel(Path(folder))
