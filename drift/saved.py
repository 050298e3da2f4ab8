"""Reading what a watcher saved: whole, or refused with the name of the wrong part."""

import base64
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson

from collector.core.errors import UserError
from drift.base import Change, decode_change

VERSION = 1

WRONG = (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError)
"""What reading a corrupt object may raise."""


def versioned(data: bytes, version: int = VERSION) -> dict[str, Any]:
    """The object in `data`; ValueError unless this release wrote it or one with the same version of it."""
    raw = orjson.loads(data)
    if type(raw) is not dict or raw.get("v") != version:
        found = raw.get("v") if type(raw) is dict else None
        raise ValueError(f"has version {found!r:.40}; this release reads version {version}")
    return raw


def by_series(state: Mapping[str, bytes]) -> dict[str, dict[str, bytes]]:
    """The parts of each series, by its key: `head`, `past`, `chunk/7`."""
    found: dict[str, dict[str, bytes]] = {}
    for name, data in state.items():
        if name.startswith("series/"):
            _, key, part = name.split("/", 2)
            found.setdefault(key, {})[part] = data
    return dict(sorted(found.items()))


def pack_series(state: Mapping[str, bytes | None]) -> bytes:
    """Everything that a series saves, as one record."""
    return orjson.dumps({name: base64.b64encode(data).decode() for name, data in state.items() if data is not None})


def unpack_series(packed: bytes) -> tuple[str, dict[str, bytes]]:
    """The key and the parts of the series that was packed; raises one of `WRONG`."""
    state = {name: base64.b64decode(data, validate=True) for name, data in orjson.loads(packed).items()}
    ((key, parts),) = by_series(state).items()
    return key, parts


def chunks(parts: Mapping[str, bytes]) -> dict[int, bytes]:
    return {int(part.removeprefix("chunk/")): data for part, data in parts.items() if part.startswith("chunk/")}


def retired(head: Mapping[str, Any]) -> Change | None:
    """The end of the change of a series that is not watched any more, or not as it was; None if it had none."""
    if head["episode"] is None:
        return None
    change = decode_change(head["episode"]["change"].encode())
    return replace(
        change, status="resolved", resolved_ns=head["last_ns"], reason="reconfigured", sequence=change.sequence + 1
    )


def unreadable(key: str, error: Exception) -> UserError:
    return UserError(
        f"the saved state {key!r} cannot be read ({error}); it is corrupt or of another release. "
        "Restore a backup, or delete it to learn the levels anew"
    )
