"""How parts are found by name: `name` of an entry point, `package.module:attr`, or `./file.py:attr`.

Built-ins register the way plug-ins do: as entry points of the groups `driftline.scorers`, `driftline.detectors` and
`driftline.notifiers`.
"""

import hashlib
import importlib
import importlib.util
import os
import sys
import traceback
from difflib import get_close_matches
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

from collector.core.errors import UserError

_FILES = (".py", ".yaml", ".yml")
_FILE_PREFIX = "driftline_plugin_"


def load(reference: str, group: str, base: Path | None = None) -> object:
    """The object that `reference` names.

    Args:
        reference: an entry-point name, `module:attr`, or `path.py:attr` (relative to `base`).
        group: the entry-point group to look names up in, such as `driftline.scorers`.
        base: the folder that relative files start from; the working directory if None.

    Raises:
        UserError: nothing of that name, the file or attribute is missing, or two distributions claim the name.
            An exception raised *inside* the user's module is not hidden: it is told with its place, and is the cause.
    """
    try:
        return _load(reference, group, base)
    except (UserError, KeyboardInterrupt):
        raise
    except BaseException as error:  # also a SystemExit: a file that is read again must not end the service
        raise UserError(f"{reference!r} fails as it is read: {_told(error)}") from error


def _load(reference: str, group: str, base: Path | None) -> object:
    module_part, colon, attribute = reference.rpartition(":")
    if not colon:
        return _entry_point(reference, group)
    if not module_part or not attribute:
        raise UserError(f"{reference!r} is not a name; use NAME, MODULE:NAME or ./FILE.py:NAME")
    module = _file(module_part, base) if module_part.endswith(".py") else _module(module_part, reference)
    found: object = module
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise UserError(f"{reference!r}: {module_part} has no {attribute!r}")
        found = getattr(found, part)
    return found


def _told(error: BaseException) -> str:
    if isinstance(error, SyntaxError):  # says its place itself
        return f"{type(error).__name__}: {error}"
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} ({os.path.basename(last.filename)}, line {last.lineno})"


def names(group: str) -> list[str]:
    """All names of a group, sorted."""
    return sorted({point.name for point in entry_points(group=group)})


def forget_files() -> None:
    """Let `load` read files again that it was given by their paths. What it gave out before stays as it is."""
    for name in [name for name in sys.modules if name.startswith(_FILE_PREFIX)]:
        del sys.modules[name]


def _entry_point(name: str, group: str) -> object:
    points = {
        (point.value, point.dist.name if point.dist else "?"): point for point in entry_points(group=group, name=name)
    }
    if not points and name.endswith(_FILES):
        raise UserError(f"{name!r} is a file; say what of it, as in {name}:NAME")
    if not points:
        known = names(group)
        meant = "".join(f"; did you mean {near!r}?" for near in get_close_matches(name, known, n=1))
        raise UserError(f"{name!r} is not one of {', '.join(known) or 'nothing (none installed)'}{meant}")
    if len(points) > 1:
        owners = ", ".join(sorted(owner for _, owner in points))
        raise UserError(f"{name!r} is provided more than once, by {owners}; name it as MODULE:NAME")
    return next(iter(points.values())).load()


def _module(name: str, reference: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(error.name + ".")):
            raise UserError(f"{reference!r}: there is no module {name!r}") from None
        raise


def _file(path_text: str, base: Path | None) -> ModuleType:
    path = ((base or Path.cwd()) / path_text).resolve()
    if not path.is_file():
        raise UserError(f"{path_text!r}: there is no file {path}")
    # A name of its own, so that a user's scorers.py or collector/ never shadows ours.
    name = f"{_FILE_PREFIX}{path.stem}_{hashlib.blake2b(str(path).encode(), digest_size=6).hexdigest()}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UserError(f"{path_text!r} cannot be loaded as Python")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
