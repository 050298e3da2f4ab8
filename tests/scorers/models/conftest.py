"""Models small enough to be made here: real files, read by the real libraries."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from model2vec import StaticModel
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing

WORDS = ["[PAD]", "[UNK]", "[SEP]", "refund", "money", "back", "parcel", "delivery", "late", "hello", "not"]
# Two matters: money and parcels. A word of neither is between them.
VECTORS = np.array(
    [[0, 0], [0, 0], [0, 0], [1, 0], [0.9, 0.1], [0.8, 0.2], [0, 1], [0.1, 0.9], [0.2, 0.8], [0.5, 0.5], [0, 0]],
    dtype=np.float32,
)


def tokenizer(pairs: bool = False) -> Tokenizer:
    made = Tokenizer(WordLevel({word: at for at, word in enumerate(WORDS)}, unk_token="[UNK]"))
    made.pre_tokenizer = Whitespace()
    if pairs:
        made.post_processor = TemplateProcessing(single="$A", pair="$A [SEP] $B:1", special_tokens=[("[SEP]", 2)])
    return made


@pytest.fixture(scope="session")
def static_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model2vec model of ten words."""
    folder = tmp_path_factory.mktemp("static")
    StaticModel(VECTORS, tokenizer(), normalize=True).save_pretrained(str(folder))
    return folder


def save(folder: Path, graph: onnx.GraphProto, made: Tokenizer) -> Path:
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, str(folder / "model.onnx"))
    made.save(str(folder / "tokenizer.json"))
    return folder


@pytest.fixture(scope="session")
def encoder_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An encoder in ONNX that looks each token up: its states are those vectors, to be pooled."""
    ids = helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["n", "t"])
    mask = helper.make_tensor_value_info("attention_mask", TensorProto.INT64, ["n", "t"])
    out = helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, ["n", "t", 2])
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["last_hidden_state"]),
        helper.make_node("Identity", ["attention_mask"], ["mask_again"]),
    ]
    graph = helper.make_graph(nodes, "encoder", [ids, mask], [out], [numpy_helper.from_array(VECTORS, "table")])
    return save(tmp_path_factory.mktemp("encoder"), graph, tokenizer())


@pytest.fixture(scope="session")
def entailment_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cross-encoder in ONNX: entailed is, of two equally long texts of one word, what has the word of the other.

    Its logits are (0, 4 - 8 |first id - last id|), so that only the same word in premise and hypothesis is entailed.
    """
    ids = helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["n", "t"])
    out = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 2])
    constants = [
        numpy_helper.from_array(np.array([0], dtype=np.int64), "first"),
        numpy_helper.from_array(np.array([2], dtype=np.int64), "third"),
        numpy_helper.from_array(np.array(-8, dtype=np.float32), "slope"),
        numpy_helper.from_array(np.array(4, dtype=np.float32), "offset"),
        numpy_helper.from_array(np.array(0, dtype=np.float32), "nothing"),
    ]
    nodes = [
        helper.make_node("Gather", ["input_ids", "first"], ["one"], axis=1),
        helper.make_node("Gather", ["input_ids", "third"], ["other"], axis=1),
        helper.make_node("Sub", ["one", "other"], ["apart"]),
        helper.make_node("Abs", ["apart"], ["distance"]),
        helper.make_node("Cast", ["distance"], ["far"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["far", "slope"], ["scaled"]),
        helper.make_node("Add", ["scaled", "offset"], ["entailed"]),
        helper.make_node("Mul", ["far", "nothing"], ["otherwise"]),
        helper.make_node("Concat", ["otherwise", "entailed"], ["logits"], axis=1),
    ]
    graph = helper.make_graph(nodes, "entailment", [ids], [out], constants)
    return save(tmp_path_factory.mktemp("entailment"), graph, tokenizer(pairs=True))
