"""A sentence-transformers model, and the same model as ONNX, with random weights: run where that package is installed.

It brings torch, which is gigabytes, so it is in no extra; without it these tests are skipped.
"""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from collector.core.clock import FakeClock
from collector.core.model import Trace
from collector.core.telemetry import Telemetry
from collector.sample import Admission
from scorers.loading import ScorerConfig, load_scorers
from scorers.models.embedders import load_embedder
from scorers.runner import Runner

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]

WORDS = ["refund", "money", "back", "parcel", "delivery", "late", "hello", "not", "where", "is", "my"]
TEXTS = ["where is my refund", "parcel late", "", "hello hello hello hello hello hello", "words that it does not know"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A BERT of two layers and 32 numbers: as sentence-transformers saves it, and exported to ONNX."""
    package = pytest.importorskip("sentence_transformers", reason="pip install sentence-transformers")
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(7)
    base = tmp_path_factory.mktemp("encoders")
    plain, whole, exported = base / "bert", base / "sentence", base / "onnx"
    plain.mkdir()
    exported.mkdir()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    (plain / "vocab.txt").write_text("\n".join([*special, *WORDS, *"abcdefghijklmnopqrstuvwxyz"]))
    tokenizer = transformers.BertTokenizerFast(vocab=_vocabulary(plain / "vocab.txt"), do_lower_case=True)
    config = transformers.BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=128,
        attn_implementation="eager",
    )
    model = transformers.BertModel(config).eval()
    model.save_pretrained(plain)
    tokenizer.save_pretrained(plain)
    package.SentenceTransformer(str(plain), device="cpu").save(str(whole))  # pools the mean, unless told otherwise
    _export(torch, model, tokenizer, exported)
    return {"sentence-transformers": whole, "onnx": exported}


def _vocabulary(path: Path) -> dict[str, int]:
    return {word: number for number, word in enumerate(path.read_text().split("\n"))}


def _export(torch: Any, model: Any, tokenizer: Any, folder: Path) -> None:
    names = ["input_ids", "attention_mask", "token_type_ids"]
    given = tokenizer(["refund money", "late"], padding=True, return_tensors="pt")

    class States(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: Any, attention_mask: Any, token_type_ids: Any) -> Any:
            return self.model(
                input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids
            ).last_hidden_state

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of tracing: the shapes that it takes as fixed are not
        torch.onnx.export(
            States(),
            tuple(given[name] for name in names),
            str(folder / "model.onnx"),
            input_names=names,
            output_names=["last_hidden_state"],
            dynamic_axes={name: {0: "n", 1: "t"} for name in [*names, "last_hidden_state"]},
            opset_version=17,
            dynamo=False,
        )
    tokenizer.backend_tokenizer.save(str(folder / "tokenizer.json"))


def test_a_transformer_gives_rows_of_length_one(folders: dict[str, Path]) -> None:
    rows = load_embedder(f"sentence-transformers:{folders['sentence-transformers']}").embed(TEXTS)
    assert rows.shape == (len(TEXTS), 32)
    assert np.linalg.norm(rows, axis=1) == pytest.approx(1.0, abs=1e-5)
    assert abs(float(rows[0] @ rows[1])) < 0.999


def test_onnx_says_what_the_library_it_was_exported_from_says(folders: dict[str, Path]) -> None:
    ours, theirs = (load_embedder(f"{kind}:{folder}").embed(TEXTS) for kind, folder in folders.items())
    assert np.abs(ours - theirs).max() < 1e-4


@pytest.mark.parametrize("kind", ["sentence-transformers", "onnx"])
def test_a_transformer_is_run_by_scorers(kind: str, folders: dict[str, Path]) -> None:
    model = f"{kind}:{folders[kind]}"
    configs: list[dict[str, Any]] = [
        {"use": "embedding", "options": {"model": model}, "timeout": "60s"},
        {"use": "semantic_similarity", "options": {"model": model, "to": "question"}, "timeout": "60s"},
    ]
    runner = Runner(load_scorers([ScorerConfig.model_validate(one) for one in configs]), Telemetry(), FakeClock())
    try:
        asked = Trace("1" * 32, question="where is my parcel", answer="where is my parcel")
        embedded, alike = runner.evaluate(asked, Admission(0.5, 1.0, 1.0, "sample.rate"))
    finally:
        runner.close()
    assert embedded.score is not None, embedded
    assert alike.score is not None, alike
    assert isinstance(embedded.score.vector, bytes)
    assert len(embedded.score.vector) == 32
    assert alike.score.value == pytest.approx(1.0, abs=1e-3)
