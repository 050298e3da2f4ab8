"""Throughput of the whole service, as a process of its own: OTLP/HTTP in, inbox, assembly, all default scorers, ledger,
watchers, view and metrics on.

    python -m benchmarks.service [--traces 6000]

The headline is spans per CPU-second of the service's process, which survives a busy machine. The traffic is RAG traces
in the OpenTelemetry GenAI conventions, 4 spans each of about 1.7 KB and 10 attributes, in bodies of about 200 KB. The
building block it is held against is parsing the same bodies, in the same run.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

_TRACES_PER_BODY = 30
_NS = 1_000_000_000
_WORDS = [
    "the",
    "charter",
    "allows",
    "repayment",
    "within",
    "thirty",
    "days",
    "after",
    "a",
    "written",
    "notice",
    "and",
    "no",
    "fee",
    "is",
    "due",
    "when",
    "the",
    "balance",
    "of",
    "the",
    "account",
    "falls",
    "below",
    "two",
    "hundred",
    "euros",
    "during",
    "the",
    "first",
    "year",
    "of",
    "a",
    "contract",
    "that",
    "both",
    "sides",
    "have",
    "signed",
]


def bodies(
    traces: int, start_ns: int, seed: int = 1, corpus: int = 500, spacing_ns: int = _NS
) -> Iterator[tuple[bytes, int]]:
    """OTLP requests with the number of spans in each; a trace every `spacing_ns` of event time.

    Each trace retrieves 4 of `corpus` documents, as applications with a knowledge base do.
    """
    rng = random.Random(seed)
    passages = [_sentences(rng, 5) for _ in range(corpus)]
    for first in range(0, traces, _TRACES_PER_BODY):
        request = ExportTraceServiceRequest()
        group = request.resource_spans.add()
        _attribute(group.resource, "service.name", "bench")
        _attribute(group.resource, "service.version", "1.0")
        scope = group.scope_spans.add()
        scope.scope.name = "opentelemetry.instrumentation.genai.openai"
        count = 0
        for number in range(first, min(first + _TRACES_PER_BODY, traces)):
            count += _trace(scope, rng, passages, start_ns + number * spacing_ns)
        yield request.SerializeToString(), count


def _trace(scope: object, rng: random.Random, passages: list[str], start_ns: int) -> int:
    trace_id, root = rng.randbytes(16), rng.randbytes(8)
    documents = rng.sample(passages, 4)
    answer = " ".join(rng.choice(documents).split(". ")[:2])
    question = _sentences(rng, 1)
    context = "\n\n".join(documents)
    _span(
        scope, rng, trace_id, b"", root, "invoke_agent bench", start_ns, 2.0, {"gen_ai.operation.name": "invoke_agent"}
    )
    hits = json.dumps([{"id": str(at), "content": text, "score": 0.9} for at, text in enumerate(documents)])
    retrieval = {
        "gen_ai.operation.name": "retrieval",
        "gen_ai.retrieval.query.text": question,
        "gen_ai.retrieval.documents": hits,
        "gen_ai.data_source.id": "kb",
    }
    _span(scope, rng, trace_id, root, rng.randbytes(8), "retrieval kb", start_ns, 0.2, retrieval)
    prompt = [{"role": "user", "parts": [{"type": "text", "content": f"Context:\n{context}\n\nQuestion: {question}"}]}]
    output = [{"role": "assistant", "parts": [{"type": "text", "content": answer}], "finish_reason": "stop"}]
    call = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
        "gen_ai.response.id": f"chatcmpl-{rng.getrandbits(64):x}",
        "gen_ai.usage.input_tokens": 700,
        "gen_ai.usage.output_tokens": 80,
        "gen_ai.input.messages": json.dumps(prompt),
        "gen_ai.output.messages": json.dumps(output),
        "gen_ai.request.temperature": 0.2,
    }
    _span(scope, rng, trace_id, root, rng.randbytes(8), "chat gpt-4o-mini", start_ns, 1.5, call)
    http = {"http.request.method": "POST", "server.address": "api.example.com", "url.path": "/v1/chat/completions"}
    _span(scope, rng, trace_id, root, rng.randbytes(8), "POST", start_ns, 1.4, http)
    return 4


def _span(
    scope: object,
    rng: random.Random,
    trace_id: bytes,
    parent: bytes,
    span_id: bytes,
    name: str,
    start_ns: int,
    seconds: float,
    attributes: dict[str, object],
) -> None:
    span = scope.spans.add()  # type: ignore[attr-defined]
    span.trace_id, span.span_id, span.parent_span_id, span.name = trace_id, span_id, parent, name
    span.start_time_unix_nano = start_ns + rng.randrange(10**8)
    span.end_time_unix_nano = span.start_time_unix_nano + round(seconds * _NS)
    for key, value in attributes.items():
        _attribute(span, key, value)
    while len(span.attributes) < 10:
        _attribute(span, f"app.detail.{len(span.attributes)}", _sentences(rng, 1)[:80])


def _attribute(target: object, key: str, value: object) -> None:
    item = target.attributes.add()  # type: ignore[attr-defined]
    item.key = key
    if isinstance(value, int):
        item.value.int_value = value
    elif isinstance(value, float):
        item.value.double_value = value
    else:
        item.value.string_value = str(value)


def _sentences(rng: random.Random, count: int) -> str:
    return " ".join(" ".join(rng.choices(_WORDS, k=14)).capitalize() + f" {rng.randrange(1000)}." for _ in range(count))


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mib(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def serve(folder: Path, window: str = "1h") -> tuple["subprocess.Popen[str]", dict[str, str]]:
    """A service on free ports, and its addresses."""
    config = folder / "bench.yaml"
    assemble = f"{{quiet: 1s, revision_window: {window}}}"
    listen = "{otlp_http: 127.0.0.1:0, otlp_grpc: null, web: 127.0.0.1:0}"
    config.write_text(f"listen: {listen}\nstore: {{path: {folder / 'bench.db'}}}\nassemble: {assemble}\n")
    process = subprocess.Popen(
        [sys.executable, "-m", "driftline", "serve", "-c", str(config)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    addresses: dict[str, str] = {}
    for line in process.stdout:
        if line.strip() == "ready":
            return process, addresses
        name, _, address = line.strip().partition(" ")
        addresses[name] = address.strip()
    raise SystemExit("the service did not start")


def main() -> None:
    parser = argparse.ArgumentParser(description="Throughput of the whole service.")
    parser.add_argument("--traces", type=int, default=6000)
    parser.add_argument("--corpus", type=int, default=500, help="documents there are; each trace retrieves 4")
    given = parser.parse_args()
    traces = given.traces
    traffic = list(bodies(traces, time.time_ns() - traces * _NS - 60 * _NS, corpus=given.corpus))
    spans = sum(count for _, count in traffic)
    size = sum(len(body) for body, _ in traffic)
    began = time.process_time()
    for body, _ in traffic:
        ExportTraceServiceRequest.FromString(body)
    parse = spans / (time.process_time() - began)
    with tempfile.TemporaryDirectory(prefix="driftline-bench-") as folder:
        process, addresses = serve(Path(folder))
        try:
            measure(process.pid, addresses, traffic, traces, spans, size, parse)
        finally:
            process.terminate()
            process.wait()


def measure(
    pid: int,
    addresses: dict[str, str],
    traffic: list[tuple[bytes, int]],
    traces: int,
    spans: int,
    size: int,
    parse: float,
) -> None:
    idle = resident_mib(pid)
    cpu, wall = cpu_seconds(pid), time.monotonic()
    headers = {"content-type": "application/x-protobuf"}
    with httpx.Client(base_url=f"http://{addresses['otlp_http']}", headers=headers, timeout=60) as client:
        for body, _ in traffic:
            while (answer := client.post("/v1/traces", content=body)).status_code in (429, 503):
                time.sleep(float(answer.headers["retry-after"]))
            answer.raise_for_status()
        answered = time.monotonic() - wall
        while (done := evaluated(addresses["web"])) < traces:
            time.sleep(0.2)
    used, took = cpu_seconds(pid) - cpu, time.monotonic() - wall
    print(
        f"{spans} spans of {size / spans / 1000:.2f} KB in {traces} traces, {size / len(traffic) / 1000:.0f} KB bodies"
    )
    print(f"service      {spans / used:10,.0f} spans/CPU-s   {1000 * used / spans:.3f} CPU-s per 1,000 spans")
    print(f"parse only   {parse:10,.0f} spans/CPU-s   the service takes {parse * used / spans:.0f} times as much")
    print(f"answered in {answered:.1f} s, evaluated in {took:.1f} s ({done} traces), {spans / took:,.0f} spans/s")
    print(f"memory {idle:.0f} MiB idle, {resident_mib(pid):.0f} MiB at the end")


def evaluated(web: str) -> int:
    return int(httpx.get(f"http://{web}/api/status", timeout=60).json()["counts"]["traces_scored"])


if __name__ == "__main__":
    main()
