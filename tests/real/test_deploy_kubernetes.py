"""deploy/kubernetes: kustomize builds each overlay, the schemas of Kubernetes know its fields, its parts agree."""

import os
import re
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.real.parts.gotools import tool
from tests.real.service import run_driftline

OVERLAYS = Path(__file__).parents[2] / "deploy" / "kubernetes" / "overlays"
GRAFANA = OVERLAYS.parents[1] / "grafana"
NAMES = ("single", "kafka")
VERSIONS = ("1.31", "1.37")  # the oldest and the newest that the manifests are held against
WORKLOADS = {"Deployment", "StatefulSet"}
Manifest = dict[str, Any]


@cache
def built(overlay: str) -> list[Manifest]:
    return kustomized(OVERLAYS / overlay)


def kustomized(folder: Path) -> list[Manifest]:
    command = [str(tool("kustomize")), "build", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def of_kind(overlay: str, *kinds: str) -> dict[str, Manifest]:
    return {one["metadata"]["name"]: one for one in built(overlay) if one["kind"] in kinds}


def pods(overlay: str) -> dict[str, Manifest]:
    return {name: one["spec"]["template"] for name, one in of_kind(overlay, *WORKLOADS).items()}


def containers(overlay: str) -> list[Manifest]:
    specs = [pod["spec"] for pod in pods(overlay).values()]
    return [one for spec in specs for one in (*spec["containers"], *spec.get("initContainers", []))]


def served(overlay: str) -> list[Manifest]:
    """The containers that go on."""
    return [one for pod in pods(overlay).values() for one in pod["spec"]["containers"]]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("overlay", NAMES)
def test_kubernetes_knows_every_field_of_the_manifests(overlay: str, version: str) -> None:
    known = [one for one in built(overlay) if one["kind"] != "ScaledObject"]
    assert len(known) >= 7
    for one in known:
        kubernetes_validate.validate(one, version, strict=True)


def test_the_schemas_would_notice_a_field_that_does_not_exist() -> None:
    (one,) = of_kind("single", "StatefulSet").values()
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate({**one, "spec": {**one["spec"], "replicaz": 1}}, VERSIONS[-1], strict=True)


@pytest.mark.parametrize("overlay", NAMES)
def test_no_container_has_a_right_or_a_place_to_write_that_it_does_not_need(overlay: str) -> None:
    for pod in pods(overlay).values():
        spec = pod["spec"]
        assert spec["securityContext"] | {"runAsNonRoot": True, "runAsUser": 10001} == spec["securityContext"]
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec["automountServiceAccountToken"] is False
    for one in containers(overlay):
        assert one["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        writable = [mount["mountPath"] for mount in one["volumeMounts"] if not mount.get("readOnly")]
        assert writable == ["/var/lib/driftline"]
        assert one["resources"]["requests"].keys() == {"cpu", "memory"}
        assert "memory" in one["resources"]["limits"]
        assert not one["image"].endswith(":latest")
        assert ":" in one["image"]
    (account,) = of_kind(overlay, "ServiceAccount").values()
    assert account["automountServiceAccountToken"] is False


@pytest.mark.parametrize("overlay", NAMES)
def test_the_probes_ask_what_the_service_answers_at_the_port_that_its_configuration_names(overlay: str) -> None:
    listen = yaml.safe_load(configuration(overlay))["listen"]
    for one in served(overlay):
        ports = {port["name"]: port["containerPort"] for port in one["ports"]}
        told = {name.replace("_", "-"): listen[name].rpartition(":")[2] for name in ("otlp_grpc", "otlp_http", "web")}
        assert ports == {name: int(port) for name, port in told.items()}
        asked = {kind: one[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")}
        assert {kind: get["path"] for kind, get in asked.items()} == {
            "startup": "/healthz",
            "liveness": "/healthz",
            "readiness": "/readyz",
        }
        assert {get["port"] for get in asked.values()} == {"web"}


@pytest.mark.parametrize("overlay", NAMES)
def test_what_is_selected_and_mounted_exists(overlay: str) -> None:
    labels = [pod["metadata"]["labels"] for pod in pods(overlay).values()]

    def chosen(selector: Manifest) -> int:
        return sum(selector.items() <= each.items() for each in labels)

    for one in of_kind(overlay, "Service").values():
        assert chosen(one["spec"]["selector"]) == 1, one["metadata"]["name"]
        offered = {port["name"] for each in served(overlay) for port in each["ports"]}
        assert {port["targetPort"] for port in one["spec"]["ports"]} <= offered
    for one in of_kind(overlay, *WORKLOADS).values():
        assert chosen(one["spec"]["selector"]["matchLabels"]) == 1
        for spread in one["spec"]["template"]["spec"].get("topologySpreadConstraints", []):
            assert spread["labelSelector"] == one["spec"]["selector"]
    for kind, field in (("PodDisruptionBudget", "selector"), ("NetworkPolicy", "podSelector")):
        (one,) = of_kind(overlay, kind).values()
        assert chosen(one["spec"][field]["matchLabels"]) == len(labels)  # all of them
    for one in of_kind(overlay, *WORKLOADS).values():
        spec = one["spec"]["template"]["spec"]
        claims = {claim["metadata"]["name"] for claim in one["spec"].get("volumeClaimTemplates", [])}
        volumes = {volume["name"] for volume in spec["volumes"]} | claims
        for each in (*spec["containers"], *spec.get("initContainers", [])):
            assert {mount["name"] for mount in each["volumeMounts"]} == volumes
        named = {volume["configMap"]["name"] for volume in spec["volumes"] if "configMap" in volume}
        assert named == set(of_kind(overlay, "ConfigMap"))
        assert spec["serviceAccountName"] in of_kind(overlay, "ServiceAccount")
        assert one["spec"].get("serviceName", "driftline") in of_kind(overlay, "Service")


def configuration(overlay: str) -> str:
    (one,) = of_kind(overlay, "ConfigMap").values()
    return str(one["data"]["driftline.yaml"])


@pytest.mark.parametrize("overlay", NAMES)
def test_driftline_takes_the_configuration_with_the_secrets_where_they_are_mounted(
    overlay: str, tmp_path: Path
) -> None:
    secrets = {
        volume["name"]: mount["mountPath"]
        for pod in pods(overlay).values()
        for volume in pod["spec"]["volumes"]
        for mount in pod["spec"]["containers"][0]["volumeMounts"]
        if "secret" in volume and mount["name"] == volume["name"]
    }
    text = configuration(overlay)
    files = re.findall(r"/run/secrets/\S+?(?=[}\s])", text)
    assert {path.rpartition("/")[0] for path in files} == set(secrets.values())
    for path in files:
        (tmp_path / path[1:]).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path[1:]).write_text("a-token-of-some-length\n")
    config = tmp_path / "driftline.yaml"
    config.write_text(text.replace("/run/secrets", f"{tmp_path}/run/secrets").replace("/var/lib", f"{tmp_path}"))
    done = run_driftline("check", "-c", config)
    assert done.returncode == 0, done.stderr
    assert "alertmanager" in done.stdout

    for path in files:
        (tmp_path / path[1:]).unlink()
    assert run_driftline("check", "-c", config).returncode == 2  # a Secret that was not made is noticed


def test_the_embedded_engine_is_one_pod_with_a_volume_of_its_own() -> None:
    ((_, one),) = of_kind("single", *WORKLOADS).items()
    assert (one["kind"], one["spec"]["replicas"]) == ("StatefulSet", 1)
    (claim,) = one["spec"]["volumeClaimTemplates"]
    assert claim["spec"]["accessModes"] == ["ReadWriteOncePod"]


def test_the_scaled_object_has_the_form_that_keda_takes_and_no_more_workers_than_partitions() -> None:
    """KEDA's definition is not to be had as a package: fields and types as its documentation (2.17) has them."""
    (one,) = of_kind("kafka", "ScaledObject").values()
    spec = one["spec"]
    assert one["apiVersion"] == "keda.sh/v1alpha1"
    assert spec.keys() <= {
        *("scaleTargetRef", "pollingInterval", "cooldownPeriod", "initialCooldownPeriod", "idleReplicaCount"),
        *("minReplicaCount", "maxReplicaCount", "fallback", "advanced", "triggers"),
    }
    target = of_kind("kafka", "Deployment")[spec["scaleTargetRef"]["name"]]
    assert "replicas" not in target["spec"]  # or each `kubectl apply` would set KEDA's number back
    partitions = yaml.safe_load(configuration("kafka"))["cluster"]["partitions"]
    assert 1 <= spec["minReplicaCount"] <= spec["maxReplicaCount"] <= partitions
    (trigger,) = spec["triggers"]
    assert trigger["metadata"].keys() == {"serverAddress", "query", "threshold"}
    assert all(isinstance(value, str) for value in trigger["metadata"].values())
    metrics = (OVERLAYS.parents[2] / "docs" / "metrics.md").read_text()
    (metric, stage) = re.findall(r'(driftline_\w+)\{stage="(\w+)"\}', trigger["metadata"]["query"])[0]
    assert f"`{metric}`" in metrics
    assert ["serve", "-c", "/etc/driftline/driftline.yaml", "--role", stage] in [
        each["args"] for each in target["spec"]["template"]["spec"]["containers"]
    ]
    behaviour = spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    scaler = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "made-by-keda"},
        "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "x"}, "maxReplicas": 1, "behavior": behaviour},
    }
    kubernetes_validate.validate(scaler, VERSIONS[-1], strict=True)


def test_every_role_has_its_workload_and_only_kafka_is_asked_beyond_the_alerts() -> None:
    roles = [one["args"][-1] for one in served("kafka")]
    assert sorted(roles) == ["receive", "score", "watch"]
    (policy,) = of_kind("kafka", "NetworkPolicy").values()
    broker = int(load_brokers()[0].rpartition(":")[2])
    namespace = load_brokers()[0].split(":")[0].split(".")[1]
    reached = [
        (rule["to"][0]["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"], port["port"])
        for rule in policy["spec"]["egress"]
        for port in rule["ports"]
    ]
    assert (namespace, broker) in reached
    assert len(set(reached)) == 3  # names, alerts, brokers


def load_brokers() -> list[str]:
    found: list[str] = yaml.safe_load(configuration("kafka"))["cluster"]["brokers"]
    return found


def assert_dashboards(found: list[Manifest]) -> None:
    """One ConfigMap a dashboard, as the sidecar looks for them."""
    shipped = {path.name: path.read_text() for path in (GRAFANA / "dashboards").glob("*.json")}
    assert {name: text for one in found for name, text in one["data"].items()} == shipped
    assert len(found) == len(shipped)
    for one in found:
        assert one["metadata"]["labels"]["grafana_dashboard"] == "1"
        assert one["metadata"]["annotations"] == {"grafana_folder": "Driftline"}
        assert sum(len(text.encode()) for text in one["data"].values()) < 1_000_000  # of a ConfigMap: 1 MiB


@pytest.mark.parametrize("version", VERSIONS)
def test_grafanas_sidecar_finds_every_dashboard(version: str) -> None:
    found = kustomized(GRAFANA)
    for one in found:
        kubernetes_validate.validate(one, version, strict=True)
    assert_dashboards(found)


def test_the_dashboards_go_into_an_overlay_of_ones_own(tmp_path: Path) -> None:
    resources = [os.path.relpath(folder, tmp_path.resolve()) for folder in (OVERLAYS / "single", GRAFANA)]
    document = {"kind": "Kustomization", "namespace": "mine", "resources": resources}
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(document))
    found = kustomized(tmp_path)
    assert {one["metadata"]["namespace"] for one in found} == {"mine"}
    maps = [one for one in found if one["kind"] == "ConfigMap"]
    assert_dashboards([one for one in maps if "grafana_dashboard" in one["metadata"].get("labels", {})])
    assert len(maps) == len(kustomized(GRAFANA)) + 1
