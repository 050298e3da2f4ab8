"""Texts as vectors, by a small model on this machine: named by a reference, loaded when first needed.

    model2vec:FOLDER          static embeddings (Tulkens and van Dongen 2024), a table of words: microseconds a text
    onnx:FOLDER               an encoder exported to ONNX with its tokenizer (`model.onnx`, `tokenizer.json`)
    sentence-transformers:FOLDER
    hashed                    no model at all: `scorers.models.hashed`

FOLDER may also be a name on the Hugging Face hub for the first and the last: their library then fetches it once.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from collector.patterns import storable
from scorers.models.onnx import OnnxModel

Vectors: TypeAlias = NDArray[np.float32]

HASHED = "hashed"
LONGEST_TEXT = 4_000  # characters; encoders of this size read some hundred words


class Embedder(Protocol):
    def embed(self, texts: Sequence[str]) -> Vectors:
        """A row for each text, of length 1, or of zeros where the model knows nothing of it."""
        ...


class MissingExtra(Exception):
    """The library of a model is not installed."""


@lru_cache(maxsize=4)
def load_embedder(reference: str) -> Embedder:
    """The model that a reference names.

    Raises:
        MissingExtra: its library is not installed.
        ValueError: there is no such kind.
        OSError: it cannot be read.
    """
    if reference == HASHED:
        from scorers.models.hashed import Hashed

        return Hashed()
    kind, where = split_reference(reference)
    try:
        return _KINDS[kind](where)
    except ModuleNotFoundError as error:
        brings = kind if kind == "sentence-transformers" else "'driftline[models]'"
        raise MissingExtra(f"{kind} needs {error.name}: pip install {brings}") from None


def split_reference(reference: str) -> tuple[str, str]:
    """Kind and place.

    Raises:
        ValueError: it is not KIND:FOLDER.
    """
    kind, colon, where = reference.partition(":")
    if not colon or not where or kind not in _KINDS:
        kinds = ", ".join(_KINDS)
        raise ValueError(f"model: {reference!r} is not KIND:FOLDER with one of the kinds {kinds}, nor {HASHED!r}")
    return kind, where


def files_of(reference: str) -> list[Path]:
    """The files of a model in a folder; none of one that is fetched by its name.

    Raises:
        ValueError: as `split_reference`.
        OSError: what looks like a folder is none.
    """
    if reference == HASHED:
        return []
    kind, where = split_reference(reference)
    folder = Path(where)
    if not folder.is_dir():
        if kind == "onnx" or where.startswith((".", "/")):
            raise FileNotFoundError(2, "there is no such folder", where)
        return []
    return sorted(path for path in folder.rglob("*") if path.is_file())


class _Static:
    def __init__(self, where: str) -> None:
        from model2vec import StaticModel

        self._model = StaticModel.from_pretrained(where)

    def embed(self, texts: Sequence[str]) -> Vectors:
        return unit(self._model.encode([readable(text) for text in texts]))


class _Encoder:
    def __init__(self, where: str) -> None:
        self._model = OnnxModel(Path(where))

    def embed(self, texts: Sequence[str]) -> Vectors:
        states, mask = self._model.run([readable(text) for text in texts])
        if states.ndim == 2:  # pooled by the model itself
            return unit(states)
        weights = mask[:, :, None]
        return unit((states * weights).sum(axis=1) / np.maximum(weights.sum(axis=1), 1))


class _SentenceTransformer:
    def __init__(self, where: str) -> None:
        from sentence_transformers import SentenceTransformer

        self._model: Any = SentenceTransformer(where, device="cpu")

    def embed(self, texts: Sequence[str]) -> Vectors:
        return unit(self._model.encode([readable(text) for text in texts], show_progress_bar=False))


_KINDS: dict[str, Callable[[str], Embedder]] = {
    "model2vec": _Static,
    "onnx": _Encoder,
    "sentence-transformers": _SentenceTransformer,
}


def readable(text: str) -> str:
    """What models are given of a text: its beginning, without lone surrogates."""
    return storable(text[:LONGEST_TEXT])


def unit(vectors: Any) -> Vectors:
    """Rows of length 1; what is not finite, or nothing, becomes zeros."""
    rows = np.nan_to_num(np.asarray(vectors, dtype=np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    found: Vectors = np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)
    return found
