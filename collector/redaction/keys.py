"""The key of the tokens: the operator's, or a random one in a private file beside the store."""

import os
import secrets
from contextlib import suppress
from pathlib import Path

from collector.core.errors import StoreError

LEAST_CHARACTERS = 16
"""Of a key: fewer could be guessed."""

_KEY_BYTES = 32


def key_path(store: Path) -> Path:
    """Where the key is kept that goes with a store, if the configuration has none.

    >>> key_path(Path("data/driftline.db")).as_posix()
    'data/driftline.redact.key'
    """
    return store.with_name(f"{store.stem}.redact.key")


def read_key(store: Path) -> bytes | None:
    """The key beside a store: the file's text, as `redact.key: {file: ...}` would read it. None if there is none.

    Raises:
        StoreError: it cannot be read, or is no key.
    """
    path = key_path(store)
    try:
        key = path.read_text("ascii").strip()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"redact.key: {path} cannot be read: {error.strerror}") from None
    except ValueError:
        raise StoreError(f"redact.key: {path} is not text") from None
    if len(key) < LEAST_CHARACTERS:
        raise StoreError(f"redact.key: {path} has {len(key)} characters; {LEAST_CHARACTERS} or more are needed")
    return key.encode()


def read_or_make_key(store: Path) -> bytes:
    """The key beside a store, made now if there is none: readable by its owner alone.

    Raises:
        StoreError: it can neither be read nor be made.
    """
    if (known := read_key(store)) is not None:
        return known
    path = key_path(store)
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(descriptor, secrets.token_hex(_KEY_BYTES).encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        with suppress(FileExistsError):  # another process was quicker: its key is the one
            os.link(draft, path)
    except OSError as error:
        raise StoreError(f"redact.key: {path} cannot be made: {error.strerror}") from None
    finally:
        draft.unlink(missing_ok=True)
    made = read_key(store)
    assert made is not None
    return made
