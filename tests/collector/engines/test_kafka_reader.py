"""Looking at a log of a cluster from outside: all that is committed, or only what a stage still needs."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from collector.core.engine import SPANS, Record
from collector.core.errors import StoreError
from collector.engines.kafka_config import KafkaEngineConfig
from collector.engines.kafka_reader import read_log, read_state
from tests.collector.engines.test_kafka import Configured, Worker, configured, running, turn_until

if TYPE_CHECKING:
    from tests.real.parts.kafka import KafkaBroker

__all__ = ["configured"]  # the fixture


def test_a_stage_begins_at_what_it_committed_and_the_others_at_the_beginning(configured: Configured) -> None:
    config = configured(partitions=2)
    with running(config) as engine:
        records = [Record(b"%d" % number, key=b"k", partition=number % 2) for number in range(200)]
        engine.append(SPANS, records).result(30)
        assert {entry.value for entry in read_log(config, SPANS, "stage")} == {record.value for record in records}
        worker = Worker(engine)
        turn_until(lambda: worker.seen() == 200, "all to be worked through", worker)
        worker.subscription.close()
        waiting = [Record(b"late", key=b"k", partition=1)]
        engine.append(SPANS, waiting).result(30)
        assert [entry.value for entry in read_log(config, SPANS, "stage")] == [b"late"]
        assert len(list(read_log(config, SPANS))) == 201
        assert len(list(read_log(config, SPANS, "watch"))) == 201, "a stage that never committed needs all"


def test_state_is_the_newest_of_each_key_of_each_partition_without_what_was_deleted(configured: Configured) -> None:
    config = configured(partitions=2)
    with running(config) as engine:
        for batch in range(2):
            records = [Record(b"%d" % number, key=b"k", partition=number % 2) for number in range(10 + batch)]
            engine.append(SPANS, records).result(30)
        assert list(read_state(config, "stage")) == []
        worker = Worker(engine)
        turn_until(lambda: worker.seen() == 21, "all to be worked through", worker)
        assert sorted(read_state(config, "stage")) == [("seen", b"10"), ("seen", b"11")]
        for partition in worker.owner.owned.values():
            transaction = partition.transaction()
            transaction.delete("seen")
            transaction.commit()
        worker.subscription.close()
        assert list(read_state(config, "stage")) == []


def test_without_topics_it_says_what_to_do(kafka: "KafkaBroker", unique_name: Callable[[str], str]) -> None:
    config = KafkaEngineConfig(brokers=[kafka.address], prefix=unique_name("none"))
    with pytest.raises(StoreError, match="topics apply"):
        next(read_log(config, SPANS, "stage"))
