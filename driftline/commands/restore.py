"""`driftline restore`: a backup becomes the store."""

from pathlib import Path

import click
import orjson

from collector.core import audit
from collector.core.errors import UserError
from collector.engines.sqlite_copy import copy_store, count_records
from collector.engines.sqlite_damage import refuse_if_open, was_left_open
from driftline.audit import auditing, user
from driftline.commands.progress import copying
from driftline.config import load_config
from driftline.store_files import replace_store, store_of


@click.command()
@click.argument("source", type=click.Path(path_type=Path))
@click.option("-c", "--config", "path", type=click.Path(path_type=Path), help="The service's YAML file.")
@click.option("--force", is_flag=True, help="Set aside the store that is there.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(source: Path, path: Path | None, force: bool, as_json: bool) -> None:
    """Make a copy of the backup SOURCE the store, after checking it. The service must not run.

    A store that is there is kept, under another name. The view is rebuilt when the service starts.
    """
    config = load_config(path)
    store = store_of(config)
    if not source.is_file():
        raise UserError(f"SOURCE: there is no file {source}")
    if source.resolve() == store.resolve():
        raise UserError(f"SOURCE: {source} is the store itself")
    if store.exists() or was_left_open(store):
        if not force:
            raise UserError(f"store.path: {store} exists; --force sets it aside")
        store.touch()  # if only its write-ahead log is left, that is set aside with it
        refuse_if_open(store)
    store.parent.mkdir(parents=True, exist_ok=True)
    new = store.with_name(f"{store.name}.restored")
    with auditing(config.audit):
        with copying(as_json) as progress:
            copy_store(source, new, progress)
        aside = replace_store(store, new, "replaced")
        kept = None if aside is None else str(aside)
        audit.record("store.restored", user=user(), path=str(store), source=str(source), replaced=kept)
    records = count_records(store)
    if as_json:
        click.echo(orjson.dumps({"path": str(store), "replaced": kept, "records": records}))
        return
    click.echo(f"{store} is now what {source} is; its view is rebuilt when the service starts")
    for log, count in records.items():
        click.echo(f"  {log:14} {count}")
    if aside is not None:
        click.echo(f"what was there is kept as {aside}")
