"""Several workers on one Kafka cluster: real processes, and what the topics say of their work."""

import contextlib
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import Any

import httpx
import orjson
import yaml

from collector.core.engine import CHANGES, DECISIONS, SCORES, SPANS, TICK_KIND
from collector.engines.kafka_append import KIND_HEADER
from drift.base import Point, decode_points
from driftline.stages.ticks import END_OF_INPUT
from tests.real.bodies import TraceBodies
from tests.real.parts.kafka import KafkaBroker
from tests.real.parts.process import NotReady, wait_until
from tests.real.service import Document, Service, run_driftline

QUICK_BROKER = {
    "group.min.session.timeout.ms": 500,
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": 200,
}
QUICK_OPTIONS = {"session_timeout_ms": 3000, "heartbeat_interval_ms": 300, "metadata_max_age_ms": 1000}
START_NS = 1_750_000_000_000_000_000
SECOND_NS = 1_000_000_000
DOCUMENT = {
    "monitors": [
        {"watch": "groundedness", "by": ["service", "prompt"], "direction": "down", "warmup": 60},
        {"watch": "refusal", "by": ["service"], "warmup": 60},
    ],
    "false_pages": "1 per day",
    "alerts": {"log": False},
}
SENDER_SECONDS = 120.0  # after which a request will never be accepted
PROTOBUF = {"content-type": "application/x-protobuf"}


# `driftline` where the machine's clock is wrong, and everything that asks for the time is told so.
_WRONG_CLOCK = """
import sys, time
ahead = float(sys.argv.pop(1))
seconds, nanoseconds = time.time, time.time_ns
time.time = lambda: seconds() + ahead
time.time_ns = lambda: nanoseconds() + round(ahead * 1e9)
from driftline.cli import main
sys.exit(main())
"""


class Cluster:
    """A broker's topics of one name, and the workers on them."""

    def __init__(self, broker: KafkaBroker, folder: Path, name: str, document: Document, partitions: int = 4) -> None:
        self.broker, self._folder, self._name = broker, folder, name
        self._document = document
        self.partitions = partitions
        self.workers: list[Service] = []
        self.apply_topics()

    def apply_topics(self, partitions: int | None = None) -> None:
        """`driftline topics apply`."""
        self.partitions = partitions or self.partitions
        path = self._folder / "topics.yaml"
        path.write_text(yaml.safe_dump({**self._document, "cluster": self._section()}))
        found = run_driftline("topics", "plan", "-c", path)
        assert found.returncode == 1, found.stdout + found.stderr
        done = run_driftline("topics", "apply", "-c", path)
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout == f"{found.stdout}done\n"

    def worker(self, role: str = "all", clock_ahead_seconds: float = 0) -> Service:
        """One more, which begins to work at once."""
        folder = self._folder / f"worker-{len(self.workers)}"
        one = Service(folder, {**self._document, "cluster": self._section()}, "--role", role)
        if clock_ahead_seconds:
            one.command = [sys.executable, "-c", _WRONG_CLOCK, str(clock_ahead_seconds)]
        self.workers.append(one)
        one.start()
        return one

    def close(self) -> None:
        for one in self.workers:
            one.close()

    def _section(self) -> dict[str, Any]:
        return {
            "brokers": [self.broker.address],
            "prefix": self._name,
            "group": self._name,
            "partitions": self.partitions,
            "transaction_timeout": "1s",
            "max_record": "512KiB",
            "options": QUICK_OPTIONS,
            **self._document.get("cluster", {}),
        }

    # --- what the topics say ---

    def topic(self, log: str) -> str:
        return f"{self._name}.{log}"

    def records(self, log: str) -> list[Any]:
        return self.broker.records(self.topic(log))

    def sheets(self) -> list[dict[str, Any]]:
        """What was decided, as it is in the log."""
        return [orjson.loads(record.value) for record in self.records(DECISIONS)]

    def revisions(self) -> Counter[tuple[str, int]]:
        """How often each revision of each trace was decided on."""
        return Counter((sheet["trace_id"], sheet["revision"]) for sheet in self.sheets())

    def points(self) -> list[Point]:
        """Every score that went to the watchers, but not what they sent on to one another."""
        return [point for record in self.records(SCORES) if not record.headers for point in decode_points(record.value)]

    def watched(self) -> int:
        """How many scores the watchers have taken, by their state."""
        heads: dict[int, bytes] = {}
        for record in self.broker.records(self.topic("state.watch")):
            if record.key == b"watcher" and record.value is not None:
                heads[record.partition] = record.value
        return sum(orjson.loads(head)["taken"] for head in heads.values())

    def changes(self) -> dict[str, dict[str, Any]]:
        """Each change as it is known last."""
        found = [orjson.loads(record.value) for record in self.records(CHANGES)]
        return {change["id"]: change for change in found}

    def end_input(self) -> None:
        """Say that nothing more comes: what is open is evaluated as it is."""
        with self.broker.producer() as producer:
            for number in range(self.partitions):
                headers = [(KIND_HEADER, TICK_KIND.encode())]
                producer.send(self.topic(SPANS), END_OF_INPUT, partition=number, headers=headers).get(timeout=30)

    def wait_for_traces(self, count: int, deadline_seconds: float = 90.0) -> None:
        """Return when so many traces were decided on, and all scores of them were watched."""
        wait_until(lambda: len(self.revisions()) >= count, f"{count} traces", deadline_seconds, every_seconds=0.5)
        wait_until(
            lambda: self.watched() >= sum(not point.corrects for point in self.points()),
            "every score to be watched",
            deadline_seconds,
            every_seconds=0.5,
        )


@contextlib.contextmanager
def cluster(
    broker: KafkaBroker, folder: Path, name: str, document: Mapping[str, Any], partitions: int = 4
) -> Iterator[Cluster]:
    """Topics for workers, which are gone however the block ends."""
    part = Cluster(broker, folder, name, document, partitions)
    try:
        yield part
    finally:
        part.close()


def assert_once(part: Cluster, traces: int) -> None:
    """Every trace has its one first decision; the detectors have taken every score once."""
    revisions = part.revisions()
    assert {trace for trace, _ in revisions} == {trace for trace, revision in revisions if revision == 0}
    assert len({trace for trace, _ in revisions}) == traces
    assert set(revisions.values()) == {1}
    points = part.points()
    assert set(Counter((one.metric, one.trace_id, one.span_id) for one in points if not one.corrects).values()) == {1}
    assert part.watched() == sum(not one.corrects for one in points)


class Senders:
    """Clients that post one trace a request, to any worker that answers, each again and again until it is told 200.

    They give up, with NotReady, where that takes minutes."""

    def __init__(self, workers: Sequence[Service], bodies: Sequence[TraceBodies], seed: int = 1) -> None:
        self._workers = workers
        self._bodies = [(one.trace_id, one.spans.SerializeToString()) for one in bodies]
        self._draw = random.Random(seed)
        self._lock = Lock()
        self.accepted: list[str] = []
        self.refused = 0

    def run(self, senders: int) -> None:
        with httpx.Client(headers=PROTOBUF, timeout=30.0) as client, ThreadPoolExecutor(senders) as pool:
            list(pool.map(lambda body: self._post(client, *body), self._bodies))

    def has_accepted(self, count: int) -> bool:
        with self._lock:
            return len(self.accepted) >= count

    def _post(self, client: httpx.Client, trace_id: str, content: bytes) -> None:
        deadline = time.monotonic() + SENDER_SECONDS
        while True:
            if time.monotonic() > deadline:
                raise NotReady(f"{trace_id} was not accepted within {SENDER_SECONDS:g} s")
            with self._lock:
                worker = self._draw.choice([one for one in self._workers if "otlp_http" in one.addresses])
            with contextlib.suppress(httpx.TransportError):
                reply = client.post(f"{worker.otlp_http}/v1/traces", content=content)
                if reply.status_code == 200:
                    break
                assert reply.status_code in (429, 503), reply.text
                with self._lock:
                    self.refused += 1
            time.sleep(0.05)  # a client's back-off
        with self._lock:
            self.accepted.append(trace_id)
