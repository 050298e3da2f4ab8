"""`MeanDetector`s by the thousand, in arrays: under half a microsecond a point and half a kilobyte a series.

What it computes is what the detector of `drift.detectors.mean` does without a season, number by number; its guarantee
holds as it is said there. numpy comes with river.
"""

from typing import Any

import numpy as np

from drift.base import Direction
from drift.baseline import (
    BLOCKS,
    CONSTANT,
    EDGE,
    FIRST_BLOCK,
    MOST_DEPENDENCE,
    MOST_INFLATION,
    MOST_NEWEST,
    NEWEST_SHARE,
    RELATE_EVERY,
    SOME,
)
from drift.detectors.betting import MOST_EVIDENCE
from drift.detectors.mean import NEAR_HALF, MeanDetector

Floats = Any
"""An array of floats, one a series."""

_STATS = (
    *("n", "total", "points", "power", "a", "b", "g0", "g1", "g2", "last", "before", "r0", "r1", "residual"),
    *("from_last", "old_n", "old_sum", "block", "block_sum", "filled", "size", "blocks", "varied"),
)
_COLUMN = {name: column for column, name in enumerate(_STATS)}


class MeanBank:
    """Many series, each with a detector of its own; `update` takes one point for each of some of them.

    Args:
        size: how many series.
        direction: `down`, `up` or `both`.
        dependent: as for the detector.

    >>> bank = MeanBank(2, "down")
    >>> bank.warmup(np.tile([1.0, 1.0, 1.0, 0.0], (2, 75)))
    >>> for _ in range(40):
    ...     bank.update(np.array([0.0, 1.0]))
    >>> [bool(found) for found in bank.evidence > 1e5]
    [True, False]
    """

    def __init__(self, size: int, direction: Direction = "down", dependent: bool = True) -> None:
        self.direction, self.dependent = direction, dependent
        near_half, far = MeanDetector(direction), MeanDetector(direction)
        near_half.warmup([0.0, 1.0])
        # Odds ratios for levels far from one half, and near it; then what of a bet does not change with them.
        self._ratios = np.array([[bet.odds_ratio for bet in kind.bets] for kind in (far, near_half)])
        self._shares = np.array([bet.share for bet in far.bets])
        self._older = np.array([bet.older for bet in far.bets])
        self._mass = np.zeros((size, len(self._shares)))
        self._near_half = np.zeros(size, np.int8)
        self._stats = np.zeros((size, len(_STATS)))
        self._blocks = np.zeros((size, BLOCKS + 1, 2), np.float32)
        for name, value in (
            ("n", 1),
            ("total", 0.5),
            ("old_n", 1),
            ("old_sum", 0.5),
            ("power", 1),
            ("size", FIRST_BLOCK),
        ):
            self._stats[:, _COLUMN[name]] = value
        self.evidence = np.zeros(size)

    def __len__(self) -> int:
        return len(self.evidence)

    @property
    def nbytes(self) -> int:
        """Memory of all series."""
        arrays = (self._mass, self._near_half, self._stats, self._blocks, self.evidence)
        return sum(array.nbytes for array in arrays)

    @property
    def level(self) -> Floats:
        return self._get("total") / self._get("n")

    def warmup(self, values: Floats, weights: Floats | None = None, ids: Any = None) -> None:
        """Learn from points that are known, or assumed, to be good.

        Args:
            values: array (series, points), in [0, 1].
            weights: like values, in (0, 1]; all 1 if None.
            ids: which series, all if None.
        """
        ids = np.arange(len(self)) if ids is None else np.asarray(ids)
        weights = np.ones_like(values) if weights is None else weights
        for t in range(values.shape[1]):
            self._add(ids, values[:, t], weights[:, t])
        stats = self._stats
        if self.dependent:
            off = values - self._centre(ids)[:, None]
            self._set("varied", ids, (off * off > CONSTANT).sum(axis=1))
            for lag in range(3):
                self._set(f"g{lag}", ids, (off[:, lag:] * off[:, : off.shape[1] - lag]).sum(axis=1))
            self._depend(ids)
            a, b = self._get("a", ids)[:, None], self._get("b", ids)[:, None]
            surprise = off.copy()
            surprise[:, 1:] -= a * off[:, :-1]
            surprise[:, 2:] -= b * off[:, :-2]
            self._set("r0", ids, (surprise * surprise).sum(axis=1))
            self._set("r1", ids, (surprise[:, 1:] * surprise[:, :-1]).sum(axis=1))
            self._set("residual", ids, surprise[:, -1])
            self._soften(ids)
            stats[ids, _COLUMN["last"]] = off[:, -1]
            stats[ids, _COLUMN["before"]] = off[:, -2] if off.shape[1] > 1 else 0.0
            self._foretell(ids)
        self._near_half[ids] = np.abs(self.level[ids] - 0.5) <= NEAR_HALF

    def update(self, x: Floats, weights: Floats | float = 1.0, starts: Floats | float = 1.0, ids: Any = None) -> None:
        """Take one point for each of some series.

        Args:
            x: in [0, 1].
            weights: of the points, in (0, 1]; see `MeanDetector`, with the cap at 1.
            starts: start mass of the points.
            ids: which series, none twice; all if None.
        """
        ids = slice(None) if ids is None else np.asarray(ids)
        level = self._get("total", ids) / self._get("n", ids)
        m = np.clip(level + self._get("from_last", ids), EDGE, 1.0 - EDGE)
        weight = np.broadcast_to(np.asarray(weights, float), x.shape)
        start = np.broadcast_to(np.asarray(starts, float), x.shape)
        bet = 1.0 + (x - m)[:, None] * weight[:, None] * self._stakes(ids, m, level)
        power = self._get("power", ids)
        if (power != 1.0).any():
            bet **= power[:, None]
        mass = np.minimum((self._mass[ids] + start[:, None]) * bet, MOST_EVIDENCE)
        self._mass[ids] = mass
        self.evidence[ids] = mass @ self._shares
        self._learn(ids, x, weight)

    def _stakes(self, ids: Any, m: Floats, level: Floats) -> Floats:
        """Per bet, what it stakes on a point's distance from its expectation."""
        ratios, expected = self._ratios[self._near_half[ids]], m[:, None]
        stakes = 1.0 / (expected + 1.0 / (ratios - 1.0))
        odds = np.clip(self._get("old_sum", ids) / self._get("old_n", ids) + (m - level), EDGE, 1.0 - EDGE)[:, None]
        odds = odds / (1.0 - odds) * ratios[:, self._older]
        away = odds / (1.0 + odds) - expected
        away[(away < 0) != (ratios[:, self._older] < 1.0)] = 0.0  # past it already
        stakes[:, self._older] = away / (expected * (1.0 - expected))
        return stakes

    def clear(self, ids: Any) -> None:
        """Take back what these series have staked."""
        self._mass[ids] = 0.0
        self.evidence[ids] = 0.0

    def _centre(self, ids: Any) -> Floats:
        """As `Baseline` has it."""
        n = self._get("n", ids) - 1.0
        return np.where(n > 0, (self._get("total", ids) - 0.5) / np.where(n > 0, n, 1.0), 0.5)

    def _learn(self, ids: Any, x: Floats, weight: Floats) -> None:
        if self.dependent:
            off = x - self._centre(ids)
            square = off * off
            surprise = off - self._get("from_last", ids)
            last, before = self._get("last", ids), self._get("before", ids)
            self._set("varied", ids, self._get("varied", ids) + (square > CONSTANT))
            for name, product in (("g0", square), ("g1", off * last), ("g2", off * before)):
                self._set(name, ids, self._get(name, ids) + product)
            self._set("r0", ids, self._get("r0", ids) + surprise * surprise)
            self._set("r1", ids, self._get("r1", ids) + surprise * self._get("residual", ids))
            self._set("residual", ids, surprise)
            self._set("before", ids, last)
            self._set("last", ids, off)
            due = self._chosen(ids, self._get("points", ids) % RELATE_EVERY == 0)
            if len(due):
                self._depend(due)
                self._soften(due)
            self._foretell(ids)
        self._add(ids, x, weight)

    def _add(self, ids: Any, x: Floats, weight: Floats) -> None:
        for name, more in (("n", weight), ("total", weight * x), ("points", 1.0), ("filled", 1.0)):
            self._set(name, ids, self._get(name, ids) + more)
        self._set("block", ids, self._get("block", ids) + weight)
        self._set("block_sum", ids, self._get("block_sum", ids) + weight * x)
        full = self._chosen(ids, self._get("filled", ids) >= self._get("size", ids))
        if len(full):
            self._turn(full)

    def _turn(self, ids: Any) -> None:
        count = self._get("blocks", ids).astype(int)
        self._blocks[ids, count, 0] = self._get("block", ids)
        self._blocks[ids, count, 1] = self._get("block_sum", ids)
        for name in ("block", "block_sum", "filled"):
            self._set(name, ids, 0.0)
        self._set("blocks", ids, count + 1.0)
        many = ids[count + 1 > BLOCKS]
        if len(many):
            blocks = self._blocks[many]
            self._set("block", many, blocks[:, BLOCKS, 0])
            self._set("block_sum", many, blocks[:, BLOCKS, 1])
            self._set("filled", many, self._get("size", many))
            self._set("size", many, 2 * self._get("size", many))
            blocks[:, : BLOCKS // 2] = blocks[:, 0:BLOCKS:2] + blocks[:, 1:BLOCKS:2]
            self._blocks[many] = blocks
            self._set("blocks", many, BLOCKS // 2)
        newest = np.minimum(self._get("points", ids) * NEWEST_SHARE, MOST_NEWEST)
        count = self._get("blocks", ids).astype(int)
        leave = count - np.minimum(count, (newest / self._get("size", ids)).astype(int))
        blocks, at = self._blocks[ids], np.arange(BLOCKS + 1)
        gone = (blocks * (at < leave[:, None])[:, :, None]).sum(axis=1, dtype=float)
        self._set("old_n", ids, self._get("old_n", ids) + gone[:, 0])
        self._set("old_sum", ids, self._get("old_sum", ids) + gone[:, 1])
        self._blocks[ids] = np.take_along_axis(
            blocks, np.minimum(at + leave[:, None], BLOCKS)[:, :, None].repeat(2, axis=2), axis=1
        )
        self._set("blocks", ids, (count - leave).astype(float))

    def _depend(self, ids: Any) -> None:
        g0, g1, g2 = (self._get(name, ids) for name in ("g0", "g1", "g2"))
        safe = np.where(g0 > 0, g0, 1.0)
        one, two = g1 / safe, np.minimum(g2 / safe, MOST_DEPENDENCE)
        none = (g0 <= 0) | self._constant(ids) | (one < 2.0 / np.sqrt(self._get("points", ids) + 1.0))
        one = np.minimum(one, MOST_DEPENDENCE)
        b = np.maximum((two - one * one) / (1.0 - one * one), 0.0)
        a = one * (1.0 - b)
        shrink = np.where(a + b > MOST_DEPENDENCE, MOST_DEPENDENCE / np.where(none, 1.0, a + b), 1.0)
        self._set("a", ids, np.where(none, 0.0, a * shrink))
        self._set("b", ids, np.where(none, 0.0, b * shrink))

    def _soften(self, ids: Any) -> None:
        squares = self._get("r0", ids)
        rho = self._get("r1", ids) / np.where(squares > 0, squares, 1.0)
        rho[self._constant(ids)] = 0.0
        soft = np.maximum((1.0 - rho) / (1.0 + np.maximum(rho, 0.0)), 1.0 / MOST_INFLATION)
        self._set("power", ids, np.where(rho < 2.0 / np.sqrt(self._get("points", ids) + 1.0), 1.0, soft))

    def _constant(self, ids: Any) -> Any:
        """As `Baseline` has it."""
        return SOME * self._get("varied", ids) < self._get("points", ids)

    def _foretell(self, ids: Any) -> None:
        told = self._get("a", ids) * self._get("last", ids) + self._get("b", ids) * self._get("before", ids)
        self._set("from_last", ids, told)

    def _chosen(self, ids: Any, which: Any) -> Any:
        return np.flatnonzero(which) if isinstance(ids, slice) else ids[which]

    def _get(self, name: str, ids: Any = slice(None)) -> Floats:
        return self._stats[ids, _COLUMN[name]]

    def _set(self, name: str, ids: Any, values: Any) -> None:
        self._stats[ids, _COLUMN[name]] = values
