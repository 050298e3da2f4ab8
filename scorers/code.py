"""The code and data that a score depends on, as far as they are a scorer's own: what its evaluator id is a hash of."""

import ast
import sys
from collections.abc import Callable, Iterator
from functools import cache
from hashlib import blake2b, file_digest
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import resolve_name
from pathlib import Path
from types import ModuleType
from typing import Any

_FRAME = ("scorers.base", "collector.core")
"""What every scorer is made with. It says how scores are told, not what they are."""

_OURS = ("scorers", "collector")


def code_hash(function: Callable[..., Any], files: tuple[str, ...] = ()) -> str:
    """Changes with whatever a scorer's function can call, directly or not, in its own package, and with its data.

    That is the source of its module and of the modules of the same package that this imports (for ours, `scorers` and
    `collector`), one after the other; other packages are not followed.

    Args:
        function: of the scorer.
        files: names of data files, in the folder of the function's file.

    Raises:
        OSError: a data file cannot be read.
    """
    module = sys.modules.get(function.__module__)
    path = _source_path(module)
    if module is None or path is None or not path.is_file():
        code = getattr(function, "__code__", None)
        told = repr((code.co_code, code.co_consts)) if code else getattr(function, "__qualname__", "")
        return blake2b(told.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
    digest = blake2b(digest_size=16)
    for name, source in sorted(_sources(module)):
        digest.update(f"{name}\0{len(source)}\0".encode() + source)
    for name in files:
        data = (path.parent / name).read_bytes()
        digest.update(f"{name}\0{len(data)}\0".encode() + data)
    return digest.hexdigest()


def file_hash(path: Path) -> str:
    """Of a file's content, read in pieces: models are large.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return file_digest(file, lambda: blake2b(digest_size=16)).hexdigest()


def _sources(module: ModuleType) -> list[tuple[str, bytes]]:
    """The sources of a module and of what it imports of its own package, each with its name within that."""
    found: dict[str, bytes] = {}
    waiting = [module.__name__]
    top = module.__name__.partition(".")[0]
    followed = _OURS if top in _OURS else (top,)
    while waiting:
        name = waiting.pop()
        if name in found or name.startswith(_FRAME) or (source := _source(name)) is None:
            continue
        found[name] = source
        waiting += [imported for imported in _imports(name, source) if imported.partition(".")[0] in followed]
    # A file that was loaded by its path has a name with the path in it, which must not count.
    return [("" if name == module.__name__ else name, source) for name, source in found.items()]


def _source(name: str) -> bytes | None:
    """None if it is no module with a source, such as a name that was imported from one."""
    path = _source_path(sys.modules.get(name))
    if path is None or path.suffix != ".py":
        return None
    try:
        return path.read_bytes()
    except OSError:
        return None


def _source_path(module: ModuleType | None) -> Path | None:
    """Where a module's source is: beside what it was compiled to, so that compiled code is the same evaluator."""
    file = getattr(module, "__file__", None)
    if file is None:
        return None
    path = Path(file)
    compiled = path.name.endswith(tuple(EXTENSION_SUFFIXES))
    return path.with_name(path.name.partition(".")[0] + ".py") if compiled else path


@cache
def _imports(name: str, source: bytes) -> tuple[str, ...]:
    return tuple(_imported(name, ast.parse(source)))


def _imported(name: str, tree: ast.AST) -> Iterator[str]:
    """The names of modules that may be imported; some are of what is in one."""
    package = getattr(sys.modules.get(name), "__package__", None) or ""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = resolve_name("." * node.level + (node.module or ""), package) if node.level else node.module or ""
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)
