"""deploy/compose: Compose takes the file, each program takes what is mounted, and they know each other by name."""

import base64
import json
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.real.app import Settings, run_app
from tests.real.parts.alertmanager import amtool
from tests.real.parts.collector import collector, validate
from tests.real.parts.gotools import tool
from tests.real.parts.kafka import kafka_broker
from tests.real.parts.prometheus import promtool
from tests.real.service import run_driftline, service
from tests.real.test_service_collector import assert_everything_arrived

pytestmark = pytest.mark.long

COMPOSE = Path(__file__).parents[2] / "deploy" / "compose"
PARTS_FOLDER = Path(__file__).parent / "parts"
START_NS = 1_750_000_000_000_000_000
# A machine has these for itself: where the broker listens, who it is and where it keeps things.
OWN_PLACE = ("listener", "log.dirs", "node.id", "process.roles", "controller.", "inter.broker.")


@cache
def composed() -> dict[str, Any]:
    """The file as Compose's own parser understands it: checked by its schema, paths made absolute."""
    command = [str(tool("compose")), "-format", "json", "compose.yaml"]
    done = subprocess.run(command, cwd=COMPOSE, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    loaded: dict[str, Any] = json.loads(done.stdout)
    return loaded


def mounts() -> list[tuple[str, Path, str]]:
    """(service, what of the repository, where in the container)."""
    return [
        (name, Path(volume["source"]), volume["target"])
        for name, each in composed()["services"].items()
        for volume in each.get("volumes", [])
        if volume["type"] == "bind"
    ]


def loaded(name: str) -> Any:
    return yaml.safe_load((COMPOSE / name).read_text())


def properties() -> dict[str, str]:
    lines = (COMPOSE / "kafka" / "server.properties").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


# --- the file ---


def test_everything_that_is_mounted_is_in_the_repository_and_cannot_be_written() -> None:
    assert {name for name, *_ in mounts()} == set(composed()["services"])
    for name, source, _ in mounts():
        assert source.exists(), f"{name}: {source}"
    for each in composed()["services"].values():
        assert all(volume.get("read_only") for volume in each["volumes"] if volume["type"] == "bind")
    inside = {source for _, source, _ in mounts() if COMPOSE in source.parents}
    files = {path for path in COMPOSE.rglob("*") if path.is_file() and path.name != "compose.yaml"}
    assert {path for path in files if not inside & {path, *path.parents}} == set()  # nothing lies there for nothing


def test_every_command_names_a_configuration_that_is_mounted_there() -> None:
    for name, each in composed()["services"].items():
        targets = {target for who, _, target in mounts() if who == name}
        for path in re.findall(r"config(?:\.file)?=(\S+)", " ".join(each.get("command") or [])):
            assert path in targets, name


def test_ports_are_published_on_loopback_and_images_are_named_by_version() -> None:
    for name, each in composed()["services"].items():
        assert {port["host_ip"] for port in each.get("ports", [])} <= {"127.0.0.1"}, name
        assert "build" in each or re.search(r":v?\d+\.\d+\.\d+$", each["image"]), name


def test_what_runs_there_is_what_the_tests_run() -> None:
    broker = (PARTS_FOLDER / "broker" / "pom.xml").read_text()
    assert f"<version>{composed()['services']['kafka']['image'].partition(':')[2]}</version>" in broker
    parts = (PARTS_FOLDER / "otelcol" / "builder.yaml").read_text()
    assert f"exporter/kafkaexporter v{composed()['services']['collector']['image'].partition(':')[2]}" in parts


def addresses() -> Iterator[tuple[str, str, int]]:
    """(file, host, port) of everybody whom a configuration names; listeners aside."""
    for path in (COMPOSE / "kafka" / "server.properties", *COMPOSE.rglob("*.yaml"), *COMPOSE.rglob("*.yml")):
        if path.name != "compose.yaml":
            text = "\n".join(line.partition(" #")[0] for line in path.read_text().splitlines())
            for host, port in re.findall(r"(?<![\w.])([a-z][a-z0-9.-]*):(\d{4,5})\b", text):
                yield path.name, host, int(port)


def test_every_host_that_a_configuration_names_is_a_service_that_listens_at_that_port() -> None:
    tempo = loaded("tempo.yaml")
    otlp = tempo["distributor"]["receivers"]["otlp"]["protocols"]["grpc"]["endpoint"]
    listening = {
        "driftline": {int(loaded("driftline.yaml")["listen"]["web"].rpartition(":")[2])},
        "kafka": {int(port) for port in re.findall(r"://0\.0\.0\.0:(\d+)", properties()["listeners"])},
        "tempo": {tempo["server"]["http_listen_port"], int(otlp.rpartition(":")[2])},
        "prometheus": {9090},  # theirs by default, and no file of ours says otherwise
        "alertmanager": {9093},
    }
    named = set(addresses())
    assert {host for _, host, _ in named} == set(listening)
    assert [each for each in named if each[2] not in listening[each[1]]] == []


# --- each program ---


def test_driftline_takes_its_configuration() -> None:
    done = run_driftline("check", "-c", COMPOSE / "driftline.yaml")
    assert done.returncode == 0, done.stderr


def test_prometheus_takes_its_configuration_with_the_rules_beside_it(tmp_path: Path) -> None:
    for name, source, target in mounts():
        if name == "prometheus":
            (tmp_path / Path(target).name).write_text(source.read_text())
    done = promtool("check", "config", tmp_path / "prometheus.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert b"1 rule files found" in done.stdout


def test_alertmanager_takes_its_configuration() -> None:
    (source,) = (source for name, source, _ in mounts() if name == "alertmanager")
    done = amtool("check-config", source)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_collector_takes_its_configuration() -> None:
    assert validate(COMPOSE / "collector.yaml") == ""


def test_tempo_and_grafana_have_the_parts_that_they_need() -> None:
    """Neither program is to be had here: that their files have the documented form is all that is checked."""
    tempo = loaded("tempo.yaml")
    assert tempo.keys() == {"server", "distributor", "storage", "compactor"}
    trace = tempo["storage"]["trace"]
    (kept,) = (each["target"] for each in composed()["services"]["tempo"]["volumes"] if each["type"] == "volume")
    assert all(trace[each]["path"].startswith(f"{kept}/") for each in ("local", "wal"))
    sources = {each["uid"]: each for each in loaded("grafana/datasources.yaml")["datasources"]}
    assert {each["type"] for each in sources.values()} == {"prometheus", "tempo"}
    for link in sources["prometheus"]["jsonData"]["exemplarTraceIdDestinations"]:
        assert link["datasourceUid"] in sources
    (provider,) = loaded("grafana/dashboards.yaml")["providers"]
    assert provider["options"]["path"] in {target for name, _, target in mounts() if name == "grafana"}


# --- together ---


def test_spans_go_through_the_collector_and_the_broker_as_configured_there(tmp_path: Path) -> None:
    cluster = composed()["services"]["kafka"]["environment"]["CLUSTER_ID"]
    assert len(base64.urlsafe_b64decode(f"{cluster}==")) == 16
    settings = {key: value for key, value in properties().items() if not key.startswith(OWN_PLACE)}
    settings.pop("advertised.listeners")
    document = loaded("collector.yaml")
    document["processors"]["batch"]["timeout"] = "100ms"  # the test waits for it
    del document["exporters"]["otlp/tempo"]
    document["service"]["pipelines"]["traces"]["exporters"].remove("otlp/tempo")
    with kafka_broker(tmp_path / "kafka", settings) as broker:
        document["exporters"]["kafka"]["brokers"] = [broker.address]
        read = loaded("driftline.yaml")["kafka"] | {
            "brokers": [broker.address],
            "options": {"metadata_max_age_ms": 1000},  # the topics are made by the first spans
        }
        with (
            service(tmp_path / "driftline", {"kafka": read}) as driftline,
            collector(tmp_path / "collector", document) as through,
        ):
            run = run_app(through.otlp_http, "http", 60, 31, START_NS, Settings(spacing_ns=5_000_000))
            assert_everything_arrived(driftline, run)
