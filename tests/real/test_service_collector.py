"""A real OpenTelemetry Collector between the application and `driftline serve`, configured as in deploy/collector."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.real.app import AppRun, Settings, run_app
from tests.real.parts.collector import collector, validate
from tests.real.parts.kafka import KafkaBroker
from tests.real.service import Service, service
from tests.real.telemetry import Protocol
from tests.real.test_service_otlp import assert_says_what_was_sent

EXAMPLES = Path(__file__).parents[2] / "deploy" / "collector"
START_NS = 1_750_000_000_000_000_000
TRACES = 60
PARTITIONS = 3


def example(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((EXAMPLES / name).read_text())
    loaded["processors"]["batch"]["timeout"] = "100ms"  # the tests wait for it
    return loaded


def assert_everything_arrived(driftline: Service, run: AppRun) -> None:
    assert (run.undelivered.spans, run.undelivered.logs) == (0, 0)
    sheets = driftline.wait_for_traces((trace.trace_id for trace in run.traces), deadline_seconds=60)
    assert {trace.trace_id: trace.spans for trace in run.traces} == {
        trace_id: sheet["counts"]["spans"] for trace_id, sheet in sheets.items()
    }
    assert_says_what_was_sent(run.traces, sheets)
    assert driftline.total("driftline_rejected_spans_total") == 0
    assert driftline.total("driftline_rejected_requests_total") == 0


@pytest.mark.parametrize("name", ["otlp.yaml", "kafka.yaml"])
def test_the_collector_takes_the_configurations_that_we_ship(tmp_path: Path, name: str) -> None:
    text = (EXAMPLES / name).read_text().replace("/var/lib/otelcol/queue", str(tmp_path))  # "The folder must exist."
    (tmp_path / name).write_text(text)
    assert validate(tmp_path / name) == ""


@pytest.mark.parametrize(
    ("protocol", "exporter"),
    [
        ("http", {"compression": "gzip"}),  # as in the example
        ("grpc", {"compression": "zstd", "encoding": "json"}),
        ("http", None),  # OTLP/gRPC
    ],
    ids=["example", "zstd-json", "grpc"],
)
def test_what_goes_through_a_collector_over_otlp_is_evaluated(
    tmp_path: Path, protocol: Protocol, exporter: dict[str, Any] | None
) -> None:
    with service(tmp_path / "driftline") as driftline:
        document = example("otlp.yaml")
        (shipped,) = document["exporters"].values()
        (tmp_path / "queue").mkdir()
        document["extensions"]["file_storage"]["directory"] = str(tmp_path / "queue")
        if exporter is None:
            address = driftline.addresses["otlp_grpc"]
            shipped = {**shipped, "endpoint": address, "tls": {"insecure": True}}
            document["exporters"] = {"otlp": shipped}
            for pipeline in document["service"]["pipelines"].values():
                pipeline["exporters"] = ["otlp"]
        else:
            shipped |= {"endpoint": driftline.otlp_http, **exporter}
        with collector(tmp_path / "collector", document) as through:
            endpoint = through.otlp_http if protocol == "http" else through.otlp_grpc
            run = run_app(endpoint, protocol, TRACES, 31, START_NS, Settings(spacing_ns=5_000_000))
            assert_everything_arrived(driftline, run)
            spoken = "json" if exporter is not None and "encoding" in exporter else "protobuf"
            assert driftline.total("driftline_received_spans_total", f'encoding="{spoken}"') == run.spans


@pytest.mark.parametrize("encoding", ["otlp_proto", "otlp_json"])
def test_what_goes_through_a_collector_and_kafka_is_evaluated_partitioned_by_trace_or_not(
    tmp_path: Path, kafka: KafkaBroker, unique_name: Callable[[str], str], encoding: str
) -> None:
    """The same goes two ways, into topics of its own each, so that every span must arrive twice."""
    document = example("kafka.yaml")
    shipped = {**document["exporters"]["kafka"], "brokers": [kafka.address]}
    ways = {"kafka/by_trace": {}, "kafka/as_it_comes": {"partition_traces_by_id": False}}
    ways["kafka/as_it_comes"] |= {"partition_logs_by_trace_id": False}
    topics: dict[str, list[str]] = {"traces": [], "logs": []}
    document["exporters"] = {}
    for way, changed in ways.items():
        document["exporters"][way] = {**shipped, **changed}
        for signal, named in topics.items():
            named.append(kafka.create_topic(unique_name(signal), partitions=PARTITIONS))
            document["exporters"][way][signal] = {"topic": named[-1], "encoding": encoding}
    for pipeline in document["service"]["pipelines"].values():
        pipeline["exporters"] = list(ways)
    read = {"brokers": [kafka.address], "group": unique_name("group"), "encoding": encoding, **topics}
    with (
        service(tmp_path / "driftline", {"kafka": read}) as driftline,
        collector(tmp_path / "collector", document) as through,
    ):
        run = run_app(through.otlp_http, "http", TRACES, 32, START_NS, Settings(spacing_ns=5_000_000))
        driftline.wait(
            lambda: driftline.total("driftline_received_spans_total", 'receiver="kafka"') == 2 * run.spans,
            "every span to have come both ways",
        )
        assert_everything_arrived(driftline, run)
        assert driftline.stored("SELECT count(*) FROM log_dead_letters") == [(0,)]
    by_trace = kafka.records(topics["traces"][0])
    assert all(record.key for record in by_trace)  # the trace id; without, any partition will do
    assert all(record.key is None for record in kafka.records(topics["traces"][1]))


def test_the_tenant_that_a_sender_names_goes_with_its_spans_through_a_collector_and_kafka(
    tmp_path: Path, kafka: KafkaBroker, unique_name: Callable[[str], str]
) -> None:
    document = example("kafka.yaml")
    topics = {signal: kafka.create_topic(unique_name(signal)) for signal in ("traces", "logs")}
    document["processors"]["batch"]["metadata_keys"] = ["x-scope-orgid"]
    exporter = document["exporters"]["kafka"]
    exporter |= {"brokers": [kafka.address], "include_metadata_keys": ["x-scope-orgid"]}
    for signal, topic in topics.items():
        exporter[signal]["topic"] = topic
    read = {"brokers": [kafka.address], "group": unique_name("group"), "tenants": {}, **topics}
    with (
        service(tmp_path / "driftline", {"kafka": read, "slices": {"tenant": "tenant"}, "monitors": []}) as driftline,
        collector(tmp_path / "collector", document) as through,
    ):
        for tenant in ("acme", "globex"):
            run = run_app(through.otlp_http, "http", 1, 33, START_NS, Settings(headers={"x-scope-orgid": tenant}))
            assert (run.undelivered.spans, run.undelivered.logs) == (0, 0)
        driftline.wait(lambda: len(driftline.api("/api/traces")["traces"]) == 2, "a trace of each")
        traces = driftline.api("/api/traces")["traces"]
        assert {one["slices"]["tenant"] for one in traces} == {"acme", "globex"}
        assert len({one["trace_id"] for one in traces}) == 1  # the same seed gives the same ids
