"""The store and its view, replaced together: a view that knows of records which the store has not would be wrong."""

from pathlib import Path

from collector.core.engine import CHANGES, DECISIONS
from collector.core.errors import StoreError, UserError
from collector.engines.sqlite_damage import refuse_if_open, set_aside, sync_folder
from collector.engines.sqlite_reader import end_of_log
from driftline.config import Config
from driftline.view import View, view_path


def store_of(config: Config) -> Path:
    """Where the store is, whether it exists or not.

    Raises:
        UserError: a cluster keeps the logs, and a file that is there is not in use.
    """
    if config.cluster is not None:
        raise UserError("cluster: is configured, so the logs are in Kafka and there is no file to look after")
    return config.store.path


def records_behind(config: Config, view: View) -> int:
    """How many decisions and changes of the store the view has yet to take in, as while it is rebuilt.

    Of a cluster nothing is known here.

    Raises:
        StoreError: the store cannot be read.
    """
    store = config.store.path
    if config.cluster is not None or not store.is_file():
        return 0
    return sum(max(0, end_of_log(store, log) - max(1, view.next_offset(log))) for log in (DECISIONS, CHANGES))


def replace_store(store: Path, new: Path, why: str) -> Path | None:
    """Put `new` in the place of a store and set aside what was there, with its view; returns where the store went.

    The view goes first: the service makes it anew from whatever store it finds, so that a kill on the way does no harm.

    Raises:
        StoreError: a service was started on the store meanwhile. Nothing was changed, and `new` is gone.
    """
    if store.exists():
        try:
            refuse_if_open(store)
        except StoreError:
            new.unlink(missing_ok=True)
            raise
    view = view_path(store)
    if view.exists():
        set_aside(view, why)
    aside = set_aside(store, why) if store.exists() else None
    new.replace(store)
    sync_folder(store.parent)
    return aside
