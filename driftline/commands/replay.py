"""`driftline replay`: recorded traffic through the same pipeline, offline, at full speed, on event time."""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import orjson
from pydantic import SecretStr
from rich.console import Console
from rich.progress import Progress

from alerts.explain import Wording, explain
from collector.core.engine import SPANS, TICK_KIND, Record
from collector.core.errors import DriftlineError, Rejected, UserError
from collector.redaction.keys import read_key
from collector.wire.read import read_body
from driftline.build import build
from driftline.config import Config, load_config
from driftline.logs import redact_logs
from driftline.service import Service
from driftline.stages.ticks import END_OF_INPUT

_BYTES_PER_APPEND = 4 * 2**20


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-c", "--config", "path", type=click.Path(path_type=Path), help="YAML file; without one, the defaults.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object: counts, decisions, changes.")
def command(files: Sequence[Path], path: Path | None, as_json: bool) -> None:
    """Replay OTLP FILES (traces and logs, protobuf or JSON, gzip allowed; a folder means its files by name).

    Nothing is sent to anyone. Exits with 3 if a file could not be read; the others are still replayed.
    """
    paths = list(expand(files))
    with tempfile.TemporaryDirectory(prefix="driftline-replay-") as folder:
        service = build(offline(load_config(path), Path(folder)))
        redact_logs(service.redactor)
        try:
            problems = feed(service, paths, quiet=as_json)
            report(service, problems, as_json)
        finally:
            service.stop()
    if problems:
        raise DriftlineError(f"{len(problems)} of {len(paths)} files could not be read")


def expand(files: Sequence[Path]) -> Iterator[Path]:
    """The files, with folders replaced by the files in them, by name.

    Raises:
        UserError: one does not exist.
    """
    for file in files:
        if file.is_dir():
            yield from sorted(inner for inner in file.iterdir() if inner.is_file())
        elif file.is_file():
            yield file
        else:
            raise UserError(f"{file}: there is no such file or folder")


def offline(config: Config, folder: Path) -> Config:
    """`config` with its own store, no listeners, no Kafka, nobody to alert and nothing exported."""
    document = {
        "listen": {"otlp_http": None, "otlp_grpc": None, "web": None},
        "store": {"path": folder / "replay.db", "max_backlog": "1000GiB", "max_size": "1000GiB"},
        "alerts": {"log": False},
        "export": {},
        "shed": {"after": None},
    }
    redact = config.redact
    if redact.key is None and (key := read_key(config.store.path)) is not None:  # the same tokens as live
        redact = redact.model_copy(update={"key": SecretStr(key.decode())})
    silent = Config.model_validate(document)
    return config.model_copy(
        update={"kafka": None, "cluster": None, "redact": redact, **{name: getattr(silent, name) for name in document}}
    )


def feed(service: Service, paths: Sequence[Path], quiet: bool) -> list[str]:
    """Everything through the pipeline; returns the files that could not be read, with the reason."""
    problems: list[str] = []
    waiting: list[Record] = []
    with Progress(console=Console(stderr=True), disable=quiet, transient=True) as progress:
        for path in progress.track(paths, description="replaying"):
            try:
                kind, body = read_body(path.read_bytes(), path.name)
            except (Rejected, OSError) as error:
                problems.append(f"{path}: {error}")
                continue
            waiting += service.network.records(kind, body, "")
            if sum(len(record.value) for record in waiting) >= _BYTES_PER_APPEND:
                _append(service, waiting)
                waiting = []
        _append(service, [*waiting, Record(END_OF_INPUT, kind=TICK_KIND)])
    return problems


def _append(service: Service, records: Sequence[Record]) -> None:
    service.engine.append(SPANS, records).result()
    service.drain()


def report(service: Service, problems: Sequence[str], as_json: bool) -> None:
    counts = service.counts()
    changes = service.changes()
    if as_json:
        funnel = [
            dict(zip(("scorer", "decision", "reason", "count"), row, strict=True)) for row in service.view.funnel()
        ]
        document = {"counts": counts, "decisions": funnel, "changes": changes, "unreadable": problems}
        click.echo(orjson.dumps(document))
        return
    for problem in problems:
        click.echo(f"driftline: {problem}", err=True)
    click.echo(f"{counts['traces_scored']} traces, {counts['scores']} scores, {len(changes)} changes")
    for change in sorted(changes, key=lambda change: change.detected_ns):
        words = explain(change, Wording())
        click.echo(f"{'page' if change.paged else 'note'}: {words.summary}")
        for part in (words.what, words.carried_by, words.moved, words.new_then, words.sure, words.look_at):
            click.echo("".join(f"      {line}\n" for line in part.splitlines()), nl=False)
