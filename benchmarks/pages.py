"""Pages of a whole watcher as people count them: how many for nothing, and when each service that fails is told.

    python -m benchmarks.pages            # six minutes; prints the tables that `benchmarks.drift` writes

Everything is seeded.
"""

from collections.abc import Iterable, Iterator
from random import Random

import numpy as np

from benchmarks.tables import printed
from collector.core.telemetry import Telemetry
from drift.base import Change, Metric, Point
from drift.monitor import MonitorConfig, Watcher

_SECOND = 10**9
_START = 10**18


def _point(at: int, good: bool, service: str, version: str = "1") -> Point:
    return Point("m", "t", "", at, float(good), good, 1.0, {"service": service, "version": version}, "e")


def _watcher(by: tuple[str, ...], false_pages: str) -> Watcher:
    rule = MonitorConfig(watch="m", by=by, min_effect=0, direction="down")
    return Watcher([rule], false_pages, {"m": Metric("m", 0, 1, "higher")}, Telemetry())


def _told(watch: Watcher, points: Iterable[Point]) -> Iterator[tuple[Point, Change]]:
    return ((point, change) for point in points for change in watch.update(point))


def _quiet(scores: int, services: int, versions: int, same: bool, seed: int) -> Iterator[Point]:
    """Every 1.5 s a score of one service, or the very same one of each; nine in ten pass, always."""
    rng, at, drawn = Random(seed), _START, 0
    while drawn < scores:
        at += round(rng.expovariate(1 / 1.5) * _SECOND)
        good, version = rng.random() < 0.9, str(rng.randrange(versions))
        for service in range(services) if same else (rng.randrange(services),):
            drawn += 1
            yield _point(at, good, f"s{service}", version)


def for_nothing(scores: int, seeds: int) -> Iterator[str]:
    yield "### Pages where nothing changes\n"
    yield "| traffic | changes | rounds | pages | of them later than found | allowed |\n|---|---|---|---|---|---|"
    for name, services, versions, same in (
        ("20 services", 20, 1, False),
        ("5 services with the very same scores", 5, 1, True),
        ("20 services with the very same scores", 20, 1, True),
        ("10 services, each with 2 versions", 10, 2, False),
    ):
        by = ("service", "version")[:versions]
        found = np.array([_counted(by, _quiet(scores, services, versions, same, seed)) for seed in range(seeds)])
        changes, rounds, pages, later, allowed = found.sum(axis=0)
        error = found[:, 2].std(ddof=1) * seeds**0.5
        yield f"| {name} | {changes:.0f} | {rounds:.0f} | {pages:.0f} ± {error:.0f} | {later:.0f} | {allowed:.0f} |"
    yield (
        "\nPages of changes that were part of another's at first are in the last column but one. A round is what was"
        "\nfound within a quarter of an hour."
    )


def _counted(by: tuple[str, ...], points: Iterable[Point]) -> tuple[float, ...]:
    """Changes, rounds, pages, those of them that were none at first, and start mass."""
    watch, pages = _watcher(by, "1 per hour"), set[str]()
    changes = rounds = later = began = 0
    for point, change in _told(watch, points):
        if change.sequence == 0:
            changes += 1
        if change.sequence == 0 and point.at_ns - began >= 900 * _SECOND:
            began = point.at_ns
            rounds += 1
        if change.paged and change.id not in pages:
            pages.add(change.id)
            later += change.sequence > 0
    return changes, rounds, len(pages), later, watch._budget.spent


def _failing(services: int, failing: int, seed: int, after: int) -> Iterator[Point]:
    """Each second a score of each of the services; from 3,000 on some of them pass .80 in place of .95."""
    rng = Random(seed)
    for number in range(3000 + after):
        at = _START + number * 60 * _SECOND
        for service in range(services):
            good = rng.random() < (0.80 if service < failing and number >= 3000 else 0.95)
            yield _point(at, good, f"s{service}")


def who_is_told(seeds: int) -> Iterator[str]:
    yield "### Services that fail together: scores of each until somebody is paged\n"
    yield "| fail, of 20 | the first page | every service paged or named: median | 90% | paged itself: median | 90% |"
    yield "|---|---|---|---|---|---|"
    for failing in (1, 2, 5, 20):
        first, named, paged = list[int](), list[int](), list[int]()
        for seed in range(seeds):
            watch, its_name, its_page = _watcher(("service",), "1 per week"), dict[str, int](), dict[str, int]()
            for point, change in _told(watch, _failing(20, failing, seed, 600)):
                since = (point.at_ns - _START) // (60 * _SECOND) - 3000
                if since >= 0 and change.paged:
                    its_page.setdefault(change.slice["service"], since)
                    for one in (change, *change.companions):
                        its_name.setdefault(one.slice["service"], since)
            failed = [f"s{service}" for service in range(failing)]
            named += [its_name.get(service, 600) for service in failed]
            paged += [its_page.get(service, 600) for service in failed]
            first.append(min(its_page.values(), default=600))
        cells = [f"{np.median(first):.0f}"]
        cells += [f"{np.quantile(times, part):.0f}" for times in (named, paged) for part in (0.5, 0.9)]
        yield f"| {failing} | " + " | ".join(cells) + " |"
    yield f"\nFrom .95 to .80, a score of each service a minute, at 1 false page a week; {seeds} streams each."


def main() -> None:
    for table in (for_nothing(120_000, 8), who_is_told(20)):
        printed(table)


if __name__ == "__main__":
    main()
