"""Which traces were let go: what still comes of them is too late, and no new trace.

Told from their ids alone, for the last few hundred thousand: 64 bits of a hash each, in tables that are filled one
after the other and dropped oldest first. Past that, or after the partitions grew, a span that is as late as that begins
a trace of its own.
"""

from array import array
from collections.abc import Iterable
from hashlib import blake2b
from operator import itemgetter

_GENERATIONS = 8
_HASH_BYTES = 8
_CHUNK_IDS = 128  # of one key of the state: what is added to is written again with every commit
_PREFIX = "let_go:"


class LetGo:
    """A set of the last `most` trace ids, give or take an eighth; 16 bytes each.

    Two ids in 2**64 are taken for one another: 10**-13 for a new trace and a full set of a million.
    """

    def __init__(self, most: int) -> None:
        self._size = max(1, most // _GENERATIONS)
        slots = 1 << (2 * self._size - 1).bit_length()
        self._mask, self._empty = slots - 1, bytes(slots * _HASH_BYTES)
        self._tables: dict[int, array[int]] = {}  # oldest first
        self._newest: array[int] = array("Q")  # the hashes of the newest table, in order
        self._number = 0  # of the newest table
        self._changed: dict[str, bytes | None] = {}

    def add(self, trace_id: bytes) -> None:
        if len(self._newest) >= self._size:
            self._number += 1
            self._newest = array("Q")
        value = _hash(trace_id)
        self._put(value)
        self._newest.append(value)
        chunk = (len(self._newest) - 1) // _CHUNK_IDS
        self._changed[f"{_PREFIX}{self._number}:{chunk}"] = self._newest[chunk * _CHUNK_IDS :].tobytes()
        if len(self._tables) > _GENERATIONS:
            oldest = next(iter(self._tables))
            del self._tables[oldest]
            for chunk in range(-(-self._size // _CHUNK_IDS)):
                self._changed[f"{_PREFIX}{oldest}:{chunk}"] = None

    def __contains__(self, trace_id: bytes) -> bool:
        if not self._tables:
            return False
        value = _hash(trace_id)
        mask = self._mask
        for table in self._tables.values():
            at = value & mask
            while (there := table[at]) != 0:
                if there == value:
                    return True
                at = at + 1 & mask
        return False

    def take_state(self) -> dict[str, bytes | None]:
        """What changed since the last call, by key; None: to be deleted."""
        changed, self._changed = self._changed, {}
        return changed

    def restore(self, state: Iterable[tuple[str, bytes]]) -> None:
        """Take over what `take_state` gave; other keys are left alone."""
        chunks: dict[tuple[int, int], bytes] = {}
        for key, hashes in state:
            if key.startswith(_PREFIX):
                table, _, chunk = key.removeprefix(_PREFIX).partition(":")
                chunks[int(table), int(chunk)] = hashes
        for (number, _), value in sorted(chunks.items(), key=itemgetter(0)):
            if number != self._number:
                self._number, self._newest = number, array("Q")
            before = len(self._newest)
            self._newest.frombytes(value)
            for one in self._newest[before:]:
                self._put(one)

    def _put(self, value: int) -> None:
        table = self._tables.get(self._number)
        if table is None:
            table = self._tables[self._number] = array("Q")
            table.frombytes(self._empty)
        at = value & self._mask
        while table[at] not in (0, value):
            at = at + 1 & self._mask
        table[at] = value


def _hash(trace_id: bytes) -> int:
    """Never 0, which is an empty place."""
    return int.from_bytes(blake2b(trace_id, digest_size=_HASH_BYTES).digest(), "big") or 1
