"""What detectors of river have in common here: their state is the points that they saw last.

river's tests neither give nor take what they have learned. So the points are kept, 4,096 to 8,192 of them, and at 8,192
the test is built anew from the newest 4,096: a restored detector does what the first does, bit for bit, and none looks
back further than 8,192 points. A point of weight w counts with probability w / weight_cap, in fixed turns (see
`drift.detectors.thinning`), since the tests know no weights.
"""

import zlib
from abc import abstractmethod
from array import array
from collections.abc import Sequence
from struct import Struct, error

from drift.base import Detection, Detector, Direction, Shift
from drift.detectors.inputs import DIRECTIONS, check_direction
from drift.detectors.thinning import Thinning

_HEAD = Struct("<2sBB")
_TAIL = Struct("<BddI")
_VERSION = 1
_SHIFTS: tuple[Shift, ...] = ("down", "up")
_KEPT = 4096
"""Points that a rebuilt window begins with. Twice as many are remembered at most."""


class WindowDetector(Detector):
    """A subclass says how its test is made and fed, and what its options are.

    Args:
        direction: `down`, `up` or `both`.
        weight_cap: the weight that always counts; None takes the 95% quantile of the warm-up's weights.
    """

    MAGIC: bytes
    """Two letters that its states begin with."""

    OPTIONS: Struct
    """The form of `options`."""

    def __init__(self, direction: Direction, weight_cap: float | None) -> None:
        check_direction(direction)
        self.direction: Direction = direction
        self._thinning = Thinning(weight_cap)
        self._points = array("d")
        self._found: Shift | None = None
        self.begin()

    @abstractmethod
    def options(self) -> tuple[float | int, ...]:
        """What a state must agree in, in the form of `OPTIONS`."""

    @abstractmethod
    def begin(self) -> None:
        """Have a test that knows nothing."""

    @abstractmethod
    def feed(self, x: float) -> Shift | None:
        """Give the test a point; which way the stream moved, if it says so now."""

    def warmup(self, values: Sequence[float], weights: Sequence[float] | None = None) -> None:
        for x in self._thinning.warmup(values, weights):
            self._take(x)
        self._found = None

    def update(self, x: float, weight: float = 1.0, at: int | None = None, start: float = 1.0) -> None:
        if self._thinning.takes(x, weight) and self._found is None:
            self._take(x)

    @property
    def evidence(self) -> float:
        return float(self._found is not None)

    @property
    def threshold(self) -> float:
        return 1.0

    @property
    def change(self) -> Detection | None:
        return None if self._found is None else Detection(self._found, 1.0, 1.0)

    def state(self) -> bytes:
        binary = all(x in (0.0, 1.0) for x in self._points)
        raw = bytes(int(x) for x in self._points) if binary else self._points.tobytes()
        found = 0 if self._found is None else 1 + _SHIFTS.index(self._found)
        head = _HEAD.pack(self.MAGIC, _VERSION, DIRECTIONS.index(self.direction) * 16 + found)
        tail = _TAIL.pack(binary, self._thinning.cap, self._thinning.credit, len(self._points))
        return head + self.OPTIONS.pack(*self.options()) + tail + zlib.compress(raw, 1)

    def restore(self, state: bytes) -> None:
        if state[:2] != self.MAGIC:
            raise ValueError(f"not the state of {type(self).__name__}")
        try:
            _, version, flags = _HEAD.unpack_from(state)
            options = self.OPTIONS.unpack_from(state, _HEAD.size)
            binary, cap, credit, count = _TAIL.unpack_from(state, _HEAD.size + self.OPTIONS.size)
        except error:
            raise ValueError(f"not the state of {type(self).__name__}") from None
        if version != _VERSION:
            raise ValueError(f"state of version {version}; this release reads version {_VERSION}")
        if (flags // 16, *options) != (DIRECTIONS.index(self.direction), *self.options()):
            raise ValueError("state of a detector with other options")
        points = _unpack(state[_HEAD.size + self.OPTIONS.size + _TAIL.size :], count, binary)
        if flags % 16 > 2 or any(not 0.0 <= x <= 1.0 for x in points):
            raise ValueError("state with numbers that no detector could have reached")
        self._thinning.restore(cap, credit)
        self._points = points
        self._found = None if flags % 16 == 0 else _SHIFTS[flags % 16 - 1]
        self._rebuild()

    def _take(self, x: float) -> None:
        self._points.append(x)
        shift = self.feed(x)
        if shift is not None and self.direction in ("both", shift):
            self._found = shift
        if len(self._points) >= 2 * _KEPT:
            self._points = self._points[-_KEPT:]
            self._rebuild()

    def _rebuild(self) -> None:
        self.begin()
        for x in self._points:
            self.feed(x)


def _unpack(data: bytes, count: int, binary: int) -> "array[float]":
    """The points of a state; ValueError unless they are exactly `count` of a bounded number."""
    if count >= 2 * _KEPT or binary not in (0, 1):
        raise ValueError(f"state of {count} points; fewer than {2 * _KEPT} are kept")
    size = count if binary else 8 * count
    inflate = zlib.decompressobj()
    try:
        raw = inflate.decompress(data, size + 1)
    except zlib.error as error:
        raise ValueError(f"corrupt state: {error}") from None
    if len(raw) != size or not inflate.eof or inflate.unused_data:
        raise ValueError("corrupt state: not the number of points it says")
    if binary:
        return array("d", (float(byte) for byte in raw))
    points = array("d")
    points.frombytes(raw)
    return points
