"""river's KSWIN behind our contract."""

from collections import deque
from struct import Struct
from typing import Any

from drift.base import Direction, Shift
from drift.detectors.river_window import WindowDetector

_SEED = 1


class KswinDetector(WindowDetector):
    """Kolmogorov-Smirnov test between the newest points and some of those before, as `river.drift.KSWIN` computes it.

    **No guarantee**: `alpha` is the error of one test, and there is one at every point; as river ships it (.005), it is
    wrong every 300 to 1,100 points, so the default here is stricter. Takes no part in the false-page budget. Sees a
    change of the shape of a score at an equal mean, of which it tells the side that the mean went. Costs half a
    millisecond a point. Source: Raab, Heusinger, Schleif, "Reactive soft prototype computing for concept drift
    streams", Neurocomputing 2020.

    Args:
        direction: `down`, `up` or `both`.
        alpha: of one test, in (0, 1).
        window: how many points are looked at, more than twice `newest`.
        newest: how many of them are held against as many of the others, drawn with a fixed seed; at least 2.
        weight_cap: the weight that always counts; None takes the 95% quantile of the warm-up's weights.
    """

    MAGIC = b"kS"
    OPTIONS = Struct("<dii")

    def __init__(
        self,
        direction: Direction = "down",
        alpha: float = 1e-8,
        window: int = 300,
        newest: int = 100,
        weight_cap: float | None = None,
    ) -> None:
        if not 0.0 < alpha < 1.0:
            raise ValueError(f"alpha is {alpha!r}; it must be between 0 and 1, both excluded")
        if newest < 2 or window < 2 * newest:
            raise ValueError(f"window is {window!r} and newest {newest!r}; newest is 2 or more, window twice it")
        self.alpha, self.window, self.newest = alpha, window, newest
        super().__init__(direction, weight_cap)

    def options(self) -> tuple[float | int, ...]:
        return self.alpha, self.window, self.newest

    def begin(self) -> None:
        from river.drift import KSWIN  # river takes seconds to import: only for who selects it

        self._test: Any = KSWIN(alpha=self.alpha, window_size=self.window, stat_size=self.newest, seed=_SEED)
        self._seen: deque[float] = deque(maxlen=self.window)

    def feed(self, x: float) -> Shift | None:
        self._seen.append(x)
        self._test.update(x)
        if not self._test.drift_detected:
            return None
        seen = list(self._seen)
        older, newest = seen[: -self.newest], seen[-self.newest :]
        return "down" if sum(newest) / len(newest) < sum(older) / len(older) else "up"
