"""How large a deployment is: partitions, workers, brokers, state, and what a rebalance has to move.

    python -m benchmarks.scaling [--spans-per-second 1000000] [--revision-window 60] [--spans-per-cpu-second 4000] ...

What a trace costs in each log is measured here, by sending some through the real pipeline. What a partition holds is
found by running its assembler over simulated time at its share of the traffic: how many traces are open or revisable,
their bytes, and how far back the oldest record lies that a worker which takes it over has to read again. The rest is
arithmetic, printed line by line.
"""

import argparse
import math
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

from benchmarks.service import bodies
from collector.assemble import Assembler
from collector.assemble_config import AssembleConfig
from collector.core.engine import DECISIONS, SCORES, SPANS, TICK_KIND, TRACES_KIND, Record
from collector.core.model import Origin, SpanSlice
from collector.core.telemetry import Telemetry
from collector.engines.sqlite_reader import read_log
from driftline.build import build
from driftline.commands.replay import offline
from driftline.config import Config
from driftline.stages.score_worker import END_OF_INPUT, memory_to_bytes

_NS = 1_000_000_000
_START_NS = 1_750_000_000 * _NS
_MEASURED_TRACES = 600
_SPANS_PER_TRACE = 4
_KEY_BYTES = 40  # of a trace's state: its prefix and the id in hexadecimal
_RECORD_BYTES = 70  # what a record adds to its value in a topic's batch, key and headers included
_FETCH_MB_PER_SECOND = 50.0  # of one kafka-python consumer, with some of its CPU left for work
_BROKER_MB_PER_SECOND = 100.0  # written by one broker with three copies of everything, on usual disks and network
_COPIES = 3
# CPU a trace of 4 spans, by thread of `benchmarks.service`, in microseconds: what the other roles take.
_RECEIVE_US, _SPLIT_US, _WATCH_US, _VIEW_US = 60.0, 25.0, 100.0, 120.0


@dataclass(frozen=True, slots=True)
class Holding:
    """What one partition of the spans holds, in the steady state."""

    open_traces: int
    revisable_traces: int
    held_bytes: int
    state_bytes: int
    reread_seconds: float  # of traffic, between the oldest record still needed and the newest


def log_bytes_per_trace() -> dict[str, float]:
    """Measured: what a trace takes in each log."""
    with tempfile.TemporaryDirectory(prefix="driftline-scaling-") as folder:
        config = offline(Config(), Path(folder))
        service = build(config)
        traffic = [Record(body, kind=TRACES_KIND) for body, _ in bodies(_MEASURED_TRACES, _START_NS)]
        service.engine.append(SPANS, [*traffic, Record(END_OF_INPUT, kind=TICK_KIND)]).result()
        service.stages[0].drain()  # and no further: what was read is trimmed
        sizes = {SPANS: sum(len(record.value) for record in traffic) / _MEASURED_TRACES}
        for log in (DECISIONS, SCORES):
            sizes[log] = sum(len(entry.value) for entry in read_log(config.store.path, log)) / _MEASURED_TRACES
        service.stop()
    return sizes


def hold(rate: float, window_seconds: float, quiet_seconds: float, span_bytes: int, seed: int = 1) -> Holding:
    """Run the assembler of a partition that has `rate` traces a second until it holds as much as it ever will."""
    config = AssembleConfig.model_validate({"quiet": f"{quiet_seconds}s", "revision_window": f"{window_seconds}s"})
    assembler = Assembler(config, Telemetry())
    state: dict[bytes, int] = {}
    written: list[int] = []  # when each record was
    for at_ns, slices in _traffic(rate, 3 * (window_seconds + quiet_seconds) + 30, span_bytes, Random(seed)):
        written.append(at_ns)
        assembler.add_spans(len(written) - 1, slices)
        for ready in assembler.ready():
            assembler.scored(ready, 0xFFF)
        for trace_id, memory in assembler.take_memories().items():
            if memory is None:
                state.pop(trace_id, None)
            else:
                state[trace_id] = len(memory_to_bytes(memory)) + _KEY_BYTES + _RECORD_BYTES
    oldest = min(assembler.low_watermark(), len(written) - 1)
    reread = (written[-1] - written[oldest]) / _NS
    held = sum(1 for _ in state)
    return Holding(assembler.open_traces, held, assembler.held_bytes, sum(state.values()), reread)


def _traffic(rate: float, seconds: float, span_bytes: int, rng: Random) -> Iterator[tuple[int, list[SpanSlice]]]:
    """Records of one second each, as a receiver writes them: traces of some seconds, all spans when they have ended."""
    origin = Origin(b"", b"")
    raw = bytes(span_bytes)
    ending: dict[int, list[SpanSlice]] = {}
    number = 0
    for second in range(round(seconds)):
        at_ns = _START_NS + second * _NS
        for _ in range(_poisson(rng, rate)):
            number += 1
            trace_id, lasts = number.to_bytes(16, "big"), rng.lognormvariate(1.0, 0.7)  # 2.7 s in the middle
            for place in range(_SPANS_PER_TRACE):
                end_ns = at_ns + round(lasts * _NS)
                parent = (1).to_bytes(8, "big") if place else b""
                one = SpanSlice(trace_id, (place + 1).to_bytes(8, "big"), parent, at_ns, end_ns, 0, "", raw, origin)
                ending.setdefault(second + math.ceil(lasts), []).append(one)
        yield at_ns, ending.pop(second, [])


def _poisson(rng: Random, mean: float) -> int:
    return (
        max(0, round(rng.gauss(mean, math.sqrt(mean))))
        if mean > 30
        else sum(rng.random() < mean / 100 for _ in range(100))
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="How large a deployment is.")
    parser.add_argument("--spans-per-second", type=float, default=1_000_000)
    parser.add_argument("--sampled", type=float, default=1.0, help="share of the traces that is scored")
    parser.add_argument("--revision-window", type=float, default=60, help="seconds")
    parser.add_argument("--quiet", type=float, default=5, help="seconds")
    parser.add_argument("--spans-per-cpu-second", type=float, default=4000, help="of a worker, everything scored")
    parser.add_argument("--load", type=float, default=0.6, help="share of a core that a worker uses: room to catch up")
    parser.add_argument("--core-month", type=float, default=25.0, help="price of a core for a month")
    given = parser.parse_args()
    sizes = log_bytes_per_trace()
    traces = given.spans_per_second / _SPANS_PER_TRACE
    sampled = traces * given.sampled
    cpu_us = _SPANS_PER_TRACE / given.spans_per_cpu_second * 1e6
    workers = math.ceil((traces * _SPLIT_US + sampled * (cpu_us - _SPLIT_US)) / 1e6 / given.load)
    partitions = 2 ** math.ceil(math.log2(workers * 1.5))
    span_bytes = round(sizes[SPANS] / _SPANS_PER_TRACE)
    held = hold(sampled / partitions, given.revision_window, given.quiet, span_bytes)
    write_mb = (sizes[SPANS] * traces + (sizes[DECISIONS] + sizes[SCORES]) * sampled) / 1e6
    brokers = math.ceil(write_mb / _BROKER_MB_PER_SECOND) + 1
    reread_mb = held.reread_seconds * traces / partitions * sizes[SPANS] / 1e6
    share = partitions / workers

    def line(what: str, value: str, how: str) -> None:
        print(f"{what:34} {value:>16}   {how}")

    print("measured, bytes a trace of 4 spans: " + ", ".join(f"{log} {size:,.0f}" for log, size in sizes.items()))
    line("traces a second", f"{traces:,.0f}", f"{given.spans_per_second:,.0f} spans / {_SPANS_PER_TRACE}")
    line(
        "score workers (a core each)",
        f"{workers:,}",
        f"({traces:,.0f} x {_SPLIT_US:.0f} us read, {sampled:,.0f} x {cpu_us:,.0f} us scored) / {given.load:g} load",
    )
    receivers = math.ceil(traces * _RECEIVE_US / 1e6 / given.load)
    watchers = math.ceil(sampled * _WATCH_US / 1e6 / given.load)
    line("receivers", f"{receivers:,}", f"{traces:,.0f} traces x {_RECEIVE_US:.0f} us / {given.load:g} load")
    line("watch workers", f"{watchers:,}", f"{sampled:,.0f} scored traces x {_WATCH_US:.0f} us / {given.load:g} load")
    line("partitions", f"{partitions:,}", "a power of two, at least 1.5 a worker")
    line("written, before copies", f"{write_mb:,.0f} MB/s", "spans of all traces; decisions and scores of the sampled")
    line("brokers", f"{brokers:,}", f"{_BROKER_MB_PER_SECOND:.0f} MB/s each with {_COPIES} copies, and one to spare")
    line("a partition: open traces", f"{held.open_traces:,}", "simulated")
    line(
        "a partition: revisable traces", f"{held.revisable_traces:,}", f"simulated, window {given.revision_window:g} s"
    )
    line("a partition: memory", f"{held.held_bytes / 1e6:,.1f} MB", "spans of both")
    line("a partition: state topic", f"{held.state_bytes / 1e6:,.2f} MB", "after compaction")
    line("a partition: read again", f"{reread_mb:,.1f} MB", f"{held.reread_seconds:.0f} s of its traffic, if it moves")
    line("a worker: memory", f"{share * held.held_bytes / 1e6 + 80:,.0f} MB", f"{share:.1f} partitions, and 80 MB idle")
    move = share * (reread_mb + held.state_bytes / 1e6)
    busy = sampled * _VIEW_US / 1e6
    line(
        "a view: of one core", f"{busy:,.2f}", f"{sampled:,.0f} x {_VIEW_US:.0f} us; it is one thread: over 1 cannot be"
    )
    line(
        "a view: growth a day",
        f"{sampled * sizes[DECISIONS] * 1.5 * 86400 / 1e9:,.0f} GB",
        "decisions, and half of it for indexes",
    )
    line("a worker that dies: moved", f"{move:,.0f} MB", "its partitions, to all others")
    line(
        "  until they are at work again",
        f"{move / share / _FETCH_MB_PER_SECOND + 20:,.0f} s",
        "20 s to miss it, then reading",
    )
    cores = workers + receivers + watchers + 4 * brokers
    line("cost a month", f"{cores * given.core_month:,.0f}", f"{cores:,} cores (4 a broker) x {given.core_month:g}")
    line("  for a million spans", f"{cores * given.core_month / (given.spans_per_second * 30 * 86400 / 1e6):.4f}", "")


if __name__ == "__main__":
    main()
