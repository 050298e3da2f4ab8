"""`driftline check`: is the configuration right, and what would it do?"""

from collections.abc import Iterator, Sequence
from math import comb
from pathlib import Path

import click
import orjson

from alerts.config import build_notifiers
from collector.core.errors import UserError
from collector.prices import load_prices
from collector.redaction.config import find_names
from collector.redaction.keys import key_path
from collector.redaction.rules import DENIED, NAME, RULES
from drift.plan import Plan, plans
from driftline.config import Config, load_config
from driftline.export.build import check_export
from driftline.flow import load_parts
from driftline.units import duration_text, size_text
from scorers.base import Scorer
from scorers.rules.rule import Rule

_MOVES = {"down": "falling", "up": "rising", "both": "moving"}


@click.command()
@click.option("-c", "--config", "path", type=click.Path(path_type=Path), help="YAML file; without one, the defaults.")
@click.option("--schema", is_flag=True, help="Print the JSON Schema of the file, for editors, and nothing else.")
def command(path: Path | None, schema: bool) -> None:
    """Validate the configuration and say what it would score, watch and page."""
    if schema:
        click.echo(orjson.dumps(Config.model_json_schema(), option=orjson.OPT_INDENT_2).decode())
        return
    config = load_config(path)
    scorers, monitors = load_all(config)
    click.echo("listens")
    for name in ("otlp_http", "otlp_grpc", "web"):
        click.echo(f"  {name:10} {getattr(config.listen, name) or 'off'}")
    for token in config.listen.tokens:
        click.echo(f"  token      {token.name}: {token.role}{f' as {token.tenant}' if token.tenant else ''}")
    if config.kafka is not None:
        click.echo(f"  kafka      {', '.join(config.kafka.kinds())} as {config.kafka.encoding}")
    store = config.store
    click.echo(f"keeps\n  {store.path} for {duration_text(store.retention)}, up to {size_text(store.max_size)}")
    click.echo(f"samples\n  {config.sample.rate:.9g} of all traces")
    for rule in config.sample.keep:
        idle = "" if rule.rate > config.sample.rate else ", which is no more than of all: the rule keeps nothing"
        click.echo(f"  {rule.rate:.9g} where {rule.when}{idle}")
    click.echo("scores")
    for scorer in scorers:
        passing = f"passes {scorer.passing.text}" if scorer.passing else "no verdict"
        limit = f"at most {scorer.limit.text}, " if scorer.limit is not None else ""
        needs = ", ".join(scorer.needs) or "nothing"
        click.echo(f"  {scorer.name:20} {passing:18} rate {scorer.rate:.9g}, {limit}needs {needs}")
    for line in describe_rules(scorers):
        click.echo(line)
    click.echo("watches")
    for monitor in monitors:
        click.echo(f"  {describe_monitor(monitor)}")
        for line in describe_combinations(monitor):
            click.echo(line)
    for line in describe_objectives(config):
        click.echo(line)
    click.echo("tells")
    for notifier in build_notifiers(config.alerts, config.base):
        click.echo(f"  {notifier.name}")
    for line in describe_redaction(config):
        click.echo(line)
    for line in describe_export(config):
        click.echo(line)
    for line in describe_budget(config, monitors):
        click.echo(line)


def load_all(config: Config) -> tuple[list[Scorer], list[Plan]]:
    """Scorers and monitors, after everything that the configuration names was found and put together.

    Raises:
        UserError: with every scorer, monitor and notifier that is wrong.
    """
    problems: list[str] = []
    scorers: list[Scorer] = []
    monitors: list[Plan] = []
    try:
        scorers, metrics = load_parts(config)
        monitors = plans(config.monitors, metrics, config.base)
    except UserError as error:
        problems += error.problems
    for check in (
        lambda: build_notifiers(config.alerts, config.base),
        lambda: check_export(config.export),
        lambda: load_prices(config.prices, config.base),
        lambda: find_names(config.redact, config.base),
    ):
        try:
            check()
        except UserError as error:
            problems += error.problems
    if problems:
        raise UserError(*problems)
    return scorers, monitors


def describe_monitor(plan: Plan) -> str:
    """A monitor in words, on one line."""
    by = " and ".join(plan.by) or "everything together"
    if plan.combinations > 1:
        by = f"{plan.by[0]} and combinations of {', '.join(plan.by[1:])}"
    of = f"{plan.clusters} clusters of " if plan.clusters else ""
    what = f"{plan.statistic.replace('_', ' ')} of {of}{plan.metric} by {by}, {_MOVES[plan.direction]}"
    named = "" if plan.name == plan.metric else f"{plan.name}: "
    least = f"{plan.min_effect:g} of its range" if plan.scale else f"{100 * plan.min_effect:g}%"
    against = "" if plan.reference is None else f", held against {len(plan.reference.records)} scores of a reference"
    return f"{named}{what} by {least} or more (detector {plan.detector}{against})"


def describe_combinations(plan: Plan) -> Iterator[str]:
    """What else is watched with combinations, and what that takes of the budget."""
    if plan.combinations < 2:
        return
    first, *others = plan.by
    each = sum(comb(len(others), size) for size in range(2, plan.combinations + 1))
    sizes = f"2 to {plan.combinations}" if plan.combinations > 2 else "2"
    yield f"    within each {first}: each of {', '.join(others)}, and combinations of {sizes} of them, the"
    yield f"    {plan.max_combinations:,} with most traffic; a score is in {each}, which stake together what one slice"
    yield f"    stakes (1/{each} each), so that the false pages of all of them stay within the budget"


def describe_objectives(config: Config) -> Iterator[str]:
    """What has to pass, in words."""
    if config.objectives:
        yield "objectives"
    for one in config.objectives:
        named = "" if one.title == one.scorer else f"{one.title}: "
        where = ", ".join(one.services) or ("each service" if one.by else "all services together")
        yield f"  {named}{100 * one.target:.9g}% of {one.scorer} pass within {duration_text(one.window)}, in {where}"


def describe_rules(scorers: Sequence[Scorer]) -> Iterator[str]:
    """What rules ask, in words."""
    rules = [(one.name, rule) for one in scorers if isinstance(rule := one.options.get("rule"), Rule)]
    if rules:
        yield "rules"
    for name, rule in rules:
        yield f"  {name:20} {rule.words}"


def describe_redaction(config: Config) -> Iterator[str]:
    """What is replaced, where, how and with which key, in words."""
    redact = config.redact
    where = "what leaves scorers" if redact.at == "output" else "spans before they are kept, and what leaves scorers"
    yield f"redacts {where}"
    by_action: dict[str, list[str]] = {}
    names = [rule for rule in RULES if (rule != NAME or redact.names) and (rule != DENIED or redact.deny)]
    for rule in (*names, *(own.name for own in redact.rules)):
        by_action.setdefault(redact.action_of(rule), []).append(rule)
    for action, rules in by_action.items():
        yield f"  {action:5} {', '.join(rules)}"
    for title, patterns in (("allow", redact.allow), ("deny", redact.deny)):
        if patterns:
            yield f"  {title:5} {', '.join(patterns)}"
    if redact.key is None and "hash" in by_action:
        yield f"  key   {key_path(config.store.path)}" + (
            "; every worker has another: set redact.key, or their tokens differ" if config.cluster is not None else ""
        )


def describe_export(config: Config) -> list[str]:
    """Where scores and changes go, in words; nothing if they stay."""
    kafka, parquet = config.export.kafka, config.export.parquet
    lines = ["exports"] if kafka or parquet else []
    if kafka is not None:
        topics = ", ".join(topic for topic in (kafka.scores, kafka.changes) if topic is not None)
        lines.append(f"  to the topics {topics}")
    if parquet is not None:
        lines.append(f"  to Parquet files in {parquet.path}, every {duration_text(parquet.every)}")
    return lines


def describe_budget(config: Config, monitors: Sequence[Plan]) -> Iterator[str]:
    """The arithmetic of the false-page budget, from the operator's knob to the threshold of a series."""
    budget, per_day = config.false_pages, config.false_pages.per_week / 7
    most = sum(plan.max_series + plan.max_combinations for plan in monitors)
    yield "pages"
    yield f"  at most {budget.per_week:.4g} false pages a week over everything watched, however often anybody looks"
    rate, day, busy = f"{budget.per_ns * 1e9:.3g}", f"{per_day / 1e5:.3g}", f"{per_day / 1e7:.3g}"
    yield f"  earned     {rate} a second of event time, by any number of series (here {most:,} at most)"
    yield f"  staked     by each point an equal part: {day} of 100,000 points a day, {busy} of 10,000,000"
    yield "  threshold  what a series has staked must have grown to 1: at 100,000 points a day, a false alarm in"
    yield f"             {100_000 / per_day:,.0f} points; of k series found within 15 minutes, to 1/k each (e-d-BH),"
    yield "             which are one page together; a page is false if nothing in it has changed"
    if config.cluster is not None:
        number = config.cluster.partitions
        each = f"{budget.per_week / number:.3g} a week each"
        yield f"  shared     by {number} partitions, {each}, for the series and rounds that are its own:"
        yield "             never more together; where traffic is even, a point stakes as much as on one machine"
    free = [plan.name for plan in monitors if not plan.make().budgeted]
    if free:
        yield f"  no promise for {', '.join(free)}: thresholds of their own, over and above this budget"
