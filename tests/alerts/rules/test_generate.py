"""What every rule has, whatever it is about."""

import re
from collections import Counter
from pathlib import Path

import pytest

from alerts.rules.config import ObjectiveConfig
from alerts.rules.generate import alerts, annotations, groups, rules_document
from alerts.rules.model import Alert, Facts, Recording

ROOT = Path(__file__).parents[3]
OBJECTIVES = (ObjectiveConfig(scorer="groundedness", target=0.95), ObjectiveConfig(scorer="pii", target=0.9, by=()))
FACTS = Facts(objectives=OBJECTIVES, dashboards="https://grafana.example/d/x")
ALERTS = {alert.name: alert for alert in alerts(FACTS)}
METRICS = (ROOT / "docs" / "metrics.md").read_text()
TABLE = {
    name: set(re.findall(r"`(\w+)`", labels))
    for name, labels in re.findall(r"^\| `(driftline_\w+)` \| \w+ \| \w* \| ([^|]*) \|", METRICS, re.MULTILINE)
}
OF_PROMETHEUS = {"job", "instance", "le"}


def metrics_in(text: str) -> set[str]:
    return {name.removesuffix("_bucket") for name in re.findall(r"\bdriftline_\w+", text)}


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_what_it_is_what_to_do_and_where_to_read_on(name: str) -> None:
    alert = ALERTS[name]
    words = annotations(alert, FACTS)
    assert re.fullmatch(r"Driftline[A-Z]\w+", name)
    assert words["summary"].endswith(".")
    assert len(words["description"]) > 60
    assert words["description"].endswith(".")
    assert words["runbook_url"] == f"docs/runbooks/{name}.md"
    for label in alert.variables:
        assert f"var-{label}={{{{ $labels.{label} | urlquery }}}}" in words["dashboard_url"]


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_asks_for_metrics_that_exist(name: str) -> None:
    assert metrics_in(ALERTS[name].expr) <= set(TABLE)


@pytest.mark.parametrize("name", ALERTS)
def test_labels_that_an_alert_names_are_there(name: str) -> None:
    """What the words and the dashboard fill in is a label of a metric it asks for, and survives the sum."""
    alert = ALERTS[name]
    named = {*alert.variables, *re.findall(r"\$labels\.(\w+)", alert.summary + alert.description)}
    recorded = {"objective", "scorer", "service"} if "driftline:objective" in alert.expr else set()
    possible = OF_PROMETHEUS | recorded | set().union(*(TABLE[metric] for metric in metrics_in(alert.expr)))
    first = re.search(r"sum by \(([^)]*)\)", alert.expr)  # what comes on the right only chooses among these
    summed = set(first[1].split(", ")) if first and not recorded else possible
    made = {"log"} if "label_replace" in alert.expr else set()
    assert named <= (possible & summed) | made | set(alert.labels)


def test_rules_on_changes_are_left_out_where_driftline_pages_itself() -> None:
    assert "DriftlineChangeActive" in {alert.name for alert in alerts(Facts())}
    assert "DriftlineChangeActive" not in {alert.name for alert in alerts(Facts(pages_itself=True))}


def test_thresholds_come_from_the_configuration() -> None:
    facts = Facts(max_store_bytes=1000, max_backlog_bytes=500, behind_seconds=77, job="mine")
    found = {alert.name: alert.expr for alert in alerts(facts)}
    assert found["DriftlineStoreFull"] == "driftline_store_bytes / 1000 >= 0.95"
    assert found["DriftlineBacklogFull"] == "driftline_backlog_bytes > 400"
    assert found["DriftlineBehind"] == "driftline_behind_seconds > 77"
    assert found["DriftlineSessionsBehind"] == "driftline_session_behind_seconds > 77"
    assert found["DriftlineDown"] == 'up{job="mine"} == 0'


def test_no_two_rules_make_the_same_series() -> None:
    made = Counter(
        (rule.record, tuple(rule.labels.items()))
        if isinstance(rule, Recording)
        else (rule.name, tuple(rule.labels.items()))
        for group in groups(FACTS)
        for rule in group.rules
    )
    assert [one for one, times in made.items() if times > 1] == []


def test_the_document_is_a_rule_file() -> None:
    document = rules_document(FACTS)
    assert set(document) == {"groups"}
    assert len({group["name"] for group in document["groups"]}) == len(document["groups"])
    for group in document["groups"]:
        for rule in group["rules"]:
            assert set(rule) <= {"record", "alert", "expr", "for", "labels", "annotations"}
            assert ("record" in rule) != ("alert" in rule)
            if "alert" in rule:
                assert rule["labels"]["severity"] in ("page", "ticket")


def test_alerts_are_pages_only_where_somebody_must_act_at_once() -> None:
    pages = {name for name, alert in ALERTS.items() if isinstance(alert, Alert) and alert.severity == "page"}
    assert pages == {
        *("DriftlineDown", "DriftlineAbsent", "DriftlineNothingScored", "DriftlineStageStuck"),
        *("DriftlineNotificationsFailing", "DriftlineNotificationsLost", "DriftlineBacklogFull", "DriftlineStoreFull"),
        *("DriftlineStoreFailing", "DriftlineRetentionNear", "DriftlineLeaderless", "DriftlineChangeActive"),
        "DriftlineBudgetBurnFast",
    }
