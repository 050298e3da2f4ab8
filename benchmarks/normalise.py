"""Spans per CPU-second for decoding and normalising, over recorded bodies of every dialect.

    python benchmarks/normalise.py [FOLDER]

FOLDER holds recordings in one folder a dialect; the default are those of the tests. Prints, per dialect and in all, the
CPU microseconds a span costs to decode, and to decode and normalise, beside what protobuf alone takes to parse it (the
building block that bounds both).
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path

from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanMessage

from collector.core.engine import TRACES_KIND
from collector.core.model import LogSlice, SpanSlice
from collector.normalise import normalise
from collector.wire.decode import decode_log, decode_span
from collector.wire.read import read_bodies
from collector.wire.split import split_logs, split_traces

DEFAULT_FOLDER = Path(__file__).parent.parent / "tests" / "data" / "traces"
AT_LEAST_SECONDS = 0.3

Slices = dict[bytes, tuple[list[SpanSlice], list[LogSlice]]]


def load(folder: Path) -> Slices:
    """The slices of all bodies in a folder, by trace."""
    traces: Slices = {}
    for path in sorted(folder.rglob("*.otlp*")):
        for kind, body in read_bodies(path.read_bytes(), path.name):
            if kind == TRACES_KIND:
                for span in split_traces(body).slices:
                    traces.setdefault(span.trace_id, ([], []))[0].append(span)
            else:
                for event in split_logs(body).slices:
                    traces.setdefault(event.trace_id, ([], []))[1].append(event)
    return traces


def parse(traces: Slices) -> None:
    for spans, _ in traces.values():
        for span in spans:
            SpanMessage.FromString(span.raw)


def decode(traces: Slices) -> None:
    for spans, events in traces.values():
        for span in spans:
            decode_span(span)
        for event in events:
            decode_log(event)


def understand(traces: Slices) -> None:
    for trace_id, (spans, events) in traces.items():
        normalise(trace_id.hex(), [decode_span(span) for span in spans], [decode_log(event) for event in events])


def micros_per_span(work: Callable[[Slices], None], traces: Slices) -> float:
    """The best of several rounds: what is measured is the code, not the machine's other tenants."""
    count = sum(len(spans) for spans, _ in traces.values())
    work(traces)
    best, until = float("inf"), time.process_time() + AT_LEAST_SECONDS
    while time.process_time() < until:
        start = time.process_time()
        work(traces)
        best = min(best, time.process_time() - start)
    return best / count * 1e6


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_FOLDER
    print(
        f"{'CPU microseconds a span':28} {'spans':>6} {'parse':>8} {'decode':>8} {'normalised':>11} {'spans/CPU-s':>12}"
    )
    for part in [*sorted(path for path in folder.iterdir() if path.is_dir()), folder]:
        traces = load(part)
        if traces:
            row = [micros_per_span(work, traces) for work in (parse, decode, understand)]
            count = sum(len(spans) for spans, _ in traces.values())
            name = "all" if part == folder else part.name
            print(f"{name:28} {count:6} {row[0]:8.1f} {row[1]:8.1f} {row[2]:11.1f} {1e6 / row[2]:12,.0f}")


if __name__ == "__main__":
    main()
