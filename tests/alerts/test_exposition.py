"""The metrics page equals what prometheus_client writes, is read back by its parsers, and survives hostile values."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import generate_latest as classic_text
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.exposition import generate_latest as openmetrics_text
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_classic
from prometheus_client.samples import Exemplar as ClientExemplar
from prometheus_client.utils import floatToGoString

from alerts.exposition import CLASSIC, OPENMETRICS, Exposition, negotiate, render
from collector.core.telemetry import Counter, Exemplar, Histogram, Telemetry

GOLDEN = Path(__file__).parent / "golden"
ACCEPT_OPENMETRICS = "application/openmetrics-text; version=1.0.0"
PROMETHEUS_2 = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
    "application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,"
    "text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
)
PROTOBUF_FIRST = (  # Prometheus 3 that takes native histograms
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,"
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
)
TRACE_ID, SPAN_ID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


class Oracle:
    """The same instruments as prometheus_client's families."""

    def __init__(self, telemetry: Telemetry) -> None:
        self.telemetry = telemetry

    def collect(self) -> list[Metric]:
        return [self.family(instrument) for instrument in self.telemetry.instruments()]

    def family(self, instrument) -> Metric:
        if isinstance(instrument, Histogram):
            return self.histogram(instrument)
        kind = CounterMetricFamily if isinstance(instrument, Counter) else GaugeMetricFamily
        family = kind(instrument.name, instrument.help, labels=instrument.labels, unit=instrument.unit)
        for labels, value in instrument.values().items():
            family.add_metric(labels, value)
        return family

    def histogram(self, instrument: Histogram) -> Metric:
        family = HistogramMetricFamily(instrument.name, instrument.help, labels=instrument.labels, unit=instrument.unit)
        for labels, distribution in instrument.values().items():
            total, buckets = 0.0, []
            bounds = [*instrument.buckets, float("inf")]
            for bound, count, exemplar in zip(bounds, distribution.counts, distribution.exemplars, strict=True):
                total += count
                ids = exemplar and {"trace_id": exemplar.trace_id, "span_id": exemplar.span_id}
                theirs = exemplar and ClientExemplar(ids, exemplar.value, exemplar.at_ns // 10**6 / 1000)
                buckets.append((floatToGoString(bound), total, theirs))
            family.add_metric(labels, buckets=buckets, sum_value=distribution.sum)
        return family


def example() -> Telemetry:
    telemetry = Telemetry()
    scores = telemetry.counter("driftline_scores", "Scores, by scorer.", ["scorer", "outcome"])
    scores.add(12_345_678, "groundedness", "passed")
    scores.add(3, "refusal", 'a "quoted"\nvalue \\ with é')
    telemetry.counter("driftline_judge_seconds", "Judge time.", ["model"], unit="seconds").add(1.25, "m")
    telemetry.gauge("driftline_lag_seconds", 'How far behind, "now"\nand then \\.', unit="seconds").set(-0.5)
    telemetry.gauge("driftline_unset_seconds", "Never set.", unit="seconds")
    ratio = telemetry.histogram(
        "driftline_score_ratio", "How scores spread.", ["scorer"], buckets=(0.25, 0.5, 1), unit="ratio"
    )
    ratio.observe(0.2, "groundedness", exemplar=Exemplar(TRACE_ID, SPAN_ID, 0.2, 1_700_000_000_250_000_000))
    ratio.observe(0.5, "groundedness")
    ratio.observe(7.0, "groundedness", exemplar=Exemplar(TRACE_ID, SPAN_ID, 7.0, 1_700_000_001_000_000_000))
    signed = telemetry.histogram("driftline_signed", "From -1 to 1.", ["scorer"], buckets=(-0.5, 0.5))
    signed.observe(-0.75, "tone")
    return telemetry


def own_part(page: bytes) -> str:
    """The page without the process metrics, which differ from run to run."""
    text = page.decode()
    return text[text.index("# HELP driftline_", text.index("process_")) :]


@pytest.mark.parametrize(("accept", "name"), [(ACCEPT_OPENMETRICS, "metrics.om"), ("text/plain", "metrics.txt")])
def test_the_page_is_the_golden_page(accept: str, name: str) -> None:
    page, _ = render(example(), accept)

    assert own_part(page) == (GOLDEN / name).read_text()


def test_openmetrics_text_equals_that_of_prometheus_client() -> None:
    telemetry = example()
    registry = CollectorRegistry()
    registry.register(Oracle(telemetry))

    assert own_part(render(telemetry, ACCEPT_OPENMETRICS)[0]) == openmetrics_text(registry).decode()


def test_classic_text_equals_that_of_prometheus_client() -> None:
    telemetry = example()
    registry = CollectorRegistry()
    registry.register(Oracle(telemetry))

    assert own_part(render(telemetry)[0]) == classic_text(registry).decode()


def test_openmetrics_page_is_read_back_by_the_strict_parser() -> None:
    page, _ = render(example(), ACCEPT_OPENMETRICS)
    families = {family.name: family for family in parse_openmetrics(page.decode())}

    assert families["driftline_score_ratio"].unit == "ratio"
    first = families["driftline_score_ratio"].samples[0]
    assert first.exemplar.labels == {"trace_id": TRACE_ID, "span_id": SPAN_ID}
    assert float(first.exemplar.timestamp) == 1_700_000_000.25
    assert {s.name for s in families["driftline_scores"].samples} == {"driftline_scores_total"}
    assert families["driftline"].type == "info"
    assert "process_cpu_seconds" in families
    assert families["driftline_unset_seconds"].samples == []


def test_classic_page_has_no_exemplars_units_or_end_mark() -> None:
    text = render(example())[0].decode()

    assert not [line for line in text.splitlines() if " # " in line or line.startswith(("# UNIT", "# EOF"))]
    assert "driftline_info{version=" in text


def test_a_second_scrape_shows_what_changed_and_what_is_gone() -> None:
    telemetry = Telemetry()
    gauge = telemetry.gauge("driftline_active", "Active.", ["monitor"])
    exposition = Exposition(telemetry)
    gauge.set(1, "a")
    assert 'driftline_active{monitor="a"} 1.0' in exposition.render()[0].decode()

    gauge.remove("a")
    for number in range(1000):
        gauge.set(number, f"b{number}")
    text = exposition.render()[0].decode()
    assert 'monitor="a"' not in text
    assert 'driftline_active{monitor="b999"} 999.0' in text

    for number in range(999):
        gauge.remove(f"b{number}")
    assert own_part(exposition.render()[0]).count("driftline_active{") == 1


def test_a_counter_without_labels_starts_at_zero_and_a_gauge_starts_absent() -> None:
    telemetry = Telemetry()
    telemetry.counter("driftline_a", "A.")
    telemetry.gauge("driftline_b", "B.")
    text = render(telemetry)[0].decode()

    assert "\ndriftline_a_total 0.0\n" in text
    assert "\ndriftline_b " not in text


def test_a_unit_that_the_name_does_not_end_with_is_not_declared() -> None:
    telemetry = Telemetry()
    telemetry.gauge("driftline_size", "Size.", unit="bytes").set(1)
    page, _ = render(telemetry, ACCEPT_OPENMETRICS)

    assert "# UNIT driftline_size" not in page.decode()
    assert list(parse_openmetrics(page.decode()))


@pytest.mark.parametrize(
    ("exemplar", "labels"),
    [
        (Exemplar("a" * 32, "b" * 16, 0.1, 0), {"trace_id": "a" * 32, "span_id": "b" * 16}),
        (Exemplar("a" * 32, "", 0.1, 0), {"trace_id": "a" * 32}),
        (Exemplar("a" * 105, "b" * 8, 0.1, 0), {"trace_id": "a" * 105, "span_id": "b" * 8}),  # 128 runes: still fits
        (Exemplar("a" * 105, "b" * 9, 0.1, 0), {"trace_id": "a" * 105}),
        (Exemplar("a" * 120, "", 0.1, 0), {"trace_id": "a" * 120}),
        (Exemplar("a" * 121, "", 0.1, 0), None),
        (Exemplar("", "b" * 16, 0.1, 0), None),
        (Exemplar("a" * 32, "", float("nan"), 0), None),
        (Exemplar('"}\n', "b" * 16, 0.1, 0), None),
        (Exemplar("a" * 32, "\ud800", 0.1, 0), {"trace_id": "a" * 32}),
    ],
)
def test_an_exemplar_keeps_within_the_limits_of_openmetrics(exemplar: Exemplar, labels: dict | None) -> None:
    telemetry = Telemetry()
    histogram = telemetry.histogram("driftline_h", "H.", buckets=(1,))
    histogram.observe(0.1, exemplar=exemplar)
    families = parse_openmetrics(render(telemetry, ACCEPT_OPENMETRICS)[0].decode())
    sample = next(family for family in families if family.name == "driftline_h").samples[0]

    assert (sample.exemplar and sample.exemplar.labels) == labels


def test_values_that_are_not_unicode_are_spelled_out_and_never_make_two_equal_series() -> None:
    telemetry = Telemetry()
    counter = telemetry.counter("driftline_c", "C.", ["service"])
    counter.add(1, "\ud800")
    counter.add(2, "\\ud800")
    exposition = Exposition(telemetry)

    for _ in range(2):
        families = parse_openmetrics(exposition.render(ACCEPT_OPENMETRICS)[0].decode())
        samples = next(family for family in families if family.name == "driftline_c").samples
        assert [(s.labels, s.value) for s in samples] == [({"service": "\\ud800"}, 1.0)]


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.tuples(st.text(), st.text()), st.floats(min_value=0, allow_infinity=True), max_size=8))
def test_any_label_values_survive_the_round_trip(values: dict[tuple[str, str], float]) -> None:
    telemetry = Telemetry()
    counter = telemetry.counter("driftline_c", "C.", ["scorer", "service"])
    for labels, value in values.items():
        counter.add(value, *labels)
    exposition = Exposition(telemetry)
    wanted = {(labels, value) for labels, value in counter.values().items()}

    for parse, accept in ((parse_openmetrics, ACCEPT_OPENMETRICS), (parse_classic, "text/plain")):
        families = parse(exposition.render(accept)[0].decode())
        samples = [s for family in families if family.name == "driftline_c" for s in family.samples]
        assert {((s.labels["scorer"], s.labels["service"]), s.value) for s in samples} == wanted


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        (None, CLASSIC),
        ("", CLASSIC),
        ("*/*", CLASSIC),
        ("text/plain", CLASSIC),
        ("text/html,application/xhtml+xml,*/*;q=0.8", CLASSIC),
        ("application/openmetrics-text", OPENMETRICS),
        ("application/openmetrics-text; version=1.0.0", OPENMETRICS),
        ("application/openmetrics-text; version=0.0.1", CLASSIC),
        ("application/openmetrics-text; version=2.0.0", CLASSIC),
        ("application/openmetrics-text; q=0", CLASSIC),
        ("application/openmetrics-text; q=x", CLASSIC),
        ("application/openmetrics-text;q=nan, text/plain", CLASSIC),
        ("text/plain;q=0.9, application/openmetrics-text;q=0.5", CLASSIC),
        (PROMETHEUS_2, OPENMETRICS),
        (PROMETHEUS_3, OPENMETRICS),
        (PROTOBUF_FIRST, OPENMETRICS),
        (";;;=,,;q", CLASSIC),
    ],
)
def test_the_format_is_negotiated(accept: str | None, content_type: str) -> None:
    assert negotiate(accept) == content_type
    assert render(Telemetry(), accept)[1] == content_type
