"""`person_names` with a token classifier that is made here, read by the real libraries."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import Lowercase
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing

from collector.core.errors import UserError
from collector.core.model import Trace
from scorers.ledger import Decision
from scorers.models.names import _load, _pieces
from scorers.testing import check_scorer
from tests.scorers.models.conftest import save
from tests.scorers.models.evaluation import configured, evaluate

LABELS = {"0": "O", "1": "B-PER", "2": "I-PER", "3": "B-LOC"}
VOCABULARY = {  # token -> its label
    **dict.fromkeys(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "ask", "in", "and", ".", ",", "##s"], 0),
    **dict.fromkeys(["ann", "bob"], 1),
    **dict.fromkeys(["cole", "##son"], 2),
    "paris": 3,
}


@pytest.fixture(autouse=True)
def _models_are_loaded_anew() -> Iterator[None]:
    yield
    _load.cache_clear()


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier that looks the label of each token up."""
    made = Tokenizer(WordPiece({token: at for at, token in enumerate(VOCABULARY)}, unk_token="[UNK]"))
    made.normalizer = Lowercase()
    made.pre_tokenizer = BertPreTokenizer()
    made.post_processor = TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    table = np.eye(len(LABELS), dtype=np.float32)[list(VOCABULARY.values())]
    ids = helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["n", "t"])
    out = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", "t", len(LABELS)])
    node = helper.make_node("Gather", ["table", "input_ids"], ["logits"])
    graph = helper.make_graph([node], "names", [ids], [out], [numpy_helper.from_array(table, "table")])
    where = save(tmp_path_factory.mktemp("names"), graph, made)
    (where / "config.json").write_text(json.dumps({"id2label": LABELS}))
    return where


def names(decision: Decision, text: str) -> list[str]:
    assert decision.score is not None, decision
    return [text[item.start : item.end] for item in decision.score.evidence]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Ask Ann Cole in Paris.", ["Ann Cole"]),
        ("Ask Ann, Bob and Cole.", ["Ann", "Bob", "Cole"]),
        ("Ask Ann Bob.", ["Ann", "Bob"]),  # each begins a name
        ("Ask Bobson and Anns.", ["Bobson", "Anns"]),  # a word is what its first token is
        ("Ask in Paris.", []),
        ("Ask ann\ncole", ["ann", "cole"]),
    ],
)
def test_words_of_one_name_are_one(folder: Path, text: str, found: list[str]) -> None:
    (decision,) = evaluate(configured("person_names", model=f"onnx:{folder}"), Trace("1" * 32, answer=text))
    assert names(decision, text) == found
    assert decision.score is not None
    assert (decision.score.value, decision.score.passed) == (float(bool(found)), not found)


def test_names_are_where_they_are_in_a_long_answer_and_in_each_of_many(folder: Path) -> None:
    text = "Ask in Paris, and in Paris. " * 100 + "Ask Bob. " + "Paris " * 300 + "Ann Cole."
    one = configured("person_names", model=f"onnx:{folder}")
    first, second = evaluate(one, Trace("1" * 32, answer=text), Trace("2" * 32, answer="Bob."))
    assert names(first, text) == ["Bob", "Ann Cole"]
    assert names(second, "Bob.") == ["Bob"]


def test_pieces_hold_every_sentence_once_and_are_short() -> None:
    text = "One sentence here. " * 200 + "x" * 2000 + " The end."
    pieces = list(_pieces(text))
    assert max(end - start for start, end in pieces) <= 800
    assert "".join(text[start:end] for start, end in pieces).replace(" ", "") == text.replace(" ", "")


def test_who_is_named_in_the_question_is_an_echo(folder: Path) -> None:
    asked = Trace("1" * 32, question="Where is ann?", answer="Ann is in Paris.")
    assert names(evaluate(configured("person_names", model=f"onnx:{folder}"), asked)[0], "Ann is") == []
    assert names(evaluate(configured("person_names", model=f"onnx:{folder}", echo=True), asked)[0], "Ann is") == ["Ann"]


def test_it_stands_whatever_comes(folder: Path) -> None:
    check_scorer(configured("person_names", model=f"onnx:{folder}"))


def test_without_the_extra_a_candidate_is_filtered(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    (found,) = evaluate(configured("person_names", model=f"onnx:{folder}"), Trace("1" * 32, answer="Ann"))
    assert (found.decision, found.reason) == ("filtered", "extra not installed")


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({}, "scorers[0].options.model: 'person_names' needs it"),
        ({"model": "./names"}, "model: './names' is not KIND:NAME with one of the kinds onnx, presidio"),
        ({"model": "onnx:./none"}, "none/model.onnx cannot be read: No such file or directory"),
    ],
)
def test_a_model_that_is_not_there_is_told_at_start(options: dict[str, str], problem: str) -> None:
    with pytest.raises(UserError) as refused:
        configured("person_names", **options)
    assert problem in str(refused.value)


@pytest.mark.parametrize("config", ["[]", '{"id2label": {"0": "O", "1": "LOC"}}', '{"id2label": {"a": "PER"}}'])
def test_a_model_without_a_label_of_people_fails_candidates(folder: Path, tmp_path: Path, config: str) -> None:
    for name in ("model.onnx", "tokenizer.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    (tmp_path / "config.json").write_text(config)
    (found,) = evaluate(configured("person_names", model=f"onnx:{tmp_path}"), Trace("1" * 32, answer="Ann"))
    assert (found.decision, found.reason) == ("failed", "exception")


def test_the_labels_are_part_of_the_evaluator_id(folder: Path, tmp_path: Path) -> None:
    for name in ("model.onnx", "tokenizer.json", "config.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    before = configured("person_names", model=f"onnx:{tmp_path}").evaluator_id
    (tmp_path / "config.json").write_text(json.dumps({"id2label": {**LABELS, "3": "B-PERSON"}}))
    assert configured("person_names", model=f"onnx:{tmp_path}").evaluator_id != before


# --- presidio, where it is installed ---


@pytest.fixture(scope="session")
def spacy_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of spaCy that knows one name."""
    spacy = pytest.importorskip("spacy", reason="pip install presidio-analyzer")
    pytest.importorskip("presidio_analyzer")
    made = spacy.blank("en")
    made.add_pipe("entity_ruler").add_patterns([{"label": "PERSON", "pattern": "Ann Cole"}])
    where = tmp_path_factory.mktemp("spacy")
    made.to_disk(where)
    return where


def test_presidio_finds_what_its_model_finds_and_only_people(spacy_folder: Path) -> None:
    text = "Ask Ann Cole, or jo@example.org in Paris."
    one = configured("person_names", model=f"presidio:{spacy_folder}")
    assert names(evaluate(one, Trace("1" * 32, answer=text))[0], text) == ["Ann Cole"]
    check_scorer(one)


def test_a_model_of_presidio_is_not_fetched(spacy_folder: Path) -> None:
    (found,) = evaluate(configured("person_names", model="presidio:en_core_web_none"), Trace("1" * 32, answer="Ann"))
    assert (found.decision, found.reason) == ("failed", "exception")


def test_without_presidio_a_candidate_is_filtered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "spacy", None)
    (found,) = evaluate(configured("person_names", model="presidio:en_core_web_sm"), Trace("1" * 32, answer="Ann"))
    assert (found.decision, found.reason) == ("filtered", "extra not installed")
