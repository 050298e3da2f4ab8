"""`driftline alerts test`: do alerts arrive?"""

import logging
from pathlib import Path
from typing import Any

import click
import orjson

from alerts.base import Notifier, Permanent
from alerts.config import build_notifiers
from alerts.plain import clean
from alerts.trial import Trial, try_notifier
from collector.core.clock import SystemClock
from collector.core.errors import UserError
from driftline.cli import EXIT_FAILED
from driftline.config import Config, load_config

_MESSAGE_RUNES = 300


@click.group("alerts")
def command() -> None:
    """Try out the alerts (`test`)."""


@command.command("test")
@click.argument("notifier", required=False)
@click.option("-c", "--config", "path", type=click.Path(path_type=Path), help="The service's YAML file.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per notifier and line.")
@click.pass_context
def test(ctx: click.Context, notifier: str | None, path: Path | None, as_json: bool) -> None:
    """Send a notification marked as a test, and its end, through every notifier, or the one that is named.

    Nothing is tried again, and no rate limit applies. Exits with 3 if one was not delivered.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    config = load_config(path)
    chosen = choose(config, notifier)
    width = max(len(one.name) for one in chosen)
    failed = False
    for one in chosen:
        trial = try_notifier(one, config.alerts.wording(), SystemClock())
        failed = failed or trial.error is not None
        click.echo(orjson.dumps(to_json(trial)) if as_json else f"{trial.notifier:{width}}  {in_words(trial)}")
    ctx.exit(EXIT_FAILED if failed else 0)


def choose(config: Config, name: str | None) -> list[Notifier]:
    """All notifiers, or the one of a name.

    Raises:
        UserError: there is none, or none of that name.
    """
    every = build_notifiers(config.alerts, config.base)
    if not every:
        raise UserError("alerts: no notifier is configured, so nobody would hear of a change")
    chosen = [one for one in every if name in (None, one.name)]
    if not chosen:
        raise UserError(f"NOTIFIER: {name!r} is not one of {', '.join(one.name for one in every)}")
    return chosen


def in_words(trial: Trial) -> str:
    """
    >>> in_words(Trial("slack", 212, 2, None))
    'delivered in 212 ms'
    """
    if trial.error is None:
        return f"delivered in {trial.milliseconds} ms"
    how = "refused" if isinstance(trial.error, Permanent) else "failed"
    half = " (the beginning was delivered, the end was not)" if trial.told else ""
    return f"{how}: {trial.error.reason}: {clean(trial.error, _MESSAGE_RUNES)}{half}"


def to_json(trial: Trial) -> dict[str, Any]:
    error = trial.error
    return {
        "notifier": trial.notifier,
        "delivered": error is None,
        "milliseconds": trial.milliseconds,
        "told": trial.told,
        "permanent": isinstance(error, Permanent),
        "reason": error.reason if error is not None else None,
        "message": str(error) if error is not None else None,
    }
