"""Put other texts in the place of recorded ones, wherever and however an instrumentation library wrote them.

The same answer may stand in a trace as plain text, inside a JSON document, and inside a JSON document that is a string
of another JSON document, each with or without `\\u` escapes. A recorded value is taken apart once, into literals and
gaps; to write it again with other texts is then a join, and whatever was valid JSON stays valid JSON.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from json import dumps, loads
from typing import Any

Texts = Mapping[str, str]
"""New texts by the name of the gap they go into."""

_MAX_DEPTH = 8  # JSON inside JSON; libraries do up to three
_STYLES: tuple[dict[str, Any], ...] = (
    {},
    {"separators": (",", ":")},
    {"indent": 2},
    {"indent": 4},
)


@dataclass(frozen=True, slots=True)
class Gap:
    """Where a text goes. `escapes` says, from the innermost out, whether each JSON level writes ASCII only."""

    name: str
    escapes: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class Pattern:
    """A recorded value, taken apart."""

    pieces: tuple[str | Gap, ...]

    def fill(self, texts: Texts) -> str:
        """The value with `texts` in its gaps."""
        return "".join(
            piece if isinstance(piece, str) else escaped(texts[piece.name], piece.escapes) for piece in self.pieces
        )

    @property
    def names(self) -> frozenset[str]:
        return frozenset(piece.name for piece in self.pieces if isinstance(piece, Gap))


@lru_cache(maxsize=4096)
def escaped(text: str, escapes: tuple[bool, ...]) -> str:
    """`text` as it stands inside one JSON string for each of `escapes`.

    >>> escaped('5 µg "low"', (True,))
    '5 \\\\u00b5g \\\\"low\\\\"'
    """
    for ascii_only in escapes:
        text = dumps(text, ensure_ascii=ascii_only)[1:-1]
    return text


class Finder:
    """Finds known texts in values.

    Args:
        texts: name of the gap by recorded text. Where one text contains another, the longer is found. Empty texts are
            left out: they would be everywhere.

    >>> pattern = Finder({"It is 3 g.": "answer"}).find('{"role": "assistant", "content": "It is 3 g."}')
    >>> pattern.fill({"answer": 'It is "about" 4 g.'})
    '{"role": "assistant", "content": "It is \\\\"about\\\\" 4 g."}'
    """

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._names = {text: name for text, name in texts.items() if text}
        longest_first = sorted(self._names, key=lambda text: (-len(text), text))
        self._texts = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")

    def find(self, value: str) -> Pattern | None:
        """The value taken apart; None if it holds none of the texts."""
        pieces = self._pieces(value, 0)
        return Pattern(tuple(pieces)) if any(isinstance(piece, Gap) for piece in pieces) else None

    def _pieces(self, value: str, depth: int) -> list[str | Gap]:
        if value in self._names:  # even if it is a JSON document itself
            return ["", Gap(self._names[value], ()), ""]
        document = _document(value) if depth < _MAX_DEPTH else None
        if document is None:
            return self._plain(value)
        gaps: list[Gap] = []
        mark = _unused_mark(value)
        marked = _map_strings(document, lambda text: self._mark(text, mark, gaps, depth))
        if not gaps:
            return [value]
        ascii_only, style = _style(document, value)
        literals = dumps(marked, ensure_ascii=ascii_only, **style).split(mark)
        outer = [Gap(gap.name, (*gap.escapes, ascii_only)) for gap in gaps]
        return _interleave(literals, outer)

    def _plain(self, value: str) -> list[str | Gap]:
        literals = self._texts.split(value)
        gaps = [Gap(self._names[found], ()) for found in self._texts.findall(value)]
        return _interleave(literals, gaps)

    def _mark(self, text: str, mark: str, gaps: list[Gap], depth: int) -> str:
        """`text` with a mark in the place of each gap, which is noted; dumping then escapes the literals around it."""
        pieces = self._pieces(text, depth + 1)
        gaps.extend(piece for piece in pieces if isinstance(piece, Gap))
        return "".join(piece if isinstance(piece, str) else mark for piece in pieces)


def _interleave(literals: Sequence[str], gaps: Sequence[Gap]) -> list[str | Gap]:
    pieces: list[str | Gap] = [literals[0]]
    for gap, literal in zip(gaps, literals[1:], strict=True):
        pieces += (gap, literal)
    return pieces


def _document(value: str) -> Any:
    """The JSON document that the value is, if it is one with strings in it; else None."""
    if not value or value[0] not in '{["':
        return None
    try:
        return loads(value)
    except (ValueError, RecursionError):
        return None


def _unused_mark(value: str) -> str:
    """A text that is not in the value, and that JSON writes as it is at any depth."""
    number = 0
    while (mark := f"<<gap{number}>>") in value:
        number += 1
    return mark


def _map_strings(document: Any, change: Callable[[str], str]) -> Any:
    """The document with each string value changed; keys stay, they are the library's."""
    if isinstance(document, str):
        return change(document)
    if isinstance(document, list):
        return [_map_strings(item, change) for item in document]
    if isinstance(document, dict):
        return {key: _map_strings(item, change) for key, item in document.items()}
    return document


def _style(document: Any, value: str) -> tuple[bool, dict[str, Any]]:
    """How the library wrote the document: ASCII only or not, and its spaces. The nearest we know, if it is another."""
    for ascii_only in (False, True):
        for style in _STYLES:
            if dumps(document, ensure_ascii=ascii_only, **style) == value:
                return ascii_only, style
    return value.isascii(), {} if ": " in value or ", " in value else _STYLES[1]
