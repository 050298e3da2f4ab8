"""Driftline's measurements by Prometheus remote write 1.0: the series of the metrics page, sent instead of scraped.

Each push is the whole state as of now, so what could not be sent until the next one is not made up for: it costs
resolution, no count. A series that is gone is ended by a stale marker, as a scrape would.

Why not `opentelemetry-exporter-prometheus-remote-write` (0.66b1): it holds protobuf below 7; its buckets have no
`_bucket` in their name and do not add up; it sends no exemplars, ends no series, tries nothing again, and follows
redirects.

Source: "Prometheus Remote-Write 1.0 specification" (prometheus.io).
"""

import importlib.util
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from random import Random
from typing import Annotated

from pydantic import Field, StringConstraints, model_validator

from alerts.base import Permanent, Retryable
from alerts.exposition import process_registry
from alerts.http import HttpSettings, post
from alerts.samples import Samples, family_name
from alerts.write_request import ended, metadata, spell, timeseries
from collector.core.clock import Clock, SystemClock
from collector.core.periodic import Periodic
from collector.core.settings import Duration
from collector.core.telemetry import Counter, Exemplar, Telemetry

_logger = logging.getLogger("driftline.push")
_BATCH = 5_000  # series of one request
_FIRST_BACKOFF_SECONDS, _LONGEST_BACKOFF_SECONDS = 0.5, 15.0
_LOOKBACK_MS = 300_000  # after which Prometheus takes a series that gets no samples for ended by itself
_HEADERS = {
    "Content-Encoding": "snappy",
    "Content-Type": "application/x-protobuf",
    "X-Prometheus-Remote-Write-Version": "0.1.0",  # what version 1.0 of the specification asks for
}

LabelName = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z][a-zA-Z0-9_]*$", max_length=100)]
LabelValue = Annotated[str, StringConstraints(min_length=1, max_length=1000)]


class RemoteWriteConfig(HttpSettings):
    """A receiver of Prometheus remote write; needs `driftline[compression]`."""

    every: Duration = Field(60.0, ge=1, description="time between two")
    labels: Mapping[LabelName, LabelValue] = Field(
        default_factory=dict,
        description="on every series that has no such label; unless given, `job` is driftline and `instance` the host",
    )

    @model_validator(mode="after")
    def _can_compress(self) -> "RemoteWriteConfig":
        if importlib.util.find_spec("cramjam") is None:
            raise ValueError("remote write needs a package that is not installed: pip install 'driftline[compression]'")
        return self


class RemoteWriter:
    """Sends every now and then; `start` begins a thread, `stop` sends once more and ends it.

    Args:
        config: None sends nothing.
        wait: waits so many seconds, or less and is true if it is to end.
    """

    def __init__(
        self,
        config: RemoteWriteConfig | None,
        telemetry: Telemetry,
        clock: Clock | None = None,
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        self._config, self._telemetry, self._clock = config, telemetry, clock or SystemClock()
        self._samples_sent = telemetry.counter(
            "driftline_remote_write_samples",
            "Samples for the receiver of remote write, by outcome: sent, refused (it never takes them), given_up (not "
            "taken until the next were due).",
            ["outcome"],
        )
        self._retries = telemetry.counter(
            "driftline_remote_write_retries", "Requests of remote write that were tried again, by reason.", ["reason"]
        )
        if config is None:
            return
        host = socket.gethostname()
        self._spell = spell({"job": "driftline", "instance": host, **config.labels})
        self._samples, self._process = Samples(self._spell), process_registry()
        self._pushing = Periodic("driftline-remote-write", config.every, self.push)
        self._ending = threading.Event()
        self._wait = wait or self._ending.wait
        self._jitter = Random(host)
        self._last_ms, self._failing = 0, False
        self._live: set[bytes] = set()  # what the receiver takes for going on
        self._over: dict[bytes, int] = {}  # what it is yet to hear the end of, since when
        self._told: dict[bytes, Exemplar] = {}  # the last exemplar of each bucket

    def start(self) -> None:
        if self._config is not None:
            for outcome in ("sent", "refused", "given_up"):
                self._samples_sent.add(0, outcome)
            self._pushing.start()

    def stop(self, for_good: bool = False) -> None:
        """Send once more. Safe twice, and without `start`.

        Args:
            for_good: end all series too, since nobody goes on with them.
        """
        if self._config is None:
            return
        self._ending.set()
        if self._pushing.stop():
            self.push()
            if for_good:
                self._over.update(dict.fromkeys(self._live, self._last_ms))
                self._live.clear()
                self._send(iter(()), self._last_ms + 1)

    def push(self) -> bool:
        """Send all measurements as they are now; whether all were taken. A failure is logged once, until they are."""
        now_ms = self._clock.now_ns() // 1_000_000
        self._last_ms = now_ms + 1 if now_ms == self._last_ms else now_ms
        try:
            return self._send(self._everything(self._last_ms), self._last_ms)
        except Exception as error:  # a fault of ours: the thread must live to try it again
            _logger.debug("by", exc_info=error)
            self._tell(f"{type(error).__name__} on the way")
            return False

    # --- what is sent ---

    def _everything(self, at_ms: int) -> Iterator[bytes]:
        """Every series; learns on the way which have ended."""
        live: set[bytes] = set()
        for labels, value, exemplar in self._current():
            live.add(labels)
            if exemplar is not None and self._told.get(labels) is not exemplar:
                self._told[labels] = exemplar
            else:
                exemplar = None  # it has it
            yield timeseries(labels, value, at_ms, exemplar)
        for labels in self._live - live:
            self._over[labels] = at_ms
            self._told.pop(labels, None)
        self._over = {
            labels: since_ms
            for labels, since_ms in self._over.items()
            if labels not in live and at_ms - since_ms < _LOOKBACK_MS
        }
        self._live = live

    def _current(self) -> Iterator[tuple[bytes, float, Exemplar | None]]:
        for family in self._process.collect():
            for sample in family.samples:
                yield self._spell(sample.name, sample.labels), sample.value, None
        for instrument in self._telemetry.instruments():
            yield from self._samples.of(instrument)

    def _descriptions(self) -> bytes:
        return b"".join(
            metadata(one.kind, one.published if isinstance(one, Counter) else family_name(one), one.help, one.unit)
            for one in self._telemetry.instruments()
        )

    # --- sending ---

    def _send(self, series: Iterator[bytes], at_ms: int) -> bool:
        """All batches, then the ends of what is over; whether all were taken."""
        assert self._config is not None
        until = time.monotonic() + (self._config.timeout if self._ending.is_set() else self._config.every)
        problem, head = "", self._descriptions()
        while batch := list(islice(series, _BATCH)):
            problem = self._deliver(head + b"".join(batch), len(batch), until) or problem
            head = b""
        over = list(self._over)
        while over:
            some, over = over[:_BATCH], over[_BATCH:]
            trouble = self._deliver(b"".join(ended(labels, at_ms) for labels in some), len(some), until)
            problem = trouble or problem
            if not trouble:
                for labels in some:
                    del self._over[labels]
        self._tell(problem)
        return not problem

    def _deliver(self, message: bytes, samples: int, until: float) -> str:
        """Send one request, again while that may help and there is time; what went wrong, empty if it was taken."""
        assert self._config is not None
        import cramjam  # an extra

        body, backoff = bytes(cramjam.snappy.compress_raw(message)), _FIRST_BACKOFF_SECONDS
        while time.monotonic() < until:
            try:
                post(self._config, "", body, _HEADERS)
                self._samples_sent.add(samples, "sent")
                return ""
            except Permanent as error:
                self._samples_sent.add(samples, "refused")
                return str(error)
            except Retryable as error:
                if error.status not in (0, 429) and error.status < 500:  # as the specification has it
                    self._samples_sent.add(samples, "refused")
                    return str(error)
                pause = max(error.retry_after_seconds, backoff * self._jitter.uniform(0.5, 1.0))
                backoff = min(2 * backoff, _LONGEST_BACKOFF_SECONDS)
                problem = str(error)
                if time.monotonic() + pause >= until or self._wait(pause):
                    break
                self._retries.add(1, error.reason)
        else:
            problem = "there was no time left until the next"
        self._samples_sent.add(samples, "given_up")
        return problem

    def _tell(self, problem: str) -> None:
        if self._failing == (not problem):
            self._failing = bool(problem)
            if problem:
                _logger.warning("measurements are not taken by metrics.remote_write: %s", problem)
            else:
                _logger.info("measurements are taken again by metrics.remote_write")
