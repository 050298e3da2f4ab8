"""`driftline backup`: a checked copy of the store, also while the service runs."""

from pathlib import Path

import click
import orjson

from collector.core.errors import UserError
from collector.engines.sqlite_copy import copy_store, count_records
from driftline.commands.progress import copying
from driftline.config import load_config
from driftline.export.files import refuse_existing
from driftline.store_files import store_of
from driftline.units import size_text
from driftline.view import view_path


@click.command()
@click.argument("target", type=click.Path(path_type=Path))
@click.option("-c", "--config", "path", type=click.Path(path_type=Path), help="The service's YAML file.")
@click.option("--force", is_flag=True, help="Replace TARGET if it exists.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(target: Path, path: Path | None, force: bool, as_json: bool) -> None:
    """Copy the store to the file TARGET, as it is at this moment, and check the copy.

    The service may run. The view is not copied: it is rebuilt from the logs in the store.
    """
    store = store_of(load_config(path))
    if not store.is_file():
        raise UserError(f"store.path: there is no store {store}")
    refuse_target(target, store, force)
    with copying(as_json) as progress:
        size = copy_store(store, target, progress)
    records = count_records(target)
    if as_json:
        click.echo(orjson.dumps({"path": str(target), "bytes": size, "records": records}))
        return
    click.echo(f"{target} is a copy of {store}, whole and checked: {size_text(size)}")
    for log, count in records.items():
        click.echo(f"  {log:14} {count}")


def refuse_target(target: Path, store: Path, force: bool) -> None:
    """Raises UserError if the copy must not be written there."""
    if target.is_dir():
        raise UserError(f"TARGET: {target} is a folder; a file is needed, such as {target / 'driftline.backup.db'}")
    ours = [path.with_name(path.name + end) for path in (store, view_path(store)) for end in ("", "-wal", "-shm")]
    if target.resolve() in [path.resolve() for path in ours]:
        raise UserError(f"TARGET: {target} is the store itself, or its view")
    refuse_existing("TARGET", target, force)
