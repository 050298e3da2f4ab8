from typing import Any

import pytest

from collector.core.model import Document
from collector.dialects.documents import holds_documents, read_documents

SHAPES: dict[str, tuple[Any, list[Document] | None]] = {
    "openllmetry": ([{"id": "a", "text": "t", "score": 0.5}], [Document("t", "a", 0.5)]),
    "langchain": (
        {"documents": [{"lc": 1, "kwargs": {"page_content": "t", "metadata": {"doc_id": "a", "my_score": "0.5"}}}]},
        [Document("t", "a", 0.5)],
    ),
    "llama-index": ([{"node": {"text": "t", "id_": "a"}, "score": 0.5}], [Document("t", "a", 0.5)]),
    "otel, ids only": ('[{"id": "a", "score": null}]', [Document(None, "a", None)]),
    "texts": (["t", "u"], [Document("t"), Document("u")]),
    "zero is a score": ([{"text": "t", "score": 0}], [Document("t", None, 0.0)]),
    "reprs": (["<Node(text=t)>"], None),
    "numbers": ([1, 2], None),
    "text": ("no list", None),
    "broken": ("[{", None),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_list_of_documents_is_read(shape: str) -> None:
    value, expected = SHAPES[shape]
    assert read_documents(value) == expected


def test_a_functions_result_counts_as_documents_only_if_each_item_has_text_and_an_id_or_score() -> None:
    assert holds_documents([{"id": 1, "text": "t"}])
    assert not holds_documents([{"id": 1, "text": "t"}, {"text": "u"}])
    assert not holds_documents([{"order_id": 1, "price": 2}])
    assert not holds_documents([])
