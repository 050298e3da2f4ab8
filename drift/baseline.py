"""What the next point of an unchanged stream is expected to be, from the points so far.

Three things beside the running mean:

- **Dependence.** Scores of one session or user resemble one another. Two autoregressive coefficients, from the
  autocovariances so far (Yule 1927, Walker 1931), foretell the next point from the last two. Held against that
  expectation, each point says what is new in it: a run of failures that is usual for the stream is evidence once, not
  at each of its points. What correlation is left between the surprises softens the bets (`power`).
- **Season.** Hours of the day, or of the week, have levels of their own (`drift.season`).
- **The older part.** A running mean absorbs a small change while evidence for it builds up. `older` is the mean of all
  but the newest half of the points (at most the newest 4,096): what a change away from then would look like.
"""

from collections import deque
from collections.abc import Sequence
from math import isfinite, sqrt
from struct import Struct

from drift.season import Season

RELATE_EVERY = 32  # points between two estimates of the dependence
BLOCKS = 16
FIRST_BLOCK = 8  # points; doubles as the stream grows
NEWEST_SHARE = 1 / 2
MOST_NEWEST = 4096
EDGE = 1e-9  # keeps expectations off 0 and 1, where a bet would divide by zero
CONSTANT = 1e-12  # the square of a distance that is rounding
SOME = 10  # a point in so many must vary: a stream that was constant and moved once is not dependent
MOST_DEPENDENCE = 0.95
MOST_INFLATION = 50.0
INDEPENDENT = (0.0, 0.0)
_NUMBERS = Struct("<qq19d")


class Baseline:
    """Learns from every point; the detector asks before it does.

    Args:
        fixed: a level in (0, 1) to hold on to; the running mean is then used for the dependence alone.
        dependent: whether points may foretell one another.
        season: `auto`, `none`, `hour_of_day` or `hour_of_week`.
    """

    __slots__ = (
        "_block",
        "_block_sum",
        "_blocks",
        "_filled",
        "_from_last",
        "_gamma",
        "_last",
        "_old_n",
        "_old_sum",
        "_residual",
        "_residuals",
        "_size",
        "_varied",
        "dependence",
        "dependent",
        "fixed",
        "n",
        "points",
        "power",
        "season",
        "total",
    )

    def __init__(self, fixed: float | None, dependent: bool, season: str) -> None:
        self.fixed, self.dependent = fixed, dependent
        self.season = Season(season) if season != "none" and fixed is None else None
        self.n, self.total = 1.0, 0.5  # one point of no opinion keeps the mean off 0 and 1
        self.points = 0
        self.power = 1.0
        self.dependence = INDEPENDENT
        self._gamma = [0.0, 0.0, 0.0]  # sums of squares, and of products with the point one and two before
        self._varied = 0  # points that were off the mean
        self._last = (0.0, 0.0)
        self._residuals = [0.0, 0.0]
        self._residual = 0.0
        self._from_last = 0.0
        self._old_n, self._old_sum = 1.0, 0.5
        self._blocks: deque[tuple[float, float]] = deque()
        self._block = self._block_sum = 0.0
        self._filled = 0
        self._size = FIRST_BLOCK

    @property
    def level(self) -> float:
        """The mean so far, or the fixed level."""
        if self.fixed is not None:
            return self.fixed
        return self.total / self.n

    @property
    def _centre(self) -> float:
        """The mean without the point of no opinion: of a constant stream it is that constant, and nothing is left."""
        return (self.total - 0.5) / (self.n - 1.0) if self.n > 1.0 else 0.5

    @property
    def _constant(self) -> bool:
        """Whether hardly a point varied."""
        return SOME * self._varied < self.points

    @property
    def older(self) -> float:
        """The mean of the older part."""
        return self._old_sum / self._old_n

    @property
    def older_weight(self) -> float:
        """That of the older part."""
        return self._old_n

    @property
    def inflation(self) -> float:
        """How many times the variance of a mean is what it would be if points were independent; 1 is none."""
        a, b = self.dependence
        g0, g1, g2 = self._gamma
        noise = max(1.0 - (a * g1 + b * g2) / g0, 0.0) if g0 > 0 else 1.0
        return min(max(1.0, noise / (1.0 - a - b) ** 2 / self.power), MOST_INFLATION)

    def warmup(self, values: Sequence[float], weights: Sequence[float]) -> None:
        """Learn from points that are known, or assumed, to be good; weights are in (0, 1]."""
        for x, weight in zip(values, weights, strict=True):
            self._add(x, weight)
        if self.dependent:
            mean = self._centre
            for x in values:
                self._relate(x - mean)
            self._depend()
            self._last = (0.0, 0.0)
            for x in values:
                self._surprise(x - mean - self._foretold())
                self._last = (x - mean, self._last[0])
            self._soften()
            self._from_last = self._foretold()

    def remember(self, level: float, weight: float) -> None:
        """Count also older points of this mean; the weight is that of so many points."""
        self.n += weight
        self.total += weight * level
        self._old_n += weight
        self._old_sum += weight * level

    def expected(self, at: int | None) -> float:
        """The next point's expectation, in (0, 1)."""
        m = self.total / self.n if self.fixed is None else self.fixed
        m += self._from_last
        if self.season is not None and at is not None:
            m += self.season.offset(at)
        return m if EDGE < m < 1.0 - EDGE else min(max(m, EDGE), 1.0 - EDGE)

    def older_odds(self, expected: float) -> float:
        """The odds that would be expected, had the level stayed that of the older part."""
        m = self._old_sum / self._old_n + expected - (self.total / self.n if self.fixed is None else self.fixed)
        m = m if EDGE < m < 1.0 - EDGE else min(max(m, EDGE), 1.0 - EDGE)
        return m / (1.0 - m)

    def learn(self, x: float, weight: float, at: int | None) -> None:
        """Take a point of a weight in (0, 1]."""
        if self.dependent or self.season is not None:
            mean = self._centre
            off = x - mean
            if self.season is not None and at is not None:
                off -= self.season.offset(at)
                self.season.learn(at, x, weight, mean)
            if self.dependent:
                self._relate(off)
                self._surprise(off - self._from_last)
                if not self.points % RELATE_EVERY:
                    self._depend()
                    self._soften()
                self._from_last = self._foretold()
        self._add(x, weight)

    def _add(self, x: float, weight: float) -> None:
        self.n += weight
        self.total += weight * x
        self.points += 1
        self._block += weight
        self._block_sum += weight * x
        self._filled += 1
        if self._filled >= self._size:
            self._turn()

    def _turn(self) -> None:
        """Close the newest block; blocks that are no longer among the newest join the older part."""
        blocks = self._blocks
        blocks.append((self._block, self._block_sum))
        self._block = self._block_sum = 0.0
        self._filled = 0
        if len(blocks) > BLOCKS:  # join them in pairs; the odd one is the first half of the next
            self._block, self._block_sum = blocks.pop()
            self._filled, self._size = self._size, 2 * self._size
            even, odd = list(blocks)[::2], list(blocks)[1::2]
            self._blocks = blocks = deque((n + m, s + t) for (n, s), (m, t) in zip(even, odd, strict=True))
        newest = min(self.points * NEWEST_SHARE, MOST_NEWEST)
        while len(blocks) * self._size > newest:
            n, s = blocks.popleft()
            self._old_n += n
            self._old_sum += s

    def _relate(self, off: float) -> None:
        last, before = self._last
        square = off * off
        if square > CONSTANT:
            self._varied += 1
        self._gamma[0] += square
        self._gamma[1] += off * last
        self._gamma[2] += off * before
        self._last = (off, last)

    def _surprise(self, residual: float) -> None:
        self._residuals[0] += residual * residual
        self._residuals[1] += residual * self._residual
        self._residual = residual

    def _foretold(self) -> float:
        return self.dependence[0] * self._last[0] + self.dependence[1] * self._last[1]

    def _depend(self) -> None:
        """The autoregressive coefficients; none where the correlation of neighbours is within two standard errors."""
        g0, g1, g2 = self._gamma
        one = g1 / g0 if g0 > 0 else 0.0
        if one < 2.0 / sqrt(self.points + 1.0) or self._constant:
            self.dependence = INDEPENDENT
            return
        one = min(one, MOST_DEPENDENCE)
        two = min(g2 / g0, MOST_DEPENDENCE)
        b = max((two - one * one) / (1.0 - one * one), 0.0)
        a = one * (1.0 - b)
        if a + b > MOST_DEPENDENCE:
            a, b = a * MOST_DEPENDENCE / (a + b), b * MOST_DEPENDENCE / (a + b)
        self.dependence = (a, b)

    def _soften(self) -> None:
        """The power of the bets, by the correlation that is left between neighbouring surprises."""
        squares, products = self._residuals
        rho = products / squares if squares > 0 else 0.0
        if rho < 2.0 / sqrt(self.points + 1.0) or self._constant:
            self.power = 1.0
        else:
            self.power = max((1.0 - rho) / (1.0 + rho), 1.0 / MOST_INFLATION)

    # --- state ---

    def state(self) -> bytes:
        numbers = _NUMBERS.pack(
            self.points,
            self._varied,
            self.n,
            self.total,
            self.power,
            *self.dependence,
            *self._gamma,
            *self._last,
            *self._residuals,
            self._residual,
            self._from_last,
            self._old_n,
            self._old_sum,
            self._block,
            self._block_sum,
            float(self._filled),
        )
        blocks = [value for block in self._blocks for value in block]
        head = Struct("<HH").pack(len(self._blocks), self._size)
        season = self.season.state() if self.season is not None else b""
        return numbers + head + Struct(f"<{len(blocks)}d").pack(*blocks) + season

    def restore(self, state: bytes) -> None:
        """Take over what `state` of one with equal options gave; ValueError, and no change, if it cannot be."""
        if len(state) < _NUMBERS.size + 4:
            raise ValueError("state too short for a baseline")
        points, varied, *numbers = _NUMBERS.unpack_from(state)
        count, size = Struct("<HH").unpack_from(state, _NUMBERS.size)
        at = _NUMBERS.size + 4
        if count > BLOCKS or len(state) < at + 16 * count:
            raise ValueError(f"state of {count} blocks does not fit")
        blocks = Struct(f"<{2 * count}d").unpack_from(state, at)
        rest = state[at + 16 * count :]
        _check(points, varied, size, numbers, blocks)
        if self.season is not None:
            self.season.restore(rest)
        elif rest:
            raise ValueError("state with a season that is not watched")
        n, total, power, a, b, g0, g1, g2, last, before, r0, r1, residual, from_last, *tail = numbers
        self.points, self.n, self.total, self.power, self.dependence = points, n, total, power, (a, b)
        self._varied = varied
        self._gamma, self._last, self._residuals, self._residual = [g0, g1, g2], (last, before), [r0, r1], residual
        self._from_last = from_last
        self._old_n, self._old_sum, self._block, self._block_sum, filled = tail
        self._filled, self._size = int(filled), size
        self._blocks = deque(zip(blocks[::2], blocks[1::2], strict=True))


def _check(points: int, varied: int, size: int, numbers: Sequence[float], blocks: Sequence[float]) -> None:
    """ValueError for numbers that no stream could have led to."""
    n, total, power, a, b, g0, _, _, last, before, r0, _, residual, from_last, old_n, old_sum, block, part, filled = (
        *numbers,
    )
    sums = [(n, total), (old_n, old_sum), (block, part), *zip(blocks[::2], blocks[1::2], strict=True)]
    sane = (
        all(map(isfinite, (*numbers, *blocks)))
        and 0 <= varied <= points
        and FIRST_BLOCK <= size <= MOST_NEWEST
        and 0 <= filled <= size
        and all(0 <= s <= w * (1 + 1e-9) for w, s in sums)
        and n >= 1
        and old_n >= 1
        and total > 0
        and 0 < old_sum < old_n
        and 0 < power <= 1
        and 0 <= a <= 1
        and 0 <= b <= 1
        and a + b <= MOST_DEPENDENCE + 1e-9
        and g0 >= 0
        and r0 >= 0
        and all(-2 <= v <= 2 for v in (last, before, residual, from_last))
    )
    if not sane:
        raise ValueError("state with numbers that no detector could have reached")
