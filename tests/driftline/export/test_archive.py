"""Evidence packs: the same bytes each time, and whatever was done to one is seen."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from driftline.export.archive import MANIFEST, verify, whole, write_archive

FILES = {"b.json": b"{}\n", "a.jsonl": b"1\n2\n" * 50_000, "c.txt": b""}


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    return written(tmp_path, "pack.zip")


def written(folder: Path, name: str) -> Path:
    contents = folder / f"{name}.contents"
    contents.mkdir()
    for file, content in FILES.items():
        (contents / file).write_bytes(content)
    write_archive(folder / name, contents, {"form": "test"})
    return folder / name


def contents(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def rewrite(path: Path, files: dict[str, bytes], twice: str = "") -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
        if twice:
            with pytest.warns(UserWarning, match="Duplicate name"):
                archive.writestr(twice, b"other")


def test_the_same_files_give_the_same_bytes_sorted_by_name(tmp_path: Path, pack: Path) -> None:
    assert written(tmp_path, "again.zip").read_bytes() == pack.read_bytes()
    with zipfile.ZipFile(pack) as archive:
        assert archive.namelist() == ["a.jsonl", "b.json", "c.txt", MANIFEST]
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_a_pack_is_as_it_was_written(pack: Path) -> None:
    manifest, problems = verify(pack)
    assert problems == []
    assert manifest["form"] == "test"
    assert {file["name"]: file["bytes"] for file in manifest["files"]} == {
        name: len(one) for name, one in FILES.items()
    }
    assert manifest["sha256"] == whole(manifest)


def changed(files: dict[str, bytes]) -> None:
    files["b.json"] = b"[]\n"


def longer(files: dict[str, bytes]) -> None:
    files["b.json"] = b"{}\n" * 5_000_000


def removed(files: dict[str, bytes]) -> None:
    del files["c.txt"]


def added(files: dict[str, bytes]) -> None:
    files["d.txt"] = b""


def without_manifest(files: dict[str, bytes]) -> None:
    del files[MANIFEST]


def with_another_manifest(files: dict[str, bytes]) -> None:
    files[MANIFEST] = b'{"files": [{"name": 1}], "sha256": ""}'


def rehashed(files: dict[str, bytes]) -> None:
    """As somebody does who changes a file and its hash, but not the hash of the whole."""
    changed(files)
    manifest = orjson.loads(files[MANIFEST])
    entry = next(file for file in manifest["files"] if file["name"] == "b.json")
    entry["sha256"] = "37517e5f3dc66819f61f5a7bb8ace1921282415f10551d2defa5c3eb0985b570"
    files[MANIFEST] = orjson.dumps(manifest)


def another_period(files: dict[str, bytes]) -> None:
    """What the manifest says of the whole is under the hash too."""
    files[MANIFEST] = orjson.dumps({**orjson.loads(files[MANIFEST]), "form": "of another time"})


@pytest.mark.parametrize(
    ("do", "told"),
    [
        (changed, "b.json: is not what was written: SHA-256 is 37517e5f"),
        (longer, "b.json: is not 3 bytes long"),
        (removed, "c.txt: is missing"),
        (added, "d.txt: is not in the manifest"),
        (without_manifest, "it has 0 files manifest.json, not one"),
        (with_another_manifest, "manifest.json is not a manifest"),
        (another_period, "manifest.json: its own hash is not that of what it says"),
        (rehashed, "manifest.json: its own hash is not that of what it says"),
    ],
)
def test_what_was_done_to_it_is_told(pack: Path, do: Callable[[dict[str, bytes]], None], told: str) -> None:
    files = contents(pack)
    do(files)
    rewrite(pack, files)
    (problem,) = verify(pack)[1]
    assert problem.startswith(told)


def test_a_file_that_is_there_twice_is_told(pack: Path) -> None:
    rewrite(pack, contents(pack), twice="b.json")
    assert "b.json: is there more than once" in verify(pack)[1]


@pytest.mark.parametrize("content", [b"", b"not a zip" * 100])
def test_what_is_no_zip_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "pack.zip").write_bytes(content)
    (problem,) = verify(tmp_path / "pack.zip")[1]
    assert problem.startswith("it is not a zip that can be read")


def test_a_byte_that_flips_anywhere_is_seen(pack: Path) -> None:
    """But for the few that only say how the zip was made, and change nothing that is in it."""
    good, sound = pack.read_bytes(), contents(pack)
    for place in range(0, len(good), 97):
        pack.write_bytes(good[:place] + bytes([good[place] ^ 0x55]) + good[place + 1 :])
        if not verify(pack)[1]:
            assert contents(pack) == sound
