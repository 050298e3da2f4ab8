"""How much of a CPU second receiving takes: spans per CPU second, and the ratio to plain protobuf parsing.

    python -m benchmarks.wire [--rounds 15] [BODY.otlp.pb ...]

Everything is timed in turns within one run, so that the ratios hold on a busy machine; medians are printed. Without
files the body is 200 KB of made-up spans of 1.7 KB with ten attributes each.
"""

import argparse
import asyncio
import base64
import gzip
import random
import statistics
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import orjson
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.core.engine import TRACES_KIND
from collector.core.telemetry import Telemetry
from collector.receivers.accept import Acceptor
from collector.receivers.http_connection import Connection
from collector.receivers.otlp_http import HttpReceiver
from collector.wire.split import split_traces, tally_traces

_LIMIT_BYTES = 64 * 2**20
_SPANS = 120
_WORDS_PER_TEXT = 14
_REPEATS = 20  # of the work in one timing, far above the grain of the clock
_IDS = ("traceId", "spanId", "parentSpanId")

Work = Callable[[], Awaitable[Any]]


def made_up_body(seed: int = 1) -> bytes:
    """An ExportTraceServiceRequest of about 200 KB."""
    rng = random.Random(seed)
    words = [rng.randbytes(4).hex() for _ in range(500)]
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.add(key="service.name").value.string_value = "shop"
    scope = group.scope_spans.add()
    scope.scope.name = "benchmark"
    for _ in range(_SPANS):
        start_ns = 1_700_000_000_000_000_000 + rng.randrange(10**12)
        span = scope.spans.add(
            trace_id=rng.randbytes(16),
            span_id=rng.randbytes(8),
            parent_span_id=rng.randbytes(8),
            name="chat gpt-5-mini",
            start_time_unix_nano=start_ns,
            end_time_unix_nano=start_ns + rng.randrange(10**10),
        )
        span.status.code = rng.choice((0, 1, 2))
        for number in range(10):
            text = " ".join(rng.choices(words, k=_WORDS_PER_TEXT))
            span.attributes.add(key=f"gen_ai.attribute.{number}").value.string_value = text
    return request.SerializeToString()


def as_json(body: bytes) -> bytes:
    """The same request in OTLP/JSON, whose ids are hexadecimal."""
    document = MessageToDict(ExportTraceServiceRequest.FromString(body), use_integers_for_enums=True)
    for group in document["resourceSpans"]:
        for scope in group["scopeSpans"]:
            for span in scope["spans"]:
                span.update({key: base64.b64decode(span[key]).hex() for key in _IDS if key in span})
    return orjson.dumps(document)


async def _inbox(kind: str, body: bytes, tenant: str) -> None:
    """Durable at once."""


class _Wire(asyncio.Transport):
    """The sender's side of a connection: tells when a reply has been written."""

    def __init__(self) -> None:
        super().__init__()
        self.replied = asyncio.Event()

    def write(self, data: Any) -> None:
        assert data.startswith(b"HTTP/1.1 200")
        self.replied.set()

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


def over_http(body: bytes) -> Work:
    """One POST on a connection that stays open, without the kernel's share."""
    head = b"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n"
    request = head + b"content-length: %d\r\n\r\n" % len(body) + body
    receiver = HttpReceiver("127.0.0.1", 0, _inbox, Telemetry())
    connection, wire = Connection(receiver._shared), _Wire()
    connection.connection_made(wire)

    async def post() -> None:
        wire.replied.clear()
        for at in range(0, len(request), 64 * 1024):  # a socket delivers in pieces
            connection.data_received(request[at : at + 64 * 1024])
        await wire.replied.wait()

    return post


def steps(body: bytes) -> dict[str, Work]:
    """What is timed, by name; the first is what the others are compared with."""
    packed, in_json = gzip.compress(body), as_json(body)
    acceptor = Acceptor("benchmark", Telemetry(), _LIMIT_BYTES)

    def sync(function: Callable[[bytes], Any]) -> Work:
        async def work() -> None:
            function(body)

        return work

    return {
        "protobuf: parse only": sync(ExportTraceServiceRequest.FromString),
        "tally_traces": sync(tally_traces),
        "split_traces": sync(split_traces),
        "accept protobuf": lambda: acceptor.accept(_inbox, TRACES_KIND, body, "protobuf"),
        "accept protobuf, gzip": lambda: acceptor.accept(_inbox, TRACES_KIND, packed, "protobuf", "gzip"),
        "accept JSON": lambda: acceptor.accept(_inbox, TRACES_KIND, in_json, "json"),
        "HTTP connection and accept": over_http(body),
    }


async def measure(body: bytes, rounds: int) -> dict[str, float]:
    """Median CPU seconds of each step for one body."""
    seconds: dict[str, list[float]] = {}
    for _ in range(rounds):
        for name, work in steps(body).items():
            await work()  # warm
            began = time.process_time()
            for _ in range(_REPEATS):
                await work()
            seconds.setdefault(name, []).append((time.process_time() - began) / _REPEATS)
    return {name: statistics.median(timings) for name, timings in seconds.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("bodies", nargs="*", type=Path, help="recorded ExportTraceServiceRequests; made up if none")
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    for body in [path.read_bytes() for path in options.bodies] or [made_up_body()]:
        spans = tally_traces(body).accepted
        timings = asyncio.run(measure(body, options.rounds))
        peer = next(iter(timings.values()))
        print(f"\n{spans} spans in {len(body) / 1000:.0f} KB\n")
        print("| step | spans per CPU-s | time, parsing = 1 |\n|---|---|---|")
        for name, seconds in timings.items():
            print(f"| {name} | {spans / seconds:,.0f} | {seconds / peer:.2f} |")


if __name__ == "__main__":
    main()
