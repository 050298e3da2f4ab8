"""`driftline repair`: is the store whole, and if it is not, what can be saved of it?"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import click
import orjson

from collector.core import audit
from collector.core.errors import StoreError, UserError
from collector.engines.sqlite_copy import open_to_read
from collector.engines.sqlite_damage import (
    failure,
    first_fault,
    is_damage,
    refuse_if_open,
    refuse_lost_content,
    set_aside,
    was_left_open,
)
from collector.engines.sqlite_salvage import HIGHEST_OFFSET, Salvaged, salvage
from collector.engines.sqlite_schema import version_of
from driftline.audit import auditing, user
from driftline.config import load_config
from driftline.store_files import replace_store, store_of
from driftline.view import view_path

_STRETCHES_SHOWN = 20


@click.command()
@click.option("-c", "--config", "path", type=click.Path(path_type=Path), help="The service's YAML file.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def command(ctx: click.Context, path: Path | None, as_json: bool) -> None:
    """Check the whole store and its view, and repair them. The service must not run.

    A damaged store is kept under another name; every record that can still be read is in the new one. Exits with 1 if
    something is lost. A damaged view is set aside: it is rebuilt when the service starts.
    """
    config = load_config(path)
    store = store_of(config)
    if not store.exists() and not was_left_open(store):
        raise UserError(f"store.path: there is no store {store}")
    refuse_lost_content(store)
    refuse_if_open(store)
    with auditing(config.audit):
        fault, told, kept = find_fault(store), list[Salvaged](), None
        if fault:
            new = store.with_name(f"{store.name}.repaired")
            told = salvage(store, new)
            kept = replace_store(store, new, "damaged")
        view = repair_view(view_path(store))
        if fault or view:
            damaged = None if kept is None else str(kept)
            audit.record("store.repaired", user=user(), path=str(store), damaged=damaged, view=1 if view else 0)
    if as_json:
        click.echo(orjson.dumps(as_document(store, fault, told, kept, view)))
    else:
        for line in in_words(store, fault, told, kept, view):
            click.echo(line)
    ctx.exit(0 if all(one.is_whole for one in told) else 1)


def find_fault(store: Path) -> str:
    """What is wrong with a store, in a line; empty if nothing is.

    Raises:
        StoreError: it is no store of ours, or cannot be read for another reason than damage.
    """
    try:
        with closing(open_to_read(store)) as connection:
            fault = first_fault(connection, "integrity_check")
            if not fault and version_of(connection, store) == 0:
                raise StoreError(f"store.path: {store} is empty; there is nothing to repair")
            return fault
    except sqlite3.Error as error:
        if is_damage(error):
            return str(error)
        raise failure(store, "cannot be read", error) from None


def repair_view(view: Path) -> str | None:
    """Set a damaged view aside; returns what was wrong with it, None if there is none."""
    if not view.exists():
        return None
    try:
        with closing(open_to_read(view)) as connection:
            fault = first_fault(connection, "integrity_check")
    except sqlite3.Error as error:
        raise StoreError(f"the view {view} cannot be read: {error}") from None
    if fault:
        set_aside(view, "damaged")
    return fault


def in_words(store: Path, fault: str, told: Sequence[Salvaged], kept: Path | None, view: str | None) -> Iterator[str]:
    """The report for people, line by line."""
    if not fault:
        yield f"{store} is in order"
    else:
        yield f"{store} was damaged: {fault}"
        for one in told:
            yield f"  {one.table:18} {one.kept:>9} kept{_loss(one)}"
        yield f"{store} has now what could be read; the damaged file is kept as {kept}"
    if view:
        yield f"its view was damaged and is set aside: {view}"
    elif view is not None:
        yield "its view is in order"
    if fault or view:
        yield "the view is rebuilt when the service starts"


def _loss(one: Salvaged) -> str:
    if one.gaps:
        return f", the rest lost: rows could not be read in {one.gaps} places or more"
    if not one.lost:
        return ""
    shown = ", ".join(_stretch(first, last) for first, last in one.lost[:_STRETCHES_SHOWN])
    more = f" and {len(one.lost) - _STRETCHES_SHOWN} more stretches" if len(one.lost) > _STRETCHES_SHOWN else ""
    # Nobody can tell how many there were before the first that is left, or after the last if their number is lost too.
    open_ended = one.lost[0][0] == 1 or one.lost[-1][1] == HIGHEST_OFFSET
    count = "" if one.lost[-1][1] == HIGHEST_OFFSET else f"{'up to ' if open_ended else ''}{one.lost_count} "
    return f", {count}lost: offsets {shown}{more}"


def _stretch(first: int, last: int) -> str:
    if last == HIGHEST_OFFSET:
        return f"from {first} on"
    return str(first) if first == last else f"{first} to {last}"


def as_document(
    store: Path, fault: str, told: Sequence[Salvaged], kept: Path | None, view: str | None
) -> dict[str, Any]:
    """The report for programs."""
    tables = {
        one.table: {"kept": one.kept, "whole": one.is_whole, "lost": one.lost_count, "lost_offsets": one.lost}
        for one in told
    }
    damaged = None if kept is None else str(kept)
    return {"path": str(store), "fault": fault, "damaged": damaged, "tables": tables, "view_fault": view}
