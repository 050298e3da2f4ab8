"""The default detector: a mixture Shiryaev-Roberts e-detector for a mean in [0, 1]."""

from collections.abc import Sequence
from math import exp, inf, isfinite, sqrt
from struct import Struct
from typing import ClassVar

from drift.base import Detection, Detector, Direction
from drift.estimate import variance_inflation

_HEAD = Struct("<2sBBBx11dqqq")
_MAGIC = b"mD"
_VERSION = 1
_DIRECTIONS: tuple[Direction, ...] = ("down", "up", "both")
_BETS = 6
_SMALLEST_SHIFT = 0.25
_SMALLEST_SHIFT_NEAR_HALF = 0.15  # near a rate of .5 a point tells least, and small shifts need longer bets
_LARGEST_SHIFT = 2.5
_CAP_QUANTILE = 0.95
_MOST_WEIGHT = 1e15
_MOST_EVIDENCE = 1e290
_TEMPER_EVERY = 32
_MOST_INFLATION = 50.0
_FAR = 1e9  # from this many points on, keep the mean away from 0 and 1, where rounding would divide by zero


class MeanDetector(Detector):
    """Pass rates and bounded scores: detects that the mean left its level.

    A bet on each of six shifts of the odds per side. With p the level so far and d the bet's odds ratio minus one,

        L = 1 + (x - p) d / (1 + p d)         E[L] = 1 if the mean is p, whatever else the law on [0, 1]
        M = (M + start) L                     evidence: the mean of M over the bets; a change at `arl` or more

    **Guarantee.** M minus the start mass handed out so far is a supermartingale while the mean has not moved to the
    bad side, so the expected number of false alarms is at most the start mass divided by `arl`, at every moment one
    may look. With `start=1` (the default), that is an average of at least `arl` points between false alarms. For a
    one-sided detector, a move to the good side is no evidence. Source: Shin, Ramdas, Rinaldo, "E-detectors: a
    nonparametric framework for sequential change detection", arXiv 2203.03532 (e-SR detectors, mixtures); the bets are
    likelihood ratios of Bernoulli laws with odds ratio exp(-s) (drops) or exp(s) (rises), s geometric from .25 (.15 if
    the level is near one half) to 2.5.

    **Assumed.** Exact if the level is known (`baseline`). A level that is estimated, and goes on being estimated,
    makes it approximate (benchmarks/drift.py measures it). Points must not predict one another: autocorrelation seen
    so far tempers the bets (L to the power of 1/VIF, which keeps E[L] <= 1), which mends weak dependence and part of
    strong; VIF is the warm-up's, or (1 + rho) / (1 - rho) of all neighbours so far if that is more. Seasons look like
    changes. **It breaks** on small shifts that the growing level absorbs before the evidence is in.

    **Weights.** A point of weight w bets f = w / weight_cap of its stake: L becomes 1 + f (L - 1). So a change of the
    sampling rate alone is no evidence. Heavier points count as weight_cap; `clipped` is their share.

    Args:
        direction: `down`, `up` or `both`.
        arl: start mass per false alarm; with one a point, the average run length in points. Greater than 0.
        weight_cap: the weight that stakes all; None takes the 95% quantile of the warm-up's weights.
        tempered: whether autocorrelation softens the bets.
        baseline: a known level in (0, 1) to hold on to instead of the running mean.

    >>> import random
    >>> rng = random.Random(7)
    >>> watch = MeanDetector(direction="down", arl=1e5)
    >>> watch.warmup([float(rng.random() < 0.95) for _ in range(1000)])
    >>> for i in range(4000):
    ...     watch.update(float(rng.random() < (0.95 if i < 2000 else 0.80)))
    ...     if watch.change:
    ...         break
    >>> i, watch.change.direction
    (2054, 'down')
    """

    budgeted: ClassVar[bool] = True

    def __init__(
        self,
        direction: Direction = "down",
        arl: float = 1e5,
        weight_cap: float | None = None,
        tempered: bool = True,
        baseline: float | None = None,
    ) -> None:
        if direction not in _DIRECTIONS:
            raise ValueError(f"direction is {direction!r}; it must be one of {', '.join(_DIRECTIONS)}")
        _positive("arl", arl)
        if weight_cap is not None:
            _positive("weight_cap", weight_cap)
        if baseline is not None and not 0.0 < baseline < 1.0:
            raise ValueError(f"baseline is {baseline!r}; it must be between 0 and 1, both excluded")
        self.direction: Direction = direction
        self.arl = float(arl)
        self.weight_cap = weight_cap
        self.tempered = tempered
        self.baseline = baseline
        self._cap = min(float(weight_cap or 1.0), _MOST_WEIGHT)
        self._power = self._most_power = 1.0
        self._lag0 = self._lag1 = self._previous = 0.0  # sums of squares and of neighbours' products, off the level
        self._pairs = 0
        self._n, self._sum = 1.0, 0.5  # one point of no opinion keeps the level off 0 and 1
        self._seen = self._clipped = 0
        self._shifts = _odds_minus_one(direction, _SMALLEST_SHIFT)
        self._mass = [0.0] * len(self._shifts)
        self._evidence = 0.0

    def warmup(self, values: Sequence[float], weights: Sequence[float] | None = None) -> None:
        weights = [1.0] * len(values) if weights is None else weights
        for x, weight in zip(values, weights, strict=True):
            _check(x, weight, 0.0)
        if self.weight_cap is None and weights:
            self._cap = min(float(sorted(weights)[int(_CAP_QUANTILE * (len(weights) - 1))]), _MOST_WEIGHT)
        for x, weight in zip(values, weights, strict=True):
            held = min(weight, self._cap)
            self._n += held
            self._sum += held * x
        if self.tempered:
            self._most_power = 1.0 / variance_inflation(values)
            for x in values:
                self._relate(x - self.level)
            self._temper()
        near_half = abs(self.level - 0.5) <= 0.2
        self._shifts = _odds_minus_one(self.direction, _SMALLEST_SHIFT_NEAR_HALF if near_half else _SMALLEST_SHIFT)

    def remember(self, level: float, weight: float) -> None:
        if 0.0 < weight < inf and isfinite(level):
            self._n += weight
            self._sum += weight * min(max(level, 0.0), 1.0)

    def update(self, x: float, weight: float = 1.0, at: int | None = None, start: float = 1.0) -> None:
        if not (0.0 <= x <= 1.0 and 0.0 < weight < inf and 0.0 <= start < inf):
            _check(x, weight, start)
        self._seen += 1
        if weight > self._cap:
            weight = self._cap
            self._clipped += 1
        p = self._sum / self._n if self.baseline is None and self._n < _FAR else self.level
        y = (x - p) * (weight / self._cap)
        power = self._power
        if power == 1.0:
            mass = [(m + start) * (1.0 + y * d / (1.0 + p * d)) for m, d in zip(self._mass, self._shifts, strict=True)]
        else:
            mass = [
                (m + start) * (1.0 + y * d / (1.0 + p * d)) ** power
                for m, d in zip(self._mass, self._shifts, strict=True)
            ]
        total = sum(mass)
        if total > _MOST_EVIDENCE:
            mass = [min(m, _MOST_EVIDENCE / len(mass)) for m in mass]
            total = sum(mass)
        self._mass = mass
        self._evidence = total / len(mass)
        self._n += weight
        self._sum += weight * x
        if self.tempered:
            off = x - p  # as in _relate, without the call
            self._lag0 += off * off
            self._lag1 += off * self._previous
            self._previous = off
            self._pairs += 1
            if not self._pairs % _TEMPER_EVERY:
                self._temper()

    def _relate(self, off: float) -> None:
        """Remember how a point's distance from the level goes with that of the one before."""
        self._lag0 += off * off
        self._lag1 += off * self._previous
        self._previous = off
        self._pairs += 1

    def _temper(self) -> None:
        """Soften the bets to come by the correlation of neighbours so far, or by that of the warm-up if it is more."""
        rho = self._lag1 / self._lag0 if self._lag0 > 0 else 0.0
        if rho < 2.0 / sqrt(self._pairs + 1):
            self._power = self._most_power
        else:
            inflation = (1.0 + rho) / (1.0 - rho) if rho < 1.0 else _MOST_INFLATION
            self._power = min(self._most_power, 1.0 / min(inflation, _MOST_INFLATION))

    @property
    def level(self) -> float:
        """The mean that the next point is held against."""
        if self.baseline is not None:
            return self.baseline
        p = self._sum / self._n
        return p if self._n < _FAR else min(max(p, 1.0 / _FAR), 1.0 - 1.0 / _FAR)

    @property
    def inflation(self) -> float:
        """The variance inflation factor that the bets are tempered by; 1 is none."""
        return 1.0 / self._power

    @property
    def clipped(self) -> float:
        """Share of the points since the warm-up that were heavier than the weight cap."""
        return self._clipped / self._seen if self._seen else 0.0

    @property
    def evidence(self) -> float:
        return self._evidence

    @property
    def threshold(self) -> float:
        return self.arl

    @property
    def change(self) -> Detection | None:
        if self._evidence < self.arl:
            return None
        drops = sum(m for m, d in zip(self._mass, self._shifts, strict=True) if d < 0)
        down = drops >= sum(self._mass) - drops
        return Detection("down" if down else "up", self._evidence, self.arl)

    def state(self) -> bytes:
        head = _HEAD.pack(
            _MAGIC,
            _VERSION,
            _DIRECTIONS.index(self.direction),
            len(self._mass),
            self.arl,
            self._cap,
            self._power,
            self._n,
            self._sum,
            -1.0 if self.baseline is None else self.baseline,
            self._evidence,
            self._most_power,
            self._lag0,
            self._lag1,
            self._previous,
            self._seen,
            self._clipped,
            self._pairs,
        )
        return head + Struct(f"<{2 * len(self._mass)}d").pack(*self._shifts, *self._mass)

    def restore(self, state: bytes) -> None:
        if len(state) < _HEAD.size or state[:2] != _MAGIC:
            raise ValueError("not the state of a mean detector")
        if state[2] != _VERSION:
            raise ValueError(f"state of version {state[2]}; this release reads version {_VERSION}")
        _, _, direction, bets, arl, cap, power, n, total, baseline, evidence, *rest = _HEAD.unpack_from(state)
        most_power, lag0, lag1, previous, seen, clipped, pairs = rest
        if len(state) != _HEAD.size + 16 * bets or bets != len(self._mass):
            raise ValueError(f"state of {bets} bets in {len(state)} bytes does not fit a {self.direction} detector")
        numbers = Struct(f"<{2 * bets}d").unpack_from(state, _HEAD.size)
        shifts, mass = list(numbers[:bets]), list(numbers[bets:])
        mine = (_DIRECTIONS.index(self.direction), self.arl, -1.0 if self.baseline is None else self.baseline)
        if (direction, arl, baseline) != mine or (self.weight_cap is not None and cap != self._cap):
            raise ValueError("state of a detector with another direction, arl, baseline or weight_cap")
        sane = (
            all(isfinite(value) for value in (cap, n, total, evidence, lag0, lag1, *numbers))
            and cap > 0
            and 0 < power <= most_power <= 1
            and lag0 >= 0
            and -1 <= previous <= 1
            and pairs >= 0
            and 0 <= total <= n
            and n > 0
            and evidence >= 0
            and all(m >= 0 for m in mass)
            and all(-1 < d < 1e3 for d in shifts)
            and 0 <= clipped <= seen
        )
        if not sane:
            raise ValueError("state with numbers that no detector could have reached")
        self._cap, self._power, self._n, self._sum, self._evidence = cap, power, n, total, evidence
        self._most_power, self._lag0, self._lag1, self._previous, self._pairs = most_power, lag0, lag1, previous, pairs
        self._seen, self._clipped, self._shifts, self._mass = seen, clipped, shifts, mass


def _odds_minus_one(direction: Direction, smallest: float) -> list[float]:
    """The bets of `direction`: odds ratio minus one, drops before rises."""
    ratio = (_LARGEST_SHIFT / smallest) ** (1.0 / (_BETS - 1))
    shifts = [smallest * ratio**k for k in range(_BETS)]
    drops = [exp(-s) - 1.0 for s in shifts]
    rises = [exp(s) - 1.0 for s in shifts]
    return {"down": drops, "up": rises, "both": drops + rises}[direction]


def _check(x: float, weight: float, start: float) -> None:
    if not 0.0 <= x <= 1.0:
        raise ValueError(f"x is {x!r}; it must be in [0, 1]")
    _positive("weight", weight)
    if not 0.0 <= start < inf:
        raise ValueError(f"start is {start!r}; it must be finite and not negative")


def _positive(name: str, value: float) -> None:
    if not 0.0 < value < inf:
        raise ValueError(f"{name} is {value!r}; it must be greater than 0 and finite")
