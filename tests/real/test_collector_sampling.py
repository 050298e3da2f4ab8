"""A real Collector that samples in front of Driftline, configured as in deploy/collector/sampling.yaml."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.real.app import Settings, run_app
from tests.real.parts.collector import collector, validate
from tests.real.service import service

EXAMPLE = Path(__file__).parents[2] / "deploy" / "collector" / "sampling.yaml"
START_NS = 1_750_000_000_000_000_000
TRACES = 240


def test_the_collector_takes_the_configuration_that_samples(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(EXAMPLE.read_text().replace("/var/lib/otelcol/queue", str(tmp_path)))
    assert validate(tmp_path / "config.yaml") == ""


@pytest.mark.parametrize("mode", ["proportional", "equalizing"])
def test_what_a_collector_samples_is_weighed_by_the_probability_that_it_left(tmp_path: Path, mode: str) -> None:
    document: dict[str, Any] = yaml.safe_load(EXAMPLE.read_text())
    document["processors"]["batch"]["timeout"] = "100ms"  # the test waits for it
    sampler = document["processors"]["probabilistic_sampler"]
    sampler["mode"] = mode
    probability = sampler["sampling_percentage"] / 100
    (tmp_path / "queue").mkdir()
    document["extensions"]["file_storage"]["directory"] = str(tmp_path / "queue")
    (exporter,) = document["exporters"].values()
    with service(tmp_path / "driftline") as driftline:
        exporter["endpoint"] = driftline.otlp_http
        with collector(tmp_path / "collector", document) as through:
            run = run_app(through.otlp_http, "http", TRACES, 51, START_NS, Settings(spacing_ns=5_000_000))
            assert run.undelivered.spans == 0
            sent = {trace.trace_id: trace for trace in run.traces}
            # The last 56 bits of the id against the threshold: OpenTelemetry, "TraceState: Probability Sampling".
            kept = {each for each in sent if int(each[-14:], 16) >= (1 - probability) * 2**56}
            assert 0.5 < len(kept) / (probability * TRACES) < 1.5
            sheets = driftline.wait_for_traces(kept)
        assert {one["trace_id"] for one in driftline.api("/api/traces", limit=1000)["traces"]} == kept == set(sheets)
        for trace_id, sheet in sheets.items():
            assert sheet["counts"]["spans"] == sent[trace_id].spans
            assert sheet["upstream"] == probability
            scored = [each for each in sheet["decisions"] if "score" in each]
            assert scored
            assert {each["probability"] for each in scored} == {probability}
