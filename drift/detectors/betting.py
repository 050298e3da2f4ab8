"""What detectors that bet have in common: start mass against `arl`, and weights up to a cap."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from drift.base import Detection, Detector, Direction, Shift
from drift.detectors.inputs import MOST_WEIGHT, check_direction, check_positive, checked_warmup, usual_cap

MOST_EVIDENCE = 1e290  # keeps what is staked a number


class Betting(Detector):
    """Evidence at or over `arl` is a change; a subclass keeps `_evidence`, `_seen` and `_clipped`.

    Args:
        direction: `down`, `up` or `both`.
        arl: start mass per false alarm, greater than 0.
        weight_cap: the weight that stakes all; None takes the 95% quantile of the warm-up's weights.

    Raises:
        ValueError: one is out of its range.
    """

    budgeted: ClassVar[bool] = True

    def __init__(self, direction: Direction, arl: float, weight_cap: float | None) -> None:
        check_direction(direction)
        check_positive("arl", arl)
        if weight_cap is not None:
            check_positive("weight_cap", weight_cap)
        self.direction: Direction = direction
        self.arl = float(arl)
        self.weight_cap = weight_cap
        self._cap = min(float(weight_cap or 1.0), MOST_WEIGHT)
        self._seen = self._clipped = 0
        self._evidence = 0.0

    def _warmup_weights(self, values: Sequence[float], weights: Sequence[float] | None) -> Sequence[float]:
        """The weights of a warm-up, checked with its values; takes the cap from them unless it is fixed."""
        weights = checked_warmup(values, weights)
        if self.weight_cap is None and weights:
            self._cap = usual_cap(weights)
        return weights

    @property
    def clipped(self) -> float:
        """Share of the points since the warm-up that were heavier than the weight cap."""
        return self._clipped / self._seen if self._seen else 0.0

    @property
    def evidence(self) -> float:
        return self._evidence

    @property
    def threshold(self) -> float:
        return self.arl

    @property
    def change(self) -> Detection | None:
        return self.at(self.arl)

    def at(self, threshold: float) -> Detection | None:
        evidence = self.evidence
        return None if evidence < threshold else Detection(self._side(), evidence, threshold)

    @abstractmethod
    def _side(self) -> Shift:
        """Which way most of the evidence points."""
