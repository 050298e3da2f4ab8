"""A scrape of many series, and what it costs those who send spans meanwhile.

    python -m benchmarks.scrape [--series 100000] [--scrapes 5]

A real service runs in this process, its registry filled through the instruments' own calls. Another process sends small
OTLP requests one after another and times each, first alone (quiet), then while a third scrapes without a pause. The
numbers to compare are the ratios: the slowest request during scrapes to the slowest without, and the first scrape
(which writes every label set) to the later ones.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx

from benchmarks.service import bodies
from collector.core.telemetry import Exemplar, Telemetry
from driftline.build import build
from driftline.config import Config

_NS = 1_000_000_000
_ACCEPT = "application/openmetrics-text; version=1.0.0"
_BUCKETS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
_PER_HISTOGRAM = len(_BUCKETS) + 3  # +Inf, count, sum


def fill(telemetry: Telemetry, series: int) -> None:
    """Half of the series in histograms with exemplars, the rest in counters and gauges of three labels."""
    labels, at = ["scorer", "service", "version"], 0
    exemplar = Exemplar("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", 0.25, time.time_ns())
    while at < series:
        number = at // 10_000
        counter = telemetry.counter(f"driftline_bench{number}_scores", "Scores.", labels)
        gauge = telemetry.gauge(f"driftline_bench{number}_estimate_ratio", "Estimate.", labels, unit="ratio")
        histogram = telemetry.histogram(
            f"driftline_bench{number}_score_ratio", "Scores.", labels, buckets=_BUCKETS, unit="ratio"
        )
        for one in range(5_000 // 2):
            counter.add(one, "groundedness", f"service-{one % 50}", f"1.{one}")
            gauge.set(one / 7, "groundedness", f"service-{one % 50}", f"1.{one}")
        for one in range(5_000 // _PER_HISTOGRAM):
            values = [position / 10 for position in range(11)]
            histogram.observe_all(
                values, "groundedness", f"service-{one % 50}", f"1.{one}", exemplars=[exemplar] * len(values)
            )
        at += 10_000


def send(address: str, seconds: float) -> None:
    """Small requests one after another; prints what each took, in seconds."""
    traffic = [body for body, _ in bodies(600, time.time_ns() - 600 * _NS)]
    took: list[float] = []
    headers = {"content-type": "application/x-protobuf"}
    until = time.monotonic() + seconds
    with httpx.Client(base_url=f"http://{address}", headers=headers, timeout=60) as client:
        while time.monotonic() < until:
            began = time.perf_counter()
            client.post("/v1/traces", content=traffic[len(took) % len(traffic)]).raise_for_status()
            took.append(time.perf_counter() - began)
            time.sleep(0.05)
    print(json.dumps(took))


def scrape(address: str, scrapes: int) -> None:
    """Scrapes one after another; prints what each took, and the number of samples of the last."""
    took, samples = [], 0
    with httpx.Client(timeout=60, headers={"accept": _ACCEPT}) as client:
        for _ in range(scrapes):
            began = time.perf_counter()
            page = client.get(f"http://{address}/metrics").raise_for_status().content
            took.append(time.perf_counter() - began)
            samples = sum(not line.startswith(b"#") for line in page.splitlines())
    print(json.dumps([took, samples, len(page)]))


def _start(role: str, address: str, amount: float) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "benchmarks.scrape", "--as", role, "--to", address, "--amount", str(amount)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def _answer(process: "subprocess.Popen[str]") -> list[float]:
    said, _ = process.communicate()
    if process.returncode:
        raise SystemExit(process.returncode)
    result: list[float] = json.loads(said)
    return result


def _tell(name: str, took: list[float]) -> None:
    ordered = sorted(took)
    middle, high = ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.99)]
    print(
        f"{name:24}{len(took):6} requests   median {1000 * middle:7.1f} ms   p99 {1000 * high:7.1f} ms"
        f"   slowest {1000 * ordered[-1]:7.1f} ms"
    )


def measure(series: int, scrapes: int) -> None:
    with tempfile.TemporaryDirectory(prefix="driftline-bench-") as folder:
        listen = {"otlp_http": "127.0.0.1:0", "otlp_grpc": None, "web": "127.0.0.1:0"}
        service = build(Config.model_validate({"listen": listen, "store": {"path": str(Path(folder) / "bench.db")}}))
        service.start()
        try:
            fill(service.telemetry, series)
            addresses = service.addresses
            quiet = _answer(_start("sender", addresses["otlp_http"], 6))
            sender = _start("sender", addresses["otlp_http"], 6 + scrapes)
            time.sleep(1)
            took, samples, size = _answer(_start("scraper", addresses["web"], scrapes))  # type: ignore[misc]
            meanwhile = _answer(sender)
        finally:
            service.stop()
    print(f"{samples} samples, {size / 2**20:.1f} MiB, OpenMetrics with exemplars")  # type: ignore[operator]
    first, *later = took  # type: ignore[misc]
    print(f"scrapes: first {first:.2f} s, then {min(later):.2f} to {max(later):.2f} s ({first / min(later):.1f} : 1)")
    _tell("requests, no scrape", quiet)
    _tell("requests during scrapes", meanwhile)
    print(f"slowest during scrapes to slowest without: {max(meanwhile) / max(quiet):.1f} : 1")


def main() -> None:
    parser = argparse.ArgumentParser(description="What a scrape of many series costs.")
    parser.add_argument("--series", type=int, default=100_000)
    parser.add_argument("--scrapes", type=int, default=6)
    parser.add_argument("--as", dest="role", choices=["sender", "scraper"], help=argparse.SUPPRESS)
    parser.add_argument("--to", help=argparse.SUPPRESS)
    parser.add_argument("--amount", type=float, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.role == "sender":
        send(given.to, given.amount)
    elif given.role == "scraper":
        scrape(given.to, int(given.amount))
    else:
        measure(given.series, max(2, given.scrapes))


if __name__ == "__main__":
    main()
