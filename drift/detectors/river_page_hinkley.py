"""river's Page-Hinkley test behind our contract."""

from collections.abc import Sequence
from math import inf, isfinite, nextafter
from struct import Struct
from typing import Any

from drift.base import Detection, Detector, Direction
from drift.detectors.inputs import DIRECTIONS, check_direction, check_positive
from drift.detectors.thinning import Thinning

_STATE = Struct("<2sBB3d2d5dq2d")
_MAGIC = b"pH"
_VERSION = 1


class PageHinkleyDetector(Detector):
    """Cumulative deviation from the running mean, as `river.drift.PageHinkley` computes it.

    **No guarantee**: `threshold` must be tuned to the stream; it takes no part in the false-page budget. Slow next to
    the default detector at the same rate of false alarms. Assumes independent points. A point of weight w counts with
    probability w / weight_cap, in fixed turns (see `drift.detectors.thinning`), since the test knows no weights.
    Source: Page, "Continuous inspection schemes", Biometrika 41, 1954; river's documentation for the parameters.

    Args:
        direction: `down`, `up` or `both`.
        delta: deviation that is tolerated, at least 0.
        threshold: sum of deviations that is a change, greater than 0.
        alpha: forgetting factor, in (0, 1].
        min_points: points before it says anything, at least 1.
        weight_cap: the weight that always counts; None takes the 95% quantile of the warm-up's weights.

    State is the test's own numbers; a restored test goes on bit for bit.
    """

    def __init__(
        self,
        direction: Direction = "down",
        delta: float = 0.005,
        threshold: float = 50.0,
        alpha: float = 0.9999,
        min_points: int = 30,
        weight_cap: float | None = None,
    ) -> None:
        check_direction(direction)
        if not 0.0 <= delta < inf:
            raise ValueError(f"delta is {delta!r}; it must be at least 0 and finite")
        check_positive("threshold", threshold)
        if not 0.0 < alpha <= 1.0:
            raise ValueError(f"alpha is {alpha!r}; it must be in (0, 1]")
        if min_points < 1:
            raise ValueError(f"min_points is {min_points!r}; it must be at least 1")
        self.direction: Direction = direction
        self.delta, self.alpha, self.min_points = delta, alpha, min_points
        self._threshold = threshold
        self._thinning = Thinning(weight_cap)
        self._test = self._fresh()

    def warmup(self, values: Sequence[float], weights: Sequence[float] | None = None) -> None:
        for x in self._thinning.warmup(values, weights):
            self._feed(x)
        mean = self._test._x_mean
        self._test = self._fresh()  # keeps the level, not the excursions
        self._test._x_mean = mean

    def update(self, x: float, weight: float = 1.0, at: int | None = None, start: float = 1.0) -> None:
        if self._thinning.takes(x, weight) and self.change is None:
            self._feed(x)

    @property
    def evidence(self) -> float:
        rise, fall = self._rise_and_fall()
        return {"down": fall, "up": rise, "both": max(rise, fall)}[self.direction]

    @property
    def threshold(self) -> float:
        return nextafter(self._threshold, inf)  # river alarms over the threshold, we at it

    @property
    def change(self) -> Detection | None:
        if not self._test.drift_detected:
            return None
        rise, fall = self._rise_and_fall()
        down = self.direction == "down" or (self.direction == "both" and fall >= rise)
        return Detection("down" if down else "up", self.evidence, self.threshold)

    def state(self) -> bytes:
        test, mean = self._test, self._test._x_mean
        least = test._min_increase if isfinite(test._min_increase) else 1e300
        return _STATE.pack(
            _MAGIC,
            _VERSION,
            DIRECTIONS.index(self.direction),
            *(self.delta, self._threshold, self.alpha),
            *(float(test.drift_detected), mean.get()),
            *(test._sum_increase, test._sum_decrease, least, float(test._max_decrease), mean.n),
            self.min_points,
            *(self._thinning.cap, self._thinning.credit),
        )

    def restore(self, state: bytes) -> None:
        if len(state) != _STATE.size or state[:2] != _MAGIC:
            raise ValueError("not the state of a Page-Hinkley detector")
        if state[2] != _VERSION:
            raise ValueError(f"state of version {state[2]}; this release reads version {_VERSION}")
        values: tuple[Any, ...] = _STATE.unpack(state)
        _, _, direction, delta, threshold, alpha, found, level, rising, falling, least, most, n, *rest = values
        least_n, cap, credit = rest
        mine = (DIRECTIONS.index(self.direction), self.delta, self._threshold, self.alpha, self.min_points)
        if (direction, delta, threshold, alpha, least_n) != mine:
            raise ValueError("state of a detector with other options")
        finite = all(isfinite(v) for v in (level, rising, falling, least, most, n))
        if not finite or found not in (0.0, 1.0) or not 0 <= level <= 1 or not 0 <= n < 2**53 or n != int(n):
            raise ValueError("state with numbers that no detector could have reached")
        self._thinning.restore(cap, credit)
        self._test = test = self._fresh()
        test._x_mean = type(test._x_mean)._from_state(int(n), level)
        test._sum_increase, test._sum_decrease = rising, falling
        test._min_increase = least if least < 1e300 else inf
        test._max_decrease = most
        test._drift_detected = bool(found)

    def _fresh(self) -> Any:
        from river.drift.page_hinkley import PageHinkley  # river takes seconds to import: only for who selects it

        return PageHinkley(self.min_points, self.delta, self._threshold, self.alpha, self.direction)

    def _feed(self, x: float) -> None:
        self._test.update(x)

    def _rise_and_fall(self) -> tuple[float, float]:
        test = self._test
        if not isfinite(test._min_increase):
            return 0.0, 0.0
        return test._sum_increase - test._min_increase, test._max_decrease - test._sum_decrease
