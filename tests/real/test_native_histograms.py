"""What Prometheus 3 makes of our histograms: native ones with the same bounds, if it is asked to."""

import time
from collections.abc import Callable

import pytest

from alerts.exposition import Exposition
from collector.core.telemetry import Exemplar, Telemetry
from tests.real.parts.exposition import exposition
from tests.real.parts.gotools import tool
from tests.real.parts.process import wait_until
from tests.real.parts.prometheus import Prometheus

TRACE_ID, SPAN_ID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
CONVERT, KEEP = "convert_classic_histograms_to_nhcb", "always_scrape_classic_histograms"
VALUES = (0.05, 0.15, 0.15, 0.35, 0.95, 7.0)
BUCKETS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


@pytest.fixture(scope="module")
def telemetry() -> Telemetry:
    made = Telemetry()
    ratio = made.histogram("driftline_score_ratio", "Scores.", ["scorer"], buckets=BUCKETS, unit="ratio")
    for value in VALUES:
        ratio.observe(value, "refusal", exemplar=Exemplar(TRACE_ID, SPAN_ID, value, time.time_ns()))
    made.counter("driftline_scores", "Scores.").add(6)
    return made


@pytest.mark.parametrize("keep", [True, False])
def test_classic_buckets_become_a_native_histogram_with_the_same_bounds(
    telemetry: Telemetry, prometheus_factory: Callable[..., Prometheus], keep: bool
) -> None:
    page = Exposition(telemetry)
    with exposition(page.render) as address:
        prometheus = prometheus_factory([address], binary=tool("prometheus"), scrape={CONVERT: True, KEEP: keep})
        prometheus.wait_for_scrape()
        found = wait_until(lambda: prometheus.native_histograms("driftline_score_ratio"), "a native histogram")
        ((labels, histogram),) = found
        assert labels["scorer"] == "refusal"
        assert float(histogram["count"]) == len(VALUES)
        assert float(histogram["sum"]) == pytest.approx(sum(VALUES))
        counts = {float(high): float(count) for _, _, high, count in histogram["buckets"]}
        assert counts == {0.1: 1, 0.2: 2, 0.4: 1, 1.0: 1, float("inf"): 1}
        classic = prometheus.query("driftline_score_ratio_bucket")
        assert len(classic) == (len(BUCKETS) + 1 if keep else 0)
        for quantile in (0.3, 0.45, 0.6):  # none between two buckets, where both may answer either
            (native,) = prometheus.query(f"histogram_quantile({quantile}, driftline_score_ratio)")
            if keep:
                (old,) = prometheus.query(f"histogram_quantile({quantile}, driftline_score_ratio_bucket)")
                assert native.value == pytest.approx(old.value)
        assert [sample.value for sample in prometheus.query("driftline_scores_total")] == [6.0]
        exemplars = prometheus.exemplars("driftline_score_ratio")
        assert {one.labels["trace_id"] for one in exemplars} == {TRACE_ID}


def test_a_prometheus_3_that_is_not_asked_keeps_the_buckets_as_they_are(
    telemetry: Telemetry, prometheus_factory: Callable[..., Prometheus]
) -> None:
    page = Exposition(telemetry)
    with exposition(page.render) as address:
        prometheus = prometheus_factory([address], binary=tool("prometheus"))
        prometheus.wait_for_scrape()
        prometheus.wait_for("driftline_score_ratio_bucket")
        assert prometheus.native_histograms("driftline_score_ratio") == []
        assert {float(one.labels["le"]) for one in prometheus.query("driftline_score_ratio_bucket")} == {
            *BUCKETS,
            float("inf"),
        }
