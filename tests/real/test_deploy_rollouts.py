"""deploy/argo and deploy/flagger: their schemas know each field, and what they ask is answered by the real parts."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
import pytest
import yaml

from tests.real.parts.crds import schema
from tests.real.parts.prometheus import Prometheus
from tests.real.regression import regressed
from tests.real.service import Service

pytestmark = pytest.mark.long

DEPLOY = Path(__file__).parents[2] / "deploy"
FILES = ("argo/analysistemplate.yaml", "argo/rollout.yaml", "flagger/metrictemplate.yaml", "flagger/canary.yaml")


def read(name: str) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((DEPLOY / name).read_text())
    return document


@pytest.mark.parametrize("name", FILES)
def test_the_schemas_of_argo_and_flagger_know_every_field(name: str) -> None:
    document = read(name)
    problems = jsonschema_rs.validator_for(schema(document["kind"])).iter_errors(document)
    assert [f"{problem.instance_path}: {problem.message}" for problem in problems] == []


def test_the_schemas_would_notice_a_field_that_does_not_exist() -> None:
    for name in FILES:
        document = read(name)
        for part in (document["spec"], *document["spec"].get("metrics", [])):
            part["intervall"] = "2m"
        assert not jsonschema_rs.validator_for(schema(document["kind"])).is_valid(document), name


def test_the_examples_name_the_templates_that_are_there() -> None:
    template, rollout = read(FILES[0]), read(FILES[1])
    (analysis,) = (step["analysis"] for step in rollout["spec"]["strategy"]["canary"]["steps"] if "analysis" in step)
    assert [one["templateName"] for one in analysis["templates"]] == [template["metadata"]["name"]]
    asked = {one["name"] for one in template["spec"]["args"] if "value" not in one}
    assert {one["name"] for one in analysis["args"]} == asked
    (metric,) = read(FILES[3])["spec"]["analysis"]["metrics"]
    assert metric["templateRef"]["name"] == read(FILES[2])["metadata"]["name"]


def test_the_address_is_the_service_of_the_kubernetes_manifests() -> None:
    services = yaml.safe_load_all((DEPLOY / "kubernetes/base/services.yaml").read_text())
    ports = {one["metadata"]["name"]: {port["port"] for port in one["spec"]["ports"]} for one in services}
    address = next(one["value"] for one in read(FILES[0])["spec"]["args"] if one["name"] == "address")
    name, _, port = address.partition(".driftline.svc:")
    assert int(port) in ports[name]


@pytest.fixture(scope="module")
def rolled_out(
    tmp_path_factory: pytest.TempPathFactory, prometheus_factory: Callable[..., Prometheus]
) -> Iterator[tuple[Service, Prometheus]]:
    folder, config = tmp_path_factory.mktemp("rolled_out"), {"scorers": ["groundedness", "refusal"]}
    with regressed(folder, prometheus_factory, config) as parts:
        yield parts


def argo_asks(driftline: Service, **arguments: str) -> str:
    """What the analysis makes of an answer: as its provider fills in arguments, reads the path, and judges."""
    spec = read(FILES[0])["spec"]
    filled = {one["name"]: one.get("value") for one in spec["args"]} | arguments
    (metric,) = spec["metrics"]
    web = metric["provider"]["web"]
    url = re.sub(r"\{\{args\.(\w+)\}\}", lambda found: str(filled[found[1]]), web["url"])
    answer = httpx.get(url, timeout=web["timeoutSeconds"])
    assert answer.status_code == 200, answer.text
    (field,) = re.findall(r"^\{\$\.(\w+)\}$", web["jsonPath"])
    result = json.dumps(answer.json()[field])
    for outcome in ("success", "failure"):
        if metric[f"{outcome}Condition"] == f"result == {result}":
            return outcome
    return "inconclusive"


def test_argo_is_told_that_a_worse_version_fails_and_that_an_unknown_one_is_undecided(
    rolled_out: tuple[Service, Prometheus],
) -> None:
    driftline, _ = rolled_out
    address = driftline.web.removeprefix("http://")
    assert argo_asks(driftline, address=address, by="prompt", stable="v1", canary="v2") == "failure"
    assert argo_asks(driftline, address=address, by="prompt", stable="v1", canary="v9") == "inconclusive"


def test_flagger_is_told_of_a_failure_and_of_no_verdict_while_there_is_none(
    rolled_out: tuple[Service, Prometheus],
) -> None:
    _, prometheus = rolled_out
    query = read(FILES[2])["spec"]["query"]
    (metric,) = read(FILES[3])["spec"]["analysis"]["metrics"]
    least = metric["thresholdRange"]["min"]
    (worse,) = prometheus.wait_for(query.replace("{{ target }}", "shop-assistant") + " == -1")
    assert worse.value < least
    (unknown,) = prometheus.query(query.replace("{{ target }}", "another"))
    assert unknown.value == 0 >= least


def test_flagger_gets_no_value_while_driftline_cannot_be_asked(
    prometheus_factory: Callable[..., Prometheus],
) -> None:
    prometheus = prometheus_factory([])
    assert prometheus.query(read(FILES[2])["spec"]["query"].replace("{{ target }}", "shop-assistant")) == []
