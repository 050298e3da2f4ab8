"""`driftline topics`: the Kafka topics that several workers share, looked at and put right."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from collector.core import audit
from collector.core.errors import UserError
from collector.engines import kafka_topics
from collector.engines.kafka_clients import Clients
from collector.engines.kafka_config import KafkaEngineConfig
from driftline.audit import auditing, user
from driftline.build import stateful_stages
from driftline.config import load_config

_CONFIG = click.option("-c", "--config", "path", type=click.Path(path_type=Path), help="YAML file with a `cluster`.")


@click.group()
def command() -> None:
    """The topics that `cluster` needs."""
    logging.getLogger("kafka").setLevel(logging.CRITICAL)  # what it has to say comes as an error


@command.command()
@_CONFIG
def plan(path: Path | None) -> int:
    """Say what `apply` would do. Exits with 1 if there is something."""
    with _cluster(path) as (config, stages, admin):
        lines = kafka_topics.plan(config, admin, stages).lines()
    for line in lines:
        click.echo(line)
    if not lines:
        click.echo("all topics are as they should be")
    return int(bool(lines))


@command.command()
@_CONFIG
def apply(path: Path | None) -> int:
    """Create topics, add partitions and change settings; never deletes. Exits with 1 if problems are left."""
    with _cluster(path) as (config, stages, admin), auditing(load_config(path).audit):
        todo = kafka_topics.plan(config, admin, stages)
        kafka_topics.apply(todo, admin)
        audit.record("topics.applied", user=user(), done=list(todo.lines()))
        for line in todo.lines():
            click.echo(line)
    click.echo("done" if not todo.problems else "done, but for the problems")
    return int(bool(todo.problems))


@contextmanager
def _cluster(path: Path | None) -> Iterator[tuple[KafkaEngineConfig, Mapping[str, str], Any]]:
    """The cluster of a configuration, the stages that keep state there, and a client for its administration.

    Raises:
        UserError: there is none in the configuration.
        StoreError: no broker answers.
    """
    document = load_config(path)
    config = document.cluster
    if config is None:
        raise UserError("cluster: is not configured, so there are no topics; one SQLite file keeps everything")
    admin = Clients(config).admin()
    try:
        yield config, stateful_stages(document), admin
    finally:
        admin.close()
