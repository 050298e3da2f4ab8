"""Three times as much as it can evaluate, over HTTP, gRPC and Kafka at once: all of it is scored or counted."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc

from tests.real.app import Settings
from tests.real.bodies import TraceBodies, record_app
from tests.real.parts.kafka import KafkaBroker
from tests.real.parts.process import wait_until
from tests.real.service import Service, overloaded, service
from tests.real.test_service_overload import retry_seconds

pytestmark = pytest.mark.long

START_NS = 1_750_000_000_000_000_000
TRACES = 90  # each takes 0.1 s to be scored: 9 s of work
OFFERED_SECONDS = 3.0
MORE_MIB = 64.0  # that memory may grow by meanwhile


class Sender:
    """Offers its traces at a steady rate, and each again when it is told to, until it is taken."""

    def __init__(self, send: Callable[[TraceBodies], float | None]) -> None:
        self._send = send
        self._lock = threading.Lock()
        self.refused = 0

    def run(self, bodies: Sequence[TraceBodies], seconds: float) -> None:
        began = time.monotonic()
        with ThreadPoolExecutor(len(bodies)) as pool:
            for number, one in enumerate(bodies):
                time.sleep(max(0.0, began + seconds * number / len(bodies) - time.monotonic()))
                pool.submit(self._until_taken, one)

    def _until_taken(self, one: TraceBodies) -> None:
        while (wait_seconds := self._send(one)) is not None:
            with self._lock:
                self.refused += 1
            time.sleep(wait_seconds)


def by_http(driftline: Service, client: httpx.Client) -> Sender:
    def send(one: TraceBodies) -> float | None:
        reply = client.post(f"{driftline.otlp_http}/v1/traces", content=one.spans.SerializeToString())
        if reply.status_code == 200:
            return None
        assert reply.status_code in (429, 503), reply.text
        return float(reply.headers["retry-after"])

    return Sender(send)


def by_grpc(channel: grpc.Channel) -> Sender:
    stub: Any = trace_service_pb2_grpc.TraceServiceStub(channel)  # type: ignore[no-untyped-call]

    def send(one: TraceBodies) -> float | None:
        error = stub.Export.future(one.spans, timeout=30.0).exception()
        if error is None:
            return None
        assert error.code() in (grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAVAILABLE)
        return retry_seconds(error)

    return Sender(send)


def resident_mib(pid: int) -> float:
    fields = Path(f"/proc/{pid}/status").read_text().split("VmRSS:")[1].split()
    return int(fields[0]) / 1024


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_at_three_times_what_it_can_do_all_is_scored_or_counted_and_it_comes_back_by_itself(
    tmp_path: Path, kafka: KafkaBroker, unique_name: Callable[[str], str]
) -> None:
    bodies = record_app(TRACES, 71, START_NS, Settings(spacing_ns=30_000_000_000, content="span"))
    shares = [bodies[number::3] for number in range(3)]
    topic = kafka.create_topic(unique_name("load"))
    settings: dict[str, object] = {
        "brokers": [kafka.address],
        "traces": topic,
        "logs": None,
        "group": unique_name("load"),
    }
    settings["options"] = {"max_poll_records": 3}
    document = {"kafka": settings, **overloaded(tmp_path), "store": {"max_backlog": "16KiB"}}
    with (
        service(tmp_path, document) as driftline,
        httpx.Client(headers={"content-type": "application/x-protobuf"}, timeout=30.0) as client,
        grpc.insecure_channel(driftline.addresses["otlp_grpc"]) as channel,
        kafka.producer(acks="all") as producer,
    ):
        before = resident_mib(driftline.process.pid)

        def to_kafka(one: TraceBodies) -> float | None:
            producer.send(topic, one.spans.SerializeToString()).get(30)
            return None

        senders = [by_http(driftline, client), by_grpc(channel), Sender(to_kafka)]
        with ThreadPoolExecutor(3) as pool:
            running = [
                pool.submit(sender.run, share, OFFERED_SECONDS) for sender, share in zip(senders, shares, strict=True)
            ]
            for one in running:
                one.result(120)

        driftline.wait_for_traces([one.trace_id for one in bodies], 90.0)
        assert driftline.candidates() == {"latency": TRACES, "slow": TRACES}
        decisions = driftline.stored("SELECT count(*), count(DISTINCT key) FROM log_decisions")
        assert decisions == [(TRACES, TRACES)], "each once"
        for receiver, sender, share in zip(("otlp_http", "otlp_grpc", "kafka"), senders, shares, strict=True):
            spans = sum(one.sent.spans for one in share)
            assert driftline.total("driftline_received_spans_total", f'receiver="{receiver}"') == spans
            refused = driftline.total("driftline_rejected_requests_total", f'receiver="{receiver}"')
            assert refused > 0
            assert receiver == "kafka" or refused == sender.refused, "each refusal is counted"
        assert resident_mib(driftline.process.pid) < before + MORE_MIB
        wait_until(lambda: driftline.total("driftline_kafka_paused") == 0, "Kafka to be read again", 10)
        assert driftline.total("driftline_backlog_bytes") == 0
        assert driftline._get("/readyz").status_code == 200
        again = client.post(f"{driftline.otlp_http}/v1/traces", content=bodies[0].spans.SerializeToString())
        assert again.status_code == 200
