"""`driftline rules`: recording and alerting rules for Prometheus and its kin, from the configuration."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from alerts.rules import openslo, operator, sloth
from alerts.rules.generate import rules_document
from alerts.rules.model import Facts
from alerts.rules.text import to_yaml
from collector.core.errors import UserError
from collector.core.settings import is_loopback
from driftline.config import Config, load_config, split_address
from driftline.flow import load_parts

_SHED_AFTER_SECONDS = 60.0
_BEHIND = 5  # times as far as where scorers are left out: that did not help
_HEAD = ("Written by `driftline rules`: change the configuration, then write it anew.",)
_OF_ALERTS = (
    "What each alert means is in docs/runbooks. Those on changes are left out where alerts.alertmanager is configured:",
    "Driftline then tells it of changes itself, and says more.",
)
_FILES = {
    "prometheus": "driftline.rules.yml",
    "operator": "driftline.operator.yaml",
    "sloth": "driftline.sloth.yaml",
    "openslo": "driftline.openslo.yaml",
}


@click.command()
@click.option("-c", "--config", "path", type=click.Path(path_type=Path), help="YAML file; without one, the defaults.")
@click.option("--format", "form", type=click.Choice(list(_FILES)), default="prometheus", show_default=True)
@click.option("--out", type=click.Path(path_type=Path), help="Write a file into this folder instead of printing.")
@click.option(
    "--runbooks",
    default="docs/runbooks",
    show_default=True,
    metavar="URL",
    help="Where the runbooks are: /NAME.md is added, or {alert} in it replaced.",
)
@click.option(
    "--dashboards",
    default="",
    metavar="URL",
    help="The dashboard that alerts link to, without variables; {dashboard} in it becomes the uid of the right one.",
)
@click.option("--job", default="driftline", show_default=True, help="The job that scrapes Driftline.")
@click.option(
    "--label",
    "labels",
    multiple=True,
    metavar="NAME=VALUE",
    help="With --format operator: a label of the objects, by which a Prometheus chooses them.",
)
def command(
    path: Path | None, form: str, out: Path | None, runbooks: str, dashboards: str, job: str, labels: Sequence[str]
) -> None:
    """Generate rules: of Driftline's health, of changes, and of the objectives in the configuration."""
    config = load_config(path)
    documents = _documents(form, rule_facts(config, runbooks, dashboards, job), _labels(labels))
    if form == "operator":
        check_reachable(config)
    if not documents:
        raise UserError(f"objectives: there are none in the configuration, and --format {form} is about nothing else")
    text = to_yaml(documents, (*_HEAD, *(_OF_ALERTS if form in ("prometheus", "operator") else ())))
    if out is None:
        click.echo(text, nl=False)
        return
    target = out / _FILES[form]
    try:
        out.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"--out: {target} cannot be written: {error.strerror}") from None
    click.echo(target)


def rule_facts(config: Config, runbooks: str, dashboards: str, job: str) -> Facts:
    """What the rules of a configuration depend on.

    Raises:
        UserError: a scorer cannot be had, or an objective cannot be measured.
    """
    load_parts(config)  # says what is wrong with objectives
    return Facts(
        objectives=config.objectives,
        max_store_bytes=config.store.max_size,
        max_backlog_bytes=config.store.max_backlog,
        behind_seconds=_BEHIND * (_SHED_AFTER_SECONDS if config.shed.after is None else config.shed.after),
        pages_itself=config.alerts.alertmanager is not None,
        workers=config.cluster is not None,
        job=job,
        runbooks=runbooks,
        dashboards=dashboards,
    )


def check_reachable(config: Config) -> None:
    """Say so where no Prometheus in another pod can read the metrics.

    Raises:
        UserError: there are none to read.
    """
    if config.listen.web is None:
        raise UserError("listen.web: is off, so that there are no metrics for the operator's Prometheus to scrape")
    if is_loopback(split_address(config.listen.web)[0]):
        told = (
            "cannot be reached from another pod; set 0.0.0.0:8321, and listen.insecure if only the cluster reaches it"
        )
        click.echo(f"driftline: listen.web: {config.listen.web} {told}", err=True)


def _documents(form: str, facts: Facts, labels: Mapping[str, str]) -> list[dict[str, Any]]:
    if form == "prometheus":
        return [rules_document(facts)]
    if form == "operator":
        return operator.documents(facts, labels)
    return sloth.documents(facts) if form == "sloth" else openslo.documents(facts)


def _labels(given: Sequence[str]) -> dict[str, str]:
    """Raises UserError."""
    found = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise UserError(f"--label: {text!r} is not NAME=VALUE, such as release=prometheus")
        found[name] = value
    return found
