"""Detectors of those who know their limits: a moving average and a burn rate."""

import pytest

from drift.detectors.river_kswin import KswinDetector
from drift.detectors.static import BurnRateDetector, ThresholdDetector


def fed(detector: ThresholdDetector | BurnRateDetector, *parts: tuple[int, float]) -> int | None:
    """The point at which it says change, of (number of points, how many of ten pass)."""
    at = 0
    for count, passing in parts:
        for number in range(count):
            detector.update(float(number % 10 < passing))
            if detector.change is not None:
                return at
            at += 1
    return None


def test_a_mean_below_the_level_by_the_margin_is_a_change_once_there_are_points_enough() -> None:
    assert fed(ThresholdDetector(level=0.9, margin=0.2, points=100), (300, 8)) is None
    assert fed(ThresholdDetector(level=0.9, margin=0.2, points=100), (300, 7)) == 99
    assert fed(ThresholdDetector(level=0.9, margin=0.2, points=100), (300, 9), (200, 0)) is not None


def test_a_level_that_is_not_given_is_learned() -> None:
    detector = ThresholdDetector(margin=0.2, points=50)
    detector.warmup([1.0, 1.0, 1.0, 0.0] * 25)
    assert fed(detector, (100, 6)) is None
    assert fed(detector, (100, 5)) is not None


def test_a_weight_counts_as_so_many_points() -> None:
    detector = ThresholdDetector(level=1.0, margin=0.5, points=10)
    for at in range(10):
        detector.update(float(at % 2), 3.0 if at % 2 == 0 else 1.0)
    assert detector.evidence == pytest.approx(0.75 / 0.5)


def test_a_budget_that_is_spent_too_fast_over_both_windows_is_a_change() -> None:
    def make() -> BurnRateDetector:
        return BurnRateDetector(objective=0.9, factor=3.0, points=200, newest=20)

    assert fed(make(), (400, 8)) is None, "twice the budget"
    assert fed(make(), (400, 6)) is not None, "four times"
    assert fed(make(), (200, 9), (20, 0)) is None, "not over all points yet"


def test_what_is_over_does_not_page() -> None:
    detector = BurnRateDetector(objective=0.9, factor=3.0, points=200, newest=20)
    for _ in range(60):
        detector.update(0.0)
    assert fed(detector, (140, 10)) is None


def test_a_change_of_shape_at_an_equal_mean_is_seen_by_kswin_alone() -> None:
    shaped, level = KswinDetector(direction="both"), ThresholdDetector(direction="both", level=0.5, points=100)
    found = False
    for at in range(900):
        x = 0.45 + 0.1 * (at % 7) / 6 if at < 500 else float(at % 2)
        shaped.update(x)
        level.update(x)
        found = found or shaped.change is not None
        assert at >= 500 or not found
    assert found
    assert level.change is None


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: ThresholdDetector(direction="sideways"), "direction is"),  # type: ignore[arg-type]
        (lambda: ThresholdDetector(level=2.0), "level is"),
        (lambda: ThresholdDetector(margin=0.0), "margin is"),
        (lambda: ThresholdDetector(points=0), "0 points"),
        (lambda: BurnRateDetector(factor=1.0), "factor is"),
        (lambda: BurnRateDetector(points=10, newest=11), "newest is"),
        (lambda: KswinDetector(alpha=0.0), "alpha is"),
        (lambda: KswinDetector(window=10, newest=6), "window is"),
    ],
)
def test_an_option_out_of_range_is_refused(make: object, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        make()  # type: ignore[operator]
