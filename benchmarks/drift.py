"""How well the detectors keep their word: false alarms, delays, intervals, the budget, and time per update.

    python -m benchmarks.drift            # all of it, half an hour, and writes the tables of docs/drift.md
    python -m benchmarks.drift --quick    # a fifth of the streams; only prints

Everything is seeded.
"""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import numpy as np

from benchmarks.detectors import delays, false_alarms, frozen, passes, ramps, rare_alarms, seasons
from benchmarks.pages import for_nothing, who_is_told
from benchmarks.tables import printed, replaced
from collector.core.telemetry import Telemetry
from drift.bank import MeanBank
from drift.base import Metric, Point
from drift.detectors.mean import MeanDetector
from drift.detectors.river_adwin import AdwinDetector
from drift.detectors.river_page_hinkley import PageHinkleyDetector
from drift.estimate import Sums
from drift.monitor import MonitorConfig, Watcher
from drift.onset import Candidate, locate
from drift.testing import rounds_found

DOCS = Path(__file__).parent.parent / "docs" / "drift.md"


def intervals(streams: int) -> Iterator[str]:
    yield "### Onset and size at the alarm, run length 1e5: how often the 95% intervals hold the truth\n"
    yield "| from, to | onset set | size | median error of the onset | bias of the size |\n|---|---|---|---|---|"
    for name, before, after in (("rate .95, .80", 0.95, 0.80), ("rate .95, .90", 0.95, 0.90)):
        rng, onset_held, size_held, errors, sizes = Random(4), 0, 0, [], []
        for _ in range(streams):
            watch, seen, prior = MeanDetector(), list[float](), Sums()
            watch.warmup([float(rng.random() < before) for _ in range(300)])
            change_at = 1000
            while watch.change is None and len(seen) < 6000:
                x = float(rng.random() < (before if len(seen) < change_at else after))
                seen.append(x)
                watch.update(x)
            if watch.change is None or len(seen) <= change_at:
                continue
            found = locate(prior, [_point(at, x) for at, x in enumerate(seen)], "down")
            onset_held += found.low <= change_at <= found.high
            size_held += found.size.lower <= after - before <= found.size.upper
            errors.append(abs(found.best - change_at))
            sizes.append(found.size.value / (after - before))
        n = len(errors)
        cells = (f"{onset_held / n:.0%}", f"{size_held / n:.0%}", f"{np.median(errors):.0f}", f"x{np.mean(sizes):.2f}")
        yield (f"| {name} | " + " | ".join(cells) + " |")


def _point(at: int, x: float) -> Candidate:
    sums = Sums()
    sums.add(x, 1.0)
    return Candidate(at, sums)


def _traffic(
    points: int, gap_seconds: float, series: int, skewed: bool, bursty: bool, scores_each: int, seed: int
) -> Iterator[Point]:
    rng, at = Random(seed), 10**18
    names = [f"s{number}" for number in range(series)]
    picked = rng.choices(names, [1 / (k + 1) if skewed else 1 for k in range(series)], k=points)
    for number, name in enumerate(picked):
        if number % scores_each == 0:
            pace = (0.01, 1.99)[(number // 500) % 2] if bursty else 1.0
            at += round(rng.expovariate(1 / gap_seconds) * 1e9 * pace)
        good = rng.random() < 0.9
        yield Point("m", "t", "", at, float(good), good, 1.0, {"service": name, "version": str(number % 2)}, "e")


def budget(points: int) -> Iterator[str]:
    yield "### False alarms over the budget, whole watcher, nothing ever changes\n"
    yield "| traffic | false alarms | allowed |\n|---|---|---|"
    for name, by, series, skewed, bursty, scores_each in (
        ("50 series", ("service",), 50, False, False, 1),
        ("50 series, one in five of them most of the traffic", ("service",), 50, True, False, 1),
        ("50 series, traffic comes in bursts", ("service",), 50, False, True, 1),
        ("20 series, five scores a trace", ("service",), 20, False, False, 5),
        ("10 services, each with 2 versions", ("service", "version"), 10, False, False, 1),
    ):
        rule = MonitorConfig(watch="m", by=by, min_effect=0, direction="down")
        watch = Watcher([rule], "1 per hour", {"m": Metric("m", 0, 1, "higher")}, Telemetry())
        false, first, last = 0, None, 0
        for point in _traffic(points, 1.0 * scores_each, series, skewed, bursty, scores_each, 5):
            first, last = first or point.at_ns, point.at_ns
            false += sum(change.sequence == 0 for change in watch.update(point))
        yield f"| {name} | {false} | {(last - (first or 0)) / 3.6e12:.0f} |"


def together(seeds: int) -> Iterator[str]:
    yield "### 1,000 series of rate .95, some fall to .85; over all, one false page in 2,000 points of each\n"
    yield "| fall | alone: delay | false changes | rounds of 50 points: delay | false parts | false changes |"
    yield "|---|---|---|---|---|---|"
    for fall in (1, 10, 100, 300):
        cells = []
        for lasts in (0, 50):
            delay = parts = false = 0.0
            for seed in range(seeds):
                rng = np.random.default_rng(seed)
                warm, x = (passes(rng, 0.95, (1000, points)) for points in (1000, 2000))
                x[:fall, 1000:] = passes(rng, 0.85, (fall, 1000))
                changed = np.where(np.arange(1000) < fall, 1000, 10_000)
                rounds, first = rounds_found(warm, x, changed, 1 / 2000, lasts)
                parts += sum(sum(found) / len(found) for found in rounds) / seeds
                false += sum(map(sum, rounds)) / seeds
                delay += float(np.where(first[:fall] < 0, 1000, first[:fall] - 1000).mean()) / seeds
            cells += [f"{delay:.0f}", f"{false:.2f}"] if not lasts else [f"{delay:.0f}", f"{parts:.2f}", f"{false:.2f}"]
        yield (f"| {fall} | " + " | ".join(cells) + " |")
    yield (
        f"\nFalse ones are over the budget, with a standard error of {seeds**-0.5:.2f}; a miss counts as 1,000 points."
    )
    yield (
        "\nThe more series change, the sooner each is found, and the more false ones come with them: a few in 100 of"
        "\nwhat is told here."
    )


def speed() -> Iterator[str]:
    yield "### Time\n\n| | microseconds |\n|---|---|"
    rng = Random(6)
    values = [float(rng.random() < 0.95) for _ in range(50_000)]
    for name, watch in (
        ("one update of `mean`", MeanDetector(arl=1e200)),
        ("one update of `adwin`", AdwinDetector()),
        ("one update of `page_hinkley`", PageHinkleyDetector(threshold=1e9)),
    ):
        watch.warmup(values[:1000])
        began = time.perf_counter()
        for x in values:
            watch.update(x)
        yield f"| {name} | {(time.perf_counter() - began) / len(values) * 1e6:.1f} |"
    bank, rows = MeanBank(10_000), (np.random.default_rng(7).random((300, 10_000)) < 0.95) * 1.0
    bank.warmup(rows.T)
    began = time.perf_counter()
    for row in rows:
        bank.update(row)
    each = (time.perf_counter() - began) / rows.size * 1e6
    yield f"| one update in a bank of 10,000 `mean`, {bank.nbytes / len(bank):.0f} bytes each | {each:.2f} |"
    points = list(_traffic(50_000, 1.0, 1, False, False, 1, 7))
    rule = MonitorConfig(watch="m", by=("service", "version"))
    whole = Watcher([rule], "1 per week", {"m": Metric("m", 0, 1, "higher")}, Telemetry())
    began = time.perf_counter()
    for point in points:
        whole.update(point)
    each = (time.perf_counter() - began) / len(points) * 1e6
    yield f"| one point through the watcher, service and version | {each:.1f} |"


def tables(quick: bool) -> tuple[Iterator[str], ...]:
    share = 5 if quick else 1
    return (
        false_alarms(400 // share),
        rare_alarms(4000 // share),
        delays(800 // share),
        ramps(320 // share),
        seasons(300 // share),
        frozen(200 // share),
        intervals(300 // share),
        budget(300_000 // share),
        for_nothing(120_000 // share, 8),
        who_is_told(20 // share),
        together(20 // share),
        speed(),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a fifth of the streams, and the documentation stays")
    quick = parser.parse_args().quick
    for table in tables(quick):
        lines = printed(table)
        if not quick:
            DOCS.write_text(replaced(DOCS.read_text(), lines))


if __name__ == "__main__":
    main()
