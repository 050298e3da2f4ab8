"""Detectors of ranks: exact whatever the distribution is, and without a level to estimate."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from math import inf, isfinite
from struct import Struct
from typing import ClassVar

from drift.base import Direction, Shift
from drift.detectors.betting import MOST_EVIDENCE, Betting
from drift.detectors.inputs import DIRECTIONS, check_point
from drift.ranks import Ranks

_HEAD = Struct("<2sBBxxxxddqqd")
_STAKES = (0.2, 0.5, 0.9)
_TAILS = (0.05, 0.2)
_TAIL_STAKE = 0.3

Bet = Callable[[float], float]
"""Of a rank u on [0, 1]: what is won or lost of the stake; 0 on average over uniform ranks, at least -1."""


class _Conformal(Betting):
    """A mixture of Shiryaev-Roberts e-detectors that bet on ranks; subclasses name the bets."""

    version: ClassVar[int] = 1
    magic: ClassVar[bytes]

    def __init__(self, direction: Direction = "both", arl: float = 1e5, weight_cap: float | None = None) -> None:
        super().__init__(direction, arl, weight_cap)
        self._ranks = Ranks()
        self._lower, self._higher = self.bets(direction)
        self._mass_lower, self._mass_higher = [0.0] * len(self._lower), [0.0] * len(self._higher)

    @abstractmethod
    def bets(self, direction: Direction) -> tuple[list[Bet], list[Bet]]:
        """Bets on lower and on higher ranks; of a one-sided detector, one list is empty."""

    def warmup(self, values: Sequence[float], weights: Sequence[float] | None = None) -> None:
        self._warmup_weights(values, weights)
        for x in values:
            self._ranks.add(x)

    def update(self, x: float, weight: float = 1.0, at: int | None = None, start: float = 1.0) -> None:
        check_point(x, weight, start)
        self._seen += 1
        self._clipped += weight > self._cap
        part = min(weight / self._cap, 1.0)
        self._ranks.add(x)
        u = self._ranks.rank(x)
        total = 0.0
        for mass, bets in ((self._mass_lower, self._lower), (self._mass_higher, self._higher)):
            for k, bet in enumerate(bets):
                mass[k] = grown = min((mass[k] + start) * (1.0 + part * bet(u)), MOST_EVIDENCE)
                total += grown
        self._evidence = total / (len(self._lower) + len(self._higher))

    def clear(self) -> None:
        self._mass_lower, self._mass_higher = [0.0] * len(self._lower), [0.0] * len(self._higher)
        self._evidence = 0.0

    def _side(self) -> Shift:
        slopes = len(_STAKES)  # the first bets of each side: others do not tell lower from higher
        return "down" if sum(self._mass_lower[:slopes]) >= sum(self._mass_higher[:slopes]) else "up"

    def state(self) -> bytes:
        direction = DIRECTIONS.index(self.direction)
        counts = (self._seen, self._clipped, self._evidence)
        masses = (*self._mass_lower, *self._mass_higher)
        head = _HEAD.pack(self.magic, self.version, direction, self.arl, self._cap, *counts)
        return head + Struct(f"<{len(masses)}d").pack(*masses) + self._ranks.state()

    def restore(self, state: bytes) -> None:
        lower, higher = len(self._lower), len(self._higher)
        masses = Struct(f"<{lower + higher}d")
        if len(state) < _HEAD.size + masses.size or state[:2] != self.magic:
            raise ValueError(f"not the state of a {type(self).__name__} with {lower + higher} bets")
        if state[2] != self.version:
            raise ValueError(f"state of version {state[2]}; this release reads version {self.version}")
        _, _, direction, arl, cap, seen, clipped, evidence = _HEAD.unpack_from(state)
        if (direction, arl) != (DIRECTIONS.index(self.direction), self.arl):
            raise ValueError("state of a detector with another direction or arl")
        if self.weight_cap is not None and cap != self._cap:
            raise ValueError("state of a detector with another weight_cap")
        numbers = masses.unpack_from(state, _HEAD.size)
        sane = all(isfinite(v) and v >= 0.0 for v in (*numbers, evidence)) and 0.0 < cap < inf and 0 <= clipped <= seen
        if not sane:
            raise ValueError("state with numbers that no detector could have reached")
        self._ranks.restore(state[_HEAD.size + masses.size :])
        self._cap, self._seen, self._clipped, self._evidence = cap, seen, clipped, evidence
        self._mass_lower, self._mass_higher = list(numbers[:lower]), list(numbers[lower:])


class RankDetector(_Conformal):
    """Heavy tails, and anything else of which only the order matters: detects that values became lower or higher.

    Bets on the rank u of each point among all so far: 1 + c (1 - 2u) with c of .2, .5 and .9, and on its being among
    the lowest q, 1 + .3 (1[u < q] / q - 1), with q of .05 and .2; mirrored for rises.

    **Guarantee.** The expected number of false alarms is at most the start mass over `arl`: exact for exchangeable
    points of any law, with no level or warm-up to get right, as ranks are then uniform and independent (`drift.ranks`)
    and each bet has a mean of 1. If points only become higher, bets on lower ones have a mean of at most 1. Source:
    Vovk, "Testing randomness online", Statistical Science 2021; Shin, Ramdas, Rinaldo, arXiv 2203.03532 (e-SR).

    **It breaks** on dependence (points of one session) and on seasons, where points are not exchangeable; `mean` takes
    both out. A point of weight w bets w / weight_cap of its stake, but is ranked as any other: so a change of the
    sampling policy is a change here.

    Args:
        direction: `down`, `up` or `both`.
        arl: start mass per false alarm, the average run length in points with one a point.
        weight_cap: the weight that stakes all; None takes the 95% quantile of the warm-up's weights.
    """

    magic: ClassVar[bytes] = b"rD"

    def bets(self, direction: Direction) -> tuple[list[Bet], list[Bet]]:
        return _of_order(direction)


class ShapeDetector(_Conformal):
    """The distribution of a score: detects that its shape changed, though its mean may have stayed.

    Bets 1 + c P_j(2u - 1) on the rank u of each point among all so far, P_j the Legendre polynomials of degree 1 to 4
    and c of ±.2, ±.5 and ±.9: location, spread, skew, and weight in the tails. A change says `down` if bets on lower
    values gained more than those on higher ones. Its size and interval are of the mean: set `min_effect: 0`.

    **Guarantee** and when it breaks: as `rank`. With `both`, which it is made for, any change of the distribution is
    one; one-sided, only bets that gain by values on that side are taken, which are those of `rank`.

    Args:
        direction: `both`; `down` and `up` are as `rank`.
        arl: as `rank`.
        weight_cap: as `rank`.
    """

    magic: ClassVar[bytes] = b"sH"

    def bets(self, direction: Direction) -> tuple[list[Bet], list[Bet]]:
        if direction != "both":
            return _of_order(direction)
        polynomials = [_legendre(degree) for degree in (1, 2, 3, 4)]
        lower = [_scaled(p, -stake) for p in polynomials for stake in _STAKES]
        return lower, [_scaled(p, stake) for p in polynomials for stake in _STAKES]


def _of_order(direction: Direction) -> tuple[list[Bet], list[Bet]]:
    """Bets that gain by values which only became lower, and by those which only became higher."""
    lower = [*(_slope(-stake) for stake in _STAKES), *(_tail(q) for q in _TAILS)]
    higher = [*(_slope(stake) for stake in _STAKES), *(_mirrored(_tail(q)) for q in _TAILS)]
    return lower if direction != "up" else [], higher if direction != "down" else []


def _slope(stake: float) -> Bet:
    return lambda u: stake * (2.0 * u - 1.0)


def _tail(q: float) -> Bet:
    won = _TAIL_STAKE * (1.0 / q - 1.0)
    return lambda u: won if u < q else -_TAIL_STAKE


def _mirrored(bet: Bet) -> Bet:
    return lambda u: bet(1.0 - u)


def _scaled(bet: Bet, stake: float) -> Bet:
    return lambda u: stake * bet(u)


def _legendre(degree: int) -> Bet:
    """The polynomial of this degree, over ranks; within [-1, 1], and 0 on average.

    >>> [round(_legendre(degree)(0.75), 4) for degree in (1, 2, 3, 4)]
    [0.5, -0.125, -0.4375, -0.2891]
    """
    if degree == 1:
        return lambda u: 2.0 * u - 1.0
    if degree == 2:
        return lambda u: 6.0 * u * (u - 1.0) + 1.0
    if degree == 3:
        return lambda u: ((20.0 * u - 30.0) * u + 12.0) * u - 1.0
    return lambda u: (((70.0 * u - 140.0) * u + 90.0) * u - 20.0) * u + 1.0
