"""A mean held against a reference that does not grow: what was good once stays the measure."""

from collections.abc import Sequence
from struct import Struct
from typing import ClassVar

import numpy as np

from drift.base import Direction, Shift
from drift.bounds import least_mean
from drift.detectors.betting import Betting
from drift.detectors.mean import MeanDetector

_HEAD = Struct("<2sBB")
_PART = Struct("<dI")
_MAGIC = b"fM"
_EDGE = 1e-6


class FrozenMean(Betting):
    """`MeanDetector` with the level of the warm-up, the reference, for good.

    The true level of which the reference is a sample is not known, and a detector that takes the sample's mean for it
    alarms for sure in the end whenever the sample was a lucky one. So drops are held against the least level that the
    reference allows, rises against the greatest: `drift.bounds`, at `sure` (half of it each for `both`).

    **Guarantee.** Of all references, at most the part `sure` is so far off that its bound misses the true level. With
    any other, the expected number of false alarms is at most the start mass divided by `arl`, for good, as long as the
    level is what it was. So over `n` points the probability of a false alarm is at most n / arl + sure. The price: a
    shift by less than the reference is uncertain, some 3 standard errors of its mean, is never found.

    **Assumed.** Points of the reference that do not depend on one another; where neighbours resemble one another the
    bound is widened by the variance inflation, as estimated. No season: a reference has to hold whole weeks, and an
    hour that is usually worse by more than its uncertainty is a change. Source: Shin, Ramdas, Rinaldo, arXiv
    2203.03532, for the e-detector; Waudby-Smith and Ramdas, JRSS B 2024, for the bound.

    Args:
        direction: `down`, `up` or `both`.
        arl: start mass per false alarm, greater than 0.
        weight_cap: as of `MeanDetector`.
        dependent: as of `MeanDetector`.
        sure: in (0, 0.5): the part of references that may be further off than is paid for.

    >>> import random
    >>> rng = random.Random(7)
    >>> watch = FrozenMean(direction="down", arl=1e5)
    >>> watch.warmup([float(rng.random() < 0.95) for _ in range(1000)])
    >>> [round(level, 3) for level in watch.levels]
    [0.914]
    """

    version: ClassVar[int] = 1

    def __init__(
        self,
        direction: Direction = "down",
        arl: float = 1e5,
        weight_cap: float | None = None,
        dependent: bool = True,
        sure: float = 0.01,
    ) -> None:
        super().__init__(direction, arl, weight_cap)
        if not 0.0 < sure < 0.5:
            raise ValueError(f"sure is {sure!r}; it must be greater than 0 and less than 0.5")
        self.dependent, self.sure = dependent, sure
        self._sides: tuple[Direction, ...] = ("down", "up") if direction == "both" else (direction,)
        self._parts = [self._part(side, 0.5) for side in self._sides]

    @property
    def levels(self) -> list[float]:
        """What each side is held against: for `both`, drops and then rises."""
        return [part.level for part in self._parts]

    def warmup(self, values: Sequence[float], weights: Sequence[float] | None = None) -> None:
        weights = self._warmup_weights(values, weights)
        if not values:
            return
        plain = MeanDetector(self.direction, self.arl, self._cap, self.dependent, "none")
        plain.warmup(values, weights)
        alpha = (self.sure / len(self._sides)) ** plain.inflation
        points, parts = np.array(values, dtype=float), np.minimum(np.array(weights, dtype=float), self._cap) / self._cap
        once = np.ones_like(points)
        self._parts = []
        for side in self._sides:
            up = side == "up"
            least = least_mean(1.0 - points if up else points, once, parts, alpha)
            part = self._part(side, 1.0 - least if up else least)
            part.warmup(values, weights)
            self._parts.append(part)

    def update(self, x: float, weight: float = 1.0, at: int | None = None, start: float = 1.0) -> None:
        for part in self._parts:
            part.update(x, weight, None, start)

    @property
    def clipped(self) -> float:
        return self._parts[0].clipped

    @property
    def evidence(self) -> float:
        return sum(part.evidence for part in self._parts) / len(self._parts)

    def clear(self) -> None:
        for part in self._parts:
            part.clear()

    def _side(self) -> Shift:
        most = max(range(len(self._parts)), key=lambda number: self._parts[number].evidence)
        return "up" if self._sides[most] == "up" else "down"

    def _part(self, side: Direction, level: float) -> MeanDetector:
        level = min(max(level, _EDGE), 1.0 - _EDGE)
        return MeanDetector(side, self.arl, self._cap, self.dependent, "none", level)

    def state(self) -> bytes:
        parts = [(part.baseline or 0.0, part.state()) for part in self._parts]
        whole = [_PART.pack(level, len(state)) + state for level, state in parts]
        return _HEAD.pack(_MAGIC, self.version, len(parts)) + Struct("<d").pack(self._cap) + b"".join(whole)

    def restore(self, state: bytes) -> None:
        if len(state) < _HEAD.size + 8 or state[:2] != _MAGIC:
            raise ValueError("not the state of a detector with a frozen reference")
        _, version, count = _HEAD.unpack_from(state)
        if version != self.version:
            raise ValueError(f"state of version {version}; this release reads version {self.version}")
        if count != len(self._sides):
            raise ValueError("state of a detector with another direction")
        (cap,) = Struct("<d").unpack_from(state, _HEAD.size)
        if not 0 < cap < float("inf") or (self.weight_cap is not None and cap != self._cap):
            raise ValueError(f"state with a weight cap of {cap!r}")
        at, parts = _HEAD.size + 8, []
        for side in self._sides:
            if len(state) < at + _PART.size:
                raise ValueError("state too short for a detector with a frozen reference")
            level, size = _PART.unpack_from(state, at)
            at += _PART.size
            if not _EDGE <= level <= 1.0 - _EDGE:
                raise ValueError(f"state with a level of {level!r}")
            part = MeanDetector(side, self.arl, cap, self.dependent, "none", level)
            part.restore(state[at : at + size])
            parts.append(part)
            at += size
        if at != len(state):
            raise ValueError("state with more than a detector with a frozen reference has")
        self._cap, self._parts = cap, parts
