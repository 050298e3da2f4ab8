"""`driftline demo`: see a regression found, in about a minute, on recorded traffic."""

import logging
import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from threading import Event

import click
from rich.console import Console

from driftline.demo.run import Options, run


@click.command()
@click.option("--traces", type=click.IntRange(1, 100_000), default=3000, show_default=True, help="How many to play.")
@click.option("--seed", type=int, default=1, show_default=True, help="Another seed gives other traffic of its kind.")
@click.option(
    "--data",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep the data here (a demo.db in it is replaced). Without it, the data goes when the demo ends.",
)
@click.option("--alertmanager", metavar="URL", help="Send the alerts to this Alertmanager too.")
@click.option("--exit", "leave", is_flag=True, help="Stop when the alert has arrived; exit code 1 if it does not.")
@click.option(
    "--deadline",
    "deadline_seconds",
    type=click.FloatRange(min=0),
    default=180.0,
    show_default=True,
    help="Seconds to wait for the alert.",
)
def command(
    traces: int, seed: int, folder: Path | None, alertmanager: str | None, leave: bool, deadline_seconds: float
) -> None:
    """Start the service, play recorded traffic with a regression in it, show the change it finds and its alert."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s %(message)s")
    ended = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with ExitStack() as stack:
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="driftline-demo-")))
        options = Options(traces, seed, folder, leave, deadline_seconds, alertmanager)
        code = run(options, Console(), ended)
    sys.exit(code)
