"""What a series remembers of its points: the newest in full, older ones in blocks, all before that in sums.

Full records are kept in chunks that are written to keyed state one by one, so that a checkpoint costs one open chunk
rather than everything remembered.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from math import isfinite
from typing import Any

import orjson

from drift.estimate import Sums, sums_from_json
from drift.onset import Candidate

Slices = tuple[tuple[str, str], ...]
Record = tuple[int, float, float, str, Slices]
"""Event time in nanoseconds, value on [0, 1], weight, trace id, slices."""

CHUNK = 256
CHUNKS = 8
BLOCKS = 56
OTHER = "other"
_MOST_VALUES = 64  # values remembered of one attribute, and attributes: more become "other"


class Mix:
    """How much traffic each value of each attribute had, and at what level."""

    __slots__ = ("values",)

    def __init__(self) -> None:
        self.values: dict[str, dict[str, list[float]]] = {}  # attribute, value, [weight, weight * x]

    def add(self, record: Record) -> None:
        _, x, w, _, slices = record
        for attribute, value in slices:
            known = self.values.get(attribute)
            if known is None:
                if len(self.values) >= _MOST_VALUES:
                    continue
                known = self.values[attribute] = {}
            entry = known.get(value)
            if entry is None:
                entry = known.setdefault(value if len(known) < _MOST_VALUES else OTHER, [0.0, 0.0])
            entry[0] += w
            entry[1] += w * x

    def add_all(self, records: Iterable[Record]) -> "Mix":
        """Add each; returns itself."""
        for record in records:
            self.add(record)
        return self

    def copy(self) -> "Mix":
        twin = Mix()
        twin.values = {a: {v: list(entry) for v, entry in known.items()} for a, known in self.values.items()}
        return twin

    def load_json(self, raw: object) -> None:
        """Take over `values` as JSON gave them; ValueError if they cannot be."""
        if type(raw) is not dict or len(raw) > _MOST_VALUES:
            raise ValueError("a mix must be an object of attributes")
        for known in raw.values():
            if type(known) is not dict or len(known) > _MOST_VALUES + 1:
                raise ValueError("a mix must hold objects of values")
            for entry in known.values():
                if type(entry) is not list or len(entry) != 2 or any(type(v) is not float for v in entry):
                    raise ValueError(f"a mix holds {entry!r:.80}; two numbers are needed")
        self.values = raw


class Recent:
    """The memory of one series. `prior` and `mix` hold what has left the full records since the last `restart`."""

    __slots__ = ("_blocks", "_chunks", "_first", "_gone", "_past_changed", "_touched", "count", "mix", "prior")

    def __init__(self) -> None:
        self._first = 0  # number of the oldest chunk
        self._gone: set[int] = set()
        self._touched: set[int] = set()
        self.restart(Sums(), Mix())

    def restart(self, prior: Sums, mix: Mix) -> None:
        """Forget all points but keep these sums as what was before."""
        chunks = getattr(self, "_chunks", ())
        self._gone.update(range(self._first, self._first + len(chunks)))
        self._touched.clear()
        self._first += len(chunks)
        self._chunks: deque[list[Record]] = deque([[]])
        self._blocks: deque[Candidate] = deque()
        self.prior, self.mix = prior, mix
        self.count = 0  # records since the restart
        self._past_changed = True
        self._touched.add(self._first)

    def append(self, record: Record) -> None:
        chunk = self._chunks[-1]
        chunk.append(record)
        self.count += 1
        if len(chunk) == CHUNK:
            self._roll()

    def records(self) -> Iterator[Record]:
        """The newest points, oldest first."""
        for chunk in self._chunks:
            yield from chunk

    def replace(self, records: list[Record]) -> None:
        """Put other records in the place of the present ones, one for one."""
        at = iter(records)
        for number, chunk in enumerate(self._chunks, self._first):
            chunk[:] = [next(at) for _ in chunk]
            self._touched.add(number)

    def candidates(self) -> tuple[Sums, list[Candidate]]:
        """What was before, and where a change may have begun: blocks, then single points."""
        return self.prior.copy(), [*self._blocks, *(point_candidate(record) for record in self.records())]

    @property
    def blocks(self) -> int:
        """How many of the candidates are blocks."""
        return len(self._blocks)

    def take_state(self, key: str, everything: bool = False) -> dict[str, bytes | None]:
        """What must be written since the last call; None: delete."""
        open_number = self._first + len(self._chunks) - 1
        numbers = range(self._first, open_number + 1) if everything else sorted({*self._touched, open_number})
        taken: dict[str, bytes | None] = {f"{key}/chunk/{number}": None for number in sorted(self._gone)}
        for number in numbers:
            taken[f"{key}/chunk/{number}"] = _encode(self._chunks[number - self._first])
        if self._past_changed or everything:
            taken[f"{key}/past"] = orjson.dumps(
                {
                    "first": self._first,
                    "prior": self.prior.to_json(),
                    "blocks": [[block.at_ns, block.sums.to_json()] for block in self._blocks],
                    "mix": self.mix.values,
                    "count": self.count - sum(len(chunk) for chunk in self._chunks),
                }
            )
        self._gone.clear()
        self._touched.clear()
        self._past_changed = False
        return taken

    def load(
        self, past: bytes, chunks: dict[int, bytes], known: dict[Slices, Slices], lowest: float, highest: float
    ) -> None:
        """Take over what `take_state` gave; values lie in [lowest, highest].

        Raises:
            ValueError: corrupt, or a chunk is missing.
        """
        raw = _object(past, {"first", "prior", "blocks", "mix", "count"})
        first, numbers = raw["first"], sorted(chunks)
        if type(first) is not int or type(raw["count"]) is not int or type(raw["blocks"]) is not list:
            raise ValueError("past: first and count must be whole numbers, blocks a list")
        if not numbers or numbers != list(range(first, first + len(numbers))) or len(numbers) > CHUNKS + 1:
            raise ValueError(f"chunks {numbers[:10]} do not follow one another from {first}")
        mix = Mix()
        mix.load_json(raw["mix"])
        blocks: deque[Candidate] = deque()
        for item in raw["blocks"]:
            if type(item) is not list or len(item) != 2 or type(item[0]) is not int:
                raise ValueError("a block must be a time and sums")
            blocks.append(Candidate(item[0], sums_from_json(item[1])))
        loaded = deque(_decode(chunks[number], known, lowest, highest) for number in numbers)
        self.prior, self.mix, self._blocks, self._chunks = sums_from_json(raw["prior"]), mix, blocks, loaded
        self._first, self.count = first, raw["count"] + sum(len(chunk) for chunk in loaded)
        self._gone, self._touched, self._past_changed = set(), set(), False

    def _roll(self) -> None:
        """Close the full chunk; the oldest, if there are too many, becomes a block."""
        self._touched.update((self._first + len(self._chunks) - 1, self._first + len(self._chunks)))
        self._chunks.append([])
        if len(self._chunks) <= CHUNKS:
            return
        old = self._chunks.popleft()
        self._touched.discard(self._first)
        self._gone.add(self._first)
        self._first += 1
        sums = Sums()
        for record in old:
            sums.add(record[1], record[2])
            self.mix.add(record)
        self._blocks.append(Candidate(old[0][0], sums))
        if len(self._blocks) > BLOCKS:
            self.prior.include(self._blocks.popleft().sums)
        self._past_changed = True


def point_candidate(record: Record) -> Candidate:
    sums = Sums()
    sums.add(record[1], record[2])
    return Candidate(record[0], sums)


def _encode(chunk: list[Record]) -> bytes:
    table: dict[Slices, int] = {}
    rows = [[at, x, w, trace, table.setdefault(slices, len(table))] for at, x, w, trace, slices in chunk]
    return orjson.dumps({"slices": [list(slices) for slices in table], "rows": rows})


def _decode(data: bytes, known: dict[Slices, Slices], lowest: float, highest: float) -> list[Record]:
    raw = _object(data, {"slices", "rows"})
    table: list[Slices] = []
    for item in raw["slices"]:
        if type(item) is not list or any(
            type(pair) is not list or [type(t) for t in pair] != [str, str] for pair in item
        ):
            raise ValueError("slices must be pairs of texts")
        slices = tuple((pair[0], pair[1]) for pair in item)
        table.append(known.setdefault(slices, slices))
    chunk: list[Record] = []
    for row in raw["rows"]:
        if type(row) is not list or [type(v) for v in row] != [int, float, float, str, int]:
            raise ValueError(f"a record is {row!r:.80}; time, value, weight, trace and slices are needed")
        at, x, w, trace, place = row
        if not (lowest <= x <= highest and w > 0 and isfinite(w) and 0 <= place < len(table)):
            raise ValueError(f"a record is {row!r:.80}; a number is out of range")
        chunk.append((at, x, w, trace, table[place]))
    return chunk


def _object(data: bytes, names: set[str]) -> dict[str, Any]:
    try:
        raw = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error}") from error
    if type(raw) is not dict or raw.keys() != names:
        raise ValueError(f"must be an object of {', '.join(sorted(names))}")
    return raw
