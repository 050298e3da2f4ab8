"""A zip whose bytes depend on nothing but its contents, with a manifest of hashes; and the check of one.

The manifest lists every file with its length and SHA-256, after the facts about the whole. Its own `sha256` is that of
itself without that field, as JSON with sorted names and no spaces: one short text that stands for everything, to be
noted down elsewhere.
"""

import hashlib
import lzma
import shutil
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from driftline.export.files import appearing

MANIFEST = "manifest.json"
_FIXED_TIME = (1980, 1, 1, 0, 0, 0)  # the oldest that a zip can say
_MODE = 0o644 << 16
_BYTES_AT_ONCE = 2**20
_MOST_MANIFEST_BYTES = 2**20
_UNREADABLE = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError),
    *(RuntimeError, ValueError, OSError),
)
"""What a zip that is not one may raise where it is read."""


def write_archive(path: Path, folder: Path, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Pack the files of a folder, and return the manifest: `facts`, `files` and `sha256`.

    Raises:
        OSError: it cannot be written.
    """
    names = sorted(file.name for file in folder.iterdir())
    files = [_described(folder / name) for name in names]
    manifest: dict[str, Any] = {**facts, "files": files}
    manifest["sha256"] = whole(manifest)
    (folder / MANIFEST).write_bytes(orjson.dumps(manifest, option=orjson.OPT_INDENT_2) + b"\n")
    with appearing(path, private=True) as out, zipfile.ZipFile(out, "w") as archive:
        for name in sorted([*names, MANIFEST]):
            entry = zipfile.ZipInfo(name, _FIXED_TIME)
            entry.compress_type, entry.create_system, entry.external_attr = zipfile.ZIP_DEFLATED, 3, _MODE
            with archive.open(entry, "w", force_zip64=True) as target, (folder / name).open("rb") as source:
                shutil.copyfileobj(source, target, _BYTES_AT_ONCE)
    return manifest


def whole(manifest: Mapping[str, Any]) -> str:
    """The hash that stands for everything that a manifest says."""
    said = {name: value for name, value in manifest.items() if name != "sha256"}
    return hashlib.sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).hexdigest()


def verify(path: Path) -> tuple[dict[str, Any], list[str]]:
    """The manifest of an archive, and all that is wrong with it; nothing: it is as it was written.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        try:
            with zipfile.ZipFile(file) as archive:
                return _checked(archive)
        except _UNREADABLE as error:
            return {}, [f"it is not a zip that can be read: {error}"]


def _checked(archive: zipfile.ZipFile) -> tuple[dict[str, Any], list[str]]:
    names = [entry.filename for entry in archive.infolist()]
    if names.count(MANIFEST) != 1:
        return {}, [f"it has {names.count(MANIFEST)} files {MANIFEST}, not one"]
    manifest = _manifest(archive)
    if manifest is None:
        return {}, [f"{MANIFEST} is not a manifest"]
    files = {file["name"]: file for file in manifest["files"]}
    problems = [f"{name}: is there more than once" for name in sorted(set(names)) if names.count(name) > 1]
    problems += [f"{name}: is not in the manifest" for name in sorted({*names} - {*files, MANIFEST})]
    problems += [f"{name}: is missing" for name in sorted({*files} - {*names})]
    for name in sorted({*files} & {*names}):
        problems += _compare(archive, name, files[name])
    if whole(manifest) != manifest["sha256"]:
        problems.append(f"{MANIFEST}: its own hash is not that of what it says")
    return manifest, problems


def _manifest(archive: zipfile.ZipFile) -> dict[str, Any] | None:
    try:
        with archive.open(MANIFEST) as source:
            manifest = orjson.loads(source.read(_MOST_MANIFEST_BYTES))
        sound = isinstance(manifest["sha256"], str) and all(
            isinstance(file["name"], str) and isinstance(file["sha256"], str) and isinstance(file["bytes"], int)
            for file in manifest["files"]
        )
    except (KeyError, TypeError, *_UNREADABLE):
        return None
    return dict(manifest) if sound else None


def _compare(archive: zipfile.ZipFile, name: str, said: Mapping[str, Any]) -> Iterator[str]:
    digest, size = hashlib.sha256(), 0
    try:
        with archive.open(name) as source:
            # no further than it should be long: what a few bytes unpack to has no end
            while size <= said["bytes"] and (some := source.read(_BYTES_AT_ONCE)):
                digest.update(some)
                size += len(some)
    except _UNREADABLE as error:
        yield f"{name}: cannot be read: {error}"
        return
    if size != said["bytes"]:
        yield f"{name}: is not {said['bytes']} bytes long"
    elif digest.hexdigest() != said["sha256"]:
        yield f"{name}: is not what was written: SHA-256 is {digest.hexdigest()}, should be {said['sha256']}"


def _described(path: Path) -> dict[str, Any]:
    with path.open("rb") as source:
        digest = hashlib.file_digest(source, "sha256").hexdigest()
    return {"name": path.name, "bytes": path.stat().st_size, "sha256": digest}
