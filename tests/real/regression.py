"""A prompt that came after 120 of 180 traces and makes things up: a regression, and a version to compare."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.real.app import Settings, run_app
from tests.real.parts.prometheus import Prometheus
from tests.real.service import Service, service

TRACES, REGRESS_AFTER = 180, 120
SPACING_NS = 6_000_000_000
GATE = {"metrics": ["groundedness", "refusal"], "by": "prompt", "every": "1s"}


@contextmanager
def regressed(
    folder: Path, prometheus_factory: Callable[..., Prometheus], config: Mapping[str, Any]
) -> Iterator[tuple[Service, Prometheus]]:
    """A service that had the traffic and compares the prompts, by `GATE`; and a Prometheus that knows of it."""
    start_ns = time.time_ns() - TRACES * SPACING_NS
    with service(folder, {**config, "gate": GATE}) as driftline:
        prometheus = prometheus_factory([driftline.web])
        prometheus.wait_for_scrape()
        settings = Settings(spacing_ns=SPACING_NS, content="span", regress_after=REGRESS_AFTER)
        run = run_app(driftline.otlp_http, "http", TRACES, 51, start_ns, settings)
        driftline.wait_for_traces([trace.trace_id for trace in run.traces])
        prometheus.wait_for("sum(driftline_gate_pairs) > 40")
        yield driftline, prometheus
