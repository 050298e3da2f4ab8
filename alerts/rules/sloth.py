"""Objectives as a spec for Sloth, which makes rules of it. Source: Sloth's `prometheus/v1` API."""

from typing import Any

from alerts.rules.config import ObjectiveConfig
from alerts.rules.generate import runbook_url
from alerts.rules.model import Facts, Severity
from alerts.rules.promql import selector

_NAMES: dict[Severity, str] = {"page": "DriftlineBudgetBurnFast", "ticket": "DriftlineBudgetBurnSlow"}


def documents(facts: Facts) -> list[dict[str, Any]]:
    """One spec with all objectives; none if there is none, as Sloth refuses an empty one.

    Sloth applies one window to a whole run (`--default-slo-period`), and knows no least number of events.
    """
    if not facts.objectives:
        return []
    slos = [_slo(one, facts) for one in facts.objectives]
    return [{"version": "prometheus/v1", "service": "driftline", "slos": slos}]


def _slo(objective: ObjectiveConfig, facts: Facts) -> dict[str, Any]:
    counter = {what: _rate(objective, what, facts) for what in ("valid", "good")}
    return {
        "name": objective.slug,
        "objective": float(f"{100 * objective.target:.9g}"),
        "description": f"{100 * objective.target:.9g}% of the scores of {objective.scorer} pass.",
        "labels": {"scorer": objective.scorer},
        "sli": {"events": {"error_query": f"{counter['valid']}\n- {counter['good']}", "total_query": counter["valid"]}},
        "alerting": {
            "name": f"DriftlineObjective-{objective.slug}",
            **{
                f"{severity}_alert": {
                    "labels": {"severity": severity},
                    "annotations": {"runbook_url": runbook_url(name, facts.runbooks)},
                }
                for severity, name in _NAMES.items()
            },
        },
    }


def _rate(objective: ObjectiveConfig, what: str, facts: Facts) -> str:
    among = {"service": objective.services}
    counter = selector(f"driftline_{what}_total", {"job": facts.job, "scorer": objective.scorer}, among)
    by = f" by ({', '.join(objective.by)})" if objective.by else ""
    return f"sum{by} (rate({counter}[{{{{.window}}}}]))"
