"""`driftline serve`: the service, until a signal ends it."""

import gc
import logging
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import click

from collector.core import audit
from collector.core.errors import DriftlineError
from driftline.audit import auditing, user
from driftline.build import build
from driftline.config import Config, load_config
from driftline.control import Control
from driftline.flow import Role
from driftline.logs import redact_logs
from driftline.reload import RELOAD, Reloader, Requests
from driftline.service import Service

_WATCH_SECONDS = 0.5
_COLLECT_SECONDS = 30.0


@click.command()
@click.option("-c", "--config", "path", type=click.Path(path_type=Path), help="YAML file; without one, the defaults.")
@click.option(
    "--role",
    type=click.Choice(get_args(Role)),
    default="all",
    help="What this worker does, where a `cluster` of several shares the work: receive spans, score them, or watch the "
    "scores, tell of changes and show the page.",
)
def command(path: Path | None, role: Role) -> None:
    """Receive spans, score them, watch the scores, send alerts.

    SIGHUP and `driftline reload` read the configuration again; SIGTERM and SIGINT end the service in order.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    for library in ("httpx", "uvicorn", "kafka"):  # say for themselves what we say once, or not at all
        logging.getLogger(library).setLevel(logging.CRITICAL if library == "kafka" else logging.WARNING)
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    reload_wanted = threading.Event()
    signal.signal(signal.SIGHUP, lambda *_: reload_wanted.set())
    config = load_config(path)
    with auditing(config.audit):
        _serve(config, path, role, ended, reload_wanted)


def _serve(
    config: Config, path: Path | None, role: Role, ended: threading.Event, reload_wanted: threading.Event
) -> None:
    service = build(config, role=role)
    redact_logs(service.redactor)
    requests = Requests(Reloader(service, config, path), reload_wanted)
    control = Control(config.store.path, {RELOAD: requests.ask})
    service.start()
    control.start()
    audit.record("service.started", user=user(), config=None if path is None else str(path), role=role)
    for name, address in service.addresses.items():
        click.echo(f"{name:10} {address}")
    collect_less_often()
    click.echo("ready")
    try:
        wait(service, ended, reload_wanted, requests.work)
    finally:
        requests.close()
        control.stop()
        service.stop()
        audit.record("service.stopped", user=user(), asked=1 if ended.is_set() else 0)


def collect_less_often() -> None:
    """What is loaded stays, and a trace makes thousands of objects that die at once: look for garbage less often, but
    for old garbage by the clock (`wait`). Clients leave some with every error, with all that the error held."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def wait(
    service: Service,
    ended: threading.Event,
    reload_wanted: threading.Event,
    reload: Callable[[], object],
    collect_seconds: float = _COLLECT_SECONDS,
) -> None:
    """Return when `ended` is set. Old garbage is collected meanwhile, every so many seconds.

    Args:
        reload_wanted: set when `reload` is to be called.

    Raises:
        DriftlineError: a stage of the service has failed, so that going on would be a pretence.
    """
    next_collection = time.monotonic() + collect_seconds
    while not ended.wait(_WATCH_SECONDS):
        if reload_wanted.is_set():
            reload_wanted.clear()
            reload()
        if time.monotonic() >= next_collection:
            gc.collect()  # tens of milliseconds
            next_collection = time.monotonic() + collect_seconds
        if problems := service.failures():
            raise DriftlineError("; ".join(problems))
