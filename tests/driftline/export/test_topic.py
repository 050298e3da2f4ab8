"""Rows to a topic: acknowledged before they are committed, again if not, and none that holds up the others."""

import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import orjson
import pytest
from kafka.errors import KafkaTimeoutError, MessageSizeTooLargeError
from pydantic import ValidationError

from collector.core.clock import FakeClock
from collector.core.engine import DECISIONS, Record
from collector.core.errors import StoreError
from collector.core.telemetry import Telemetry
from collector.engines.sqlite import SqliteEngine, StoreConfig
from driftline.export.build import export_stages
from driftline.export.config import ExportConfig, KafkaExportConfig
from driftline.export.rows import score_key
from driftline.export.stage import TopicStage, scores
from driftline.export.topic import Topic
from driftline.pipeline import Stopped
from tests.driftline.export.store import Store

CONFIG = KafkaExportConfig(brokers=["kafka-1:9092"])


class Delivery:
    def __init__(self, error: Exception | None) -> None:
        self._error = error

    def get(self, timeout: float) -> None:
        if self._error is not None:
            raise self._error


class FakeProducer:
    """Keeps what was sent; `fail` says of a message which error it meets, at once or when it is waited for."""

    def __init__(self, fail: Callable[[bytes], Exception | None] = lambda value: None, at_once: bool = False) -> None:
        self.sent: list[tuple[str, bytes, bytes]] = []
        self.closed = 0
        self._fail, self._at_once = fail, at_once

    def send(self, topic: str, key: bytes, value: bytes) -> Delivery:
        error = self._fail(value)
        if error is not None and self._at_once:
            raise error
        if error is None:
            self.sent.append((topic, key, value))
        return Delivery(error)

    def flush(self, timeout: float) -> None: ...

    def close(self, timeout: float) -> None:
        self.closed += 1


def test_each_row_is_a_message_under_its_key(store: Store) -> None:
    producer = FakeProducer()
    rows = [row for entry in store.decisions[:300] for row in scores(False).rows(entry.value)]
    assert Topic(CONFIG, "scores", score_key, lambda _: producer).send(rows) == 0
    assert producer.sent == [("scores", score_key(row), orjson.dumps(row)) for row in rows]
    assert len(rows) > 500


def test_what_the_brokers_do_not_take_is_an_error_and_the_next_attempt_begins_anew() -> None:
    producers = [FakeProducer(lambda value: KafkaTimeoutError("gone")), FakeProducer()]
    waiting = iter(producers)
    topic = Topic(CONFIG, "scores", lambda row: b"k", lambda _: next(waiting))
    with pytest.raises(StoreError, match=r"export\.kafka: the topic scores does not take rows: KafkaTimeoutError: "):
        topic.send([{"id": "a"}])
    assert producers[0].closed == 1
    assert topic.send([{"id": "a"}]) == 0
    assert len(producers[1].sent) == 1
    topic.close()
    topic.close()
    assert producers[1].closed == 1


@pytest.mark.parametrize("at_once", [True, False])
def test_a_row_that_is_too_large_is_left_out_and_told(at_once: bool, caplog: pytest.LogCaptureFixture) -> None:
    producer = FakeProducer(lambda value: MessageSizeTooLargeError() if b"large" in value else None, at_once)
    rows = [{"id": "a"}, {"id": "large"}, {"id": "b"}]
    assert Topic(CONFIG, "scores", lambda row: b"k", lambda _: producer).send(rows) == 1
    assert [orjson.loads(value)["id"] for _, _, value in producer.sent] == ["a", "b"]
    assert "the row large is too large for the topic scores and was left out" in caplog.text


def test_the_offset_moves_only_past_what_was_acknowledged(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = FakeProducer(lambda value: KafkaTimeoutError("gone"))
    there = FakeProducer()
    connections = iter([gone, gone, there])
    telemetry = Telemetry()
    engine = SqliteEngine(StoreConfig(path=tmp_path / "store.db"), FakeClock(), telemetry)
    engine.append(DECISIONS, [Record(entry.value) for entry in store.decisions[:20]]).result()
    topic = Topic(CONFIG, "scores", score_key, lambda _: next(connections))
    for stopped in (True, False):
        stage = TopicStage(topic, scores(False), engine, telemetry)
        monkeypatch.setattr(stage._stopping, "wait", lambda seconds, stopped=stopped: stopped)
        with pytest.raises(Stopped) if stopped else nullcontext():
            stage.drain()
        stage.finish()
    ids = [orjson.loads(value)["id"] for _, _, value in there.sent]
    assert ids == [row["id"] for entry in store.decisions[:20] for row in scores(False).rows(entry.value)]
    exported = telemetry.counter("driftline_exported_rows", "", ["sink", "rows"]).values()
    assert exported == {("kafka", "scores"): len(ids)}
    engine.close()


def test_stages_are_made_for_what_is_configured(tmp_path: Path) -> None:
    engine = SqliteEngine(StoreConfig(path=tmp_path / "store.db"), FakeClock(), Telemetry())

    def names(**config: Any) -> list[str]:
        made = ExportConfig.model_validate(config)
        return [stage.name for stage in export_stages(made, engine, FakeClock(), Telemetry())]

    kafka = {"brokers": ["a:1"]}
    assert names() == []
    assert names(kafka=kafka) == ["export-kafka-scores", "export-kafka-changes"]
    assert names(kafka={**kafka, "scores": None}) == ["export-kafka-changes"]
    assert names(parquet={"path": tmp_path}) == ["export-parquet-scores", "export-parquet-changes"]
    engine.close()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"brokers": []}, "brokers"),
        ({"brokers": ["http://kafka:9092/"]}, "'http://kafka:9092/' is not HOST:PORT"),
        ({"scores": "a b"}, "scores"),
        ({"scores": None, "changes": None}, "there is nothing to write"),
        ({"scores": "same", "changes": "same"}, "both 'same'; they need a topic each"),
        ({"options": {"bootstrap_servers": "a"}}, r"bootstrap_servers is set by brokers"),
        ({"options": {"acks": 0}}, "acks is not yours to set"),
        ({"options": {"group_id": "g"}}, "group_id is not a setting of kafka-python's KafkaProducer"),
        ({"options": {"sasl_plain_password": "s3cret"}}, "never as plain text"),
    ],
)
def test_a_wrong_value_is_named(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        KafkaExportConfig(**{"brokers": ["a:1"], **wrong})


def test_neither_pyarrow_nor_kafka_is_loaded_before_it_is_needed() -> None:
    check = "import sys, driftline.build, driftline.commands.export; print({'pyarrow', 'kafka'} & set(sys.modules))"
    shown = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, timeout=60)
    assert (shown.stdout, shown.stderr) == ("set()\n", "")
