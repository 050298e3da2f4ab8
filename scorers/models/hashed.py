"""Texts as vectors without a model: which words and pieces of words they have, projected on random signs.

Each term, and each piece of four characters, stands for a fixed row of 256 signs that its hash gives; a text is the sum
of its rows (random indexing: Kanerva, Kristoferson, Holst 2000; the pieces as in fastText, Bojanowski et al. 2017).
The cosine of two texts is then about the part of their vocabulary that they share, give or take 1/16. It sees
vocabulary and nothing else: `refund` and `money back` are strangers to it, and so are two languages.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from hashlib import blake2b

import numpy as np

from scorers.models.embedders import Vectors, unit
from scorers.text import Text, read
from scorers.vectors import DIMENSIONS

_PIECE = 4
_PIECES_WEIGHT = 0.5
_MOST_TERMS = 400  # of one text: more tell no more


class Hashed:
    """An embedder (`scorers.models.embedders.Embedder`) of 256 numbers that needs no library and no file."""

    def embed(self, texts: Sequence[str]) -> Vectors:
        rows = [_row(read(text)) for text in texts]
        return unit(np.array(rows, dtype=np.float32).reshape(len(rows), DIMENSIONS))


def _row(text: Text) -> Vectors:
    """The sum of the rows of its terms; of all its words where none is a term; zeros where there is no word."""
    terms = sorted(text.terms or text.vocabulary)[:_MOST_TERMS]
    if not terms:
        return np.zeros(DIMENSIONS, dtype=np.float32)
    pieces = sorted({piece for term in terms for piece in _pieces(term)})
    return _sum(terms) + _PIECES_WEIGHT * _sum(pieces)


def _pieces(term: str) -> Iterable[str]:
    """
    >>> list(_pieces("refund"))
    ['#ref', 'refu', 'efun', 'fund', 'und#']
    """
    edged = f"#{term[:32]}#"
    return (edged[at : at + _PIECE] for at in range(max(1, len(edged) - _PIECE + 1)))


def _sum(features: Sequence[str]) -> Vectors:
    """The sum of their signs over the root of their number: as long for many as for few."""
    bits = np.unpackbits(
        np.frombuffer(b"".join(map(_signs, features)), dtype=np.uint8).reshape(len(features), -1), axis=1
    )
    found: Vectors = ((2.0 * bits.sum(axis=0) - len(features)) / np.sqrt(len(features))).astype(np.float32)
    return found


@lru_cache(maxsize=32_768)
def _signs(feature: str) -> bytes:
    return blake2b(feature.encode("utf-8", "surrogatepass"), digest_size=DIMENSIONS // 8).digest()
