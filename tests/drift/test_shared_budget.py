"""One budget of false pages over the partitions of a cluster: each has a share, together they keep the promise."""

from random import Random

import pytest

from collector.core.telemetry import Telemetry
from drift.base import Metric, Point
from drift.monitor import MonitorConfig, Watcher

SECOND = 10**9
START = 1_790_000_000 * SECOND
PARTITIONS = 4


def test_the_partitions_together_tell_no_more_false_pages_than_one_may() -> None:
    """20 hours of series that do not change, at one false page an hour: a standard error of 4.5 in the number of pages.

    Each partition has series of its own, and rounds of its own. The control, in which each has the whole budget, stakes
    as many times as much as there are partitions.
    """
    pages, staked, hours = told(1 / PARTITIONS)
    assert 19 < hours < 21
    assert staked == pytest.approx(hours, rel=0.01)
    assert 1 <= pages <= staked + 2 * staked**0.5
    more_pages, more_staked, _ = told(1.0)
    assert more_staked == pytest.approx(hours * PARTITIONS, rel=0.01)
    assert more_pages > pages


def told(share: float) -> tuple[int, float, float]:
    """Pages and start mass of all partitions, and the hours that went by."""
    pages, spent, now = 0, 0.0, START
    for number in range(PARTITIONS):
        rng, now, telemetry = Random(100 + number), START, Telemetry()
        monitors = [MonitorConfig(watch="grounded", name=f"m{at}", min_effect=0, by=[]) for at in range(3)]
        watch = Watcher(monitors, "1 per hour", {"grounded": Metric("grounded", 0.0, 1.0, "higher")}, telemetry)
        watch.share(share)
        while now < START + 20 * 3600 * SECOND:
            now += round(rng.expovariate(1 / 6) * SECOND)
            good = rng.random() < 0.9
            point = Point("grounded", f"{now}", "", now, float(good), good, 1.0, {}, "e")
            pages += sum(change.sequence == 0 and change.paged for change in watch.update(point))
        spent += watch._budget.spent
    return pages, spent, (now - START) / (3600 * SECOND)
