"""`driftline rules`, as a person runs it."""

from pathlib import Path

import pytest
import yaml

from driftline.commands.rules import rule_facts
from driftline.config import Config
from tests.driftline.conftest import Run

ROOT = Path(__file__).parents[3]
DEPLOYED = ROOT / "deploy" / "prometheus" / "driftline.rules.yml"
OBJECTIVES = "objectives: [{scorer: groundedness, target: 0.95}]\n"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "driftline.yaml"
    path.write_text(OBJECTIVES)
    return path


def test_the_rules_that_are_deployed_are_those_of_the_default_configuration(run: Run) -> None:
    assert run("rules").out == DEPLOYED.read_text(), "run: driftline rules --out deploy/prometheus"


@pytest.mark.parametrize(
    ("form", "file", "documents"),
    [
        ("prometheus", "driftline.rules.yml", 1),
        ("operator", "driftline.operator.yaml", 2),
        ("sloth", "driftline.sloth.yaml", 1),
        ("openslo", "driftline.openslo.yaml", 4),
    ],
)
def test_every_form_is_written_to_a_folder_as_it_is_printed(
    form: str, file: str, documents: int, run: Run, config: Path, tmp_path: Path
) -> None:
    printed = run("rules", "-c", config, "--format", form)
    assert printed.code == 0
    written = run("rules", "-c", config, "--format", form, "--out", tmp_path / "new" / "folder")
    target = tmp_path / "new" / "folder" / file
    assert (written.code, written.out) == (0, f"{target}\n")
    assert target.read_text() == printed.out
    assert len(list(yaml.safe_load_all(printed.out))) == documents


@pytest.mark.parametrize("form", ["sloth", "openslo"])
def test_without_objectives_a_form_that_is_about_nothing_else_is_refused(form: str, run: Run) -> None:
    ran = run("rules", "--format", form)
    assert ran.code == 2
    assert ran.err == (
        f"driftline: objectives: there are none in the configuration, and --format {form} is about nothing else\n"
    )


def test_an_objective_of_a_scorer_that_is_not_configured_is_refused_by_rules_and_by_check(
    run: Run, tmp_path: Path
) -> None:
    path = tmp_path / "driftline.yaml"
    path.write_text("scorers: [refusal]\n" + OBJECTIVES)
    for command in ("rules", "check"):
        ran = run(command, "-c", path)
        assert ran.code == 2
        assert ran.err == "driftline: objectives[0].scorer: 'groundedness' is not one of the scorers (refusal)\n"


def test_check_says_what_has_to_pass(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "driftline.yaml"
    path.write_text(
        "objectives: [{scorer: groundedness, target: 0.95}, {scorer: refusal, target: 0.9, name: talks, by: []}]\n"
    )
    out = run("check", "-c", path).out
    assert "objectives\n  95% of groundedness pass within 30d, in each service\n" in out
    assert "  talks: 90% of refusal pass within 30d, in all services together\n" in out


def test_a_label_that_is_none_and_a_folder_that_cannot_be_made_are_told_in_one_line(run: Run, tmp_path: Path) -> None:
    ran = run("rules", "--format", "operator", "--label", "release")
    assert (ran.code, ran.err) == (2, "driftline: --label: 'release' is not NAME=VALUE, such as release=prometheus\n")
    (tmp_path / "file").write_text("")
    ran = run("rules", "--out", tmp_path / "file" / "folder")
    assert ran.code == 2
    assert ran.err.startswith("driftline: --out: ")
    assert ran.err.count("\n") == 1


def test_a_web_listener_that_no_prometheus_can_reach_is_told(run: Run, tmp_path: Path) -> None:
    ran = run("rules", "--format", "operator")
    assert (ran.code, ran.out[:1]) == (0, "#")
    assert ran.err == (
        "driftline: listen.web: 127.0.0.1:8321 cannot be reached from another pod; set 0.0.0.0:8321, and "
        "listen.insecure if only the cluster reaches it\n"
    )
    path = tmp_path / "driftline.yaml"
    path.write_text("listen: {web: 0.0.0.0:8321, insecure: true}\n")
    assert run("rules", "-c", path, "--format", "operator").err == ""
    path.write_text("listen: {web: null}\n")
    ran = run("rules", "-c", path, "--format", "operator")
    assert ran.code == 2
    assert ran.err.startswith("driftline: listen.web: is off")
    assert run("rules", "-c", path).code == 0


def test_facts_are_those_of_the_configuration() -> None:
    config = Config.model_validate(
        {
            "store": {"max_size": "5GiB", "max_backlog": "1MiB"},
            "shed": {"after": "10s"},
            "alerts": {"alertmanager": {"url": "http://127.0.0.1:9093"}},
            "cluster": {"brokers": ["127.0.0.1:9"]},
        }
    )
    facts = rule_facts(config, "r", "d", "j")
    assert (facts.max_store_bytes, facts.max_backlog_bytes, facts.behind_seconds) == (5 * 2**30, 2**20, 50.0)
    assert (facts.pages_itself, facts.workers) == (True, True)
    never = Config.model_validate({"shed": {"after": None}})
    assert rule_facts(never, "r", "d", "j").behind_seconds == 300.0
