"""Which changes are pages, and which are part of one."""

from dataclasses import replace
from random import Random

from tests.drift.test_monitor import feed, opened, traffic, watcher


def test_a_slice_that_fails_with_its_service_is_one_page() -> None:
    points = [
        replace(point, slices={"service": "shop", "version": str(number % 2)})
        for number, point in enumerate(traffic([(6000, 0.95), (800, 0.6)]))
    ]
    found = opened(feed(watcher(), points))
    pages = [change for change in found if change.paged]
    assert len(found) == 3
    assert len(pages) == 1
    assert {change.related for change in found if not change.paged} == {pages[0].id}


def test_a_slice_that_fails_long_after_another_is_a_page_of_its_own() -> None:
    first = list(traffic([(3000, 0.95), (4000, 0.5)], seed=1, version="1"))
    second = list(traffic([(6000, 0.95), (1000, 0.3)], seed=2, version="2"))
    points = sorted(first + second, key=lambda point: point.at_ns)
    pages = [change.slice for change in opened(feed(watcher(), points)) if change.paged]
    assert {"service": "shop", "version": "2"} in pages


def test_what_lasts_when_the_page_it_was_part_of_has_ended_becomes_a_page() -> None:
    """Version 2, a twentieth of the traffic, and its model stay bad when the service is well again."""
    rng, points = Random(1), list(traffic([(14_000, 0.5)]))
    for number, point in enumerate(points):
        version = "2" if rng.random() < 0.05 else "1"
        bad = 8000 <= number < (14_000 if version == "2" else 8600)
        good = rng.random() < (0.5 if bad else 0.95)
        named = {"service": "shop", "version": version, "model": "m"}
        points[number] = replace(point, slices=named, passed=good, value=float(good))
    changes = feed(watcher({"watch": "grounded", "by": ("service", "version", "model")}), points)
    lasting = {"service": "shop", "version": "2"}
    first = next(change for change in opened(changes) if lasting.items() <= change.slice.items())
    assert first.related
    ended = next(at for at, change in enumerate(changes) if change.id == first.related and change.status == "resolved")
    later = [change for change in changes[ended:] if lasting.items() <= change.slice.items()]
    assert {change.id for change in later if change.paged and change.status == "active"}
    assert first.related not in {change.related for change in later}


def test_a_slice_that_recovers_with_its_service_is_no_page_for_having_fewer_points() -> None:
    """Version 2 is 6% of the traffic: it is well for long before that can be said. Two in ten may be told."""
    late = 0
    for seed in range(10):
        rng, points = Random(seed), list(traffic([(8000, 0.5)], seed))
        for number, point in enumerate(points):
            version = "2" if rng.random() < 0.06 else "1"
            good = rng.random() < (0.6 if 5000 <= number < 6000 else 0.95)
            points[number] = replace(
                point, slices={"service": "shop", "version": version}, passed=good, value=float(good)
            )
        changes = feed(watcher({"watch": "grounded", "by": ("service", "version")}), points)
        late += len(
            {change.id for change in changes if change.paged}
            - {change.id for change in opened(changes) if change.paged}
        )
    assert late <= 2
