"""`driftline check`: is the configuration right, and what would it do?"""

from pathlib import Path

import click
import orjson

from drift.monitor import MonitorConfig
from driftline.build import load_parts
from driftline.config import Config, load_config


@click.command()
@click.option("-c", "--config", "path", type=click.Path(path_type=Path), help="YAML file; without one, the defaults.")
@click.option("--schema", is_flag=True, help="Print the JSON Schema of the file, for editors, and nothing else.")
def command(path: Path | None, schema: bool) -> None:
    """Validate the configuration and say what it would score, watch and page."""
    if schema:
        click.echo(orjson.dumps(Config.model_json_schema(), option=orjson.OPT_INDENT_2).decode())
        return
    config = load_config(path)
    scorers, _ = load_parts(config)
    click.echo("listens")
    for name in ("otlp_http", "otlp_grpc", "web"):
        click.echo(f"  {name:10} {getattr(config.listen, name) or 'off'}")
    if config.kafka is not None:
        click.echo(f"  kafka      {config.kafka.traces}, {config.kafka.logs} as {config.kafka.encoding}")
    click.echo(
        f"keeps\n  {config.store.path}, {config.store.retention / 86400:g} days, up to {config.store.max_size} bytes"
    )
    click.echo(f"samples\n  {config.sample.rate:.9g} of all traces")
    for rule in config.sample.keep:
        click.echo(f"  {rule.rate:.9g} where {rule.when}")
    click.echo("scores")
    for scorer in scorers:
        passing = f"passes {scorer.passing.text}" if scorer.passing else "no verdict"
        click.echo(
            f"  {scorer.name:20} {passing:18} rate {scorer.rate:.9g}, needs {', '.join(scorer.needs) or 'nothing'}"
        )
    click.echo("watches")
    for monitor in config.monitors:
        click.echo(f"  {describe_monitor(monitor)}")
    click.echo(f"pages\n  {describe_budget(config)}")


def describe_monitor(monitor: MonitorConfig) -> str:
    """A monitor in words, on one line."""
    by = " and ".join(monitor.by) or "everything together"
    return f"{monitor.watch}: {monitor.statistic}, {monitor.direction}, by {by}, with {monitor.detector}"


def describe_budget(config: Config) -> str:
    """The arithmetic of the false-page budget, in words."""
    budget = config.false_pages
    per_day = budget.per_week / 7
    return (
        f"at most {budget.per_week:.4g} false pages a week over everything watched: as event time passes, the points "
        f"of all series share {per_day:.4g} pages a day; at 100,000 points a day, that is one false alarm in "
        f"{100_000 / per_day:,.0f} points"
    )
