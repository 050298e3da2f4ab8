"""What may be said of Kafka, and how wrong values are named; where messages that cannot be read go."""

from types import SimpleNamespace
from typing import Any

import pytest
from kafka.errors import KafkaConnectionError, KafkaTimeoutError
from pydantic import ValidationError

from collector.core.engine import EVENTS_KIND, TRACES_KIND
from collector.core.errors import StoreError
from collector.receivers.kafka_config import KafkaConfig
from collector.receivers.kafka_dead_letter import DeadLetterTopic

BROKERS = ["kafka-1:9092"]


def test_the_defaults_are_the_topics_of_the_collectors_exporter() -> None:
    config = KafkaConfig(brokers=BROKERS)
    assert config.kinds() == {"otlp_spans": TRACES_KIND, "otlp_logs": EVENTS_KIND}
    assert KafkaConfig(brokers=BROKERS, logs=None).kinds() == {"otlp_spans": TRACES_KIND}
    several = KafkaConfig(brokers=BROKERS, traces=["a", "b"], logs="c")
    assert several.kinds() == {"a": TRACES_KIND, "b": TRACES_KIND, "c": EVENTS_KIND}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"brokers": []}, "brokers"),
        ({"brokers": ["http://kafka:9092/"]}, "'http://kafka:9092/' is not HOST:PORT"),
        ({"traces": "a b"}, "traces"),
        ({"traces": None, "logs": None}, "there is nothing to read"),
        ({"traces": "same", "logs": "same"}, "'same' is named twice; traces and logs need topics of their own"),
        ({"encoding": "json"}, "'otlp_proto' or 'otlp_json'"),
        ({"group": ""}, "group"),
        ({"options": {"group_id": "g"}}, r"group_id is set by group"),
        ({"options": {"enable_auto_commit": True}}, "enable_auto_commit is not yours to set"),
        ({"options": {"fetch_max_byte": 1}}, "fetch_max_byte is not a setting"),
        ({"options": {"sasl_plain_password": "s3cret"}}, "never as plain text"),
        ({"topic": "x"}, "topic"),
    ],
)
def test_a_wrong_value_is_named(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        KafkaConfig(**{"brokers": BROKERS, **wrong})


def test_passwords_reach_the_client_and_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_PASSWORD", "s3cret")
    options = {"sasl_plain_password": {"env": "KAFKA_PASSWORD"}, "fetch_min_bytes": 5}
    config = KafkaConfig(brokers=BROKERS, options=options)
    assert config.client_options() == {"sasl_plain_password": "s3cret", "fetch_min_bytes": 5}
    assert "s3cret" not in f"{config!r} {config} {config.model_dump_json()}"


class FakeProducer:
    """Keeps what was sent; `error` is raised when its delivery is waited for."""

    def __init__(self, error: Exception | None = None) -> None:
        self.sent: list[dict[str, Any]] = []
        self.error = error
        self.is_closed = False

    def send(self, topic: str, **message: Any) -> Any:
        def get(timeout: float) -> None:
            if self.error is not None:
                raise self.error
            self.sent.append({"topic": topic, **message})

        return SimpleNamespace(get=get)

    def close(self, timeout: float) -> None:
        self.is_closed = True


def test_a_dead_letter_is_the_message_as_it_came_with_where_and_why() -> None:
    producer = FakeProducer()
    letters = DeadLetterTopic(KafkaConfig(brokers=BROKERS), "dead", lambda _: producer)
    letters("otlp_spans", 2, 71, "malformed", b"hello")
    letters.close()
    letters.close()
    (sent,) = producer.sent
    assert (sent["topic"], sent["value"]) == ("dead", b"hello")
    assert dict(sent["headers"]) == {
        "driftline.topic": b"otlp_spans",
        "driftline.partition": b"2",
        "driftline.offset": b"71",
        "driftline.reason": b"malformed",
    }
    assert producer.is_closed


def test_a_dead_letter_that_is_not_delivered_is_a_failure_of_the_store() -> None:
    letters = DeadLetterTopic(KafkaConfig(brokers=BROKERS), "dead", lambda _: FakeProducer(KafkaTimeoutError("late")))
    with pytest.raises(StoreError, match="dead does not take messages"):
        letters("otlp_spans", 0, 1, "malformed", b"")

    def nobody(config: KafkaConfig) -> Any:
        raise KafkaConnectionError("gone")

    with pytest.raises(StoreError, match="gone"):
        DeadLetterTopic(KafkaConfig(brokers=BROKERS), "dead", nobody)("otlp_spans", 0, 1, "malformed", b"")
