"""Measurements as OTLP metrics: the same names, labels and numbers as on the metrics page; failures harm nothing."""

import logging
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from alerts.push import PushConfig, Pusher
from collector.core.clock import FakeClock
from collector.core.telemetry import Exemplar, Telemetry
from tests.alerts.conftest import Server

NOW_NS = 1_700_000_000_000_000_000
TRACE_ID, SPAN_ID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.fixture
def receiver(server: Server) -> Server:
    server.answer = b""
    return server


def telemetry() -> Telemetry:
    made = Telemetry()
    made.counter("driftline_points", "Points.", ["metric", "outcome"]).add(3, "groundedness", "watched")
    made.gauge("driftline_store_bytes", "Size.", unit="bytes").set(4096.0)
    spread = made.histogram("driftline_scorer_seconds", "Time.", ["scorer"], buckets=[0.1, 1.0], unit="seconds")
    spread.observe(0.5, "refusal", exemplar=Exemplar(TRACE_ID, SPAN_ID, 0.5, NOW_NS))
    spread.observe(7.0, "refusal", exemplar=Exemplar("no-id", "", 7.0, NOW_NS))
    made.counter("driftline_silent", "Never.", ["a"])
    return made


def pusher(receiver: Server, measured: Telemetry, **config: Any) -> Pusher:
    chosen = PushConfig.model_validate({"otlp_http": receiver.url, "every": "1h", "timeout": "2s", **config})
    return Pusher(chosen, measured, FakeClock(NOW_NS))


def metrics(request: ExportMetricsServiceRequest) -> dict[str, Any]:
    (resource,) = request.resource_metrics
    assert ("service.name", "driftline") in {
        (pair.key, pair.value.string_value) for pair in resource.resource.attributes
    }
    return {metric.name: metric for scope in resource.scope_metrics for metric in scope.metrics}


def test_everything_that_was_measured_is_sent_when_it_stops(receiver: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY", "abc")
    measured = telemetry()
    one = pusher(receiver, measured, headers={"Authorization": {"env": "KEY"}})
    one.start()
    one.stop()

    ((_, path, headers, body),) = receiver.requests
    assert (path, headers["authorization"]) == ("/v1/metrics", "abc")
    found = metrics(ExportMetricsServiceRequest.FromString(body))
    assert found.keys() == {
        *("driftline_points", "driftline_store_bytes", "driftline_scorer_seconds", "driftline_metric_pushes"),
    }
    points = found["driftline_points"].sum
    assert (points.is_monotonic, points.aggregation_temporality) == (True, 2)
    (point,) = points.data_points
    assert {pair.key: pair.value.string_value for pair in point.attributes} == {
        "metric": "groundedness",
        "outcome": "watched",
    }
    assert (point.as_double, point.time_unix_nano) == (3.0, NOW_NS)
    assert found["driftline_store_bytes"].gauge.data_points[0].as_double == 4096.0
    (spread,) = found["driftline_scorer_seconds"].histogram.data_points
    assert (list(spread.bucket_counts), list(spread.explicit_bounds)) == ([0, 1, 1], [0.1, 1.0])
    assert (spread.count, spread.sum) == (2, 7.5)
    assert [one.trace_id.hex() for one in spread.exemplars] == [TRACE_ID, ""]
    assert spread.exemplars[0].span_id.hex() == SPAN_ID
    assert outcomes(measured) == {"sent": 1, "failed": 0}


def outcomes(measured: Telemetry) -> dict[str, float]:
    return {
        outcome: count
        for (outcome,), count in measured.counter("driftline_metric_pushes", "", ["outcome"]).values().items()
    }


def test_a_receiver_that_does_not_take_them_is_told_of_once(receiver: Server, caplog: pytest.LogCaptureFixture) -> None:
    measured = telemetry()
    one = pusher(receiver, measured)
    one.start()
    receiver.status = 400
    with caplog.at_level(logging.INFO, "driftline.push"):
        assert not one.push()
        assert not one.push()
        receiver.status = 200
        assert one.push()
    one.stop()
    assert [record.message for record in caplog.records if record.name == "driftline.push"] == [
        "measurements are not taken by metrics.otlp_http",
        "measurements are taken again by metrics.otlp_http",
    ]
    assert outcomes(measured) == {"sent": 2, "failed": 2}


def test_no_receiver_at_all_harms_nothing() -> None:
    measured = telemetry()
    config = PushConfig.model_validate({"otlp_http": "http://127.0.0.1:9", "timeout": "100ms", "every": "1h"})
    one = Pusher(config, measured)
    one.start()
    one.stop()
    assert outcomes(measured) == {"sent": 0, "failed": 1}


def test_without_an_address_nothing_is_started() -> None:
    measured = telemetry()
    one = Pusher(PushConfig(), measured)
    one.start()
    one.stop()
    assert outcomes(measured) == {}
