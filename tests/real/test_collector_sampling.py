"""A real Collector that samples in front of Driftline, configured as in deploy/collector."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.real.app import AppTrace, Settings, run_app
from tests.real.parts.collector import collector, validate
from tests.real.service import service

EXAMPLES = Path(__file__).parents[2] / "deploy" / "collector"
START_NS = 1_750_000_000_000_000_000
TRACES = 240
MORE_TRACES = 400


@pytest.mark.parametrize("name", ["sampling.yaml", "tail_sampling.yaml"])
def test_the_collector_takes_the_configurations_that_sample(tmp_path: Path, name: str) -> None:
    text = (EXAMPLES / name).read_text().replace("/var/lib/otelcol/queue", str(tmp_path))
    (tmp_path / "config.yaml").write_text(text)
    assert validate(tmp_path / "config.yaml") == ""


def example(name: str, folder: Path) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((EXAMPLES / name).read_text())
    document["processors"]["batch"]["timeout"] = "100ms"  # the test waits for it
    (folder / "queue").mkdir()
    document["extensions"]["file_storage"]["directory"] = str(folder / "queue")
    return document


@pytest.mark.parametrize("mode", ["proportional", "equalizing"])
def test_what_a_collector_samples_is_weighed_by_the_probability_that_it_left(tmp_path: Path, mode: str) -> None:
    document = example("sampling.yaml", tmp_path)
    sampler = document["processors"]["probabilistic_sampler"]
    sampler["mode"] = mode
    probability = sampler["sampling_percentage"] / 100
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


def slow_or_failed(trace: AppTrace, slow_ms: int) -> bool:
    return trace.tool_failed or trace.end_ns - trace.start_ns > slow_ms * 1_000_000


@pytest.mark.parametrize("gate", [True, False], ids=["weighed", "without the gate"])
def test_traces_that_are_kept_for_what_is_in_them_count_once_and_the_rest_for_those_that_were_dropped(
    tmp_path: Path, gate: bool
) -> None:
    """Without the feature gate nothing is left in tracestate: the test shows what the head of the file warns of."""
    document = example("tail_sampling.yaml", tmp_path)
    sampler = document["processors"]["tail_sampling"]
    sampler["decision_wait"] = "1s"  # all spans of a trace come within a few milliseconds here
    policies = {one["name"]: one for one in sampler["policies"]}
    policies["slow"]["latency"]["threshold_ms"] = slow_ms = 1500
    probability = policies["rest"]["probabilistic"]["sampling_percentage"] / 100
    (exporter,) = document["exporters"].values()
    (named,) = re.findall(r"--feature-gates=(\S+)", (EXAMPLES / "tail_sampling.yaml").read_text())
    with service(tmp_path / "driftline") as driftline:
        exporter["endpoint"] = driftline.otlp_http
        with collector(tmp_path / "collector", document, feature_gates=[named] if gate else []) as through:
            settings = Settings(spacing_ns=5_000_000, content="span")
            run = run_app(through.otlp_http, "http", MORE_TRACES, 52, START_NS, settings)
            assert run.undelivered.spans == 0
            sent = {trace.trace_id: trace for trace in run.traces}
            whole = {each for each, trace in sent.items() if slow_or_failed(trace, slow_ms)}
            assert len(whole) > 10
            driftline.wait_for_traces(whole)
        driftline.wait_until_idle()  # the Collector has sent what it held
        kept = {
            one["trace_id"]: driftline.trace(one["trace_id"])
            for one in driftline.api("/api/traces", limit=1000)["traces"]
        }
    assert kept.keys() <= sent.keys()
    rest = kept.keys() - whole
    assert 0.5 < len(rest) / (probability * (MORE_TRACES - len(whole))) < 1.5
    for trace_id, sheet in kept.items():
        assert sheet is not None
        assert sheet["counts"]["spans"] == sent[trace_id].spans
        expected = probability if gate and trace_id in rest else 1.0
        assert sheet["upstream"] == pytest.approx(expected, rel=1e-6)
        assert {each["probability"] for each in sheet["decisions"] if "score" in each} == {sheet["upstream"]}


def test_the_first_of_two_tiers_has_the_form_that_its_exporter_takes() -> None:
    """The exporter is not to be had as a Go module here: its names are those of its documentation (0.120)."""
    document: dict[str, Any] = yaml.safe_load((EXAMPLES / "loadbalancing.yaml").read_text())
    (exporter,) = document["exporters"].values()
    assert exporter.keys() == {"routing_key", "protocol", "resolver"}
    assert exporter["routing_key"] == "traceID"
    assert exporter["resolver"].keys() == {"dns"}
    assert exporter["resolver"]["dns"].keys() <= {"hostname", "port", "interval", "timeout"}
    assert "endpoint" not in exporter["protocol"]["otlp"]


def test_a_collector_takes_what_the_first_tier_has_for_its_otlp_exporter(tmp_path: Path) -> None:
    """Everything but the choice of the address, which is an option of the exporter `otlp` in this one."""
    document: dict[str, Any] = yaml.safe_load((EXAMPLES / "loadbalancing.yaml").read_text())
    balanced = document["exporters"].pop("loadbalancing")
    document["exporters"]["otlp"] = {**balanced["protocol"]["otlp"], "endpoint": "127.0.0.1:4317"}
    for pipeline in document["service"]["pipelines"].values():
        pipeline["exporters"] = ["otlp"]
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(document))
    assert validate(tmp_path / "config.yaml") == ""
