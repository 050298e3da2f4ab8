"""What monitors keep beside their series."""

from collections.abc import Mapping
from typing import Any

from drift.route import Monitor
from drift.saved import WRONG, unreadable

_PREFIX = "monitor/"


def take_kept(monitors: Mapping[str, Monitor]) -> dict[str, bytes]:
    """What is to be stored, by the monitors' names."""
    taken = ((name, monitor.take_state()) for name, monitor in monitors.items())
    return {_PREFIX + name: kept for name, kept in taken if kept is not None}


def read_kept(monitors: Mapping[str, Monitor], state: Mapping[str, bytes]) -> tuple[dict[str, Any], set[str]]:
    """What was stored, for each monitor's `use_state`, and the keys of monitors that are gone.

    Raises:
        UserError: corrupt, or of another release.
    """
    found: dict[str, Any] = {}
    gone: set[str] = set()
    for key in (key for key in state if key.startswith(_PREFIX)):
        monitor = monitors.get(key.removeprefix(_PREFIX))
        try:
            if monitor is not None and (read := monitor.read_state(state[key])) is not None:
                found[monitor.plan.name] = read
            else:
                gone.add(key)
        except WRONG as error:
            raise unreadable(key, error) from error
    return found, gone
