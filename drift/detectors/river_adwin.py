"""river's ADWIN behind our contract."""

import zlib
from array import array
from collections.abc import Sequence
from struct import Struct
from typing import Any

from drift.base import Detection, Detector, Direction
from drift.detectors.thinning import Thinning

_HEAD = Struct("<2sBBdiBddI")
_MAGIC = b"aW"
_VERSION = 1
_DIRECTIONS: tuple[Direction, ...] = ("down", "up", "both")
_KEPT = 4096
"""Points that a rebuilt window begins with. Twice as many are remembered at most."""


class AdwinDetector(Detector):
    """Adaptive windowing, as `river.drift.ADWIN` computes it: compares the means of all cuts of a window that grows
    while they agree.

    **No guarantee** that is of use here: `delta` bounds the error of one cut, not the rate of false alarms, and takes
    no part in the false-page budget. As shipped (delta .002) it is far quieter and slower than the default detector;
    tuned to the same rate of false alarms it ties it on pass rates and beats it on small shifts. Assumes independent
    points. Evidence is 0 or 1. A point of weight w counts with probability w / weight_cap, in fixed turns (see
    `drift.detectors.thinning`). Source: Bifet, Gavalda, "Learning from time-changing data with adaptive windowing",
    SDM 2007.

    **State.** river's window lives in compiled code that neither gives nor takes its content, so the points
    themselves are the state: 4,096 to 8,192 of them, and at 8,192 the window is built anew from the newest 4,096. A
    restored detector does what the first does, bit for bit; unlike river's own, it never looks back further than
    8,192 points.

    Args:
        direction: `down`, `up` or `both`; a change to the other side only starts the window anew.
        delta: confidence of one cut, in (0, 1).
        clock: how many points between two looks, at least 1.
        weight_cap: the weight that always counts; None takes the 95% quantile of the warm-up's weights.
    """

    def __init__(
        self, direction: Direction = "down", delta: float = 0.002, clock: int = 32, weight_cap: float | None = None
    ) -> None:
        if direction not in _DIRECTIONS:
            raise ValueError(f"direction is {direction!r}; it must be one of {', '.join(_DIRECTIONS)}")
        if not 0.0 < delta < 1.0:
            raise ValueError(f"delta is {delta!r}; it must be between 0 and 1, both excluded")
        if clock < 1:
            raise ValueError(f"clock is {clock!r}; it must be at least 1")
        self.direction: Direction = direction
        self.delta, self.clock = delta, clock
        self._thinning = Thinning(weight_cap)
        self._points = array("d")
        self._found = 0  # 0, or 1 + the index of the direction
        self._test = self._fresh()

    def warmup(self, values: Sequence[float], weights: Sequence[float] | None = None) -> None:
        for x in self._thinning.warmup(values, weights):
            self._feed(x)
        self._found = 0

    def update(self, x: float, weight: float = 1.0, at: int | None = None, start: float = 1.0) -> None:
        if self._thinning.takes(x, weight) and not self._found:
            self._feed(x)

    @property
    def evidence(self) -> float:
        return float(self._found > 0)

    @property
    def threshold(self) -> float:
        return 1.0

    @property
    def change(self) -> Detection | None:
        if not self._found:
            return None
        return Detection("down" if self._found == 1 else "up", 1.0, 1.0)

    def state(self) -> bytes:
        binary = all(x in (0.0, 1.0) for x in self._points)
        raw = bytes(int(x) for x in self._points) if binary else self._points.tobytes()
        head = _HEAD.pack(
            _MAGIC,
            _VERSION,
            _DIRECTIONS.index(self.direction) * 16 + self._found,
            self.delta,
            self.clock,
            binary,
            self._thinning.cap,
            self._thinning.credit,
            len(self._points),
        )
        return head + zlib.compress(raw, 1)

    def restore(self, state: bytes) -> None:
        if len(state) < _HEAD.size or state[:2] != _MAGIC:
            raise ValueError("not the state of an ADWIN detector")
        if state[2] != _VERSION:
            raise ValueError(f"state of version {state[2]}; this release reads version {_VERSION}")
        _, _, flags, delta, clock, binary, cap, credit, count = _HEAD.unpack_from(state)
        if (flags // 16, delta, clock) != (_DIRECTIONS.index(self.direction), self.delta, self.clock):
            raise ValueError("state of a detector with other options")
        points = _unpack(state[_HEAD.size :], count, binary)
        if flags % 16 > 2 or any(not 0.0 <= x <= 1.0 for x in points):
            raise ValueError("state with numbers that no detector could have reached")
        self._thinning.restore(cap, credit)
        self._points = points
        self._found = flags % 16
        self._rebuild()

    def _fresh(self) -> Any:
        from river.drift.adwin import ADWIN  # river takes seconds to import: only for who selects it

        return ADWIN(delta=self.delta, clock=self.clock)  # type: ignore[no-untyped-call]

    def _feed(self, x: float) -> None:
        before = self._test.estimation
        self._points.append(x)
        self._test.update(x)
        if self._test.drift_detected:
            down = self._test.estimation < before
            if self.direction == "both" or down == (self.direction == "down"):
                self._found = 1 if down else 2
        if len(self._points) >= 2 * _KEPT:
            self._points = self._points[-_KEPT:]
            self._rebuild()

    def _rebuild(self) -> None:
        self._test = self._fresh()
        for x in self._points:
            self._test.update(x)


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
