"""What the page and the API need to know of the service that they show."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from alerts.history import Delivery
from collector.core.telemetry import Telemetry
from drift.base import Estimate
from driftline.gate_metric import Comparable
from driftline.rollouts import Rollout
from driftline.view import View
from scorers.base import Better


@dataclass(frozen=True, slots=True)
class ScorerFacts:
    """A configured scorer in words. `passing` is its expression, empty if its scores are not judged.

    `low` and `high` bound its values, infinite where nothing does; `has_values` is false if it only gives labels.
    """

    name: str
    description: str
    passing: str
    better: Better
    unit: str
    low: float = 0.0
    high: float = 1.0
    has_values: bool = True
    evaluator_id: str = ""

    @property
    def comparable(self) -> Comparable:
        return Comparable(self.name, bool(self.passing), self.has_values, self.low, self.high, self.better)


class SeriesStatus(Protocol):
    """What can be said of a watched series now.

    `level` is in the metric's unit, or a rate if passing is watched.
    """

    @property
    def monitor(self) -> str: ...

    @property
    def metric(self) -> str: ...

    @property
    def statistic(self) -> str: ...

    @property
    def slice(self) -> Mapping[str, str]: ...

    @property
    def status(self) -> str: ...

    @property
    def points(self) -> int: ...

    @property
    def level(self) -> Estimate: ...

    @property
    def detector(self) -> str: ...

    @property
    def evidence(self) -> float: ...

    @property
    def threshold(self) -> float: ...

    @property
    def change_id(self) -> str | None: ...


class Source(Protocol):
    """A running service. Everything here is read by several threads at once and must answer quickly."""

    @property
    def view(self) -> View: ...

    @property
    def telemetry(self) -> Telemetry: ...

    @property
    def addresses(self) -> Mapping[str, str]:
        """Where it listens, by receiver."""
        ...

    @property
    def scorers(self) -> Sequence[ScorerFacts]: ...

    @property
    def monitors(self) -> Sequence[str]:
        """One line of words each."""
        ...

    def health(self) -> list[str]:
        """What is wrong; empty if nothing is."""
        ...

    def readiness(self) -> list[str]:
        """What it still waits for before it can take traffic; empty if it is ready."""
        ...

    def counts(self) -> dict[str, int]:
        """`traces_received`, `traces_scored`, `scores` and `changes` so far."""
        ...

    def series(self) -> Sequence[SeriesStatus]: ...

    def rollouts(self) -> Sequence[Rollout]:
        """New versions, as they were compared last."""
        ...

    def deliveries(self, change_id: str) -> Sequence[Delivery]:
        """What was done to tell people of a change, oldest first."""
        ...
