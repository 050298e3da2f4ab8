"""`make soak`: steady load for an hour (or `--minutes`) while things fail: nothing lost, nothing twice, memory flat.

    python -m benchmarks.soak [--minutes 60] [--engine embedded|kafka] [--traces-per-second 50] [--seed 1] [--calm]

Embedded: the service is killed, stopped, or frozen for some seconds. Kafka: two of three workers, and the broker too.
A client sends each trace again until it is told 200; a hundredth of the traces has a span that comes late. A line every
half minute; at the end what was accepted, evaluated, revised, lost and done twice, from the log itself.
"""

import argparse
import math
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from threading import Event, Lock
from typing import Any, Protocol

import httpx
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from benchmarks.service import bodies, resident_mib
from collector.core.engine import DECISIONS
from driftline.records import Sheet
from tests.real.cluster import QUICK_BROKER, QUICK_OPTIONS, Cluster, cluster
from tests.real.parts.kafka import KafkaBroker, kafka_broker
from tests.real.service import Service, service

_NS = 1_000_000_000
_LINE_SECONDS = 30
_CALM_SECONDS = (5.0, 25.0)  # between two faults
_LATE_SHARE, _LATE_SECONDS = 0.01, 15.0
_WATCHED_SHARE = 0.02  # of the traces: how long they take until they can be seen
_DOCUMENT: dict[str, Any] = {
    "assemble": {"quiet": "1s", "revision_window": "1m"},
    "store": {"retention": "30d"},
    "alerts": {"log": False},
}


class Subject(Protocol):
    """What is under load."""

    def receivers(self) -> list[Service]:
        """Services to send to."""
        ...

    def viewer(self) -> Service:
        """The service whose view is asked, which nothing happens to if that can be."""
        ...

    def faults(self) -> dict[str, Callable[[random.Random], None]]:
        """What can be done to it, by name; each returns when it works again."""
        ...

    def sheets(self) -> Iterator[Sheet]:
        """Everything that was decided."""
        ...

    def files_mib(self) -> float: ...


class Embedded:
    """One service on one file."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self._folder = folder
        self._service = stack.enter_context(service(folder, _DOCUMENT))

    def receivers(self) -> list[Service]:
        return [self._service]

    def viewer(self) -> Service:
        return self._service

    def faults(self) -> dict[str, Callable[[random.Random], None]]:
        return {
            "kill": lambda draw: _again(self._service, self._service.kill),
            "stop": lambda draw: _again(self._service, self._service.stop),
            "freeze": lambda draw: _freeze(self._service, draw.uniform(1, 8)),
        }

    def sheets(self) -> Iterator[Sheet]:
        query = (
            "SELECT json_extract(CAST(value AS TEXT), '$.trace_id'), json_extract(CAST(value AS TEXT), '$.revision') "
            f"FROM log_{DECISIONS}"
        )
        for trace_id, revision in self._service.stored(query):
            yield {"trace_id": trace_id, "revision": revision}

    def files_mib(self) -> float:
        return _size_mib(self._folder)


class Workers:
    """A broker, two workers that things happen to, and one that they do not happen to."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self._folder = folder
        self._broker: KafkaBroker = stack.enter_context(kafka_broker(folder / "broker", QUICK_BROKER))
        self._part: Cluster = stack.enter_context(cluster(self._broker, folder, "soak", _DOCUMENT))
        self._steady, *self._others = (self._part.worker() for _ in range(3))

    def receivers(self) -> list[Service]:
        return self._part.workers

    def viewer(self) -> Service:
        return self._steady

    def faults(self) -> dict[str, Callable[[random.Random], None]]:
        longer = QUICK_OPTIONS["session_timeout_ms"] / 1000 + 2

        def kill(draw: random.Random) -> None:
            worker = draw.choice(self._others)
            _again(worker, worker.kill)

        def stop(draw: random.Random) -> None:
            worker = draw.choice(self._others)
            _again(worker, worker.stop)

        def freeze(draw: random.Random) -> None:
            _freeze(draw.choice(self._others), draw.uniform(1, 2 * longer))

        def broker(draw: random.Random) -> None:
            self._broker.kill()
            time.sleep(draw.uniform(0, 5))
            self._broker.start()

        return {"kill a worker": kill, "stop a worker": stop, "freeze a worker": freeze, "kill the broker": broker}

    def sheets(self) -> Iterator[Sheet]:
        yield from self._part.sheets()

    def files_mib(self) -> float:
        return _size_mib(self._folder)


class Load:
    """Sends traces in real time, each until it is accepted, and looks when some of them can be seen."""

    def __init__(self, subject: Subject, rate: int, seed: int) -> None:
        self._subject, self._rate, self._draw = subject, rate, random.Random(seed)
        self._lock = Lock()
        self._waiting: dict[str, float] = {}  # when they were accepted
        self._later: list[tuple[float, bytes]] = []
        self.accepted: list[str] = []
        self.late = 0
        self.told_to_wait = 0
        self.delays: list[float] = []

    def run(self, stopping: Event) -> None:
        began, sent = time.monotonic(), 0
        headers = {"content-type": "application/x-protobuf"}
        with httpx.Client(headers=headers, timeout=30) as client, ThreadPoolExecutor(8) as pool:
            while not stopping.is_set():
                for body, _ in bodies(self._rate, time.time_ns() - _NS, seed=sent, spacing_ns=_NS // self._rate):
                    pool.submit(self._send, client, body).add_done_callback(_fail_loudly)
                sent += self._rate
                for body in self._due():
                    pool.submit(self._post, client, body).add_done_callback(_fail_loudly)
                stopping.wait(max(0.0, began + sent / self._rate - time.monotonic()))
            for body in self._due(math.inf):
                self._post(client, body)

    def look(self, stopping: Event) -> None:
        """Ask for the watched traces, again and again."""
        while not (stopping.wait(0.5) and not self._waiting):
            with self._lock:
                waiting = dict(self._waiting)
            for trace_id, since in waiting.items():
                with suppress(httpx.TransportError, AssertionError):  # it is down just now
                    if self._subject.viewer().trace(trace_id) is not None:
                        self.delays.append(time.monotonic() - since)
                        with self._lock:
                            del self._waiting[trace_id]
            if stopping.is_set() and any(time.monotonic() - since > 120 for since in waiting.values()):
                return

    def _send(self, client: httpx.Client, body: bytes) -> None:
        request = ExportTraceServiceRequest.FromString(body)
        spans = request.resource_spans[0].scope_spans[0].spans
        ids = sorted({span.trace_id for span in spans})
        with self._lock:
            late = {one for one in ids if self._draw.random() < _LATE_SHARE}
            watched = [one for one in ids if self._draw.random() < _WATCHED_SHARE]
        rest = ExportTraceServiceRequest.FromString(body)
        del rest.resource_spans[0].scope_spans[0].spans[:]
        for number in reversed(range(len(spans))):
            if spans[number].trace_id in late and spans[number].name == "POST":
                rest.resource_spans[0].scope_spans[0].spans.append(spans[number])
                del spans[number]
        self._post(client, request.SerializeToString())
        with self._lock:
            self.accepted += [one.hex() for one in ids]
            self.late += len(late)
            self._waiting |= {one.hex(): time.monotonic() for one in watched}
            if late:
                self._later.append((time.monotonic() + _LATE_SECONDS, rest.SerializeToString()))

    def _due(self, now: float | None = None) -> list[bytes]:
        """Requests whose spans come late, and whose time has come."""
        now = time.monotonic() if now is None else now
        with self._lock:
            due = [body for at, body in self._later if at <= now]
            self._later = [item for item in self._later if item[0] > now]
        return due

    def _post(self, client: httpx.Client, body: bytes) -> None:
        while True:
            with self._lock:
                receiver = self._draw.choice(self._subject.receivers())
            with suppress(httpx.TransportError):
                reply = client.post(f"{receiver.otlp_http}/v1/traces", content=body)
                if reply.status_code == 200:
                    return
                assert reply.status_code in (429, 503), reply.text
                with self._lock:
                    self.told_to_wait += 1
            time.sleep(0.2)


def main() -> int:
    parser = argparse.ArgumentParser(description="Steady load while things fail.")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--engine", choices=("embedded", "kafka"), default="embedded")
    parser.add_argument("--traces-per-second", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--calm", action="store_true", help="no faults: memory alone is looked at")
    given = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="driftline-soak-")))
        subject: Subject = Embedded(stack, folder) if given.engine == "embedded" else Workers(stack, folder)
        load = Load(subject, given.traces_per_second, given.seed)
        done = endure(subject, load, given.minutes * 60, random.Random(given.seed), given.calm)
        return report(subject, load, done)


def endure(subject: Subject, load: Load, seconds: float, draw: random.Random, calm: bool) -> Counter[str]:
    """Load and faults for so long; returns how often each fault was."""
    stopping = Event()
    done: Counter[str] = Counter()
    began = line = time.monotonic()
    next_fault = began + draw.uniform(*_CALM_SECONDS)
    with ThreadPoolExecutor(2) as background:
        running = [background.submit(load.run, stopping), background.submit(load.look, stopping)]
        while (now := time.monotonic()) - began < seconds and not any(one.done() for one in running):
            if now >= line:
                line += _LINE_SECONDS
                print(f"{now - began:6.0f} s  {len(load.accepted):8} traces accepted  {memory(subject)}", flush=True)
            if not calm and now >= next_fault:
                name, fault = draw.choice(sorted(subject.faults().items()))
                fault(draw)
                done[name] += 1
                next_fault = time.monotonic() + draw.uniform(*_CALM_SECONDS)
            time.sleep(0.5)
        stopping.set()
        for one in running:
            one.result()
    return done


def memory(subject: Subject) -> str:
    sizes = "/".join(f"{resident_mib(one.process.pid):.0f}" for one in subject.receivers())
    return f"{sizes} MiB  {subject.files_mib():6.0f} MiB of files"


def report(subject: Subject, load: Load, done: Counter[str]) -> int:
    """Print what the log says; 1 if something was lost or done twice."""
    wanted = set(load.accepted)
    deadline = time.monotonic() + 120
    while True:
        revisions = Counter((sheet["trace_id"], sheet["revision"]) for sheet in subject.sheets())
        firsts = {trace_id for trace_id, revision in revisions if revision == 0}
        if wanted <= firsts or time.monotonic() > deadline:
            break
        time.sleep(3)
    lost, twice = len(wanted - firsts), sum(count - 1 for count in revisions.values())
    revised = sum(revision > 0 for _, revision in revisions)
    print(f"faults: {', '.join(f'{name} {count}' for name, count in sorted(done.items())) or 'none'}")
    print(f"accepted {len(wanted)}, evaluated {len(firsts)}, late spans {load.late}, revised {revised}")
    print(f"told to wait {load.told_to_wait} times; lost {lost}, done twice {twice}")
    delays = sorted(load.delays)
    if delays:
        p50, p99 = (delays[int(share * (len(delays) - 1))] for share in (0.5, 0.99))
        print(f"from accepted to visible: p50 {p50:.1f} s, p99 {p99:.1f} s, of {len(delays)} traces, outages included")
    print(memory(subject))
    return int(bool(lost or twice))


def _again(one: Service, end: Callable[[], object]) -> None:
    end()
    one.start()


def _freeze(one: Service, seconds: float) -> None:
    os.kill(one.process.pid, signal.SIGSTOP)
    time.sleep(seconds)
    os.kill(one.process.pid, signal.SIGCONT)


def _size_mib(folder: Path) -> float:
    size = 0
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):  # logs are rolled meanwhile
            size += path.stat().st_size if path.is_file() else 0
    return size / 2**20


def _fail_loudly(done: Any) -> None:
    if (error := done.exception()) is not None:
        print(f"sending failed: {error!r}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
