"""The default detector: a mixture Shiryaev-Roberts e-detector for a mean in [0, 1]."""

from collections.abc import Sequence
from math import exp, inf, isfinite
from operator import mul
from struct import Struct
from typing import ClassVar, NamedTuple

from drift.base import Direction, Shift
from drift.baseline import EDGE, Baseline
from drift.detectors.betting import MOST_EVIDENCE, Betting
from drift.detectors.inputs import DIRECTIONS, check_point
from drift.season import KINDS

_HEAD = Struct("<2sBBBxxxdddqq")
_MAGIC = b"mD"
_SMALLEST_SHIFT = 0.25
NEAR_HALF = 0.2
_SMALLEST_SHIFT_NEAR_HALF = 0.15  # near a rate of .5 a point tells least, and small shifts need longer bets
_LARGEST_SHIFT = 2.5
# The stake on each shift, the smallest first; those from the older part ("patient"), then those from the mean so far.
# The middle is where both are weak; of the largest, all are found in a few dozen points.
_PATIENT_SHARES = (0.16, 0.16, 0.16, 0.0, 0.0, 0.0)
_PROMPT_SHARES = (0.0, 0.0, 0.12, 0.17, 0.17, 0.06)
_FIXED_SHARES, _NO_SHARES = (1 / 6,) * 6, (0.0,) * 6  # from a level that is known


class Bet(NamedTuple):
    odds_ratio: float  # of what is bet on, to what is expected
    share: float  # of the stake
    older: bool  # whether the shift is from the level of the older part


class MeanDetector(Betting):
    """Pass rates and bounded scores: detects that the mean left its level.

    Bets on six shifts of the odds per side. With m the expectation of the next point, d a bet's odds ratio minus one
    and w its share of the stake,

        L = 1 + (x - m) / (m + 1/d)           E[L] = 1 if the expectation is m, whatever else the law on [0, 1]
        M = (M + start) L                     evidence: the sum of w M over the bets; a change at `arl` or more

    Small shifts are bet on from the level of the older part of the stream, large ones from the running mean, one from
    both. With q the older level so shifted, L = 1 + (x - m) (q - m) / (m (1 - m)), and 1 where m is past q already:
    these find the small changes that a running mean absorbs.

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

    version: ClassVar[int] = 3

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
        self._mass: list[float] = []
        self._begin(near_half=False)

    def _begin(self, near_half: bool) -> None:
        """The bets, as odds ratios and their shares, and what is staked on each so far."""
        self._near_half = near_half
        smallest = _SMALLEST_SHIFT_NEAR_HALF if near_half else _SMALLEST_SHIFT
        shifts = [smallest * (_LARGEST_SHIFT / smallest) ** (k / 5) for k in range(6)]
        signs = {"down": (-1,), "up": (1,), "both": (-1, 1)}[self.direction]
        prompt, patient = (_PROMPT_SHARES, _PATIENT_SHARES) if self.baseline is None else (_FIXED_SHARES, _NO_SHARES)
        self.bets = [
            Bet(exp(sign * shift), share / len(signs), older)
            for older, shares in ((False, prompt), (True, patient))
            for sign in signs
            for shift, share in zip(shifts, shares, strict=True)
            if share
        ]
        self._shares = [bet.share for bet in self.bets]
        self._now = [1.0 / (bet.odds_ratio - 1.0) for bet in self.bets if not bet.older]
        self._low = [bet.odds_ratio for bet in self.bets if bet.older and bet.odds_ratio < 1.0]
        self._high = [bet.odds_ratio for bet in self.bets if bet.older and bet.odds_ratio > 1.0]
        self.clear()

    def warmup(self, values: Sequence[float], weights: Sequence[float] | None = None) -> None:
        weights = self._warmup_weights(values, weights)
        self._past.warmup(values, [min(weight, self._cap) / self._cap for weight in weights])
        self._begin(near_half=abs(self.level - 0.5) <= NEAR_HALF)

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
        y = (x - m) * weight
        won = [y / (m + i) for i in self._now]
        if self._low or self._high:
            odds = past.older_odds(m)
            y /= m * (1.0 - m)
            won += [y * (q - m) if (q := odds * r / (1.0 + odds * r)) < m else 0.0 for r in self._low]
            won += [y * (q - m) if (q := odds * r / (1.0 + odds * r)) > m else 0.0 for r in self._high]
        if power == 1.0:
            mass = [(old + start) * (1.0 + part) for old, part in zip(self._mass, won)]  # noqa: B905 - for every point
        else:
            mass = [(old + start) * (1.0 + part) ** power for old, part in zip(self._mass, won)]  # noqa: B905
        evidence = sum(map(mul, self._shares, mass))
        if evidence > MOST_EVIDENCE:
            mass = [min(staked, MOST_EVIDENCE / 100) for staked in mass]
            evidence = MOST_EVIDENCE
        self._mass = mass
        self._evidence = evidence
        past.learn(x, weight, at)

    @property
    def level(self) -> float:
        """The mean that points are held against, before dependence and season."""
        return min(max(self._past.level, EDGE), 1.0 - EDGE)

    @property
    def inflation(self) -> float:
        """The variance inflation by dependence, as estimated; 1 is none."""
        return self._past.inflation

    def clear(self) -> None:
        self._mass = [0.0] * len(self.bets)
        self._evidence = 0.0

    def _side(self) -> Shift:
        held = zip(self.bets, self._mass, strict=True)
        side = sum(bet.share * (mass if bet.odds_ratio < 1.0 else -mass) for bet, mass in held)
        return "down" if side >= 0 else "up"

    def state(self) -> bytes:
        fixed = -1.0 if self.baseline is None else self.baseline
        direction = DIRECTIONS.index(self.direction)
        counts = (self._seen, self._clipped)
        head = _HEAD.pack(_MAGIC, self.version, direction, self._near_half, self.arl, self._cap, fixed, *counts)
        numbers = (*self._mass, self._evidence)
        return head + Struct(f"<{len(numbers)}d").pack(*numbers) + self._past.state()

    def restore(self, state: bytes) -> None:
        if len(state) < _HEAD.size or state[:2] != _MAGIC:
            raise ValueError("not the state of a mean detector")
        if state[2] != self.version:
            raise ValueError(f"state of version {state[2]}; this release reads version {self.version}")
        _, _, direction, near_half, arl, cap, fixed, seen, clipped = _HEAD.unpack_from(state)
        mine = (DIRECTIONS.index(self.direction), self.arl, -1.0 if self.baseline is None else self.baseline)
        if (direction, arl, fixed) != mine or (self.weight_cap is not None and cap != self._cap):
            raise ValueError("state of a detector with another direction, arl, baseline or weight_cap")
        count = len(self.bets) + 1
        if len(state) < _HEAD.size + 8 * count:
            raise ValueError(f"state in {len(state)} bytes does not fit a {self.direction} detector")
        numbers = Struct(f"<{count}d").unpack_from(state, _HEAD.size)
        sane = (
            isfinite(cap)
            and cap > 0
            and all(map(isfinite, numbers))
            and min(numbers) >= 0
            and near_half in (0, 1)
            and 0 <= clipped <= seen
        )
        if not sane:
            raise ValueError("state with numbers that no detector could have reached")
        self._past.restore(state[_HEAD.size + 8 * count :])
        self._begin(near_half=bool(near_half))
        self._cap, self._seen, self._clipped = cap, seen, clipped
        *self._mass, self._evidence = numbers
