"""What may happen to brokers: a full disk, one of several that dies, a partition that nobody has for a while.

Real processes, real brokers of their own. Afterwards, as ever: each trace decided on once, each score watched once.
"""

import resource
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.real.app import Settings
from tests.real.bodies import TraceBodies, record_app
from tests.real.cluster import DOCUMENT, PROTOBUF, QUICK_BROKER, SECOND_NS, START_NS, Senders, assert_once, cluster
from tests.real.parts.kafka import KafkaBroker, kafka_broker, kafka_brokers
from tests.real.parts.process import wait_until

REPLICATED = {
    **QUICK_BROKER,
    **dict.fromkeys(("offsets.topic.replication.factor", "transaction.state.log.replication.factor"), 3),
    "transaction.state.log.min.isr": 2,
}
FULL_BYTES = 2**16  # of any file of a broker whose disk is full


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


def test_one_of_three_brokers_dies_and_senders_see_no_more_than_a_pause(
    brokers: list[KafkaBroker], tmp_path: Path, bodies: list[TraceBodies]
) -> None:
    with cluster(brokers[0], tmp_path, "three", DOCUMENT, 4) as part, ThreadPoolExecutor(1) as background:
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


def body(one: TraceBodies) -> bytes:
    encoded: bytes = one.spans.SerializeToString()
    return encoded
