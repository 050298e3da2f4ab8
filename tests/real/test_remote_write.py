"""Remote write into a real Prometheus: the same series, numbers and exemplars as a scrape of the same measurements."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from alerts.exposition import Exposition
from alerts.remote_write import RemoteWriteConfig, RemoteWriter
from collector.core.clock import Clock, FakeClock
from collector.core.telemetry import Exemplar, Telemetry
from tests.real.bodies import record_app
from tests.real.cluster import PROTOBUF, START_NS
from tests.real.parts.exposition import exposition
from tests.real.parts.gotools import tool
from tests.real.parts.process import wait_until
from tests.real.parts.prometheus import Prometheus
from tests.real.service import service

TRACE_ID, SPAN_ID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PUSHED, SCRAPED = '{job="pushed"}', '{job="driftline"}'


def measured() -> Telemetry:
    telemetry = Telemetry()
    scores = telemetry.counter("driftline_scores", "Scores.", ["scorer", "outcome"])
    scores.add(12_345_678, "groundedness", "passed")
    scores.add(0.1 + 0.2, "refusal", 'a "quoted"\nvalue \\ with é')
    telemetry.gauge("driftline_lag_seconds", "Lag.", ["stage"], unit="seconds").set(-0.5, "watch")
    spread = telemetry.histogram("driftline_score_ratio", "Scores.", ["scorer"], buckets=(0.25, 0.5, 1), unit="ratio")
    for value in (0.2, 0.3, 0.5, 7.0):
        exemplar = Exemplar(TRACE_ID, SPAN_ID, value, time.time_ns())
        spread.observe(value, "groundedness", exemplar=exemplar)
    return telemetry


def writer(prometheus: Prometheus, telemetry: Telemetry, clock: Clock | None = None) -> RemoteWriter:
    document = {"url": f"{prometheus.url}/api/v1/write", "every": "1h", "labels": {"job": "pushed"}}
    return RemoteWriter(RemoteWriteConfig.model_validate(document), telemetry, clock)


def found(prometheus: Prometheus, job: str) -> dict[tuple[tuple[str, str], ...], float]:
    return {
        tuple(sorted((name, text) for name, text in one.labels.items() if name not in ("job", "instance"))): one.value
        for one in prometheus.query(job)
        if one.labels["__name__"].startswith("driftline_") and "remote_write" not in one.labels["__name__"]
    }


@pytest.mark.parametrize("newer", [False, True], ids=["debian", "prometheus_3"])
def test_what_is_sent_is_what_a_scrape_finds(prometheus_factory: Callable[..., Prometheus], newer: bool) -> None:
    telemetry = measured()
    page = Exposition(telemetry)
    with exposition(page.render) as address:
        prometheus = prometheus_factory([address], takes_remote_write=True, binary=tool("prometheus") if newer else "")
        assert writer(prometheus, telemetry).push()
        prometheus.wait_for(f"driftline_scores_total{SCRAPED}")
        ours = found(prometheus, PUSHED)
        assert ours == found(prometheus, SCRAPED)
    assert len(ours) == 2 + 1 + 4 + 2 + 1, "counters, gauge, buckets, sum and count, and which version it is"
    (processor,) = prometheus.query(f"process_cpu_seconds_total{PUSHED}")
    assert processor.value > 0
    exemplars = prometheus.exemplars(f"driftline_score_ratio_bucket{PUSHED}")
    assert {(one.series["le"], one.value) for one in exemplars} == {("0.25", 0.2), ("0.5", 0.5), ("+Inf", 7.0)}
    assert all(one.labels == {"trace_id": TRACE_ID, "span_id": SPAN_ID} for one in exemplars)


def test_a_rate_and_a_quantile_can_be_taken_of_what_is_sent(prometheus_factory: Callable[..., Prometheus]) -> None:
    telemetry = measured()
    prometheus = prometheus_factory([], takes_remote_write=True)
    clock = FakeClock(time.time_ns() - 4_000_000_000)
    ours = writer(prometheus, telemetry, clock)
    scores = telemetry.counter("driftline_scores", "", ["scorer", "outcome"])
    for _ in range(4):
        assert ours.push()
        scores.add(10, "groundedness", "passed")
        clock.advance(1.0)
    (increase,) = prometheus.query('increase(driftline_scores_total{scorer="groundedness"}[1m])')
    assert increase.value >= 30
    (median,) = prometheus.query("histogram_quantile(0.5, driftline_score_ratio_bucket)")
    assert 0.25 <= median.value <= 0.5


def test_what_is_gone_is_gone_at_once(prometheus_factory: Callable[..., Prometheus]) -> None:
    telemetry = measured()
    prometheus = prometheus_factory([], takes_remote_write=True)
    ours = writer(prometheus, telemetry)
    ours.start()
    ours.push()
    assert prometheus.query("driftline_lag_seconds")
    telemetry.gauge("driftline_lag_seconds", "", ["stage"]).remove("watch")
    ours.push()
    wait_until(lambda: not prometheus.query("driftline_lag_seconds"), "the series to end")
    assert prometheus.query("driftline_scores_total")
    ours.stop(for_good=True)
    wait_until(lambda: not prometheus.query(PUSHED), "all series to end")


def test_a_service_sends_its_measurements(tmp_path: Path, prometheus_factory: Callable[..., Prometheus]) -> None:
    prometheus = prometheus_factory([], takes_remote_write=True)
    settings: dict[str, Any] = {
        "metrics": {"remote_write": {"url": f"{prometheus.url}/api/v1/write", "every": "1s"}},
        "scorers": ["latency"],
        "monitors": [],
    }
    (body,) = record_app(1, 8, START_NS)
    with service(tmp_path, settings) as driftline:
        sent = httpx.post(f"{driftline.otlp_http}/v1/traces", content=body.spans.SerializeToString(), headers=PROTOBUF)
        assert sent.status_code == 200
        (received,) = prometheus.wait_for('driftline_received_spans_total{receiver="otlp_http"} > 0')
        assert received.labels["job"] == "driftline"
        prometheus.wait_for('driftline_remote_write_samples_total{outcome="sent"} > 0')
        assert driftline.stop() == 0
    wait_until(lambda: not prometheus.query("driftline_info"), "the series to end with the service")
