"""Each real part does what the tests built on it rely on."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from kafka import KafkaConsumer
from kafka.errors import KafkaError
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.openmetrics import exposition

from collector.kafka_client import JOIN_SECONDS, go_on_joining
from tests.real.parts.alertmanager import Alertmanager, amtool
from tests.real.parts.kafka import KafkaBroker, fetch_kafka, kafka_broker
from tests.real.parts.process import wait_until
from tests.real.parts.prometheus import Prometheus, promtool
from tests.real.parts.webhook import Answer, Webhook

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
Unique = Callable[[str], str]


# --- Kafka -------------------------------------------------------------------------------------------------------


def test_kafka_keeps_what_it_is_given(kafka: KafkaBroker, unique_name: Unique) -> None:
    topic = kafka.create_topic(unique_name("plain"), partitions=2)
    with kafka.producer(acks="all") as producer:
        for number in range(10):
            producer.send(topic, b"%d" % number, partition=number % 2).get(timeout=30)
    assert sorted(record.value for record in kafka.records(topic)) == sorted(b"%d" % number for number in range(10))
    assert kafka.end_offsets(topic) == {0: 5, 1: 5}


def test_kafka_shows_a_transaction_whole_or_not_at_all(kafka: KafkaBroker, unique_name: Unique) -> None:
    topic = kafka.create_topic(unique_name("transactions"))
    with kafka.producer(transactional_id=unique_name("writer"), acks="all") as producer:
        producer.init_transactions()
        producer.begin_transaction()
        producer.send(topic, b"aborted")
        producer.flush()
        producer.abort_transaction()
        producer.begin_transaction()
        producer.send(topic, b"committed")
        producer.commit_transaction()
    assert [record.value for record in kafka.records(topic)] == [b"committed"]
    assert kafka.end_offsets(topic)[0] > 2, "the aborted record and the markers are in the log all the same"


def test_kafka_refuses_a_second_owner_of_a_transaction(kafka: KafkaBroker, unique_name: Unique) -> None:
    topic, owner = kafka.create_topic(unique_name("fenced")), unique_name("owner")
    with kafka.producer(transactional_id=owner) as first, kafka.producer(transactional_id=owner) as second:
        first.init_transactions()
        first.begin_transaction()
        first.send(topic, b"from the first")
        first.flush()
        second.init_transactions()
        with pytest.raises(KafkaError):
            first.commit_transaction()
        second.begin_transaction()
        second.send(topic, b"from the second")
        second.commit_transaction()
    assert [record.value for record in kafka.records(topic)] == [b"from the second"]


def test_kafka_remembers_a_groups_offsets(kafka: KafkaBroker, unique_name: Unique) -> None:
    topic, group = kafka.create_topic(unique_name("offsets")), unique_name("group")
    assert kafka.committed(group, topic) == {}
    with kafka.producer() as producer:
        producer.send(topic, b"one").get(timeout=30)
    with kafka.consumer(topic, group_id=group, enable_auto_commit=False) as consumer:
        wait_until(partial(read, consumer), "a record", deadline_seconds=60, every_seconds=0)
        consumer.commit()
    assert kafka.committed(group, topic) == {0: 1}


def read(consumer: KafkaConsumer) -> Any:
    go_on_joining(consumer)  # it may have joined before it knew the topic
    return consumer.poll(timeout_ms=round(JOIN_SECONDS * 1000))


def test_a_killed_kafka_comes_back_with_its_data_on_its_port(tmp_path: Path) -> None:
    with kafka_broker(tmp_path) as broker:
        broker.create_topic("kept")
        with broker.producer(acks="all") as producer:
            producer.send("kept", b"before").get(timeout=30)
        address = broker.address
        broker.kill()
        broker.start()
        assert broker.address == address
        assert [record.value for record in broker.records("kept")] == [b"before"]


def test_kafka_is_fetched_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kafka: KafkaBroker) -> None:
    folder = fetch_kafka(tmp_path)
    assert any(jar.name.startswith("kafka_2.13-4.") for jar in folder.iterdir())
    monkeypatch.setenv("PATH", "")  # no Maven from here on
    assert fetch_kafka(tmp_path) == folder


# --- Prometheus --------------------------------------------------------------------------------------------------


def openmetrics_page() -> bytes:
    registry = CollectorRegistry()
    Counter("driftline_received_spans", "Spans received.", registry=registry).inc(42)
    scores = Histogram("driftline_score_ratio", "Scores.", unit="ratio", buckets=(0.5, 1.0), registry=registry)
    scores.observe(0.4, {"trace_id": TRACE_ID})
    page: bytes = exposition.generate_latest(registry)  # type: ignore[no-untyped-call]
    return page


def test_prometheus_scrapes_values_and_exemplars(
    prometheus_factory: Callable[..., Prometheus], webhook_receiver: Webhook
) -> None:
    page = Answer(200, {"content-type": exposition.CONTENT_TYPE_LATEST}, openmetrics_page())
    webhook_receiver.answers.extend([page] * 1000)
    prometheus = prometheus_factory([webhook_receiver.url.removeprefix("http://")], token="a-token")
    prometheus.wait_for_scrape()
    assert webhook_receiver.received[0].headers["authorization"] == "Bearer a-token"
    (sample,) = prometheus.wait_for("driftline_received_spans_total")
    assert (sample.value, sample.labels["job"]) == (42.0, "driftline")
    (exemplar,) = wait_until(lambda: prometheus.exemplars("driftline_score_ratio_bucket"), "an exemplar")
    assert (exemplar.labels, exemplar.value) == ({"trace_id": TRACE_ID}, 0.4)
    prometheus.stop()


def test_prometheus_says_what_is_wrong_with_a_target(
    prometheus_factory: Callable[..., Prometheus], webhook_receiver: Webhook
) -> None:
    page = Answer(200, {"content-type": "text/plain; version=0.0.4"}, b"not { a page\n")
    webhook_receiver.answers.extend([page] * 1000)
    prometheus = prometheus_factory([webhook_receiver.url.removeprefix("http://")])
    (target,) = wait_until(lambda: [one for one in prometheus.targets() if one["lastError"]], "an error")
    assert target["health"] == "down"
    prometheus.stop()


def test_an_alert_rule_travels_from_prometheus_through_alertmanager_to_the_webhook(
    prometheus_factory: Callable[..., Prometheus],
    alertmanager_factory: Callable[..., Alertmanager],
    webhook_receiver: Webhook,
    tmp_path: Path,
) -> None:
    rules = tmp_path / "rules.yml"
    rules.write_text("groups: [{name: g, rules: [{alert: Always, expr: vector(1), labels: {severity: page}}]}]\n")
    assert promtool("check", "rules", rules).returncode == 0
    alertmanager = alertmanager_factory(webhook_receiver.url)
    prometheus = prometheus_factory([], rules=[rules], alertmanagers=[alertmanager.address])
    wait_until(lambda: [alert for alert in prometheus.alerts() if alert["state"] == "firing"], "the rule to fire")
    (notification, *_) = webhook_receiver.wait_for(1)
    assert notification.json()["alerts"][0]["labels"] == {"alertname": "Always", "severity": "page"}
    prometheus.stop()
    alertmanager.stop()


def test_promtool_reads_a_metrics_page() -> None:
    assert promtool("check", "metrics", stdin=b"# HELP a_total A.\n# TYPE a_total counter\na_total 1\n").returncode == 0
    assert promtool("check", "metrics", stdin=b"a_total {\n").returncode != 0


# --- Alertmanager ------------------------------------------------------------------------------------------------


def test_alertmanager_takes_an_alert_and_calls_the_webhook_when_it_fires_and_when_it_resolves(
    alertmanager_factory: Callable[..., Alertmanager], webhook_receiver: Webhook
) -> None:
    alertmanager = alertmanager_factory(webhook_receiver.url)
    now = datetime.now(UTC)
    alert = {"labels": {"alertname": "Regression", "service": "shop"}, "startsAt": now.isoformat()}
    assert alertmanager.post([alert]).status_code == 200
    (held,) = alertmanager.wait_for_alerts()
    assert held["labels"] == alert["labels"]
    assert "Regression" in alertmanager.amtool("alert", "query").stdout
    (fired, *_) = webhook_receiver.wait_for(1)
    assert fired.json()["status"] == "firing"

    alertmanager.post([{**alert, "endsAt": (now + timedelta(microseconds=1)).isoformat()}])
    resolved = webhook_receiver.wait_until(lambda got: got[-1].json()["status"] == "resolved", "the resolution")[-1]
    assert resolved.json()["alerts"][0]["labels"] == alert["labels"]
    alertmanager.stop()


def test_alertmanager_refuses_what_is_no_alert(
    alertmanager_factory: Callable[..., Alertmanager], webhook_receiver: Webhook
) -> None:
    alertmanager = alertmanager_factory(webhook_receiver.url)
    assert alertmanager.post([{"labels": {}}]).status_code == 400
    assert amtool("check-config", alertmanager.config_path).returncode == 0
    alertmanager.stop()


def test_the_webhook_answers_as_it_is_told_and_then_with_success(webhook_receiver: Webhook) -> None:
    webhook_receiver.answers.append(Answer(503, {"retry-after": "1"}, b"busy"))
    first = httpx.post(f"{webhook_receiver.url}/hook", content=b"{}")
    assert (first.status_code, first.headers["retry-after"], first.text) == (503, "1", "busy")
    assert httpx.put(f"{webhook_receiver.url}/hook").status_code == 200
    assert [(one.method, one.path) for one in webhook_receiver.received] == [("POST", "/hook"), ("PUT", "/hook")]
