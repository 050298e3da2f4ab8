"""Ranks that tell nothing while nothing changes: conformal p-values over a bounded memory.

The rank of a point among all points so far, itself included and ties broken at random, is uniform on [0, 1] and
independent of the ranks before it as long as the points are exchangeable, whatever their law is (Vovk, Gammerman,
Shafer, "Algorithmic Learning in a Random World", 2005, theorem 8.2). Values are counted on a grid of 512 cells, 0 and 1
in cells of their own; as the grid is fixed, that leaves exchangeability as it is.
"""

import zlib
from array import array
from struct import Struct
from struct import error as struct_error

CELLS = 512
_LONGEST = 16 * CELLS
_MASK = 2**64 - 1
_HEAD = Struct("<Q")


class Ranks:
    """Counts of the values so far, in a binary indexed tree (Fenwick 1994)."""

    __slots__ = ("_sums", "n")

    def __init__(self) -> None:
        self._sums = array("Q", bytes(8 * (CELLS + 1)))
        self.n = 0

    def add(self, x: float) -> None:
        """Count a value in [0, 1]."""
        cell = _cell(x)
        self.n += 1
        sums = self._sums
        while cell <= CELLS:
            sums[cell] += 1
            cell += cell & -cell

    def rank(self, x: float) -> float:
        """The rank, in [0, 1], of a value that was just added.

        >>> ranks = Ranks()
        >>> for x in (0.1, 0.9, 0.5):
        ...     ranks.add(x)
        >>> 1 / 3 <= ranks.rank(0.5) <= 2 / 3
        True
        """
        cell = _cell(x)
        below = self._until(cell - 1)
        equal = self._until(cell) - below
        return (below + _uniform(self.n) * equal) / self.n

    def _until(self, cell: int) -> int:
        total, sums = 0, self._sums
        while cell > 0:
            total += sums[cell]
            cell &= cell - 1
        return total

    def state(self) -> bytes:
        return _HEAD.pack(self.n) + zlib.compress(self._sums.tobytes(), 1)

    def restore(self, state: bytes) -> None:
        """Take over what `state` gave; ValueError, and no change, if it cannot be."""
        try:
            (n,) = _HEAD.unpack_from(state)
            reader = zlib.decompressobj()
            data = reader.decompress(state[_HEAD.size :], _LONGEST)
        except (zlib.error, struct_error) as error:
            raise ValueError(f"state of ranks that cannot be read: {error}") from error
        sums = array("Q")
        if len(data) != 8 * (CELLS + 1) or not reader.eof or reader.unused_data:
            raise ValueError("state of ranks over another grid")
        sums.frombytes(data)
        if sums[CELLS] != n or any(sums[cell] > n for cell in range(CELLS + 1)):
            raise ValueError("state of ranks with counts that do not add up")
        self._sums, self.n = sums, n


def _cell(x: float) -> int:
    """1 for 0, the last for 1, those between for the rest."""
    if x <= 0.0:
        return 1
    return CELLS if x >= 1.0 else 2 + int(x * (CELLS - 2))


def _uniform(number: int) -> float:
    """A uniform number that knows nothing of the values: the same for the same count, so that a replay is the same.

    splitmix64 (Steele, Lea, Flood 2014).
    """
    z = (number * 0x9E3779B97F4A7C15) & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return ((z ^ (z >> 31)) >> 11) / 2**53
