"""What may happen to brokers: a full disk, one of several that dies, a partition that nobody has for a while.

Real processes, real brokers of their own. Afterwards, as ever: each trace decided on once, each score watched once.
"""

import resource
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from kafka.admin import NewTopic

from collector.wire.route import partition_of
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
from tests.real.parts.kafka import KafkaBroker, kafka_broker, kafka_brokers
from tests.real.parts.process import wait_until
from tests.real.service import Service

pytestmark = pytest.mark.long

REPLICATED = {
    **QUICK_BROKER,
    **dict.fromkeys(("offsets.topic.replication.factor", "transaction.state.log.replication.factor"), 3),
    "transaction.state.log.min.isr": 2,
}
STATES = ("state.score", "state.session", "state.watch", "state.notify")
LEADERLESS = 'driftline_leaderless_partitions{topic="alone.spans"}'
PATIENT = {"transaction_timeout": "10s"}  # with three brokers on a small machine, commits may take more than one
GOES_ON_SECONDS = 150.0
"""What its waits may add up to: the killed broker may be the transactions' coordinator too, whom commits wait for for
20 s, a stage in the middle of a commit begins again after 25 s, and joins its group, which may miss it for 20 s."""

FULL_BYTES = 2**16  # of any file of a broker whose disk is full


# kafka-python leaves a socket unclosed for each connection that is refused, those of the tests' own clients too.
refused_connections = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(scope="module")
def bodies() -> list[TraceBodies]:
    return record_app(150, 43, START_NS, Settings(spacing_ns=20 * SECOND_NS, content="span"))


@pytest.fixture(scope="module")
def brokers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[KafkaBroker]]:
    """Three, of which the last two may die."""
    with kafka_brokers(tmp_path_factory.mktemp("brokers"), 3, REPLICATED) as running:
        yield running


def test_a_broker_whose_disk_is_full_gives_up_and_goes_on_where_there_is_room(
    tmp_path: Path, bodies: list[TraceBodies]
) -> None:
    with (
        kafka_broker(tmp_path / "broker", QUICK_BROKER) as broker,
        cluster(broker, tmp_path, "full", DOCUMENT, 2) as part,
        ThreadPoolExecutor(1) as background,
    ):
        worker = part.worker()
        sending = Senders(part.workers, bodies)
        sent = background.submit(sending.run, 4)
        wait_until(lambda: sending.has_accepted(50), "some traces", 60)
        # No file may grow past this from now on: to a program that writes, it is what a full disk is.
        resource.prlimit(broker.process.pid, resource.RLIMIT_FSIZE, (FULL_BYTES, resource.RLIM_INFINITY))
        wait_until(lambda: not broker.process.running, "the broker to give up", 30)
        accepted = len(sending.accepted)
        told = httpx.post(f"{worker.otlp_http}/v1/traces", content=body(bodies[0]), headers=PROTOBUF, timeout=60)
        assert (told.status_code, told.headers["retry-after"]) == (503, "5")
        not_ready = httpx.get(f"http://{worker.web}/readyz")
        assert not_ready.status_code == 503
        assert "Kafka" in not_ready.text
        assert accepted < len(bodies), "it was not needed"
        broker.start()
        sent.result(timeout=120)
        part.end_input()
        part.wait_for_traces(len(bodies))
        assert_once(part, len(bodies))
        assert httpx.get(f"http://{worker.web}/readyz").status_code == 200
        assert "Traceback" not in worker.log


@refused_connections
def test_one_of_three_brokers_dies_and_senders_see_no_more_than_a_pause(
    brokers: list[KafkaBroker], tmp_path: Path, bodies: list[TraceBodies]
) -> None:
    with (
        cluster(brokers[0], tmp_path, "three", {**DOCUMENT, "cluster": PATIENT}, 4) as part,
        ThreadPoolExecutor(1) as background,
    ):
        worker = part.worker()
        sending = Senders(part.workers, bodies)
        sent = background.submit(sending.run, 4)
        wait_until(lambda: sending.has_accepted(50), "some traces", 60)
        brokers[2].kill()
        accepted = len(sending.accepted)
        sent.result(timeout=60)
        assert accepted < len(bodies), "it was not needed"
        assert sending.refused == 0
        assert httpx.get(f"http://{worker.web}/readyz").status_code == 200
        part.end_input()
        part.wait_for_traces(len(bodies))
        assert_once(part, len(bodies))
        assert "Traceback" not in worker.log
        brokers[2].start()


@refused_connections
def test_a_partition_that_nobody_leads_waits_alone_until_it_is_back(
    brokers: list[KafkaBroker], tmp_path: Path, bodies: list[TraceBodies]
) -> None:
    alone = {"cluster": {"replication": 1, **PATIENT}}
    place_topics(brokers[0], "alone", far=brokers[2])
    here, there = ([one for one in bodies if home(one) == number] for number in (0, 1))
    with cluster(brokers[0], tmp_path, "alone", {**DOCUMENT, **alone}, 2) as part, ThreadPoolExecutor(1) as background:
        worker = part.worker()
        sending = Senders(part.workers, bodies)
        sent = background.submit(sending.run, 8)
        wait_until(lambda: evaluated(part) and sending.has_accepted(60), "some traces", 60)
        brokers[2].kill()
        wait_until(lambda: worker.metrics().get(LEADERLESS) == 1, "the metric to say so", 30)
        Senders(part.workers, here).run(4)  # some of them for a second time: those that are not waited for
        told = wait_until(lambda: refused(worker, there[0]), "a sender to be told", 60)
        assert told is not None
        assert (told.status_code, told.headers["retry-after"]) == (503, "5")
        ids = {one.trace_id for one in here}
        worker.wait(lambda: ids <= evaluated(part), "the other partition to go on", GOES_ON_SECONDS, every_seconds=1)
        assert not {one.trace_id for one in there} <= evaluated(part), "it was not needed"
        wait_until(lambda: httpx.get(f"http://{worker.web}/readyz").status_code == 200, "it to be ready without it", 30)
        brokers[2].start()
        sent.result(timeout=120)
        wait_until(lambda: worker.metrics().get(LEADERLESS) == 0, "the metric to say so", 30)
        part.end_input()
        part.wait_for_traces(len(bodies))
        assert_once(part, len(bodies))
        assert "Traceback" not in worker.log


def place_topics(broker: KafkaBroker, name: str, far: KafkaBroker) -> None:
    """Topics with one copy of each partition: the second of the inbox, and its state, are at another broker."""
    with broker.admin() as admin:
        for log in ("spans", "turns", "decisions", "scores", "changes", "dead_letters", *STATES):
            second = far.node if log in ("spans", "state.score") else broker.node
            places = {0: [broker.node], 1: [second]}
            if log in ("changes", "dead_letters", "state.notify"):
                del places[1]
            policy = {"cleanup.policy": "compact" if log in STATES else "delete"}
            admin.create_topics([NewTopic(f"{name}.{log}", replica_assignments=places, topic_configs=policy)])


def home(one: TraceBodies) -> int:
    return partition_of(bytes.fromhex(one.trace_id), 2)


def evaluated(part: Cluster) -> set[str]:
    return {sheet["trace_id"] for sheet in part.sheets()}


def refused(worker: Service, one: TraceBodies) -> httpx.Response | None:
    """What a sender is told, once it is told so at once."""
    began = time.monotonic()
    told = httpx.post(f"{worker.otlp_http}/v1/traces", content=body(one), headers=PROTOBUF, timeout=60)
    return told if told.status_code != 200 and time.monotonic() - began < 2 else None


def body(one: TraceBodies) -> bytes:
    encoded: bytes = one.spans.SerializeToString()
    return encoded
