"""How soon a regression of a combination is found, and what watching all combinations costs in false alarms and time.

    python -m benchmarks.combinations            # some 20 minutes
    python -m benchmarks.combinations --seeds 4

Everything is seeded. One service, a trace a second, 5 models, 5 languages and 4 tools of unequal shares, 1 false page a
week. The pair of the third model and the third language is 2.1% of the traffic.
"""

import argparse
import time
from collections.abc import Iterator
from random import Random
from statistics import median
from typing import Any

from collector.core.telemetry import Telemetry
from drift.base import Change, Metric, Point
from drift.monitor import MonitorConfig, Watcher

_SECOND = 10**9
_START = 1_790_000_000 * _SECOND
_SHARES = {"model": (0.4, 0.3, 0.14, 0.1, 0.06), "language": (0.5, 0.2, 0.15, 0.1, 0.05), "tool": (0.4, 0.3, 0.2, 0.1)}
_BEFORE, _AFTER = 20_000, 30_000
_PAIR = {"model": "model2", "language": "language2"}
_SINGLE: list[dict[str, Any]] = [{"watch": "good", "name": name, "by": ["service", name]} for name in _SHARES]
_RULES: dict[str, list[dict[str, Any]]] = {
    "single attributes": _SINGLE,
    "pairs": [{"watch": "good", "by": ["service", *_SHARES], "combinations": 2}],
    "triples": [{"watch": "good", "by": ["service", *_SHARES], "combinations": 3}],
}


def watcher(rules: list[dict[str, Any]], false_pages: str, **more: Any) -> Watcher:
    configs = [MonitorConfig(**{**rule, **more}) for rule in rules]
    return Watcher(configs, false_pages, {"good": Metric("good", 0.0, 1.0, "higher")}, Telemetry())


def traffic(seed: int, before: int, after: int, good: float, bad: float) -> Iterator[Point]:
    rng = Random(seed)
    for number in range(before + after):
        slices = {"service": "shop"}
        for name, shares in _SHARES.items():
            slices[name] = rng.choices([f"{name}{place}" for place in range(len(shares))], shares)[0]
        ill = number >= before and _PAIR.items() <= slices.items()
        passed = rng.random() < (bad if ill else good)
        at_ns = _START + number * _SECOND
        yield Point("good", f"{seed}-{number}", "", at_ns, float(passed), passed, 1.0, slices, "e")


def first_page(watch: Watcher, seed: int, bad: float) -> Change | None:
    """The first page of a change that began when the pair did, or later."""
    for point in traffic(seed, _BEFORE, _AFTER, 0.95, bad):
        for change in watch.update(point):
            if change.paged and change.sequence == 0 and change.detected_ns >= _START + _BEFORE * _SECOND:
                return change
    return None


def delays(seeds: int) -> None:
    print(f"\n## Delay of a drop from .95 in a pair of 2.1% of the traffic, {seeds} streams each\n")
    print("| to | watched | points of all traffic: median | of the pair | not found in 30,000 | names the pair |")
    print("|---|---|---|---|---|---|")
    for bad in (0.8, 0.7, 0.5):
        for name, rules in _RULES.items():
            pages = [first_page(watcher(rules, "1 per week"), seed, bad) for seed in range(seeds)]
            late = [(page.detected_ns - _START) // _SECOND - _BEFORE if page else _AFTER for page in pages]
            missed, named = (
                pages.count(None),
                sum(page is not None and _PAIR.items() <= page.slice.items() for page in pages),
            )
            points = f"{median(late):.0f} | {median(late) * 0.021:.0f}"
            print(f"| {bad} | {name} | {points} | {missed} | {named} of {seeds} |", flush=True)


def false_alarms(seeds: int) -> None:
    print("\n## False alarms where nothing changes, 20,000 points each, 1 an hour, whatever their size\n")
    print("| watched | false alarms | of combinations | allowed |\n|---|---|---|---|")
    for name, rules in _RULES.items():
        found, combined = 0, 0
        for seed in range(1000, 1000 + seeds):
            watch = watcher(rules, "1 per hour", min_effect=0)
            opened = [c for point in traffic(seed, 20_000, 0, 0.9, 0.9) for c in watch.update(point) if not c.sequence]
            found, combined = found + len(opened), combined + sum(len(change.slice) > 2 for change in opened)
        print(f"| {name} | {found} | {combined} | {seeds * 20_000 / 3600:.0f} |", flush=True)


def speed() -> None:
    print("\n## Time of a point\n\n| watched | series | microseconds |\n|---|---|---|")
    for name, rules in _RULES.items():
        watch, points = watcher(rules, "1 per week"), list(traffic(7, 20_000, 0, 0.95, 0.95))
        began = time.perf_counter()
        for point in points:
            watch.update(point)
        each = (time.perf_counter() - began) / len(points) * 1e6
        print(f"| {name} | {len(watch.status())} | {each:.0f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", type=int, default=20, help="streams for each row (20 if left out)")
    seeds = parser.parse_args().seeds
    speed()
    delays(seeds)
    false_alarms(seeds)


if __name__ == "__main__":
    main()
