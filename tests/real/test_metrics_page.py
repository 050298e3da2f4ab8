"""The metrics page with every instrument that a service can have, as promtool and a real Prometheus read it."""

import re
import time
from collections.abc import Callable, Iterator

import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics

from alerts.exposition import CLASSIC, OPENMETRICS, Exposition
from collector.core.telemetry import Counter, Exemplar, Gauge, Histogram, Instrument, Telemetry
from driftline import reference
from tests.real.parts.exposition import exposition
from tests.real.parts.prometheus import Prometheus, promtool

read: Callable[[str], Iterator[Metric]] = parse_openmetrics  # the library leaves it without types
TRACE_ID, SPAN_ID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.fixture(scope="module")
def full() -> Telemetry:
    """Every instrument with two series, with label values that need escapes."""
    telemetry = reference.all_telemetry()
    for instrument in telemetry.instruments():
        for value in ("plain", 'a "quoted"\nvalue \\ with é'):
            touch(instrument, [f"{label} {value}" for label in instrument.labels])
    return telemetry


def touch(instrument: Instrument, labels: list[str]) -> None:
    if isinstance(instrument, Histogram):
        exemplar = Exemplar(TRACE_ID, SPAN_ID, 0.3, time.time_ns())  # Prometheus keeps no old ones
        instrument.observe(0.3, *labels, exemplar=exemplar)
    elif isinstance(instrument, Counter):
        instrument.add(1, *labels)
    elif isinstance(instrument, Gauge):
        instrument.set(1, *labels)


@pytest.fixture(scope="module")
def served(full: Telemetry) -> Iterator[tuple[str, list[str]]]:
    """Where the page is, and the content types that it was served as."""
    page, answered = Exposition(full), list[str]()

    def answer(accept: str | None) -> tuple[bytes, str]:
        body, content_type = page.render(accept)
        answered.append(content_type)
        return body, content_type

    with exposition(answer) as address:
        yield address, answered


def published(instrument: Instrument) -> str:
    return f"{instrument.published}_bucket" if isinstance(instrument, Histogram) else instrument.published


def test_promtool_finds_nothing_wrong_with_the_classic_page(full: Telemetry) -> None:
    page, content_type = Exposition(full).render("text/plain")
    assert content_type == CLASSIC
    checked = promtool("check", "metrics", stdin=page)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


def test_the_strict_parser_reads_every_unit_and_label_of_the_openmetrics_page(full: Telemetry) -> None:
    """promtool reads the classic format only."""
    page, content_type = Exposition(full).render("application/openmetrics-text")
    assert content_type == OPENMETRICS
    families = {family.name: family for family in read(page.decode())}
    for instrument in full.instruments():
        family = families[instrument.published.removesuffix("_total")]
        assert (family.type, family.unit, family.documentation) == (instrument.kind, instrument.unit, instrument.help)
        labels = {frozenset(sample.labels) - {"le"} for sample in family.samples}
        assert labels == {frozenset(instrument.labels)}, instrument.name


def test_prometheus_keeps_every_series_and_exemplar_of_the_openmetrics_page(
    full: Telemetry, served: tuple[str, list[str]], prometheus_factory: Callable[..., Prometheus]
) -> None:
    address, answered = served
    prometheus = prometheus_factory([address])
    prometheus.wait_for_scrape()
    prometheus.wait_for('{__name__=~"driftline_.+"}')
    assert set(answered) == {OPENMETRICS}
    kept: dict[str, list[dict[str, str]]] = {}
    for sample in prometheus.query('{__name__=~"driftline_.+"}'):
        labels = {name: value for name, value in sample.labels.items() if name not in ("instance", "job", "le")}
        kept.setdefault(labels.pop("__name__"), []).append(labels)
    for instrument in full.instruments():
        series = kept[published(instrument)]
        assert {frozenset(labels) for labels in series} == {frozenset(instrument.labels)}, instrument.name
        if instrument.labels:
            first = instrument.labels[0]
            ours = {f"{first} plain", f'{first} a "quoted"\nvalue \\ with é'}
            assert ours <= {labels[first] for labels in series}, instrument.name
    exemplars = prometheus.exemplars('{__name__=~"driftline_.+_bucket"}')
    histograms = {published(one) for one in full.instruments() if isinstance(one, Histogram)}
    assert {one.series["__name__"] for one in exemplars} == histograms
    assert all(one.labels == {"trace_id": TRACE_ID, "span_id": SPAN_ID} for one in exemplars)
    assert re.fullmatch(r"\S+", kept["driftline_info"][0]["version"])
