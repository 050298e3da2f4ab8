"""Several workers on one cluster: whatever happens to them, every trace is decided on once, each score watched once.

Real processes, a real broker. What is compared is in the topics, where a double or a gap would show.
"""

import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import orjson
import pyarrow.parquet as pq
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.core.engine import SPANS, TICK_KIND, TRACES_KIND, Record
from driftline.build import build
from driftline.commands.replay import offline
from driftline.config import Config
from driftline.records import read_sheet
from driftline.stages.ticks import END_OF_INPUT
from tests.real.app import Settings
from tests.real.bodies import TraceBodies, record_app
from tests.real.cluster import (
    DOCUMENT,
    PROTOBUF,
    QUICK_BROKER,
    SECOND_NS,
    START_NS,
    Cluster,
    Senders,
    assert_once,
    cluster,
)
from tests.real.parts.kafka import KafkaBroker, kafka_broker
from tests.real.parts.process import wait_until
from tests.real.service import run_driftline

pytestmark = pytest.mark.long

REGRESS_AFTER = 250


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaBroker]:
    """A broker that notices what died sooner than the shared one."""
    with kafka_broker(tmp_path_factory.mktemp("kafka"), QUICK_BROKER) as running:
        yield running


@pytest.fixture(scope="module")
def bodies() -> list[TraceBodies]:
    """Traces of an hour and more, in the second half of which answers get worse."""
    settings = Settings(spacing_ns=20 * SECOND_NS, content="span", regress_after=REGRESS_AFTER)
    return record_app(400, 41, START_NS, settings)


@pytest.fixture(scope="module")
def undisturbed(bodies: list[TraceBodies], tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], bool]:
    """What an embedded service finds in the same traffic, where nothing happens to it: metric and slice, and whether it
    did so at once. What takes long here may take longer than the traffic lasts there: partitions that lag behind one
    another mix traces from before and after, and each has its share of the false pages, and rounds of its own."""
    folder = tmp_path_factory.mktemp("undisturbed")
    service = build(offline(Config.model_validate(DOCUMENT), folder))
    spans = [Record(one.spans.SerializeToString(), kind=TRACES_KIND) for one in bodies]
    service.engine.append(SPANS, [*spans, Record(END_OF_INPUT, kind=TICK_KIND)]).result()
    service.drain()
    surely_ns = START_NS + (REGRESS_AFTER + 25) * 20 * SECOND_NS
    found = {
        (change.metric, orjson.dumps(change.slice).decode()): change.detected_ns < surely_ns
        for change in service.changes()
    }
    service.stop()
    assert any(found.values())
    return found


def assert_same_changes(part: Cluster, undisturbed: dict[tuple[str, str], bool], bodies: Sequence[TraceBodies]) -> None:
    """The same series changed, somebody was told, and each page shows traces that had got worse.

    Where partitions lag behind one another, the order of the scores differs from run to run, and the onset with it: its
    interval is right nine times in ten, so it is no place for an assertion about a single run.
    """
    changes = part.changes().values()
    paged = [change for change in changes if change["paged"]]
    assert paged
    series = {(change["metric"], orjson.dumps(change["slice"]).decode()) for change in changes}
    assert {one for one, surely in undisturbed.items() if surely} <= series <= set(undisturbed)
    worse = {one.sent.trace_id for one in bodies[REGRESS_AFTER:]}
    shown = [(change["metric"], len(worse.intersection(change["traces"])), len(change["traces"])) for change in paged]
    assert all(bad > of / 2 for _, bad, of in shown), shown


def test_workers_that_come_go_and_die_share_the_work_and_do_it_once(
    broker: KafkaBroker,
    unique_name: Callable[[str], str],
    tmp_path: Path,
    bodies: list[TraceBodies],
    undisturbed: dict[tuple[str, str], bool],
) -> None:
    with cluster(broker, tmp_path, unique_name("cluster"), DOCUMENT) as part, ThreadPoolExecutor(1) as background:
        first, second = part.worker(), part.worker()
        sending = Senders(part.workers, bodies)
        sent = background.submit(sending.run, 4)
        wait_until(lambda: sending.has_accepted(80), "some traces", 60)
        first.kill()
        wait_until(lambda: sending.has_accepted(160), "more traces", 60)
        part.worker()
        wait_until(lambda: sending.has_accepted(240), "more traces", 60)
        assert second.stop() == 0
        first.start()
        sent.result(timeout=120)
        part.end_input()
        part.wait_for_traces(len(bodies))
        assert_once(part, len(bodies))
        assert_same_changes(part, undisturbed, bodies)


def test_workers_that_read_their_configuration_again_under_load_lose_nothing(
    broker: KafkaBroker, unique_name: Callable[[str], str], tmp_path: Path, bodies: list[TraceBodies]
) -> None:
    reloaded = "driftline_config_last_reload_success_timestamp_seconds"
    with cluster(broker, tmp_path, unique_name("reloads"), DOCUMENT) as part, ThreadPoolExecutor(1) as background:
        workers = [part.worker(), part.worker()]
        sending = Senders(part.workers, bodies[:200])
        sent = background.submit(sending.run, 4)
        for number, one in enumerate(workers, start=1):
            wait_until(lambda number=number: sending.has_accepted(60 * number), "some traces", 60)  # type: ignore[misc]
            before = one.metrics()[reloaded]
            os.kill(one.process.pid, signal.SIGHUP)
            one.wait(lambda one=one, before=before: one.metrics()[reloaded] > before, "the reload")  # type: ignore[misc]
        sent.result(timeout=120)
        part.end_input()
        part.wait_for_traces(200)
        assert_once(part, 200)


def test_partitions_grow_under_load_and_traces_and_series_move_with_all_they_have(
    broker: KafkaBroker,
    unique_name: Callable[[str], str],
    tmp_path: Path,
    bodies: list[TraceBodies],
    undisturbed: dict[tuple[str, str], bool],
) -> None:
    with cluster(broker, tmp_path, unique_name("grows"), DOCUMENT, partitions=2) as part:
        part.worker(), part.worker()
        half = len(bodies) // 2
        Senders(part.workers, bodies[:half]).run(4)
        part.apply_topics(partitions=5)
        Senders(part.workers, bodies[half:]).run(4)
        wait_until(
            lambda: {record.partition for record in part.records("spans")} == set(range(5)), "all to be used", 60
        )
        part.end_input()
        part.wait_for_traces(len(bodies))
        assert_once(part, len(bodies))
        assert_same_changes(part, undisturbed, bodies)


def test_workers_whose_clocks_are_hours_wrong_decide_and_find_the_same(
    broker: KafkaBroker,
    unique_name: Callable[[str], str],
    tmp_path: Path,
    bodies: list[TraceBodies],
    undisturbed: dict[tuple[str, str], bool],
) -> None:
    with cluster(broker, tmp_path, unique_name("clocks"), DOCUMENT) as part:
        part.worker(clock_ahead_seconds=2 * 3600), part.worker(clock_ahead_seconds=-2 * 3600)
        Senders(part.workers, bodies).run(4)
        part.end_input()
        part.wait_for_traces(len(bodies))
        assert_once(part, len(bodies))
        assert_same_changes(part, undisturbed, bodies)
        written = [record.timestamp / 1000 for log in (SPANS, "decisions", "scores") for record in part.records(log)]
        assert max(abs(time.time() - one) for one in written) < 1800, "retention must go by the brokers' clock"


def test_a_broker_that_hangs_or_dies_and_comes_back_costs_nothing_but_time(
    broker: KafkaBroker, unique_name: Callable[[str], str], tmp_path: Path, bodies: list[TraceBodies]
) -> None:
    some = bodies[:150]
    with cluster(broker, tmp_path, unique_name("outage"), DOCUMENT, 2) as part, ThreadPoolExecutor(1) as background:
        worker = part.worker()
        sending = Senders(part.workers, some)
        sent = background.submit(sending.run, 4)
        wait_until(lambda: sending.has_accepted(30), "some traces", 60)
        os.kill(broker.process.pid, signal.SIGSTOP)  # no partition can be written, and no connection is refused
        waits = wait_until(
            lambda: "waits:" in worker.log or "fail, and are tried again" in worker.log, "a word of it", 60
        )
        os.kill(broker.process.pid, signal.SIGCONT)
        assert waits
        wait_until(lambda: sending.has_accepted(80), "more traces", 90)
        broker.kill()
        accepted = len(sending.accepted)
        broker.start()
        sent.result(timeout=120)
        assert accepted < len(some), "it was not needed"
        assert worker.process.running
        too_long = httpx.post(f"{worker.otlp_http}/v1/traces", content=oversized(), headers=PROTOBUF, timeout=30)
        assert too_long.status_code == 413, too_long.text
        part.end_input()
        part.wait_for_traces(len(some))
        assert_once(part, len(some))
        assert "Traceback" not in worker.log


def values(part: Cluster) -> list[bytes]:
    return [record.value for record in part.records("decisions")]


def oversized() -> bytes:
    """A span that is accepted as such, and longer than a record of the cluster may be."""
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add(trace_id=bytes(15) + b"x", span_id=bytes(7) + b"x")
    span.start_time_unix_nano = span.end_time_unix_nano = START_NS
    span.attributes.add(key="long").value.string_value = "x" * 2**20
    body: bytes = request.SerializeToString()
    return body


def test_each_role_does_its_part_and_a_worker_that_only_looked_dead_is_refused(
    broker: KafkaBroker, unique_name: Callable[[str], str], tmp_path: Path, bodies: list[TraceBodies]
) -> None:
    some = bodies[:200]
    document = {**DOCUMENT, "export": {"parquet": {"path": str(tmp_path / "lake"), "every": "2s"}}}
    with cluster(broker, tmp_path, unique_name("roles"), document, 2) as part:
        receiver, watcher = part.worker("receive"), part.worker("watch")
        stuck, other = part.worker("score"), part.worker("score")
        rebalances = 'driftline_rebalances_total{stage="score"}'
        wait_until(lambda: stuck.metrics().get(rebalances), "it to have work", 30)
        Senders([receiver], some[:100]).run(4)
        before = stuck.metrics()[rebalances]
        os.kill(stuck.process.pid, signal.SIGSTOP)
        Senders([receiver], some[100:]).run(4)
        part.end_input()
        part.wait_for_traces(len(some))
        os.kill(stuck.process.pid, signal.SIGCONT)

        def heard() -> bool:
            """Refused in the middle of something, or, if it had nothing in hand, given partitions anew."""
            return "score begins again" in stuck.log or stuck.metrics().get(rebalances, 0) > before

        wait_until(heard, "it to hear of that", 30)
        wait_until(lambda: stuck.total("driftline_stage_loops_total") > 0, "it to go on", 30)
        assert_once(part, len(some))
        assert other.process.running

        wait_until(lambda: watcher.api("/api/traces", limit=1000)["traces"][len(some) - 1], "the view to have all", 30)
        assert set(watcher.addresses) == {"web"}
        assert set(receiver.addresses) == {"web", "otlp_http", "otlp_grpc"}
        assert httpx.get(f"http://{receiver.web}/").status_code == 404
        assert httpx.get(f"http://{watcher.web}/").status_code == 200
        told = watcher.why(some[0].trace_id)
        assert {one["scorer"] for one in told["decisions"]} >= {"groundedness", "refusal"}
        assert watcher.stop() == 0  # which writes what is not in a file yet
        files = (tmp_path / "lake" / "scores").rglob("*.parquet")
        rows = Counter(one for file in files for one in pq.read_table(file, partitioning=None)["trace_id"].to_pylist())
        assert set(rows) == {one.trace_id for one in some}
        assert sum(rows.values()) == sum(
            "score" in decision for sheet in map(read_sheet, values(part)) for decision in sheet["decisions"]
        )
        cases = tmp_path / "cases.jsonl"
        exported = run_driftline("export", "cases", "--scorer", "latency", "--all", "-c", watcher.config_path, cases)
        assert exported.returncode == 0, exported.stderr
        assert len(cases.read_text().splitlines()) == len(some), "the content of all is still in the inbox"


def test_what_others_write_in_any_partition_finds_its_trace_and_poison_is_kept_aside(
    broker: KafkaBroker, unique_name: Callable[[str], str], tmp_path: Path, bodies: list[TraceBodies]
) -> None:
    some = bodies[:60]
    patient = {**DOCUMENT, "assemble": {"quiet": "1h", "max_age": "9h"}}  # a detour takes as long as it takes
    with cluster(broker, tmp_path, unique_name("others"), patient, 3) as part:
        with broker.producer() as producer:
            for number, one in enumerate(some):
                for place, span in enumerate(spans_apart(one)):
                    producer.send(part.topic("spans"), span, partition=(number + place) % 3).get(timeout=30)
            producer.send(part.topic("spans"), b"\xff\xff no protobuf", partition=1).get(timeout=30)
        worker = part.worker()
        wait_until(lambda: worker.total("driftline_unreadable_records_total"), "the poison", 60)
        wait_until(lambda: worker.metrics().get("driftline_open_traces") == len(some), "all to be in their homes", 60)
        part.end_input()
        part.wait_for_traces(len(some))
        assert_once(part, len(some))
        (dead,) = part.records("dead_letters")
        assert (dead.value, dead.headers[0]) == (b"\xff\xff no protobuf", ("kind", b"malformed"))
        assert dead.key.startswith(b"spans/1/")
        counts = {sheet["trace_id"]: sheet["counts"]["spans"] for sheet in part.sheets()}
        assert counts == {one.trace_id: len(spans_apart(one)) for one in some}


def spans_apart(one: TraceBodies) -> list[bytes]:
    """A trace as one request for each of its spans."""
    requests = []
    for resource in one.spans.resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                request = ExportTraceServiceRequest()
                group = request.resource_spans.add(resource=resource.resource)
                group.scope_spans.add(scope=scope.scope, spans=[span])
                requests.append(request.SerializeToString())
    return requests
