"""Retrieved documents in any shape: libraries and applications name text, id and score as they like."""

from collector.core.model import JSON, Document
from collector.dialects.turns import first_word
from collector.dialects.values import mapping, parsed, real, text, word

_TEXTS = ("page_content", "pageContent", "content", "text", "chunk", "passage", "body", "document")
_IDS = ("id", "doc_id", "document_id", "docId", "documentId", "id_", "node_id", "chunk_id", "doc_uri")
_SCORES = ("score", "relevance_score", "relevanceScore", "similarity", "similarity_score", "rerank_score")
_WRAPPERS = ("kwargs", "node", "document", "data")  # serialised constructors, LlamaIndex nodes with score
_WRAPPER_KEYS = frozenset(_WRAPPERS)


def read_documents(value: JSON) -> list[Document] | None:
    """The documents of a list; None if it is not a list of documents.

    >>> read_documents([{"page_content": "tea", "metadata": {"doc_id": "d1", "relevance_score": 0.5}}])
    [Document(text='tea', id='d1', score=0.5)]
    >>> read_documents([1, 2]) is None, read_documents([])
    (True, [])
    """
    if not isinstance(value, list):
        value = parsed(value)
    if isinstance(value, dict):
        value = next((value[key] for key in ("documents", "docs", "results", "matches") if key in value), None)
        value = parsed(value)
    if not isinstance(value, list):
        return None
    found = [document for item in value if (document := read_document(item)) is not None]
    return found if found or not value else None


def read_document(value: JSON) -> Document | None:
    """One document, or None if the value has neither text nor id.

    Id and score may hide in its metadata, under names that the application chose.
    """
    if not isinstance(value, dict):
        value = parsed(value)
    if isinstance(value, str):
        return Document(value) if value and not (value[0] == "<" and value[-1] == ">") else None  # no `repr`
    if not isinstance(value, dict):
        return None
    if not _WRAPPER_KEYS.isdisjoint(value):
        value = _unwrapped(value)
    said = identity = score = None
    for key in _TEXTS:
        if key in value and (said := _said(value[key])) is not None:
            break
    for key in _IDS:
        if key in value and (identity := word(value[key])) is not None:
            break
    for key in _SCORES:
        if key in value and (score := real(value[key])) is not None:
            break
    if "metadata" in value or "meta" in value:
        metadata = mapping(value.get("metadata")) or mapping(value.get("meta"))
        identity = identity if identity is not None else first_word(metadata, *_IDS)
        score = score if score is not None else _score_of(metadata)
    return Document(said, identity, score) if said is not None or identity is not None else None


def _said(value: JSON) -> str | None:
    """A document's text, which may stand in parts."""
    if isinstance(value, list):
        value = "\n".join(said for part in value if isinstance(part, dict) and (said := text(part.get("text"))))
    return text(value)


def _unwrapped(value: dict[str, JSON]) -> dict[str, JSON]:
    inner = next((value[key] for key in _WRAPPERS if isinstance(value.get(key), dict)), None)
    return value if inner is None else {**inner, **{key: item for key, item in value.items() if key in _SCORES}}


def _score_of(metadata: dict[str, JSON]) -> float | None:
    """A score under a known name, or under any that ends so."""
    for key in (*_SCORES, *(key for key in metadata if key.endswith("score"))):
        score = real(metadata.get(key))
        if score is not None:
            return score
    return None


def holds_documents(value: JSON) -> bool:
    """Whether a function's result is a list of retrieved documents: each has text, and an id or a score.

    For functions that an application decorated itself, where nothing else says that they retrieve.
    """
    value = parsed(value)
    if not isinstance(value, list) or not value:
        return False
    items = [parsed(item) for item in value[:50]]  # LlamaIndex: each is JSON text
    if not all(isinstance(item, dict) for item in items):
        return False
    if isinstance(value[0], str) and not all("score" in item for item in items if isinstance(item, dict)):
        return False  # the same from a splitter of texts
    found = [read_document(item) for item in items]
    return all(doc is not None and doc.text and (doc.id is not None or doc.score is not None) for doc in found)
