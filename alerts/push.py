"""Driftline's measurements as OTLP metrics, for those who have no Prometheus that can reach it.

The names and labels are those of the metrics page: a receiver that follows "OpenTelemetry to Prometheus" (specification
1.x, compatibility) adds `_total` to what counts, and nothing else, as units are in the names. What is sent is the whole
state each time, so a request that is lost costs nothing but resolution.
"""

import logging
from collections.abc import Iterator, Mapping
from math import nan
from typing import Annotated

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import Exemplar as Sample
from opentelemetry.sdk.metrics import export
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from pydantic import Field

from alerts.events import SCOPE, Direct, endpoint, resource
from alerts.http import Address, reveal
from alerts.remote_write import RemoteWriteConfig
from collector.core.clock import Clock, SystemClock
from collector.core.periodic import Periodic
from collector.core.settings import Duration, Secret, Settings
from collector.core.telemetry import MAX_SERIES, Counter, Exemplar, Gauge, Histogram, Instrument, Telemetry

_logger = logging.getLogger("driftline.push")
_BATCH = 5_000  # points of one request
_CUMULATIVE = export.AggregationTemporality.CUMULATIVE


class PushConfig(Settings):
    """Where measurements are sent, if anywhere: as OTLP metrics, by remote write; `/metrics` is there all the same."""

    max_series: int = Field(
        MAX_SERIES,
        ge=1000,
        description="of all metrics together; past it, labels that can grow become `other` in what is new",
    )
    otlp_http: Address | None = Field(None, description="an OTLP/HTTP receiver, such as http://collector:4318")
    headers: Mapping[str, Secret] = Field(default_factory=dict, description="sent along, such as Authorization")
    every: Duration = Field(60.0, ge=1, description="time between two")
    timeout: Annotated[Duration, Field(gt=0, description="for one request with its retries")] = 10.0
    remote_write: RemoteWriteConfig | None = Field(
        None, description="a receiver of Prometheus remote write, such as url: http://prometheus:9090/api/v1/write"
    )


class Pusher:
    """Sends every now and then; `start` begins a thread, `stop` sends once more and ends it."""

    def __init__(self, config: PushConfig, telemetry: Telemetry, clock: Clock | None = None) -> None:
        self._config, self._telemetry, self._clock = config, telemetry, clock or SystemClock()
        self._start_ns = self._clock.now_ns()
        self._exporter: OTLPMetricExporter | None = None
        self._failing = False
        self._pushing = Periodic("driftline-push", config.every, self.push)
        self._pushes = telemetry.counter(
            "driftline_metric_pushes", "Measurements sent as OTLP metrics, by outcome: sent or failed.", ["outcome"]
        )

    def start(self) -> None:
        if self._config.otlp_http is None:
            return
        for outcome in ("sent", "failed"):
            self._pushes.add(0, outcome)
        self._exporter = OTLPMetricExporter(
            endpoint=endpoint(reveal(self._config.otlp_http), "metrics"),
            headers={name: value.get_secret_value() for name, value in self._config.headers.items()},
            timeout=self._config.timeout,
            session=Direct(),
            max_export_batch_size=_BATCH,
        )
        self._pushing.start()

    def stop(self) -> None:
        if self._pushing.stop() and self._exporter is not None:
            self.push()
            self._exporter.shutdown()

    def push(self) -> bool:
        """Send all measurements as they are now; whether they were taken. A failure is logged once, until one is."""
        assert self._exporter is not None
        try:
            taken = self._exporter.export(self.snapshot()) is export.MetricExportResult.SUCCESS
        except Exception as error:
            _logger.debug("by", exc_info=error)
            taken = False
        self._pushes.add(1, "sent" if taken else "failed")
        if self._failing == taken:
            self._failing = not taken
            _logger.log(
                logging.INFO if taken else logging.WARNING,
                "measurements are %s by metrics.otlp_http",
                "taken again" if taken else "not taken",
            )
        return taken

    def snapshot(self) -> export.MetricsData:
        """All measurements as they are now."""
        now_ns = self._clock.now_ns()
        metrics = [self._metric(one, now_ns) for one in self._telemetry.instruments()]
        scope = export.ScopeMetrics(InstrumentationScope(SCOPE), [one for one in metrics if one is not None], "")
        return export.MetricsData([export.ResourceMetrics(Resource.create(resource()), [scope], "")])

    def _metric(self, one: Instrument, now_ns: int) -> export.Metric | None:
        data: export.Sum | export.Gauge | export.Histogram
        if isinstance(one, Histogram):
            data = export.Histogram(list(self._spreads(one, now_ns)), _CUMULATIVE)
        elif isinstance(one, Counter | Gauge):
            points = [
                export.NumberDataPoint(dict(zip(one.labels, labels, strict=True)), self._start_ns, now_ns, float(value))
                for labels, value in one.values().items()
            ]
            data = (
                export.Sum(points, _CUMULATIVE, is_monotonic=True) if isinstance(one, Counter) else export.Gauge(points)
            )
        else:
            return None
        return export.Metric(one.name.removesuffix("_total"), one.help, "", data) if data.data_points else None

    def _spreads(self, one: Histogram, now_ns: int) -> Iterator[export.HistogramDataPoint]:
        for labels, spread in one.values().items():
            yield export.HistogramDataPoint(
                attributes=dict(zip(one.labels, labels, strict=True)),
                start_time_unix_nano=self._start_ns,
                time_unix_nano=now_ns,
                count=round(sum(spread.counts)),
                sum=spread.sum,
                bucket_counts=[round(count) for count in spread.counts],
                explicit_bounds=one.buckets,
                min=nan,  # not known
                max=nan,
                exemplars=[_sample(exemplar) for exemplar in spread.exemplars if exemplar is not None],
            )


def _sample(one: Exemplar) -> Sample:
    return Sample({}, one.value, one.at_ns, _id(one.span_id), _id(one.trace_id))


def _id(text: str) -> int | None:
    """An id of OpenTelemetry's form; None for one that is none."""
    try:
        return int(text, 16) or None
    except ValueError:
        return None
