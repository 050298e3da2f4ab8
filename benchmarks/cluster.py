"""What workers on a Kafka cluster do, one and two of them, and how the work of a topic scales with them.

    python -m benchmarks.cluster [--traces 6000] [--workers 1 2]

The same traces are put into the topic at once, for workers of the role `score`. On a machine that is full with its
broker and a worker, a second worker cannot halve the time: the spans per CPU-second of the workers tell whether sharing
the work costs any. The last line has both ratios; the broker's own CPU is told too.
"""

import argparse
import tempfile
import time
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

from benchmarks.service import bodies, cpu_seconds, resident_mib
from collector.core.engine import SPANS, TRACES_KIND
from collector.engines.kafka_append import KIND_HEADER
from collector.wire.route import route
from tests.real.cluster import QUICK_BROKER, Cluster, cluster
from tests.real.parts.kafka import KafkaBroker, kafka_broker
from tests.real.parts.process import wait_until

_NS = 1_000_000_000
_PARTITIONS = 4


def main() -> None:
    parser = argparse.ArgumentParser(description="Throughput of workers on a Kafka cluster.")
    parser.add_argument("--traces", type=int, default=6000)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    given = parser.parse_args()
    rates: dict[int, tuple[float, float]] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="driftline-bench-")))
        broker = stack.enter_context(kafka_broker(folder / "broker", QUICK_BROKER))
        for workers in given.workers:
            rates[workers] = measure(broker, folder / f"{workers}", workers, given.traces)
    first = given.workers[0]
    for workers in given.workers[1:]:
        for_cpu, in_time = (mine / theirs for mine, theirs in zip(rates[workers], rates[first], strict=True))
        told = f"{for_cpu:.2f} times the work for the same CPU, {in_time:.2f} in the same time"
        print(f"{workers} workers against {first}: {told}")


def measure(broker: KafkaBroker, folder: Path, workers: int, traces: int) -> tuple[float, float]:
    """Spans per CPU-second, and per second, of so many workers; prints them and the rest."""
    folder.mkdir()
    document = {"alerts": {"log": False}, "store": {"retention": "30d"}}
    with cluster(broker, folder, f"bench-{workers}", document, _PARTITIONS) as part:
        requests, spans = requests_of(traces)
        pids = [part.worker("score").process.pid for _ in range(workers)]
        before = sum(map(cpu_seconds, pids))
        broker_before, began = cpu_seconds(broker.process.pid), time.monotonic()
        fill(part, requests)
        wait_until(lambda: evaluated(part) >= traces, "every trace", 600, every_seconds=0.5)
        took, used = time.monotonic() - began, sum(map(cpu_seconds, pids)) - before
        print(
            f"{workers} worker{'s' * (workers > 1)}: {spans / used:,.0f} spans/CPU-s, {spans / took:,.0f} spans/s, "
            f"{max(map(resident_mib, pids)):.0f} MiB; the broker took "
            f"{(cpu_seconds(broker.process.pid) - broker_before) / used:.2f} of their CPU",
            flush=True,
        )
    return spans / used, spans / took


def requests_of(traces: int) -> tuple[list[tuple[int, bytes]], int]:
    """Requests as a receiver would put them into the inbox, with the partition of each; how many spans there are."""
    found: list[tuple[int, bytes]] = []
    spans = 0
    for body, count in bodies(traces, time.time_ns() - traces * _NS - 60 * _NS):
        found += route(TRACES_KIND, body, _PARTITIONS)
        spans += count
    return found, spans


def fill(part: Cluster, requests: Iterable[tuple[int, bytes]]) -> None:
    headers = [(KIND_HEADER, TRACES_KIND.encode())]
    with part.broker.producer(linger_ms=20, batch_size=2**18) as producer:
        for number, body in requests:
            producer.send(part.topic(SPANS), body, partition=number, headers=headers)
        producer.flush(timeout=60)


def evaluated(part: Cluster) -> int:
    return round(sum(one.total("driftline_traces_total") for one in part.workers))


if __name__ == "__main__":
    main()
