"""river's tests for streams of passes and failures behind our contract: DDM and HDDM.

A point below .5 is a failure to them; what lies between says no more. They look for a rise of the failures: where
`direction` is `up`, passes and failures change places, and for `both` there are two of them.
"""

from struct import Struct
from typing import Any

from drift.base import Direction, Shift
from drift.detectors.river_window import WindowDetector


class _Binary(WindowDetector):
    def begin(self) -> None:
        self._tests: list[tuple[Shift, Any]] = []
        if self.direction in ("down", "both"):
            self._tests.append(("down", self.made()))
        if self.direction in ("up", "both"):
            self._tests.append(("up", self.made()))

    def made(self) -> Any:
        """A test of river."""
        raise NotImplementedError

    def feed(self, x: float) -> Shift | None:
        found: Shift | None = None
        for shift, test in self._tests:
            test.update(int((x < 0.5) == (shift == "down")))
            if test.drift_detected and found is None:
                found = shift
        return found


class DdmDetector(_Binary):
    """Drift detection method, as `river.drift.binary.DDM` computes it: how far the rate of failures rose over its
    lowest, in standard deviations.

    **No guarantee**; takes no part in the false-page budget. Blunt where failures are common, and slow after a long
    quiet time, since its rate is that of all points. Source: Gama, Medas, Castillo, Rodrigues, "Learning with drift
    detection", SBIA 2004.

    Args:
        direction: `down`, `up` or `both`.
        threshold: standard deviations that are a change, greater than 0.
        min_points: points before it says anything, at least 1.
        weight_cap: the weight that always counts; None takes the 95% quantile of the warm-up's weights.
    """

    MAGIC = b"dD"
    OPTIONS = Struct("<di")

    def __init__(
        self,
        direction: Direction = "down",
        threshold: float = 4.0,
        min_points: int = 100,
        weight_cap: float | None = None,
    ) -> None:
        if not 0.0 < threshold < 1e6:
            raise ValueError(f"threshold is {threshold!r}; it must be greater than 0 and finite")
        if min_points < 1:
            raise ValueError(f"min_points is {min_points!r}; it must be at least 1")
        self._deviations, self.min_points = threshold, min_points
        super().__init__(direction, weight_cap)

    def options(self) -> tuple[float | int, ...]:
        return self._deviations, self.min_points

    def made(self) -> Any:
        from river.drift.binary import DDM  # river takes seconds to import: only for who selects it

        return DDM(warm_start=self.min_points, warning_threshold=self._deviations, drift_threshold=self._deviations)


class _Hoeffding(_Binary):
    """Args of both.

    Args:
        direction: `down`, `up` or `both`.
        confidence: error of one comparison, in (0, 1); one is made at every point.
        weight_cap: the weight that always counts; None takes the 95% quantile of the warm-up's weights.
    """

    OPTIONS = Struct("<d")

    def __init__(
        self, direction: Direction = "down", confidence: float = 1e-5, weight_cap: float | None = None
    ) -> None:
        if not 0.0 < confidence < 1.0:
            raise ValueError(f"confidence is {confidence!r}; it must be between 0 and 1, both excluded")
        self.confidence = confidence
        super().__init__(direction, weight_cap)

    def options(self) -> tuple[float | int, ...]:
        return (self.confidence,)


class HddmADetector(_Hoeffding):
    """Hoeffding's bound on the difference of two means, as `river.drift.binary.HDDM_A` computes it: abrupt changes.

    **No guarantee** over time: the bound is that of one comparison; takes no part in the false-page budget. Source:
    Frías-Blanco and others, "Online and non-parametric drift detection methods based on Hoeffding's bounds", IEEE TKDE
    2015.
    """

    MAGIC = b"hA"

    def made(self) -> Any:
        from river.drift.binary import HDDMA

        return HDDMA(drift_confidence=self.confidence, warning_confidence=self.confidence)  # type: ignore[no-untyped-call]


class HddmWDetector(_Hoeffding):
    """The same of exponentially weighted means, as `river.drift.binary.HDDM_W` computes it: gradual changes.

    **No guarantee**, as of `HddmADetector`; blind to small drops: of .95 to .90 it finds none.
    """

    MAGIC = b"hW"

    def made(self) -> Any:
        from river.drift.binary import HDDMW

        return HDDMW(drift_confidence=self.confidence, warning_confidence=self.confidence)  # type: ignore[no-untyped-call]
