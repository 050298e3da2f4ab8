"""Objects for the Prometheus operator: what to scrape, and the rules.

Source: the operator's API reference, `monitoring.coreos.com/v1`.
"""

from collections.abc import Mapping
from typing import Any

from alerts.rules.generate import rules_document
from alerts.rules.model import Facts

_API = "monitoring.coreos.com/v1"
_NAME = "driftline"
_APP = {"app.kubernetes.io/name": "driftline"}
PORT = "web"


def documents(facts: Facts, labels: Mapping[str, str]) -> list[dict[str, Any]]:
    """A PrometheusRule, and what finds Driftline: its Service, or its pods where several workers share the work.

    Args:
        facts: see there.
        labels: of the objects, by which a Prometheus chooses them.
    """
    rule = {"apiVersion": _API, "kind": "PrometheusRule", **_metadata(labels), "spec": rules_document(facts)}
    return [rule, _pod_monitor(facts, labels) if facts.workers else _service_monitor(facts, labels)]


def _service_monitor(facts: Facts, labels: Mapping[str, str]) -> dict[str, Any]:
    spec = {"selector": {"matchLabels": dict(_APP)}, "endpoints": [_endpoint(facts)]}
    return {"apiVersion": _API, "kind": "ServiceMonitor", **_metadata(labels), "spec": spec}


def _pod_monitor(facts: Facts, labels: Mapping[str, str]) -> dict[str, Any]:
    spec = {"selector": {"matchLabels": dict(_APP)}, "podMetricsEndpoints": [_endpoint(facts)]}
    return {"apiVersion": _API, "kind": "PodMonitor", **_metadata(labels), "spec": spec}


def _endpoint(facts: Facts) -> dict[str, Any]:
    return {
        "port": PORT,
        "path": "/metrics",
        "interval": "15s",
        # The operator calls the Kubernetes Service `service`; ours is the service that was evaluated.
        "honorLabels": True,
        # Its job would be the name of whatever was found.
        "relabelings": [{"targetLabel": "job", "replacement": facts.job}],
    }


def _metadata(labels: Mapping[str, str]) -> dict[str, Any]:
    return {"metadata": {"name": _NAME, "labels": {**_APP, **labels}}}
