"""`driftline reload`: have a running service take up its configuration as it is now, and hear what came of it."""

from pathlib import Path

import click
import orjson

from collector.core.errors import UserError
from driftline.config import store_path
from driftline.control import ask
from driftline.reload import RELOAD

_ANSWER_SECONDS = 120.0  # stages stop between two commits, and scorers may be slow


@click.command()
@click.option("-c", "--config", "path", type=click.Path(path_type=Path), help="The service's YAML file.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(path: Path | None, as_json: bool) -> None:
    """Have the running service read its configuration again, and say what changed.

    It takes up the file that it was started with, as a whole or, if anything is wrong, not at all. The file here says
    where its store is. For the user who runs the service, and root, on its machine.
    """
    told = ask(store_path(path), RELOAD, _ANSWER_SECONDS)
    if as_json:
        click.echo(orjson.dumps(told))
    if told["problems"]:
        raise UserError("the configuration is not taken up, the old one stays in force", *told["problems"])
    if not as_json:
        renewed = [f"scorer {name}: another evaluator from now on" for name in told["renewed"]]
        changed = "".join(f"\n  {what}" for what in [*told["changed"], *renewed])
        click.echo(f"the configuration is taken up; changed:{changed}" if changed else "read again: nothing changed")
