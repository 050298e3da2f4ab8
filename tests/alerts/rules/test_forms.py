"""Objectives and objects in others' forms, held against what their specifications say."""

import re
from typing import Any

import jsonschema_rs
import yaml

from alerts.rules import openslo, operator, sloth
from alerts.rules.config import ObjectiveConfig
from alerts.rules.model import Facts
from alerts.rules.text import to_yaml

OBJECTIVES = (
    ObjectiveConfig(scorer="groundedness", target=0.95),
    ObjectiveConfig(scorer="refusal", target=0.9, name="No refusals", services=("shop", "a.b")),
    ObjectiveConfig(scorer="error", target=0.999, window="7d", by=()),  # type: ignore[arg-type]  as in a file
)
FACTS = Facts(objectives=OBJECTIVES, runbooks="https://example.org/runbooks")

# From Sloth's `prometheus/v1` API: the keys it knows (it refuses others), and what a name may be.
SLOTH_NAME = {"type": "string", "pattern": "^[A-Za-z0-9][-A-Za-z0-9_.]*[A-Za-z0-9]$"}
SLOTH_WORDS = {"type": "object", "additionalProperties": {"type": "string"}}
SLOTH_ALERT = {
    "type": "object",
    "properties": {"disable": {"type": "boolean"}, "labels": SLOTH_WORDS, "annotations": SLOTH_WORDS},
    "additionalProperties": False,
}
SLOTH = {
    "type": "object",
    "required": ["version", "service", "slos"],
    "additionalProperties": False,
    "properties": {
        "version": {"const": "prometheus/v1"},
        "service": SLOTH_NAME,
        "labels": SLOTH_WORDS,
        "slos": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["name", "objective", "sli", "alerting"],
                "additionalProperties": False,
                "properties": {
                    "name": SLOTH_NAME,
                    "description": {"type": "string"},
                    "objective": {"type": "number", "exclusiveMinimum": 0, "maximum": 100},
                    "labels": SLOTH_WORDS,
                    "sli": {
                        "type": "object",
                        "required": ["events"],
                        "additionalProperties": False,
                        "properties": {
                            "events": {
                                "type": "object",
                                "required": ["error_query", "total_query"],
                                "additionalProperties": {"type": "string", "pattern": r"\[\{\{\.window\}\}\]"},
                            }
                        },
                    },
                    "alerting": {
                        "type": "object",
                        "required": ["name"],
                        "additionalProperties": False,
                        "properties": {
                            "name": SLOTH_NAME,
                            "labels": SLOTH_WORDS,
                            "annotations": SLOTH_WORDS,
                            "page_alert": SLOTH_ALERT,
                            "ticket_alert": SLOTH_ALERT,
                        },
                    },
                },
            },
        },
    },
}

# From the OpenSLO specification, v1: the kinds that are written, with every key it names for them.
NAME = {"type": "string", "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", "maxLength": 63}
DURATION = {"type": "string", "pattern": "^[1-9][0-9]*[mhdwMQY]$|^([1-9][0-9]*[dhm])+$"}
WORDS = {"type": "string", "maxLength": 1050}


def _keys(required: str, optional: str = "", **properties: Any) -> dict[str, Any]:
    known = {name: properties.get(name, {}) for name in f"{required} {optional}".split()}
    return {"type": "object", "required": required.split(), "properties": known, "additionalProperties": False}


METADATA = _keys("name", "displayName labels annotations", name=NAME, displayName={"type": "string"})
SOURCE = _keys("metricSource", metricSource=_keys("type spec", "metricSourceRef"))
CONDITION = _keys(
    "kind op threshold lookbackWindow alertAfter",
    kind={"const": "burnrate"},
    op={"enum": ["lte", "gte", "lt", "gt"]},
    threshold={"type": "number"},
    lookbackWindow=DURATION,
    alertAfter=DURATION,
)
POLICY = _keys(
    "conditions notificationTargets alertWhenBreaching alertWhenResolved alertWhenNoData",
    "description",
    conditions={
        "type": "array",
        "minItems": 1,
        "maxItems": 1,
        "items": _keys(
            "kind metadata spec",
            kind={"const": "AlertCondition"},
            metadata=METADATA,
            spec=_keys("severity condition", "description", severity={"type": "string"}, condition=CONDITION),
        ),
    },
    notificationTargets={"type": "array", "minItems": 1, "items": _keys("targetRef", targetRef=NAME)},
)
SLO = _keys(
    "service indicator timeWindow budgetingMethod objectives",
    "description alertPolicies",
    description=WORDS,
    service=NAME,
    indicator=_keys(
        "metadata spec",
        metadata=METADATA,
        spec=_keys("ratioMetric", ratioMetric=_keys("counter good total", good=SOURCE, total=SOURCE)),
    ),
    timeWindow={"type": "array", "minItems": 1, "maxItems": 1, "items": _keys("duration isRolling", duration=DURATION)},
    budgetingMethod={"enum": ["Occurrences", "Timeslices"]},
    objectives={
        "type": "array",
        "minItems": 1,
        "items": _keys("target", "displayName", target={"type": "number", "minimum": 0, "exclusiveMaximum": 1}),
    },
    alertPolicies={
        "type": "array",
        "items": _keys("kind metadata spec", kind={"const": "AlertPolicy"}, metadata=METADATA, spec=POLICY),
    },
)
SPECS = {
    "Service": _keys("", "description", description=WORDS),
    "AlertNotificationTarget": _keys("target", "description", description=WORDS),
    "SLO": SLO,
}


def problems(schema: dict[str, Any], document: Any) -> list[str]:
    found = jsonschema_rs.validator_for(schema).iter_errors(document)
    return [f"{'.'.join(map(str, one.instance_path))}: {one.message}" for one in found]


def test_sloth_gets_what_its_spec_allows() -> None:
    (document,) = sloth.documents(FACTS)
    assert problems(SLOTH, document) == []
    assert [slo["name"] for slo in document["slos"]] == ["groundedness", "no-refusals", "error"]
    assert [slo["objective"] for slo in document["slos"]] == [95.0, 90.0, 99.9]
    assert document["slos"][2]["sli"]["events"]["error_query"] == (
        'sum (rate(driftline_valid_total{job="driftline",scorer="error"}[{{.window}}]))\n'
        '- sum (rate(driftline_good_total{job="driftline",scorer="error"}[{{.window}}]))'
    )


def test_openslo_gets_what_its_specification_allows() -> None:
    documents = openslo.documents(FACTS)
    assert [one["kind"] for one in documents] == ["Service", *["AlertNotificationTarget"] * 2, *["SLO"] * 4]
    for one in documents:
        whole = _keys("apiVersion kind metadata spec", apiVersion={"const": "openslo/v1"}, metadata=METADATA)
        assert problems(whole, one) == []
        assert problems(SPECS[one["kind"]], one["spec"]) == []


def test_openslo_names_are_unique_and_references_lead_somewhere() -> None:
    documents = openslo.documents(FACTS)
    names = [(one["kind"], one["metadata"]["name"]) for one in documents]
    assert len(set(names)) == len(names)
    targets = {name for kind, name in names if kind == "AlertNotificationTarget"}
    slos = [one["spec"] for one in documents if one["kind"] == "SLO"]
    assert {slo["service"] for slo in slos} == {"driftline"}
    used = {
        ref["targetRef"] for slo in slos for one in slo["alertPolicies"] for ref in one["spec"]["notificationTargets"]
    }
    assert used == targets == {"page", "ticket"}


def test_openslo_burn_rates_are_those_of_the_rules() -> None:
    slo = next(one for one in openslo.documents(FACTS) if one["metadata"]["name"] == "groundedness")
    conditions = [one["spec"]["conditions"][0]["spec"] for one in slo["spec"]["alertPolicies"]]
    assert [
        (one["condition"]["threshold"], one["condition"]["lookbackWindow"], one["severity"]) for one in conditions
    ] == [
        (14.4, "1h", "page"),
        (6.0, "6h", "page"),
        (3.0, "1d", "ticket"),
        (1.0, "3d", "ticket"),
    ]


def test_without_objectives_there_is_nothing_to_write_for_either() -> None:
    assert sloth.documents(Facts()) == []
    assert openslo.documents(Facts()) == []


def test_the_operator_finds_the_service_and_keeps_our_labels() -> None:
    rule, monitor = operator.documents(Facts(job="mine"), {"release": "prometheus"})
    assert rule["metadata"]["labels"] == {"app.kubernetes.io/name": "driftline", "release": "prometheus"}
    (endpoint,) = monitor["spec"]["endpoints"]
    assert endpoint["honorLabels"] is True
    assert endpoint["relabelings"] == [{"targetLabel": "job", "replacement": "mine"}]


def test_several_workers_are_found_by_their_pods() -> None:
    kinds = [one["kind"] for one in operator.documents(Facts(workers=True), {})]
    assert kinds == ["PrometheusRule", "PodMonitor"]


def test_yaml_says_what_was_meant_whatever_the_text_is() -> None:
    documents: list[dict[str, Any]] = [
        {"a": text} for text in ("a\nb", "a \nb\n", "{{ $labels.x }}: y", "# x", "yes", "1e3", "", "é\u2028", "x: y\n")
    ]
    text = to_yaml(documents, ["Head."])
    assert re.match(r"# Head\.\n", text)
    assert list(yaml.safe_load_all(text)) == documents
