"""Generated rules as those who read them see them: promtool runs them, the operator's schemas take them."""

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml
from click.testing import CliRunner

from driftline.commands.rules import command
from tests.real.parts.crds import schema
from tests.real.parts.prometheus import promtool

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "data" / "rules"
CONFIG = DATA / "objectives.yaml"
CLUSTER = "cluster: {brokers: [127.0.0.1:9]}\n"


def generate(*arguments: object) -> str:
    done = CliRunner().invoke(command, [str(one) for one in arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def told(done: subprocess.CompletedProcess[bytes]) -> str:
    return (done.stdout + done.stderr).decode()


def alert_tests(path: Path) -> Sequence[Mapping[str, Any]]:
    return [check for test in yaml.safe_load(path.read_text())["tests"] for check in test["alert_rule_test"]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rules of the configuration with objectives, and the tests of them."""
    found = tmp_path_factory.mktemp("rules")
    generate("-c", CONFIG, "--out", found)
    shutil.copy(DATA / "objectives.test.yml", found)
    return found


def test_promtool_finds_nothing_wrong_with_the_rules_that_are_deployed() -> None:
    checked = promtool("check", "rules", ROOT / "deploy" / "prometheus" / "driftline.rules.yml")
    assert (checked.returncode, b"SUCCESS" in checked.stdout) == (0, True), told(checked)


def test_alerts_fire_when_they_should_and_only_then() -> None:
    tested = promtool("test", "rules", ROOT / "deploy" / "prometheus" / "driftline.rules.test.yml")
    assert tested.returncode == 0, told(tested)


def test_promtool_finds_nothing_wrong_with_rules_of_objectives(folder: Path) -> None:
    checked = promtool("check", "rules", folder / "driftline.rules.yml")
    assert (checked.returncode, b"SUCCESS" in checked.stdout) == (0, True), told(checked)


def test_alerts_on_objectives_fire_when_they_should_and_only_then(folder: Path) -> None:
    tested = promtool("test", "rules", folder / "objectives.test.yml")
    assert tested.returncode == 0, told(tested)


def test_promtool_notices_an_alert_that_does_not_fire(folder: Path, tmp_path: Path) -> None:
    text = (folder / "driftline.rules.yml").read_text()
    (tmp_path / "driftline.rules.yml").write_text(text.replace("> 0.72", "> 0.999"))
    tests = yaml.safe_load((folder / "objectives.test.yml").read_text())
    (tmp_path / "test.yml").write_text(yaml.safe_dump({**tests, "tests": tests["tests"][:1]}))
    tested = promtool("test", "rules", tmp_path / "test.yml")
    assert (tested.returncode, b"DriftlineBudgetBurnFast" in tested.stdout + tested.stderr) == (1, True)


def test_every_alert_is_tested_to_fire_and_not_to_fire(folder: Path) -> None:
    rules = yaml.safe_load((folder / "driftline.rules.yml").read_text())
    names = {rule["alert"] for group in rules["groups"] for rule in group["rules"] if "alert" in rule}
    checks = [
        *alert_tests(ROOT / "deploy" / "prometheus" / "driftline.rules.test.yml"),
        *alert_tests(DATA / "objectives.test.yml"),
    ]
    assert {check["alertname"] for check in checks if check.get("exp_alerts")} == names
    assert {check["alertname"] for check in checks if not check.get("exp_alerts")} == names


def test_links_to_a_dashboard_survive_promtool_with_the_labels_filled_in(tmp_path: Path) -> None:
    generate("--dashboards", "https://grafana.example/d/x?orgId=1", "--out", tmp_path)
    name = "DriftlineScorerSuspended"
    rules = yaml.safe_load((tmp_path / "driftline.rules.yml").read_text())
    (words,) = (r["annotations"] for g in rules["groups"] for r in g["rules"] if r.get("alert") == name)
    labels = {"instance": "a:8321", "scorer": "mine & yours"}
    expected = {
        "summary": "mine & yours hung or crashed so often on a:8321 that it is called no more.",
        "description": words["description"],
        "runbook_url": f"docs/runbooks/{name}.md",
        "dashboard_url": "https://grafana.example/d/x?orgId=1&var-instance=a%3A8321&var-scorer=mine+%26+yours",
    }
    alerts = [{"exp_labels": {**labels, "severity": "ticket"}, "exp_annotations": expected}]
    test = {
        "input_series": [
            {"series": 'driftline_scorer_suspended{instance="a:8321",scorer="mine & yours"}', "values": "1x5"}
        ],
        "alert_rule_test": [{"eval_time": "3m", "alertname": name, "exp_alerts": alerts}],
    }
    (tmp_path / "test.yml").write_text(yaml.safe_dump({"rule_files": ["driftline.rules.yml"], "tests": [test]}))
    tested = promtool("test", "rules", tmp_path / "test.yml")
    assert tested.returncode == 0, told(tested)


def test_hostile_names_stay_within_their_quotes(tmp_path: Path) -> None:
    hostile = ['a"}) or vector(1) #', "b|.*\\", "`{{ . }}`\n"]
    named = {"scorer": "refusal", "target": 0.9, "services": hostile, "name": 'x") or vector(1) # \\ `\n- y: z'}
    document = {"objectives": [named]}
    (tmp_path / "driftline.yaml").write_text(yaml.safe_dump(document))
    generate("-c", tmp_path / "driftline.yaml", "--out", tmp_path)
    checked = promtool("check", "rules", tmp_path / "driftline.rules.yml")
    assert (checked.returncode, b"SUCCESS" in checked.stdout) == (0, True), told(checked)


@pytest.mark.parametrize("more", ["", CLUSTER], ids=["one", "workers"])
def test_the_operators_schemas_take_what_is_written_for_it(more: str, tmp_path: Path) -> None:
    (tmp_path / "driftline.yaml").write_text(CONFIG.read_text() + more)
    text = generate("-c", tmp_path / "driftline.yaml", "--format", "operator", "--label", "release=prometheus")
    documents = list(yaml.safe_load_all(text))
    assert [one["kind"] for one in documents] == ["PrometheusRule", "PodMonitor" if more else "ServiceMonitor"]
    for one in documents:
        problems = jsonschema_rs.validator_for(schema(one["kind"])).iter_errors(one)
        assert [f"{'.'.join(map(str, p.instance_path))}: {p.message}" for p in problems] == []


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("PrometheusRule", lambda spec: spec["groups"][0]["rules"][0].pop("expr")),
        ("PrometheusRule", lambda spec: spec["groups"][0].update(intervall="1m")),
        ("ServiceMonitor", lambda spec: spec["endpoints"][0].update(interval="soon")),
        ("ServiceMonitor", lambda spec: spec.pop("selector")),
    ],
)
def test_the_operators_schemas_notice_what_is_wrong(kind: str, change: Any) -> None:
    documents = {one["kind"]: one for one in yaml.safe_load_all(generate("--format", "operator"))}
    change(documents[kind]["spec"])
    assert not jsonschema_rs.validator_for(schema(kind)).is_valid(documents[kind])
