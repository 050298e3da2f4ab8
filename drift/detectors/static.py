"""A limit on a moving average, and a burn rate: for those who want what they know, without a promise."""

from abc import abstractmethod
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import islice
from math import inf
from struct import Struct, error, iter_unpack, pack

from drift.base import Detection, Detector, Direction, Shift
from drift.detectors.inputs import DIRECTIONS, check_direction, check_point, checked_warmup

_HEAD = Struct("<2sBBdI")
_VERSION = 1
_MOST_POINTS = 100_000


class _Average(Detector):
    """Keeps the newest points with their weights, and a level that is learned unless it is given."""

    MAGIC: bytes

    def __init__(self, direction: Direction, level: float | None, points: int) -> None:
        check_direction(direction)
        if level is not None and not 0.0 <= level <= 1.0:
            raise ValueError(f"level is {level!r}; it must be in [0, 1]")
        if not 1 <= points <= _MOST_POINTS:
            raise ValueError(f"{points!r} points; it must be from 1 to {_MOST_POINTS}")
        self.direction: Direction = direction
        self._given, self._level = level, 0.5 if level is None else level
        self._recent: deque[tuple[float, float]] = deque(maxlen=points)
        self._told: tuple[Shift, float] | None = None  # of the points as they are

    @abstractmethod
    def ratio(self, shift: Shift) -> float:
        """How far the stream went to one side: 1 and over is a change."""

    def warmup(self, values: Sequence[float], weights: Sequence[float] | None = None) -> None:
        points = list(zip(values, checked_warmup(values, weights), strict=True))
        if self._given is None and points:
            self._level = _mean(points)
        self._told = None

    def update(self, x: float, weight: float = 1.0, at: int | None = None, start: float = 1.0) -> None:
        check_point(x, weight)
        if self._furthest[1] < 1:
            self._recent.append((x, weight))
            self._told = None

    @property
    def evidence(self) -> float:
        return self._furthest[1]

    @property
    def threshold(self) -> float:
        return 1.0

    @property
    def change(self) -> Detection | None:
        shift, ratio = self._furthest
        return Detection(shift, ratio, 1.0) if ratio >= 1 else None

    @property
    def _furthest(self) -> tuple[Shift, float]:
        """The side that the stream went to, and how far."""
        if self._told is None:
            shifts: tuple[Shift, ...] = ("down", "up") if self.direction == "both" else (self.direction,)
            self._told = max(((shift, self.ratio(shift)) for shift in shifts), key=lambda told: told[1])
        return self._told

    def mean_of(self, points: int) -> float | None:
        """Weighted, of the newest points; None while there are not so many."""
        if len(self._recent) < points:
            return None
        return _mean(islice(self._recent, len(self._recent) - points, None))

    @abstractmethod
    def options(self) -> tuple[float, ...]:
        """What a state must agree in."""

    def state(self) -> bytes:
        options = pack(f"<{len(self.options())}d", *self.options())
        head = _HEAD.pack(self.MAGIC, _VERSION, DIRECTIONS.index(self.direction), self._level, len(self._recent))
        return head + options + b"".join(pack("<dd", *point) for point in self._recent)

    def restore(self, state: bytes) -> None:
        options = pack(f"<{len(self.options())}d", *self.options())
        if state[:2] != self.MAGIC:
            raise ValueError(f"not the state of {type(self).__name__}")
        try:
            _, version, direction, level, count = _HEAD.unpack_from(state)
            body = state[_HEAD.size + len(options) :]
            points = list(iter_unpack("<dd", body))
        except error:
            raise ValueError("corrupt state") from None
        if version != _VERSION:
            raise ValueError(f"state of version {version}; this release reads version {_VERSION}")
        if direction != DIRECTIONS.index(self.direction) or state[_HEAD.size :][: len(options)] != options:
            raise ValueError("state of a detector with other options")
        if not 0.0 <= level <= 1.0 or len(points) != count or count > (self._recent.maxlen or 0):
            raise ValueError("state with numbers that no detector could have reached")
        for point in points:
            check_point(*point)
        self._level = level
        self._recent = deque(((x, weight) for x, weight in points), self._recent.maxlen)
        self._told = None


class ThresholdDetector(_Average):
    """The mean of the newest points leaves what is allowed.

    **No guarantee**: how often that happens by chance depends on the stream, and takes no part in the false-page
    budget; a level that is too near pages for ever, one that is too far never. Evidence is the distance from the level
    in margins.

    Args:
        direction: `down`, `up` or `both`.
        level: what the mean should be; None takes that of the warm-up.
        margin: how far from it is a change, greater than 0.
        points: how many of the newest points.
    """

    MAGIC = b"tH"

    def __init__(
        self, direction: Direction = "down", level: float | None = None, margin: float = 0.1, points: int = 200
    ) -> None:
        super().__init__(direction, level, points)
        if not 0.0 < margin <= 1.0:
            raise ValueError(f"margin is {margin!r}; it must be greater than 0 and at most 1")
        self.margin, self.points = margin, points

    def options(self) -> tuple[float, ...]:
        return self.margin, self.points, -1.0 if self._given is None else self._given

    def ratio(self, shift: Shift) -> float:
        mean = self.mean_of(self.points)
        if mean is None:
            return 0.0
        away = self._level - mean if shift == "down" else mean - self._level
        return max(0.0, away / self.margin)


class BurnRateDetector(_Average):
    """An error budget is spent `factor` times too fast, over many points and over the newest of them.

    As multi-window burn-rate alerts do (Beyer and others, "The site reliability workbook", 2018, chapter 5), by points
    instead of time. **No guarantee**; takes no part in the false-page budget. Evidence is the lesser of both burn
    rates, in factors.

    Args:
        direction: `down`: points fall short of 1; `up`: they exceed 0; `both`.
        objective: the level that is wanted, below 1; None takes that of the warm-up.
        factor: times the budget (1 - objective) that is a change, greater than 1.
        points: how many points in all.
        newest: how many of them the newest are: what is over does not page.
    """

    MAGIC = b"bR"

    def __init__(
        self,
        direction: Direction = "down",
        objective: float | None = None,
        factor: float = 2.0,
        points: int = 500,
        newest: int = 50,
    ) -> None:
        super().__init__(direction, objective, points)
        if not 1.0 < factor < inf:
            raise ValueError(f"factor is {factor!r}; it must be greater than 1 and finite")
        if not 1 <= newest <= points:
            raise ValueError(f"newest is {newest!r}; it must be from 1 to points")
        self.factor, self.points, self.newest = factor, points, newest

    def options(self) -> tuple[float, ...]:
        return self.factor, self.points, self.newest, -1.0 if self._given is None else self._given

    def ratio(self, shift: Shift) -> float:
        rates = []
        for points in (self.points, self.newest):
            mean = self.mean_of(points)
            if mean is None:
                return 0.0
            spent, budget = (1 - mean, 1 - self._level) if shift == "down" else (mean, self._level)
            rates.append(spent / max(budget, 1e-9) / self.factor)
        return min(rates)


def _mean(points: Iterable[tuple[float, float]]) -> float:
    total = weights = 0.0
    for x, weight in points:
        total += x * weight
        weights += weight
    return min(1.0, total / weights)
