"""Levels by the hour of the day, or of the week: what is usual at this time is no change.

An hour's points are held against the mean of their time, so that what is learned outlives a change of the level. What
they are off on average is drawn towards 0 as if there were 200 points of it more: S_h / (n_h + 200). It counts from
seven days on; `auto` looks at hours of the day, and only where they differ by more than chance gives.
"""

from math import isfinite, sqrt
from struct import Struct

_HOUR_NS = 3600 * 10**9
_LEARN_NS = 7 * 24 * _HOUR_NS
_DRAWN = 200.0
_BINS = {"auto": 24, "hour_of_day": 24, "hour_of_week": 168}
_MONDAY_HOURS = 72  # 1970-01-01 was a Thursday
_TEST_EVERY = 256
_SURE = 3.5  # standard deviations of a chi-square over its mean
_HEAD = Struct("<BBqqd")

KINDS = ("auto", "none", *(kind for kind in _BINS if kind != "auto"))


class Season:
    """Times are UTC; so where clocks are set for summer, the season shifts by an hour twice a year."""

    __slots__ = ("_all", "_first_ns", "_mean", "_n", "_off", "_points", "active", "bins", "kind")

    def __init__(self, kind: str) -> None:
        if kind not in _BINS:
            raise ValueError(f"season is {kind!r}; it must be one of {', '.join(KINDS)}")
        self.kind = kind
        self.bins = _BINS[kind]
        self.active = False
        self._first_ns = -1
        self._points = 0
        self._mean = 0.5
        self._n = [0.0] * self.bins
        self._off = [0.0] * self.bins
        self._all = [0.0, 0.0]  # sums over the hours

    def offset(self, at: int) -> float:
        """How much above the mean this hour is, 0 until that can be said."""
        if not self.active:
            return 0.0
        hour = self._bin(at)
        n, (everything, off) = self._n[hour], self._all
        return (self._off[hour] - n * off / everything) / (n + _DRAWN)

    def learn(self, at: int, x: float, weight: float, mean: float) -> None:
        """Take a point; `mean` is that of the whole stream so far."""
        hour = self._bin(at)
        off = weight * (x - mean)
        self._n[hour] += weight
        self._off[hour] += off
        self._all[0] += weight
        self._all[1] += off
        self._mean = mean
        self._points += 1
        if self._first_ns < 0:
            self._first_ns = at
        if not self._points % _TEST_EVERY:
            self.active = at - self._first_ns >= _LEARN_NS and (self.kind != "auto" or self._differ())

    def _bin(self, at: int) -> int:
        return (at // _HOUR_NS + (_MONDAY_HOURS if self.bins > 24 else 0)) % self.bins

    def _differ(self) -> bool:
        """Whether the hours differ by more than chance, by the chi-square of their means (Pearson 1900).

        The variance is that of passes and failures: for scores between, an hour must differ by more.
        """
        p = self._mean
        used = [(n, off) for n, off in zip(self._n, self._off, strict=True) if n > 0]
        variance, usual = p * (1.0 - p), self._all[1] / self._all[0]
        if len(used) < 2 or variance <= 0:
            return False
        square = sum((off - n * usual) ** 2 / n for n, off in used) / variance
        freedom = len(used) - 1
        return square > freedom + _SURE * sqrt(2.0 * freedom)

    def state(self) -> bytes:
        head = _HEAD.pack(self.bins, self.active, self._first_ns, self._points, self._mean)
        return head + Struct(f"<{2 * self.bins + 2}d").pack(*self._n, *self._off, *self._all)

    def restore(self, state: bytes) -> None:
        """Take over what `state` gave; ValueError if it cannot be, and nothing was changed."""
        if len(state) != _HEAD.size + 16 * self.bins + 16:
            raise ValueError("state of another season")
        bins, active, first_ns, points, mean = _HEAD.unpack_from(state)
        numbers = Struct(f"<{2 * self.bins + 2}d").unpack_from(state, _HEAD.size)
        n, offs, (everything, off) = list(numbers[: self.bins]), list(numbers[self.bins : -2]), numbers[-2:]
        sane = (
            bins == self.bins
            and active in (0, 1)
            and points >= active
            and 0.0 <= mean <= 1.0
            and all(map(isfinite, numbers))
            and all(w >= 0.0 and abs(s) <= w * (1 + 1e-9) for w, s in zip(n, offs, strict=True))
            and abs(everything - sum(n)) <= 1e-6 * everything + 1e-9
            and abs(off) <= everything * (1 + 1e-9)
            and (everything > 0 or not active)
        )
        if not sane:
            raise ValueError("state of a season with numbers that it could not have reached")
        self.active, self._first_ns, self._points, self._mean = bool(active), first_ns, points, mean
        self._n, self._off, self._all = n, offs, [everything, off]
