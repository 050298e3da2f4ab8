"""river's ADWIN behind our contract."""

from struct import Struct
from typing import Any

from drift.base import Direction, Shift
from drift.detectors.river_window import WindowDetector


class AdwinDetector(WindowDetector):
    """Adaptive windowing, as `river.drift.ADWIN` computes it: compares the means of all cuts of a window that grows
    while they agree.

    **No guarantee** that is of use here: `delta` bounds the error of one cut, not the rate of false alarms, and takes
    no part in the false-page budget. As shipped (delta .002) it is far quieter and slower than the default detector;
    tuned to the same rate of false alarms it ties it on pass rates and beats it on small shifts. Assumes independent
    points. Evidence is 0 or 1. A change to the other side than `direction` only starts the window anew. Source: Bifet,
    Gavalda, "Learning from time-changing data with adaptive windowing", SDM 2007.

    Args:
        direction: `down`, `up` or `both`.
        delta: confidence of one cut, in (0, 1).
        clock: how many points between two looks, at least 1.
        weight_cap: the weight that always counts; None takes the 95% quantile of the warm-up's weights.
    """

    MAGIC = b"aW"
    OPTIONS = Struct("<di")

    def __init__(
        self, direction: Direction = "down", delta: float = 0.002, clock: int = 32, weight_cap: float | None = None
    ) -> None:
        if not 0.0 < delta < 1.0:
            raise ValueError(f"delta is {delta!r}; it must be between 0 and 1, both excluded")
        if clock < 1:
            raise ValueError(f"clock is {clock!r}; it must be at least 1")
        self.delta, self.clock = delta, clock
        super().__init__(direction, weight_cap)

    def options(self) -> tuple[float | int, ...]:
        return self.delta, self.clock

    def begin(self) -> None:
        from river.drift.adwin import ADWIN  # river takes seconds to import: only for who selects it

        self._test: Any = ADWIN(delta=self.delta, clock=self.clock)  # type: ignore[no-untyped-call]

    def feed(self, x: float) -> Shift | None:
        before = self._test.estimation
        self._test.update(x)
        if not self._test.drift_detected:
            return None
        return "down" if self._test.estimation < before else "up"
