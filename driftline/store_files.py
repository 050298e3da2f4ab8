"""The store and its view, replaced together: a view that knows of records which the store has not would be wrong."""

from pathlib import Path

from collector.engines.sqlite_damage import set_aside, sync_folder
from driftline.view import view_path


def replace_store(store: Path, new: Path, why: str) -> Path | None:
    """Put `new` in the place of a store and set aside what was there, with its view; returns where the store went.

    The view goes first: the service makes it anew from whatever store it finds, so that a kill on the way does no harm.
    """
    view = view_path(store)
    if view.exists():
        set_aside(view, why)
    aside = set_aside(store, why) if store.exists() else None
    new.replace(store)
    sync_folder(store.parent)
    return aside
