"""Many series under one budget: e-detector d-BH."""

from random import Random
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.core.telemetry import Telemetry
from drift.base import Change, Metric, Point
from drift.monitor import MonitorConfig, Watcher
from drift.rounds import Rounds, discoveries
from drift.series import Series
from drift.testing import rounds_found

SECOND = 10**9
START = 1_790_000_000 * SECOND


@given(st.lists(st.floats(0, 3), max_size=30), st.integers(0, 20))
def test_as_many_are_changes_as_have_a_part_of_a_unit_each(evidence: list[float], already: int) -> None:
    evidence.sort(reverse=True)
    count = discoveries(evidence, already)
    assert all(one * (already + count) >= 1.0 for one in evidence[:count])
    assert all(evidence[k - 1] * (already + k) < 1.0 for k in range(count + 1, len(evidence) + 1))
    assert count >= sum(one >= 1.0 for one in evidence)


def test_of_a_thousand_series_those_that_changed_are_found_sooner_and_false_ones_stay_within_the_budget() -> None:
    """1,000 series of passes, 100 of them from .95 to .85 after 1,000 points; 1 false page expected in 500 points.

    Over 3 seeds 12 units are staked; if all of it came true, the sum of false parts would have a standard error of 3.5.
    """
    false_parts, staked, delays = 0.0, 0.0, {0: 0.0, 50: 0.0}
    for seed in range(3):
        rng = np.random.default_rng(seed)
        warm, x = ((rng.random((1000, points)) < 0.95) * 1.0 for points in (1000, 2000))
        x[:100, 1000:] = (rng.random((100, 1000)) < 0.85) * 1.0
        changed = np.where(np.arange(1000) < 100, 1000, 10_000)
        for lasts in delays:
            rounds, first = rounds_found(warm, x, changed, 1 / 500, lasts)
            delays[lasts] += np.where(first[:100] < 0, 1000, first[:100] - 1000).mean() / 3
        false_parts += sum(sum(found) / len(found) for found in rounds)
        staked += 2000 / 500
    assert false_parts <= staked + 2 * staked**0.5
    assert delays[50] < 0.8 * delays[0], delays


def watcher(*monitors: dict[str, Any], false_pages: str = "1 per week") -> Watcher:
    metrics = {name: Metric(name, 0.0, 1.0, "higher") for name in ("grounded", "relevant")}
    return Watcher([MonitorConfig(**monitor) for monitor in monitors], false_pages, metrics, Telemetry())


def traffic(good: dict[str, float], count: int, seed: int = 1, at: int = START, by: str = "version") -> list[Point]:
    """Every second a trace of some version of one service, `good` by its probability."""
    rng, names = Random(seed), sorted(good)
    points = []
    for number in range(count):
        name = names[rng.randrange(len(names))]
        slices = {"service": "shop", "version": name} if by == "version" else {"service": name}
        passed = rng.random() < good[name]
        points.append(
            Point("grounded", f"{seed}-{number}", "", at + number * SECOND, float(passed), passed, 1.0, slices, "e")
        )
    return points


def followed(watch: Watcher, points: list[Point]) -> list[Change]:
    return [change for point in points for change in watch.update(point)]


def opened(watch: Watcher, points: list[Point]) -> list[Change]:
    return [change for change in followed(watch, points) if change.sequence == 0]


NAMES = [f"s{number:02}" for number in range(20)]
WELL, ILL = dict.fromkeys(NAMES, 0.95), dict.fromkeys(NAMES, 0.8)


def _both(by: str) -> list[Point]:
    return traffic(WELL, 20_000, by=by) + traffic(ILL, 6000, seed=2, at=START + 20_000 * SECOND, by=by)


def test_series_that_fail_together_are_found_before_any_has_a_whole_unit() -> None:
    found = opened(watcher({"watch": "grounded", "by": ["service"]}), _both("service"))
    early = [change for change in found if change.threshold < 1.0]
    assert len(early) >= 15
    for change in found:
        assert change.evidence >= change.threshold >= 1 / 64
    assert len({change.slice["service"] for change in found} & set(NAMES)) >= 18
    assert found[0].paged


@pytest.mark.parametrize("seed", range(4))
def test_a_service_and_its_only_version_are_one_page(seed: int) -> None:
    """Both have the same points, so they are found at the same moment."""
    start = START + 3000 * SECOND
    points = traffic({"1": 0.95}, 3000, seed) + traffic({"1": 0.6}, 300, seed + 100, start)
    found = opened(watcher({"watch": "grounded", "by": ["service", "version"]}), points)
    assert len(found) == 2
    assert [change.threshold for change in found] == [0.5, 0.5]
    assert sum(change.paged for change in found) == 1
    page = next(change for change in found if change.paged)
    assert [change.related for change in found if change is not page] == [page.id]


def test_of_one_service_they_are_one_page() -> None:
    points = _both("version")
    for point in points:  # no series of the whole service that could be the page
        point.slices = {"version": point.slices["version"]}
    found = opened(watcher({"watch": "grounded", "by": ["version"]}), points)
    pages = {change.id for change in found if change.paged}
    weak = [change for change in found if change.evidence < 1.0]
    assert weak
    assert {change.related for change in weak if change.related} <= pages
    assert sum(change.paged for change in weak) < len(weak) / 2


def test_the_rest_of_a_page_is_a_page_once_that_has_ended() -> None:
    watch = watcher({"watch": "grounded", "by": ["version"], "adopt_after": "1h"})
    points = _both("version")
    for point in points:
        point.slices = {"version": point.slices["version"]}
    changes = [change for point in points for change in watch.update(point)]
    told: dict[str, list[Change]] = {}
    for change in changes:
        told.setdefault(change.id, []).append(change)
    weak = [story for story in told.values() if story[0].related]
    assert weak
    for story in weak:
        page = told[story[0].related]
        for change in story[1:]:
            if change.paged:
                assert change.evidence >= 1.0
                ended = [other for other in page if other.status == "resolved"]
                assert ended
                assert changes.index(ended[0]) < changes.index(change)


@pytest.mark.parametrize("stop", [20_040, 20_300, 20_700])
def test_rounds_go_on_wherever_they_were_stopped(stop: int) -> None:
    rule = {"watch": "grounded", "by": ["service"]}
    points = _both("service")[:22_000]
    expected = followed(watcher(rule), points)
    first, second = watcher(rule), watcher(rule)
    found = followed(first, points[:stop])
    second.restore({key: value for key, value in first.take_state().items() if value is not None})
    assert found + followed(second, points[stop:]) == expected
    assert any(change.threshold < 1.0 for change in expected)
    assert any(change.paged and change.sequence for change in expected), "none got a unit of its own later"


def test_the_same_stream_watched_five_times_is_no_more_pages_than_the_budget_allows() -> None:
    """Null streams that are all alike: 20 expected at most, so a standard error of 4.5 in the number of pages."""
    rules = [{"watch": "grounded", "name": f"m{number}", "min_effect": 0, "by": []} for number in range(5)]
    rng, at, pages = Random(5), START, 0
    watch = watcher(*rules, false_pages="1 per hour")
    for number in range(24_000):
        at += round(rng.expovariate(1 / 3) * SECOND)
        good = rng.random() < 0.9
        point = Point("grounded", f"{number}", "", at, float(good), good, 1.0, {}, "e")
        pages += sum(change.sequence == 0 and change.paged for change in watch.update(point))
    allowed = (at - START) / (3600 * SECOND)
    assert 15 < allowed < 25
    assert 1 <= pages <= allowed + 2 * allowed**0.5


class Stub:
    """A series with this evidence, of which there may be too little to tell."""

    def __init__(self, key: str, rising: float, tellable: bool = True) -> None:
        self.key, self.rising, self.tellable, self.points, self.asked = key, rising, tellable, 1, 0

    def prepare(self, threshold: float) -> float | None:
        self.asked += 1
        return threshold if self.tellable else None

    def open(self, episode: float, now_ns: int) -> float:
        return episode


def _noted(*series: Stub) -> Rounds:
    rounds = Rounds()
    for one in series:
        rounds.note(cast("Series", one))
    return rounds


def test_a_series_with_too_few_points_is_no_reason_to_find_another() -> None:
    early, other, weak = Stub("a", 2.0, tellable=False), Stub("b", 0.6), Stub("c", 0.4)
    rounds = _noted(early, other, weak)
    assert rounds.take(START) == []
    rounds.note(cast("Series", weak))
    assert rounds.take(START) == []
    assert early.asked == 1, "asked again though it took no point"
    early.points, early.tellable = 2, True
    rounds.note(cast("Series", early))
    assert [(one.key, threshold) for one, threshold in rounds.take(START)] == [("a", 1 / 3), ("b", 1 / 3), ("c", 1 / 3)]
    assert rounds.take(START) == []


@pytest.mark.parametrize(("later", "found"), [(0, True), (899, True), (900, False), (-1, False)])
def test_a_round_lasts_a_quarter_of_an_hour(later: int, found: bool) -> None:
    rounds = _noted(Stub("a", 1.0))
    assert len(rounds.take(START)) == 1
    restored = Rounds()
    restored.load_json(rounds.to_json())
    for each in (rounds, restored):
        each.note(cast("Series", Stub("b", 0.5)))
        assert bool(each.take(START + later * SECOND)) == found


@pytest.mark.parametrize(
    "raw", [None, {}, {"began_ns": 1.5, "size": 1, "pages": {}}, {"began_ns": 1, "size": -1, "pages": {}}, []]
)
def test_a_corrupt_round_is_refused(raw: Any) -> None:
    with pytest.raises((ValueError, TypeError, KeyError)):
        Rounds().load_json(raw)
