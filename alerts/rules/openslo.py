"""Objectives as OpenSLO documents. Source: the OpenSLO specification, version v1."""

from collections.abc import Iterator
from typing import Any

from alerts.rules.config import ObjectiveConfig
from alerts.rules.model import Facts, Severity
from alerts.rules.objectives import burns, threshold
from alerts.rules.promql import duration, selector

_API = "openslo/v1"
_SERVICE = "driftline"
_AFTER = "5m"  # there is no second, shorter window
_TARGETS: dict[Severity, str] = {
    "page": "Wakes somebody, whatever the hour.",
    "ticket": "Is looked at within a few working days.",
}


def documents(facts: Facts) -> list[dict[str, Any]]:
    """The service, whom to tell, and every objective with how fast its budget may burn; none without objectives.

    An objective that names services is one document for each of them, as a query of OpenSLO's gives one series.
    """
    if not facts.objectives:
        return []
    return [
        _document("Service", _SERVICE, {"description": "What Driftline's scorers say of the services it watches."}),
        *(
            _document("AlertNotificationTarget", severity, {"target": severity, "description": words})
            for severity, words in _TARGETS.items()
        ),
        *(document for objective in facts.objectives for document in _objective(objective, facts)),
    ]


def _objective(objective: ObjectiveConfig, facts: Facts) -> Iterator[dict[str, Any]]:
    if not (objective.by and objective.services):
        yield _slo(objective, facts, objective.slug, objective.services)
        return
    for number, service in enumerate(objective.services, 1):
        yield _slo(objective, facts, f"{objective.slug}-{number}", (service,))


def _slo(objective: ObjectiveConfig, facts: Facts, name: str, services: tuple[str, ...]) -> dict[str, Any]:
    good, total = (
        selector(f"driftline_{what}_total", {"job": facts.job, "scorer": objective.scorer}, {"service": services})
        for what in ("good", "valid")
    )
    where = f" in {', '.join(services)}" if services else ""
    spec = {
        "description": f"{100 * objective.target:.9g}% of the scores of {objective.scorer} pass{where}.",
        "service": _SERVICE,
        "indicator": {
            "metadata": {"name": f"{name}-passed"},
            "spec": {"ratioMetric": {"counter": True, "good": _query(good), "total": _query(total)}},
        },
        "timeWindow": [{"duration": duration(objective.window), "isRolling": True}],
        "budgetingMethod": "Occurrences",
        "objectives": [{"displayName": objective.title, "target": objective.target}],
        "alertPolicies": list(_policies(objective, name)),
    }
    return _document("SLO", name, spec, display=f"{objective.title}{where}")


def _query(counter: str) -> dict[str, Any]:
    return {"metricSource": {"type": "Prometheus", "spec": {"query": f"sum({counter})"}}}


def _policies(objective: ObjectiveConfig, name: str) -> Iterator[dict[str, Any]]:
    budget = 1 - objective.target
    for row in burns(objective):
        window = duration(row.long_seconds)
        condition = {
            "kind": "burnrate",
            "op": "gte",
            "threshold": float(f"{threshold(objective, row.rate) / budget:.6g}"),
            "lookbackWindow": window,
            "alertAfter": _AFTER,
        }
        spec = {"severity": row.severity, "condition": condition}
        named = f"{name}-{window}"
        yield {
            "kind": "AlertPolicy",
            "metadata": {"name": named},
            "spec": {
                "alertWhenBreaching": True,
                "alertWhenResolved": True,
                "alertWhenNoData": False,
                "conditions": [{"kind": "AlertCondition", "metadata": {"name": f"{named}-burn"}, "spec": spec}],
                "notificationTargets": [{"targetRef": row.severity}],
            },
        }


def _document(kind: str, name: str, spec: dict[str, Any], display: str = "") -> dict[str, Any]:
    shown = {"displayName": display} if display else {}
    return {"apiVersion": _API, "kind": kind, "metadata": {"name": name, **shown}, "spec": spec}
