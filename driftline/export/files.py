"""Files that appear whole: written beside their place, made durable, then moved there."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from collector.core.errors import UserError
from collector.engines.sqlite_damage import sync_folder


@contextmanager
def appearing(path: Path, private: bool = False) -> Iterator[BinaryIO]:
    """A file to write, which is at `path` once the block ends without an exception, replacing what was there.

    After a crash either the old file is there or the new one, whole; a hidden `.NAME.part` may be left, which the next
    attempt overwrites. A `private` one is for its owner only. What is no file, such as /dev/null or a pipe, stays what
    it is and gets the bytes as they come.

    Raises:
        OSError: it cannot be written.
    """
    if path.exists() and not path.is_file():
        with path.open("wb") as out:
            yield out
        return
    part = path.with_name(f".{path.name}.part")
    try:
        with open(part, "wb", opener=_private if private else None) as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def refuse_existing(named: str, target: Path, force: bool) -> None:
    """Raises UserError if there is something that must not be replaced."""
    if target.exists() and not target.is_file():
        raise UserError(f"{named}: {target} is there, and is no file")
    if target.exists() and not force:
        raise UserError(f"{named}: {target} exists; --force replaces it")


def make_folder(path: Path) -> None:
    """Make a folder and those above it, durably, where they are missing.

    Raises:
        OSError: it cannot be made.
    """
    missing = [one for one in (path, *path.parents) if not one.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for one in missing:
        sync_folder(one.parent)
