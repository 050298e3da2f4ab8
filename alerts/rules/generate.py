"""The rules of a configuration, and each as Prometheus and its operator write it."""

from collections.abc import Iterator
from typing import Any

from alerts.rules import access, capacity, changes, health, loss, objectives
from alerts.rules.model import Alert, Facts, Group, Recording, Rule


def groups(facts: Facts) -> list[Group]:
    """All rules.

    Those of parts that are not configured are there too: they never fire, and need nobody to think of them when the
    part is switched on.
    """
    return [
        health.group(facts),
        capacity.group(facts),
        loss.group(),
        access.group(),
        *([] if facts.pages_itself else [changes.group()]),
        *(objectives.group(one) for one in facts.objectives),
    ]


def alerts(facts: Facts) -> Iterator[Alert]:
    """All alerting rules, in order."""
    for one in groups(facts):
        yield from (rule for rule in one.rules if isinstance(rule, Alert))


def rules_document(facts: Facts) -> dict[str, Any]:
    """A rule file (Prometheus, "Defining recording rules"), which is also the `spec` of a PrometheusRule."""
    return {"groups": [_group(one, facts) for one in groups(facts)]}


def _group(group: Group, facts: Facts) -> dict[str, Any]:
    interval = {"interval": group.interval} if group.interval else {}
    return {"name": group.name, **interval, "rules": [_rule(one, facts) for one in group.rules]}


def _rule(rule: Rule, facts: Facts) -> dict[str, Any]:
    if isinstance(rule, Recording):
        return {"record": rule.record, "expr": rule.expr, "labels": dict(rule.labels)}
    lasts = {"for": rule.lasts} if rule.lasts else {}
    labels = {**rule.labels, "severity": rule.severity}
    return {"alert": rule.name, "expr": rule.expr, **lasts, "labels": labels, "annotations": annotations(rule, facts)}


def annotations(alert: Alert, facts: Facts) -> dict[str, str]:
    """The words of an alert, and where to read on."""
    found = {"summary": alert.summary, "description": alert.description, **alert.annotations}
    found["runbook_url"] = runbook_url(alert.name, facts.runbooks)
    if facts.dashboards:
        found["dashboard_url"] = dashboard_url(alert, facts.dashboards)
    return found


def runbook_url(name: str, base: str) -> str:
    """Where an alert's runbook is.

    >>> runbook_url("DriftlineDown", "https://example.org/runbooks/")
    'https://example.org/runbooks/DriftlineDown.md'
    >>> runbook_url("DriftlineDown", "https://wiki.example.org/?page={alert}")
    'https://wiki.example.org/?page=DriftlineDown'
    """
    return base.replace("{alert}", name) if "{alert}" in base else f"{base.rstrip('/')}/{name}.md"


def dashboard_url(alert: Alert, base: str) -> str:
    """The dashboard with its variables set to what the alert is about: `var-service=shop`, as Grafana reads them.

    >>> dashboard_url(Alert("A", "up", "page", "", ""), "https://grafana.example/d/{dashboard}?orgId=1")
    'https://grafana.example/d/driftline-pipeline?orgId=1'
    """
    base = base.replace("{dashboard}", alert.dashboard)
    joint = "&" if "?" in base else "?"
    chosen = "&".join(f"var-{name}={{{{ $labels.{name} | urlquery }}}}" for name in alert.variables)
    return f"{base}{joint}{chosen}" if chosen else base
