"""Sessions that wait, of a cluster: what the stage has committed, in any partition, and what it has yet to read."""

from collections.abc import Callable, Sequence
from contextlib import closing
from typing import TYPE_CHECKING

from collector.assemble_config import AssembleConfig
from collector.core.clock import SystemClock
from collector.core.engine import SPANS, TURNS, Partition, Record
from collector.core.model import Trace
from collector.core.telemetry import Telemetry
from collector.engines.kafka import KafkaEngine
from collector.engines.kafka_config import KafkaEngineConfig
from collector.engines.kafka_topics import apply, plan
from collector.sessions import Sessions
from collector.turns import Told, encode_turn, told_by
from driftline.config import Config
from driftline.pending_sessions import PendingSession, pending_sessions
from tests.collector.engines.conformance import Reader

if TYPE_CHECKING:
    from tests.real.parts.kafka import KafkaBroker

LOG_OF = {"score": SPANS, "session": TURNS}
SECOND = 10**9
ASSEMBLE = AssembleConfig.model_validate({"session_idle": "10m", "lateness": "5s"})


def turn(number: int, session: str, end_seconds: int) -> Told:
    end_ns = 10**18 + end_seconds * SECOND
    told = told_by(
        Trace(f"{number:032x}", end_ns - SECOND, end_ns, session_id=session, resource={"service.name": "shop"}),
        revision=0,
        upstream=1.0,
        slices={},
    )
    assert told is not None
    return told


def keep(partition: Partition, turns: list[Told], next_offset: int) -> None:
    """As the stage does."""
    sessions = Sessions(ASSEMBLE, Telemetry())
    for told in turns:
        list(sessions.add(told))
    transaction = partition.transaction()
    for key, value in sessions.take_state().items():
        if value is not None:
            transaction.put(key, value)
    transaction.offset(next_offset)
    transaction.commit()


def waiting(
    session: str, traces: Sequence[int], first_end_seconds: int, end_seconds: int, evaluated: bool = False
) -> PendingSession:
    ids = tuple(f"{trace:032x}" for trace in traces)
    started, ended = (10**18 + seconds * SECOND for seconds in (first_end_seconds - 1, end_seconds))
    return PendingSession(session, "shop", "", ids, started, ended, ended + (600 + 5) * SECOND, evaluated)


def test_sessions_of_all_partitions_wait_with_the_turns_that_are_not_read_yet(
    kafka: "KafkaBroker", unique_name: Callable[[str], str]
) -> None:
    name = unique_name("sessions")
    config = KafkaEngineConfig(brokers=[kafka.address], prefix=name, group=name, partitions=2)
    with kafka.admin() as admin:
        apply(plan(config, admin, LOG_OF), admin)
    sent = {
        0: [turn(1, "waits", 0), turn(2, "waits", 60), turn(3, "waits", 90)],
        1: [turn(4, "over", 0), turn(5, "other", 700), turn(6, "new", 710), turn(7, "over", 720)],
    }
    read = {0: 2, 1: 2}
    with closing(KafkaEngine(config, SystemClock(), Telemetry(), LOG_OF)) as engine:
        records = [
            Record(encode_turn(told), key=told.key, partition=number)
            for number, turns in sent.items()
            for told in turns
        ]
        engine.append(TURNS, records).result(30)
        reader = Reader(engine, "session", TURNS)
        while len(reader.owner.owned) < 2:
            reader.subscription.poll(0.1, 1)
        for number, partition in reader.owner.owned.items():
            keep(partition, sent[number][: read[number]], read[number])
        reader.subscription.close()
        found = pending_sessions(Config.model_construct(cluster=config, assemble=ASSEMBLE))
    assert found == [
        waiting("waits", (1, 2, 3), 0, 90),
        waiting("other", (5,), 700, 700),
        waiting("new", (6,), 710, 710),
        waiting("over", (4, 7), 0, 720, evaluated=True),
    ]
