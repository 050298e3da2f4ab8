"""What moved when a level did. Each case moves one thing in simulated traffic, which is watched whole."""

from collections import Counter
from collections.abc import Callable, Iterator
from random import Random

import pytest

from collector.core.telemetry import Telemetry
from drift.base import Change, Metric, Point
from drift.monitor import MonitorConfig, Watcher
from drift.moved import mix_part
from drift.recent import Mix

SECOND = 10**9
CHANGE_AT = 2000
LEVELS = {"easy": 0.98, "hard": 0.70}

Case = Callable[[Random, bool], Point]


def point(rng: Random, hard: float, worse: float = 0.0, evaluator: str = "e1", version: str = "1") -> Point:
    kind = "hard" if rng.random() < hard else "easy"
    good = rng.random() < LEVELS[kind] - worse
    slices = {"service": "shop", "kind": kind, "version": version}
    return Point("m", f"{rng.getrandbits(64):032x}", "", 0, float(good), good, 1.0, slices, evaluator)


def sampled(rng: Random, after: bool) -> Point:
    """Failures are kept always; passes at .9 before, and then at .01, so that their weight has to be capped."""
    keep = 0.01 if after else 0.9
    while True:
        one = point(rng, 0.2)
        probability = keep if one.passed else 1.0
        if rng.random() < probability:
            one.probability = probability
            return one


CASES: dict[str, Case] = {
    "application": lambda rng, after: point(rng, 0.2, 0.2 if after else 0.0),
    "application, by a version": lambda rng, after: point(
        rng, 0.2, *((0.35, "e1", "2") if after and rng.random() < 0.6 else (0.0, "e1", "1"))
    ),
    "traffic": lambda rng, after: point(rng, 0.9 if after else 0.2),
    "evaluator": lambda rng, after: point(rng, 0.2, *((0.2, "e2") if after else (0.0, "e1"))),
    "sampling": sampled,
}


def changes(case: Case, seed: int) -> Iterator[Change]:
    rng = Random(seed)
    rule = MonitorConfig(watch="m", by=("service",), min_effect=0)
    watch = Watcher([rule], "1 per week", {"m": Metric("m", 0, 1, "higher")}, Telemetry())
    for number in range(CHANGE_AT + 400):
        one = case(rng, number >= CHANGE_AT)
        one.at_ns = 1_700_000_000 * SECOND + number * 10 * SECOND
        yield from watch.update(one)


@pytest.mark.parametrize("name", CASES)
def test_what_moved_is_told_from_what_did_not(name: str) -> None:
    """12 streams each; the change as it is known last. One in twelve is a standard error of 8% at most."""
    told: Counter[str] = Counter()
    for seed in range(12):
        found = [change for change in changes(CASES[name], seed) if change.status == "active"]
        if found:
            told[found[-1].moved] += 1
    assert sum(told.values()) >= 10
    assert told[name.partition(",")[0]] >= 0.9 * sum(told.values()), told


def test_the_part_of_the_traffic_adds_up() -> None:
    before, after = Mix(), Mix()
    before.values = {"kind": {"easy": [80.0, 80.0], "hard": [20.0, 10.0]}}
    after.values = {"kind": {"easy": [20.0, 20.0], "hard": [80.0, 40.0]}}
    assert mix_part(before, after, "kind") == pytest.approx(1.0)
    after.values = {"kind": {"easy": [80.0, 40.0], "hard": [20.0, 10.0]}}
    assert mix_part(before, after, "kind") == pytest.approx(0.0)
    after.values = {"kind": {"newcomer": [100.0, 0.0]}}
    assert mix_part(before, after, "kind") == 0.0
    assert mix_part(before, after, "unknown") == 0.0
