"""The default detector: a mixture Shiryaev-Roberts e-detector for a mean in [0, 1]."""

from collections.abc import Sequence
from math import exp, inf, isfinite
from struct import Struct
from typing import ClassVar

from drift.base import Direction, Shift
from drift.baseline import EDGE, Baseline
from drift.detectors.betting import MOST_EVIDENCE, Betting
from drift.detectors.inputs import DIRECTIONS, check_point
from drift.season import KINDS

_HEAD = Struct("<2sBBBxxxdddqq")
_MAGIC = b"mD"
_BETS = 6
_SMALLEST_SHIFT = 0.25
NEAR_HALF = 0.2
_SMALLEST_SHIFT_NEAR_HALF = 0.15  # near a rate of .5 a point tells least, and small shifts need longer bets
_LARGEST_SHIFT = 2.5
_PATIENT_BETS = 3  # the smallest shifts, also from the older part of the stream
_PATIENT_SHARE = 0.5


class MeanDetector(Betting):
    """Pass rates and bounded scores: detects that the mean left its level.

    A bet on each of six shifts of the odds per side. With m the expectation of the next point and d the bet's odds
    ratio minus one,

        L = 1 + (x - m) / (m + 1/d)           E[L] = 1 if the expectation is m, whatever else the law on [0, 1]
        M = (M + start) L                     evidence: the mean of M over the bets; a change at `arl` or more

    Half of the stake goes to the three smallest shifts once more, from the level of the older part of the stream. With
    q the level so shifted, L = 1 + (x - m) (q - m) / (m (1 - m)), and 1 where m is past q already. They find the small
    changes that a running mean absorbs.

    **Guarantee.** M minus the start mass handed out so far is a supermartingale while the mean has not moved to the
    bad side, so the expected number of false alarms is at most the start mass divided by `arl`, at every moment one
    may look. With `start=1` (the default), that is an average of at least `arl` points between false alarms. For a
    one-sided detector, a move to the good side is no evidence. Source: Shin, Ramdas, Rinaldo, "E-detectors: a
    nonparametric framework for sequential change detection", arXiv 2203.03532 (e-SR detectors, mixtures); the bets are
    likelihood ratios of Bernoulli laws with odds ratio exp(-s) (drops) or exp(s) (rises), s geometric from .25 (.15 if
    the level is near one half) to 2.5.

    **Assumed.** Exact if the expectation is right (`baseline`, and points that do not foretell one another). It is
    estimated, and goes on being estimated. For passes and failures that is exact on average over their rate: the
    running mean, with one point of no opinion, is what the next point is expected to be if any rate is possible
    (Jeffreys' prior), and every bet is held against it. Dependence and season (`drift.baseline`) are estimated as well:
    approximate. Measured by benchmarks/drift.py. **It breaks** on dependence that reaches far beyond two points without
    showing in them, and on seasons in the first week.

    **Weights.** A point of weight w bets f = w / weight_cap of its stake: L becomes 1 + f (L - 1). So a change of the
    sampling rate alone is no evidence. Heavier points count as weight_cap; `clipped` is their share.

    Args:
        direction: `down`, `up` or `both`.
        arl: start mass per false alarm; with one a point, the average run length in points. Greater than 0.
        weight_cap: the weight that stakes all; None takes the 95% quantile of the warm-up's weights.
        dependent: whether points may foretell one another; False saves a third of the time.
        season: `auto` (hours of the day, once they are seen to differ), `hour_of_day`, `hour_of_week` or `none`; takes
            part only if `update` is told times.
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

    version: ClassVar[int] = 2

    def __init__(
        self,
        direction: Direction = "down",
        arl: float = 1e5,
        weight_cap: float | None = None,
        dependent: bool = True,
        season: str = "auto",
        baseline: float | None = None,
    ) -> None:
        super().__init__(direction, arl, weight_cap)
        if season not in KINDS:
            raise ValueError(f"season is {season!r}; it must be one of {', '.join(KINDS)}")
        if baseline is not None and not 0.0 < baseline < 1.0:
            raise ValueError(f"baseline is {baseline!r}; it must be between 0 and 1, both excluded")
        self.baseline = baseline
        self._past = Baseline(baseline, dependent, season)
        self._begin(_SMALLEST_SHIFT)

    def _begin(self, smallest_shift: float) -> None:
        """The bets, as one over (odds ratio minus one), and what is staked on each so far."""
        ratio = (_LARGEST_SHIFT / smallest_shift) ** (1.0 / (_BETS - 1))
        shifts = [smallest_shift * ratio**k for k in range(_BETS)]
        drops = [1.0 / (exp(-s) - 1.0) for s in shifts] if self.direction != "up" else []
        rises = [1.0 / (exp(s) - 1.0) for s in shifts] if self.direction != "down" else []
        patient = _PATIENT_BETS if self.baseline is None else 0
        self._now, self._low, self._high = drops + rises, drops[:patient], rises[:patient]
        self._mass, self._mass_low, self._mass_high = ([0.0] * len(s) for s in (self._now, self._low, self._high))
        share = _PATIENT_SHARE if patient else 0.0
        self._each, self._each_patient = (1.0 - share) / len(self._now), share / max(1, len(self._low + self._high))

    def warmup(self, values: Sequence[float], weights: Sequence[float] | None = None) -> None:
        weights = self._warmup_weights(values, weights)
        self._past.warmup(values, [min(weight, self._cap) / self._cap for weight in weights])
        near_half = abs(self.level - 0.5) <= NEAR_HALF
        self._begin(_SMALLEST_SHIFT_NEAR_HALF if near_half else _SMALLEST_SHIFT)

    def remember(self, level: float, weight: float) -> None:
        if 0.0 < weight < inf and isfinite(level):
            self._past.remember(min(max(level, 0.0), 1.0), weight / self._cap)

    def recurring(self) -> bytes:
        return self._past.season.state() if self._past.season is not None else b""

    def recur(self, recurring: bytes) -> None:
        if self._past.season is not None and recurring:
            self._past.season.restore(recurring)

    def update(self, x: float, weight: float = 1.0, at: int | None = None, start: float = 1.0) -> None:
        if not (0.0 <= x <= 1.0 and 0.0 < weight < inf and 0.0 <= start < inf):
            check_point(x, weight, start)
        self._seen += 1
        if weight > self._cap:
            weight = self._cap
            self._clipped += 1
        weight /= self._cap
        past = self._past
        m, power = past.expected(at), past.power
        self._mass = mass = _grown(self._mass, self._now, m, (x - m) * weight, start, power)
        evidence = self._each * sum(mass)
        if self._each_patient:
            older = min(max(past.older + (m - past.level), EDGE), 1.0 - EDGE)
            odds, y = older / (1.0 - older), (x - m) * weight / (m * (1.0 - m))
            patient = 0.0
            if self._low:
                stakes = [y * min(_shifted(odds, i) - m, 0.0) for i in self._low]
                self._mass_low = mass = _multiplied(self._mass_low, stakes, start, power)
                patient = sum(mass)
            if self._high:
                stakes = [y * max(_shifted(odds, i) - m, 0.0) for i in self._high]
                self._mass_high = mass = _multiplied(self._mass_high, stakes, start, power)
                patient += sum(mass)
            evidence += self._each_patient * patient
        if evidence > MOST_EVIDENCE:
            self._mass, self._mass_low, self._mass_high = (
                [min(mass, MOST_EVIDENCE / 100) for mass in masses]
                for masses in (self._mass, self._mass_low, self._mass_high)
            )
            evidence = MOST_EVIDENCE
        self._evidence = evidence
        past.learn(x, weight, at, m)

    @property
    def level(self) -> float:
        """The mean that points are held against, before dependence and season."""
        return min(max(self._past.level, EDGE), 1.0 - EDGE)

    @property
    def inflation(self) -> float:
        """The variance inflation by dependence, as estimated; 1 is none."""
        return self._past.inflation

    @property
    def bets(self) -> list[float]:
        """All bets, as one over (odds ratio minus one): those on the expectation, then the patient ones."""
        return self._now + self._low + self._high

    @property
    def shares(self) -> list[float]:
        """What each of `bets` counts in the evidence."""
        return [self._each] * len(self._now) + [self._each_patient] * len(self._low + self._high)

    @property
    def sides(self) -> list[int]:
        """What each of `bets` shifts: 0 the expectation, the older part's level 1 down or 2 up."""
        return [0] * len(self._now) + [1] * len(self._low) + [2] * len(self._high)

    def clear(self) -> None:
        self._mass, self._mass_low, self._mass_high = ([0.0] * len(s) for s in (self._now, self._low, self._high))
        self._evidence = 0.0

    def _side(self) -> Shift:
        side = self._each_patient * (sum(self._mass_low) - sum(self._mass_high))
        side += self._each * sum(m if d < 0 else -m for m, d in zip(self._mass, self._now, strict=True))
        return "down" if side >= 0 else "up"

    def state(self) -> bytes:
        fixed = -1.0 if self.baseline is None else self.baseline
        direction = DIRECTIONS.index(self.direction)
        counts = (self._seen, self._clipped)
        head = _HEAD.pack(_MAGIC, self.version, direction, len(self._now), self.arl, self._cap, fixed, *counts)
        numbers = (*self._now, *self._mass, *self._mass_low, *self._mass_high, self._evidence)
        return head + Struct(f"<{len(numbers)}d").pack(*numbers) + self._past.state()

    def restore(self, state: bytes) -> None:
        if len(state) < _HEAD.size or state[:2] != _MAGIC:
            raise ValueError("not the state of a mean detector")
        if state[2] != self.version:
            raise ValueError(f"state of version {state[2]}; this release reads version {self.version}")
        _, _, direction, bets, arl, cap, fixed, seen, clipped = _HEAD.unpack_from(state)
        mine = (DIRECTIONS.index(self.direction), self.arl, -1.0 if self.baseline is None else self.baseline)
        if (direction, arl, fixed) != mine or (self.weight_cap is not None and cap != self._cap):
            raise ValueError("state of a detector with another direction, arl, baseline or weight_cap")
        count = 2 * bets + len(self._low) + len(self._high) + 1
        if bets != len(self._now) or len(state) < _HEAD.size + 8 * count:
            raise ValueError(f"state of {bets} bets in {len(state)} bytes does not fit a {self.direction} detector")
        numbers = Struct(f"<{count}d").unpack_from(state, _HEAD.size)
        now, masses, evidence = list(numbers[:bets]), list(numbers[bets:-1]), numbers[-1]
        sane = (
            isfinite(cap)
            and cap > 0
            and all(map(isfinite, numbers))
            and min(masses) >= 0
            and evidence >= 0
            and all(i < -1 or i > 0 for i in now)
            and 0 <= clipped <= seen
        )
        if not sane:
            raise ValueError("state with numbers that no detector could have reached")
        self._past.restore(state[_HEAD.size + 8 * count :])
        self._cap, self._seen, self._clipped, self._evidence = cap, seen, clipped, evidence
        self._now = now
        drops, rises = [i for i in now if i < 0], [i for i in now if i > 0]
        low, high = len(self._low), len(self._high)
        self._low, self._high = drops[:low], rises[:high]
        self._mass, self._mass_low, self._mass_high = masses[:bets], masses[bets : bets + low], masses[bets + low :]


def _grown(mass: list[float], bets: list[float], m: float, y: float, start: float, power: float) -> list[float]:
    """What is staked on each bet after a point that is `y` off its expectation `m`."""
    return _multiplied(mass, [y / (m + i) for i in bets], start, power)


def _shifted(odds: float, bet: float) -> float:
    """The level at these odds, after a bet's shift of them."""
    odds += odds / bet
    return odds / (1.0 + odds)


def _multiplied(mass: list[float], won: list[float], start: float, power: float) -> list[float]:
    """What is staked on each bet after winning, or losing, this part of it."""
    if power == 1.0:
        return [(old + start) * (1.0 + part) for old, part in zip(mass, won)]  # noqa: B905 - for every point
    return [(old + start) * (1.0 + part) ** power for old, part in zip(mass, won)]  # noqa: B905
