"""What rules are made of, and what they are made from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from alerts.rules.config import ObjectiveConfig

Severity = Literal["page", "ticket"]
"""Whether somebody has to act at once, whatever the hour, or within a few working days."""


@dataclass(frozen=True)
class Facts:
    """What rules depend on.

    Attributes:
        objectives: of the configuration, checked.
        max_store_bytes: past it senders are told to wait.
        max_backlog_bytes: the same.
        behind_seconds: how far evaluation may be behind before somebody should look.
        pages_itself: whether Driftline tells Alertmanager of changes, so that no rule has to.
        workers: whether several processes share the work.
        job: the label `job` of what Prometheus scrapes from Driftline.
        runbooks: where runbooks are: the address that `/NAME.md` is added to, or one that holds `{alert}`.
        dashboards: the address of the dashboard that an alert links to, or one with `{dashboard}` in it for the uid of
            the one that fits; no link if empty.
    """

    objectives: Sequence[ObjectiveConfig] = ()
    max_store_bytes: int = 20 * 2**30
    max_backlog_bytes: int = 2**30
    behind_seconds: float = 300.0
    pages_itself: bool = False
    workers: bool = False
    job: str = "driftline"
    runbooks: str = "docs/runbooks"
    dashboards: str = ""


@dataclass(frozen=True)
class Alert:
    """An alerting rule.

    Attributes:
        name: CamelCase, beginning with `Driftline`; its runbook has that name too.
        expr: PromQL; the alert fires for each series of the result.
        lasts: for how long before it fires, such as `15m`; empty: at once.
        summary: one sentence, with what is in the labels filled in.
        description: what it means and what to do first, two or three sentences.
        variables: labels of the result that a dashboard has a variable for.
        labels: besides the severity.
        annotations: besides the usual ones.
        dashboard: uid of the one of deploy/grafana that has these variables and shows most of what is wrong.
    """

    name: str
    expr: str
    severity: Severity
    summary: str
    description: str
    lasts: str = ""
    variables: Sequence[str] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    dashboard: str = "driftline-pipeline"


@dataclass(frozen=True)
class Recording:
    """A recording rule: the result of `expr`, with `labels` added, is kept as the series `record`."""

    record: str
    expr: str
    labels: Mapping[str, str] = field(default_factory=dict)


Rule: TypeAlias = Alert | Recording


@dataclass(frozen=True)
class Group:
    """Rules that are evaluated one after the other, every `interval` (the server's own if empty)."""

    name: str
    rules: Sequence[Rule]
    interval: str = ""
