"""A model exported to ONNX with its tokenizer, on one thread of the processor: `model.onnx` and `tokenizer.json`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST_TOKENS = 512
_AT_ONCE = 32  # texts in one run: bounds what it takes of memory


class OnnxModel:
    """Raises ModuleNotFoundError without onnxruntime or tokenizers, OSError if a file is missing or is none."""

    def __init__(self, folder: Path) -> None:
        import onnxruntime
        from tokenizers import Tokenizer

        for name in ("model.onnx", "tokenizer.json"):
            (folder / name).stat()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        try:
            self._tokenizer: Any = Tokenizer.from_file(str(folder / "tokenizer.json"))
            self._session: Any = onnxruntime.InferenceSession(
                str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # of types of their own, which say in their text what is the matter
            raise OSError(f"{folder}: cannot be read as a model: {str(error)[:200]}") from None
        self._tokenizer.enable_truncation(MOST_TOKENS)
        self._tokenizer.enable_padding()
        self._wanted = {one.name for one in self._session.get_inputs()}

    def run(self, inputs: Sequence[str | tuple[str, str]]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The first output for texts or pairs of texts, and the mask of their tokens."""
        parts = [self._run(inputs[at : at + _AT_ONCE]) for at in range(0, len(inputs), _AT_ONCE)]
        longest = max(mask.shape[1] for _, mask in parts)
        return (
            np.concatenate([_padded(out, longest) if out.ndim == 3 else out for out, _ in parts]),
            np.concatenate([_padded(mask, longest) for _, mask in parts]),
        )

    def tokens(self, texts: Sequence[str]) -> list[tuple[NDArray[np.float32], list[tuple[int, int]]]]:
        """For each text the first output of each of its tokens, and the characters that each stands for.

        Marks that the tokenizer adds stand for none: their place is (0, 0).
        """
        found = []
        for at in range(0, len(texts), _AT_ONCE):
            encoded = self._tokenizer.encode_batch(list(texts[at : at + _AT_ONCE]))
            out, _ = self._infer(encoded)
            for one, rows in zip(encoded, out, strict=True):
                count = sum(one.attention_mask)  # what it was padded with is at the end, or at the beginning
                side = slice(None, count) if one.attention_mask[0] else slice(len(rows) - count, None)
                found.append((rows[side], one.offsets[side]))
        return found

    def _run(self, inputs: Sequence[str | tuple[str, str]]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        return self._infer(self._tokenizer.encode_batch(list(inputs)))

    def _infer(self, encoded: Sequence[Any]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        given = {
            "input_ids": np.array([one.ids for one in encoded], dtype=np.int64),
            "attention_mask": np.array([one.attention_mask for one in encoded], dtype=np.int64),
            "token_type_ids": np.array([one.type_ids for one in encoded], dtype=np.int64),
        }
        (out, *_) = self._session.run(None, {name: value for name, value in given.items() if name in self._wanted})
        return np.asarray(out, dtype=np.float32), given["attention_mask"].astype(np.float32)


def _padded(rows: NDArray[np.float32], longest: int) -> NDArray[np.float32]:
    """Zeros up to `longest` tokens."""
    missing = longest - rows.shape[1]
    return rows if not missing else np.pad(rows, ((0, 0), (0, missing), *((0, 0) for _ in rows.shape[2:])))
