"""Grafana's JSON of every dashboard, made with grafana-foundation-sdk, an optional extra."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, table, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import LegendDisplayMode, LegendPlacement
from grafana_foundation_sdk.models.dashboard import Dashboard as Model
from grafana_foundation_sdk.models.dashboard import (
    DashboardLinkType,
    DataSourceRef,
    DataTransformerConfig,
    Threshold,
    ThresholdsMode,
    VariableRefresh,
    VariableSort,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from alerts.dashboards import operations, quality
from alerts.dashboards.model import Dashboard, Panel, Variable

TAG = "driftline"
_SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
_KINDS: dict[str, Any] = {"timeseries": timeseries.Panel, "stat": stat.Panel, "table": table.Panel}
_HEIGHT = 8
_VERSIONS = "max by (service, version) (driftline_version_first_seen_timestamp_seconds"
ANNOTATIONS = {
    "Changes": ("driftline_change_active == 1 unless driftline_change_active offset $__interval == 1", "red"),
    # What is new here and began within the hour: after a break of scrapes, old versions are no deploy.
    "Deploys": (f"{_VERSIONS}) > time() - 3600 unless {_VERSIONS} offset $__interval)", "blue"),
}


def every() -> Iterator[Dashboard]:
    for make in (*quality.DASHBOARDS, *operations.DASHBOARDS):
        yield make()


def to_json(one: Dashboard) -> str:
    return JSONEncoder(sort_keys=True, indent=2).encode(build(one)) + "\n"


def build(one: Dashboard) -> Model:
    made = (
        dashboard.Dashboard(one.title)
        .uid(one.uid)
        .description(one.description)
        .tags([TAG])
        .time("now-6h", "now")
        .refresh("30s")
        .timezone("utc")
        .editable()
        .with_variable(_source())
        .link(
            dashboard.DashboardLink("Driftline")
            .type(DashboardLinkType.DASHBOARDS)
            .tags([TAG])
            .as_dropdown(True)
            .include_vars(True)
            .keep_time(True)
        )
    )
    for name, (promql, colour) in ANNOTATIONS.items():
        made = made.annotation(
            dashboard.AnnotationQuery().name(name).datasource(_SOURCE).enable(True).icon_color(colour).expr(promql)
        )
    for variable in one.variables:
        made = made.with_variable(_variable(variable))
    for row in one.rows:
        made = made.with_row(dashboard.Row(row.title))
        for panel in row.panels:
            made = made.with_panel(_panel(panel))
    return made.build()


def _source() -> Any:
    return dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus")


def _variable(variable: Variable) -> Any:
    return (
        dashboard.QueryVariable(variable.name)
        .datasource(_SOURCE)
        .query(variable.query)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
        .multi(variable.many)
        .include_all(variable.many)
        .all_value(".*")
    )


def _panel(panel: Panel) -> Any:
    made = (
        _KINDS[panel.kind]()
        .title(panel.title)
        .description(panel.description)
        .datasource(_SOURCE)
        .unit(panel.unit)
        .span(panel.width)
        .height(4 if panel.kind == "stat" and panel.width < 12 else _HEIGHT)
        .thresholds(_thresholds(panel))
    )
    if panel.to:
        made = made.links(
            [dashboard.DashboardLink(panel.to).url(f"/d/{panel.to}?${{__url_time_range}}&${{__all_variables}}")]
        )
    if panel.kind == "table":
        made = made.with_transformation(DataTransformerConfig(id_val="merge", options={}))
    if panel.kind == "timeseries":
        made = made.legend(
            common.VizLegendOptions()
            .display_mode(LegendDisplayMode.LIST)
            .placement(LegendPlacement.BOTTOM)
            .show_legend(True)
        )
    for number, query in enumerate(panel.queries):
        target = (
            prometheus.Dataquery().expr(query.promql).legend_format(query.legend or "__auto").ref_id("ABCDEFGH"[number])
        )
        target = target.exemplar(query.exemplars)
        if panel.kind == "table":
            target = target.format(PromQueryFormat.TABLE)
        made = made.with_target(target.instant() if panel.kind != "timeseries" else target.range())
    return made


def _thresholds(panel: Panel) -> Any:
    good, bad = ("red", "green") if panel.low else ("green", "red")
    steps = [Threshold(value=None, color=good)]
    if panel.warn is not None:
        steps.append(Threshold(value=panel.warn, color="yellow"))
    if panel.alarm is not None:
        steps.append(Threshold(value=panel.alarm, color=bad))
    return dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)


def write(folder: Path) -> Iterator[Path]:
    """Write each dashboard as UID.json; OSError if that cannot be."""
    folder.mkdir(parents=True, exist_ok=True)
    for one in every():
        path = folder / f"{one.uid}.json"
        path.write_text(to_json(one), encoding="utf-8")
        yield path
