"""What a dashboard consists of, before it is Grafana's JSON."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["timeseries", "stat", "table"]


@dataclass(frozen=True, slots=True)
class Query:
    """PromQL, and the legend of its series (`{{label}}` stands for a label)."""

    promql: str
    legend: str = ""
    exemplars: bool = False


@dataclass(frozen=True, slots=True)
class Panel:
    """One answer.

    Args:
        title: the question, short.
        description: what is shown, what is normal, what to do if it is not.
        queries: at least one.
        unit: Grafana's name: percentunit, s, bytes, short, currencyUSD, reqps.
        kind: how it is drawn; a table shows the value of now.
        warn: from where it is yellow; below it if `low` is set.
        alarm: from where it is red.
        low: whether small values are the bad ones.
        width: of 24.
        to: the dashboard (uid) that a click leads to, with the same variables.
    """

    title: str
    description: str
    queries: Sequence[Query]
    unit: str = "short"
    kind: Kind = "timeseries"
    warn: float | None = None
    alarm: float | None = None
    low: bool = False
    width: int = 12
    to: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    title: str
    panels: Sequence[Panel]


@dataclass(frozen=True, slots=True)
class Variable:
    """A choice at the top, from the values of a label."""

    name: str
    metric: str
    label: str = ""
    many: bool = True

    @property
    def query(self) -> str:
        return f"label_values({self.metric}, {self.label or self.name})"


@dataclass(frozen=True, slots=True)
class Dashboard:
    uid: str
    title: str
    description: str
    variables: Sequence[Variable]
    rows: Sequence[Row] = field(default_factory=tuple)
