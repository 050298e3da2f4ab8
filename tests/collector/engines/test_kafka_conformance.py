"""Both engines keep the one contract."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from collector.core.clock import SystemClock
from collector.core.engine import Engine
from collector.core.telemetry import Telemetry
from collector.engines.sqlite import SqliteEngine, StoreConfig
from tests.collector.engines.conformance import LOG_OF, EngineContract

if TYPE_CHECKING:
    from tests.real.parts.kafka import KafkaBroker


class TestSqlite(EngineContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Callable[[], Engine]:
        return lambda: SqliteEngine(StoreConfig(path=tmp_path / "store.db"), SystemClock(), Telemetry())


class TestKafka(EngineContract):
    @pytest.fixture
    def store(self, kafka: "KafkaBroker", unique_name: Callable[[str], str]) -> Callable[[], Engine]:
        from collector.engines.kafka import KafkaEngine, KafkaEngineConfig
        from collector.engines.kafka_topics import apply, plan

        name = unique_name("conformance")
        config = KafkaEngineConfig(brokers=[kafka.address], prefix=name, group=name, partitions=1)
        with kafka.admin() as admin:
            apply(plan(config, admin, LOG_OF), admin)
        return lambda: KafkaEngine(config, SystemClock(), Telemetry(), LOG_OF)
