"""The contract of drift: points in, changes out, and what a detector is."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, cast

from collector.core.component import load
from collector.core.errors import UserError
from drift.codec import decode_change, decode_estimate, decode_points, encode_change, encode_points
from drift.model import (
    RATES,
    Carrier,
    Change,
    Coincidence,
    Companion,
    Detection,
    Direction,
    Estimate,
    Metric,
    Point,
    Shift,
)

__all__ = [
    "DETECTORS",
    "RATES",
    "Carrier",
    "Change",
    "Coincidence",
    "Companion",
    "Detection",
    "Detector",
    "Direction",
    "Estimate",
    "Metric",
    "Point",
    "Shift",
    "decode_change",
    "decode_estimate",
    "decode_points",
    "detector",
    "detector_factory",
    "encode_change",
    "encode_points",
]

DETECTORS = "driftline.detectors"
"""The entry-point group of detectors."""


class Detector(ABC):
    """Watches one stream of numbers in [0, 1] for a lasting change. Pure numbers: no clock, no I/O.

    A subclass takes its options, `direction` among them, as keyword arguments and raises ValueError for a wrong one.
    `state` and `restore` carry everything: a restored detector goes on bit for bit as the first would have.
    """

    budgeted: ClassVar[bool] = False
    """True if `update` takes start mass and the detector keeps the promise of `drift.budget` with `arl=1`."""

    @abstractmethod
    def warmup(self, values: Sequence[float], weights: Sequence[float] | None = None) -> None:
        """Learn the level from points that are known, or assumed, to be good."""

    @abstractmethod
    def update(self, x: float, weight: float = 1.0, at: int | None = None, start: float = 1.0) -> None:
        """Take the next point.

        Args:
            x: in [0, 1].
            weight: one over the probability with which the point came to be seen; greater than 0, finite.
            at: event time in nanoseconds, for detectors that know seasons.
            start: start mass of this point (see `drift.budget`); others than budgeted detectors ignore it.

        Raises:
            ValueError: a value out of range; the detector is as it was.
        """

    def remember(self, level: float, weight: float) -> None:  # noqa: B027 - not all have use for it
        """After a warm-up: count also older points of this mean and total weight. A detector without a running level
        ignores it."""

    def clear(self) -> None:  # noqa: B027 - not all stake anything
        """Take back all that is staked: the evidence is 0 again, what was learned stays."""

    def recurring(self) -> bytes:
        """What comes back by the hour, for the detector that follows this one after a change; empty if nothing."""
        return b""

    def recur(self, recurring: bytes) -> None:  # noqa: B027 - not all know seasons
        """Take over what `recurring` of one with equal options gave; ValueError if it cannot be."""

    @property
    @abstractmethod
    def evidence(self) -> float:
        """Grows with how unlikely the stream is without a change."""

    @property
    @abstractmethod
    def threshold(self) -> float:
        """Evidence at or over this is a change."""

    @property
    @abstractmethod
    def change(self) -> Detection | None:
        """The change, once there is one."""

    def at(self, threshold: float) -> Detection | None:
        """The change as it would be with a lower threshold; a detector that has but one does as without."""
        return self.change

    @abstractmethod
    def state(self) -> bytes:
        """Everything learned, versioned and compact."""

    @abstractmethod
    def restore(self, state: bytes) -> None:
        """Take over what `state` of a detector with equal options gave.

        Raises:
            ValueError: corrupt, of another version, or of a detector with other options; nothing was changed.
        """


def detector_factory(name: str) -> Callable[..., Detector]:
    """The class, or function, that makes detectors of this name.

    Raises:
        UserError: no such detector, or what the name stands for makes none.
    """
    found = load(name, DETECTORS)
    if not callable(found):
        raise UserError(f"detector {name!r} is a {type(found).__name__}; a class or function that makes one is needed")
    return cast("Callable[..., Detector]", found)


def detector(name: str, **options: Any) -> Detector:
    """A detector by name: one that is registered, `module:attr`, or `./file.py:attr`.

    >>> watch = detector("drift.detectors.mean:MeanDetector", direction="down", arl=1e4)
    >>> watch.warmup(([1.0] * 19 + [0.0]) * 10)
    >>> for _ in range(12):
    ...     watch.update(0.0)
    >>> watch.change.direction
    'down'

    Raises:
        UserError: no such detector, or an option it does not take.
    """
    factory = detector_factory(name)
    try:
        made = factory(**options)
    except (TypeError, ValueError) as error:
        raise UserError(f"detector {name!r}: {error}") from error
    if not isinstance(made, Detector):
        raise UserError(f"detector {name!r} made a {type(made).__name__}, not a drift.base.Detector")
    return made
