"""How soon a regression of a combination is found, and what watching all combinations costs in false alarms and time.

    python -m benchmarks.combinations            # some 10 minutes of one core
    python -m benchmarks.combinations --seeds 4

Everything is seeded. One service, a trace a second, 5 models, 5 languages and 4 tools of unequal shares, 1 false page a
week. The pair of the third model and the third language is 2.1% of the traffic. The streams are none of those that the
method was built on.
"""

import argparse
import time
from collections.abc import Iterator
from random import Random
from statistics import quantiles
from typing import Any

from collector.core.telemetry import Telemetry
from drift.base import Change, Metric, Point
from drift.monitor import MonitorConfig, Watcher

_SECOND = 10**9
_START = 1_790_000_000 * _SECOND
_SHARES = {"model": (0.4, 0.3, 0.14, 0.1, 0.06), "language": (0.5, 0.2, 0.15, 0.1, 0.05), "tool": (0.4, 0.3, 0.2, 0.1)}
_BEFORE, _AFTER = 20_000, 30_000
_FIRST_SEED, _FIRST_QUIET_SEED = 7_000, 9_000
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


def traffic(seed: int, numbers: range, good: float, bad: float) -> Iterator[Point]:
    """The traces of these numbers; from `_BEFORE` on those of the pair pass with `bad`."""
    for number in numbers:
        rng = Random(seed * 1_000_000 + number)
        slices = {"service": "shop"}
        for name, shares in _SHARES.items():
            slices[name] = rng.choices([f"{name}{place}" for place in range(len(shares))], shares)[0]
        ill = number >= _BEFORE and _PAIR.items() <= slices.items()
        passed = rng.random() < (bad if ill else good)
        at_ns = _START + number * _SECOND
        yield Point("good", f"{seed}-{number}", "", at_ns, float(passed), passed, 1.0, slices, "e")


def state_before(rules: list[dict[str, Any]], seed: int) -> dict[str, bytes]:
    """What a watcher knows when the pair is about to fall."""
    watch = watcher(rules, "1 per week")
    for point in traffic(seed, range(_BEFORE), 0.95, 0.95):
        watch.update(point)
    return {key: value for key, value in watch.take_state().items() if value is not None}


def first_page(watch: Watcher, seed: int, bad: float) -> Change | None:
    """The first page of a change that is found when the pair has changed."""
    for point in traffic(seed, range(_BEFORE, _BEFORE + _AFTER), 0.95, bad):
        for change in watch.update(point):
            if change.paged and change.sequence == 0:
                return change
    return None


def delays(seeds: int) -> None:
    print(f"\n## Delay of a drop from .95 in a pair of 2.1% of the traffic, {seeds} streams each\n")
    print("| to | watched | points of all traffic: median | quartiles | of the pair | not found | names the pair |")
    print("|---|---|---|---|---|---|---|")
    every = range(_FIRST_SEED, _FIRST_SEED + seeds)
    known = {name: [state_before(rules, seed) for seed in every] for name, rules in _RULES.items()}
    for bad in (0.8, 0.7, 0.5):
        for name, rules in _RULES.items():
            pages = []
            for seed, state in zip(every, known[name], strict=True):
                watch = watcher(rules, "1 per week")
                watch.restore(state)
                pages.append(first_page(watch, seed, bad))
            late = [(page.detected_ns - _START) // _SECOND - _BEFORE if page else _AFTER for page in pages]
            missed = pages.count(None)
            named = sum(page is not None and _PAIR.items() <= page.slice.items() for page in pages)
            low, middle, high = quantiles(late, n=4, method="inclusive")
            points = f"{middle:.0f} | {low:.0f} to {high:.0f} | {middle * 0.021:.0f}"
            print(f"| {bad} | {name} | {points} | {missed} | {named} of {seeds} |", flush=True)


def false_alarms(seeds: int) -> None:
    print("\n## Where nothing changes: 20,000 points each, 1 false page an hour, whatever its size\n")
    print("| watched | false pages | of combinations | allowed |\n|---|---|---|---|")
    for name, rules in _RULES.items():
        found, combined = 0, 0
        for seed in range(_FIRST_QUIET_SEED, _FIRST_QUIET_SEED + seeds):
            watch = watcher(rules, "1 per hour", min_effect=0)
            told = [change for point in traffic(seed, range(20_000), 0.9, 0.9) for change in watch.update(point)]
            pages = {change.id: change for change in told if change.paged}.values()
            found, combined = found + len(pages), combined + sum(len(page.slice) > 2 for page in pages)
        print(f"| {name} | {found} | {combined} | {seeds * 20_000 / 3600:.0f} |", flush=True)


def speed() -> None:
    print("\n## Time of a point\n\n| watched | series | microseconds |\n|---|---|---|")
    for name, rules in _RULES.items():
        watch, points = watcher(rules, "1 per week"), list(traffic(_FIRST_SEED, range(20_000), 0.95, 0.95))
        began = time.perf_counter()
        for point in points:
            watch.update(point)
        each = (time.perf_counter() - began) / len(points) * 1e6
        print(f"| {name} | {len(watch.status())} | {each:.0f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", type=int, default=20, help="streams for each row (20 if left out, 2 at least)")
    seeds = parser.parse_args().seeds
    speed()
    delays(seeds)
    false_alarms(seeds)


if __name__ == "__main__":
    main()
