"""A scorer of tier 1 that gives no value but a vector, for monitors of what traffic is about."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import accumulate, chain, pairwise
from pathlib import Path
from string import punctuation
from typing import Annotated, Any, Literal, TypeAlias

import numpy as np
from pydantic import Field

from collector.core.model import Trace
from scorers.base import Filtered, Outcome, Score, scorer
from scorers.models.embedders import MissingExtra, Vectors, files_of, load_embedder
from scorers.text import STOP_WORDS, Text, read

_MOST_CONTEXTS = 20
_SHORTEST_TERM, _LONGEST_TERM = 3, 24  # of ASCII; others are pairs of characters, or short enough
_PUNCTUATION = "".join(mark for mark in punctuation if mark not in "@/_#") + "“”„‘’«»…"

Of: TypeAlias = Literal["question", "answer", "contexts"]


def _model_files(options: dict[str, Any]) -> list[Path]:
    return files_of(options.get("model", "hashed"))


@scorer(name="embedding", tier=1, version="1", batch=32, data=_model_files, embeds=True)
def embedding(
    traces: Sequence[Trace],
    *,
    model: str = "hashed",
    of: Of = "question",
    terms: Annotated[int, Field(ge=0, le=12)] = 8,
) -> Sequence[Outcome]:
    """What the question (or the answer, or the contexts) is about, as a vector that monitors watch; no value.

    Of several contexts, the mean of their vectors. Wrong where the model is: `hashed`, which needs no model, sees
    vocabulary alone.

    Args:
        traces: whose texts are embedded.
        model: `hashed`, or a reference as of `semantic_similarity`.
        of: what is embedded.
        terms: how many words of each text are told with its vector, so that a change can name those that grew; 0: none.
    """
    texts = [_texts(trace, of) for trace in traces]
    try:
        embedder = load_embedder(model)
    except MissingExtra:
        return [Filtered.EXTRA_NOT_INSTALLED for _ in traces]
    if not any(texts):
        return [None for _ in traces]
    rows = embedder.embed(list(chain.from_iterable(texts)))
    ends = pairwise([0, *accumulate(map(len, texts))])
    return [_score(rows[start:end], some, terms) for (start, end), some in zip(ends, texts, strict=True)]


def _texts(trace: Trace, of: Of) -> list[str]:
    if of == "contexts":
        return [text for text in trace.contexts[:_MOST_CONTEXTS] if text]
    text = trace.question if of == "question" else trace.answer
    return [text] if text else []


def _score(rows: Vectors, texts: Sequence[str], terms: int) -> Score | None:
    """None where the model knows nothing of what it was given."""
    mean = rows.mean(axis=0) if len(rows) else rows
    if not np.any(mean):
        return None
    return Score(None, vector=mean.tolist(), terms=_terms(texts, terms) if terms else ())


def _terms(texts: Sequence[str], most: int) -> list[str]:
    """The words that come most often, longer ones first.

    Nothing with a digit, and nothing that is a piece of an address, a link or a name of an account: redaction, which
    sees each word by itself, could not tell.
    """
    counted = Counter(word for text in map(read, texts) for word in _whole_words(text))
    return sorted(counted, key=lambda word: (-counted[word], -len(word), word))[:most]


def _whole_words(text: Text) -> Iterator[str]:
    alone = {token.strip(_PUNCTUATION) for token in text.lower.split()}
    for word in text.words:
        if word.isascii() and not _SHORTEST_TERM <= len(word) <= _LONGEST_TERM:
            continue
        if word.isalpha() and word not in STOP_WORDS and (word in alone or not word.isascii()):
            yield word
