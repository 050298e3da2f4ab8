"""Vectors in the order in which they came, kept in chunks that are written to keyed state one by one."""

from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from math import isfinite
from typing import TypeAlias

import orjson

CHUNK = 128
Item: TypeAlias = tuple[bytes, float]
"""A vector, and the weight of its point."""


class Vectors:
    """All that were added or, with `most_chunks`, the newest: so many full chunks and the open one."""

    __slots__ = ("_chunks", "_first", "_gone", "_most_chunks", "_name", "_touched", "total")

    def __init__(self, name: str, most_chunks: int | None = None) -> None:
        self._name, self._most_chunks = name, most_chunks
        self._first = 0
        self._chunks: list[list[Item]] = [[]]
        self._touched: set[int] = {0}
        self._gone: set[int] = set()
        self.total = 0  # those that are kept

    def __iter__(self) -> Iterator[Item]:
        for chunk in self._chunks:
            yield from chunk

    def add(self, vector: bytes, weight: float) -> int:
        """Returns how many old ones were let go."""
        self._chunks[-1].append((vector, weight))
        self._touched.add(self._first + len(self._chunks) - 1)
        self.total += 1
        if len(self._chunks[-1]) < CHUNK:
            return 0
        self._chunks.append([])
        self._touched.add(self._first + len(self._chunks) - 1)
        if self._most_chunks is None or len(self._chunks) <= self._most_chunks + 1:
            return 0
        self._chunks.pop(0)
        self._touched.discard(self._first)
        self._gone.add(self._first)
        self._first += 1
        self.total -= CHUNK
        return CHUNK

    def clear(self) -> None:
        if self.total:
            self._gone.update(range(self._first, self._first + len(self._chunks)))
            self._first += len(self._chunks)
            self._chunks, self.total, self._touched = [[]], 0, {self._first}

    def take_state(self, key: str, everything: bool) -> dict[str, bytes | None]:
        """What must be written since the last call; None: delete."""
        numbers = range(self._first, self._first + len(self._chunks)) if everything else sorted(self._touched)
        taken: dict[str, bytes | None] = {f"{key}/{self._name}/{number}": None for number in sorted(self._gone)}
        for number in numbers:
            chunk = self._chunks[number - self._first]
            rows = [[b64encode(vector).decode(), weight] for vector, weight in chunk]
            taken[f"{key}/{self._name}/{number}"] = orjson.dumps(rows)
        self._gone.clear()
        self._touched.clear()
        return taken

    def load(self, parts: Mapping[str, bytes]) -> None:
        """Take over what `take_state` gave, by names without the key; ValueError if it cannot be."""
        mine = {int(part.rpartition("/")[2]): data for part, data in parts.items() if part.startswith(f"{self._name}/")}
        numbers = sorted(mine)
        if not numbers or numbers != list(range(numbers[0], numbers[0] + len(numbers))):
            raise ValueError(f"{self._name}: chunks {numbers[:10]} do not follow one another")
        chunks = [_chunk(mine[number]) for number in numbers]
        if any(len(chunk) != CHUNK for chunk in chunks[:-1]) or len(chunks[-1]) >= CHUNK:
            raise ValueError(f"{self._name}: a chunk has a wrong number of vectors")
        if len({len(vector) for chunk in chunks for vector, _ in chunk}) > 1:
            raise ValueError(f"{self._name}: vectors of several lengths")
        self._first, self._chunks = numbers[0], chunks
        self.total = sum(map(len, chunks))
        self._touched, self._gone = set(), set()


def _chunk(data: bytes) -> list[Item]:
    rows = orjson.loads(data)
    if type(rows) is not list:
        raise ValueError(f"a chunk of vectors is {rows!r:.80}; a list is needed")
    return [_item(row) for row in rows]


def _item(row: object) -> Item:
    if type(row) is not list or len(row) != 2 or type(row[0]) is not str or type(row[1]) is not float:
        raise ValueError(f"a vector is {row!r:.80}; text and a weight are needed")
    if not (row[1] > 0 and isfinite(row[1])):
        raise ValueError(f"a vector has the weight {row[1]!r}; it must be over 0 and finite")
    return b64decode(row[0], validate=True), row[1]
