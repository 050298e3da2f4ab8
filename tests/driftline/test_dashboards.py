"""Dashboards say what they show, of metrics that exist, and are committed as they are."""

import json
import re
from pathlib import Path

import pytest

from alerts.dashboards.model import Dashboard
from alerts.dashboards.write import ANNOTATIONS, every, to_json
from alerts.rules.config import ObjectiveConfig
from alerts.rules.generate import alerts, dashboard_url
from alerts.rules.model import Facts
from driftline.commands import dashboards as find
from tests.driftline.conftest import Run

ROOT = Path(__file__).parents[2]
COMMITTED = ROOT / "deploy" / "grafana" / "dashboards"
KNOWN = {
    name: set(re.findall(r"`(\w+)`", labels))
    for name, labels in re.findall(
        r"^\| `(driftline_\w+)` \|[^|]*\|[^|]*\|([^|]*)\|", (ROOT / "docs/metrics.md").read_text(), re.M
    )
}
BUILT_IN = {"__rate_interval", "__interval", "datasource"}
PARTS = ("_bucket", "_sum", "_count")

dashboards = pytest.mark.parametrize("one", list(every()), ids=lambda one: one.uid)


def queries(one: Dashboard) -> list[str]:
    found = [query.promql for row in one.rows for panel in row.panels for query in panel.queries]
    return [*found, *(variable.query for variable in one.variables), *(promql for promql, _ in ANNOTATIONS.values())]


def base(name: str) -> str:
    return next((name.removesuffix(part) for part in PARTS if name.removesuffix(part) in KNOWN), name)


@dashboards
def test_a_committed_dashboard_is_current(one: Dashboard) -> None:
    assert (COMMITTED / f"{one.uid}.json").read_text() == to_json(one), (
        "driftline dashboards --out deploy/grafana/dashboards"
    )


def test_the_command_writes_them(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = run("dashboards", "--out", tmp_path / "new")
    assert ended.code == 0
    assert {path.name: path.read_text() for path in (tmp_path / "new").iterdir()} == {
        path.name: path.read_text() for path in COMMITTED.iterdir()
    }
    (tmp_path / "file").touch()
    assert run("dashboards", "--out", tmp_path / "file" / "below").err.startswith("driftline: --out: ")
    monkeypatch.setattr(find, "find_spec", lambda _: None)
    assert "pip install 'driftline[grafana]'" in run("dashboards", "--out", tmp_path).err


def test_no_other_dashboard_is_committed() -> None:
    assert {path.stem for path in COMMITTED.iterdir()} == {one.uid for one in every()}


@dashboards
def test_every_metric_and_label_of_a_query_exists(one: Dashboard) -> None:
    for promql in queries(one):
        names = set(re.findall(r"driftline_\w+", promql))
        assert names, promql
        assert {base(name) for name in names} <= KNOWN.keys(), promql
        for name, matchers in re.findall(r"(driftline_\w+)\{([^}]*)\}", promql):
            used = set(re.findall(r"(\w+)\s*(?:=~|!=|!~|=)", re.sub(r'"[^"]*"', '""', matchers)))
            assert used <= KNOWN[base(name)] | {"instance", "job"}, promql


@dashboards
def test_every_variable_of_a_query_can_be_chosen(one: Dashboard) -> None:
    chosen = {variable.name for variable in one.variables} | BUILT_IN
    for promql in queries(one):
        assert set(re.findall(r"\$(\w+)", promql)) <= chosen, promql


@dashboards
def test_every_panel_is_described_and_has_a_unit_and_a_place(one: Dashboard) -> None:
    panels = [panel for panel in json.loads(to_json(one))["panels"] if panel["type"] != "row"]
    assert panels
    for panel in panels:
        assert len(panel["description"]) > 30, panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["targets"]
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels]
    assert len(set(places)) == len(places)


def test_links_lead_to_dashboards_that_exist() -> None:
    uids = {one.uid for one in every()}
    targets = {panel.to for one in every() for row in one.rows for panel in row.panels if panel.to}
    assert targets
    assert targets <= uids


def test_every_alert_leads_to_a_dashboard_that_has_its_variables() -> None:
    objectives = (ObjectiveConfig(scorer="groundedness", target=0.95), ObjectiveConfig(scorer="pii", target=0.9, by=()))
    variables = {
        path.stem: {variable["name"] for variable in json.loads(path.read_text())["templating"]["list"]}
        for path in COMMITTED.iterdir()
    }
    linked = set()
    for alert in alerts(Facts(objectives=objectives, workers=True)):
        url = dashboard_url(alert, "https://grafana.example/d/{dashboard}")
        uid, _, query = url.removeprefix("https://grafana.example/d/").partition("?")
        assert set(re.findall(r"var-(\w+)=", query)) <= variables[uid], alert.name
        linked.add(uid)
    assert linked == {"driftline-overview", "driftline-service", "driftline-evaluators", "driftline-pipeline"}
