"""What holds for the project as a whole: what is shipped, what is locked, and what never gets into a file."""

import importlib
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from benchmarks.compiled import build

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("driftline", "alerts", "drift", "scorers", "collector")
MAX_LINES = 400
MAX_TEST_LINES = 600  # a test file mirrors one module, with all the ways it can go wrong

# Machines and registries that a checkout must not depend on (written so that this file does not hold them itself).
MACHINE_PATH = re.compile(r"(?<![\w.~$}-])/(?:root|work|Users|home/(?!driftline\b)\w+)/")
REGISTRY = re.compile(
    r"pypi[.]org|pythonhosted[.]org|npmjs[.](?:org|com)|repo1?[.]maven|maven[-]central|proxy[.]golang|deb[.]debian|crates[.]io"
)
PIN = re.compile(
    r"^(?P<requirement>[A-Za-z0-9][\w.-]*==[^\\]+?)\s*\\\n(?P<hashes>(?:\s+--hash=sha256:[0-9a-f]{64}.*\n)+)", re.M
)


@cache
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


@cache
def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True)
    if listed.returncode != 0:
        pytest.skip("not a git checkout: what is tracked cannot be told")
    paths = [ROOT / name for name in listed.stdout.decode().split("\0") if name]
    return [path for path in paths if path.is_file()]


def read_text(path: Path) -> str | None:
    """The text of a file, or None of a binary one."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None


def found_in_tracked_files(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}: {match.group()}"
        for path in tracked()
        if (text := read_text(path)) is not None
        for match in pattern.finditer(text)
    ]


# --- what is shipped ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("wheel"), compiled=False)


def test_the_wheel_holds_our_five_packages_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        top = {name.split("/")[0] for name in archive.namelist()}
    assert {name for name in top if not name.endswith(".dist-info")} == set(PACKAGES)
    assert len(top) == len(PACKAGES) + 1


def test_the_wheel_is_typed_licensed_and_has_every_module(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {f"{package}/py.typed" for package in PACKAGES} <= names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    ours = {str(path.relative_to(ROOT)) for package in PACKAGES for path in (ROOT / package).rglob("*.py")}
    assert ours <= names


def modules() -> Iterator[str]:
    """Read off the files, so that a folder that lost its `__init__.py` is missed by the import and not by the test."""
    for path in (path for package in PACKAGES for path in (ROOT / package).rglob("*.py") if path.stem != "__main__"):
        yield ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@pytest.mark.parametrize("name", sorted(modules()))
def test_a_module_imports_and_has_all_the_names_it_offers(name: str) -> None:
    module = importlib.import_module(name)
    offered = getattr(module, "__all__", [])
    assert [one for one in offered if not hasattr(module, one)] == []
    assert len(set(offered)) == len(offered)
    assert Path(str(module.__file__)).is_relative_to(ROOT), "another distribution owns this name"


def test_every_entry_point_can_be_loaded() -> None:
    groups = [project()["project"].get("scripts", {}), *project()["project"].get("entry-points", {}).values()]
    for reference in (reference for group in groups for reference in group.values()):
        module, _, name = reference.partition(":")
        assert hasattr(importlib.import_module(module), name), reference


# --- what is locked ----------------------------------------------------------------------------------------------


def pins(lock: str) -> list[Requirement]:
    text = (ROOT / "requirements" / lock).read_text()
    found = [Requirement(match["requirement"].strip()) for match in PIN.finditer(text)]
    assert len(found) == len(re.findall(r"^\S+==", text, re.M)), f"{lock} has a pin without a hash"
    return found


def unmet(wanted: list[str], lock: str) -> list[str]:
    """The requirements that no pin of the lock meets, or that a pin of it contradicts."""
    locked = pins(lock)
    missed = []
    for requirement in map(Requirement, wanted):
        versions = [
            next(iter(pin.specifier)).version
            for pin in locked
            if canonicalize_name(pin.name) == canonicalize_name(requirement.name)
        ]
        if not versions or not all(requirement.specifier.contains(version, prereleases=True) for version in versions):
            missed.append(f"{requirement} (locked: {versions or 'nothing'})")
    return missed


def test_the_locks_hold_what_the_project_asks_for() -> None:
    runtime = project()["project"]["dependencies"]
    build = project()["build-system"]["requires"]
    dev = project()["project"]["optional-dependencies"]["dev"]
    assert unmet([*runtime, *build], "runtime.lock") == []
    assert unmet([*runtime, *build, *dev], "dev.lock") == []


def test_the_development_lock_is_the_runtime_lock_and_more() -> None:
    assert {str(pin) for pin in pins("runtime.lock")} < {str(pin) for pin in pins("dev.lock")}


def test_what_runs_here_is_what_is_locked() -> None:
    """Holds in the environment `make` sets up; in another one, versions are the contributor's own business."""
    if not (Path(sys.prefix) / ".dev").exists():
        pytest.skip("not the environment of `make test`")
    from importlib.metadata import version

    for pin in pins("dev.lock"):
        if pin.marker is None or Marker(str(pin.marker)).evaluate():
            assert pin.specifier.contains(version(pin.name), prereleases=True), pin


# --- what never gets into a file ---------------------------------------------------------------------------------


def test_no_file_names_a_folder_of_somebodys_machine() -> None:
    assert found_in_tracked_files(MACHINE_PATH) == []


def test_no_file_names_a_package_registry() -> None:
    assert found_in_tracked_files(REGISTRY) == []
    for lock in ("runtime.lock", "dev.lock"):
        text = (ROOT / "requirements" / lock).read_text()
        assert not re.search(r"://|--(?:extra-)?index-url|--find-links|^-e |@ file", text, re.M), lock


def test_no_source_file_is_too_long_to_read() -> None:
    lengths = {
        str(path.relative_to(ROOT)): len((read_text(path) or "").splitlines())
        for path in tracked()
        if path.suffix == ".py"
    }
    limits = {name: MAX_TEST_LINES if name.startswith("tests/") else MAX_LINES for name in lengths}
    assert {name: lines for name, lines in lengths.items() if lines > limits[name]} == {}


# --- the two commands --------------------------------------------------------------------------------------------


def make(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["make", *arguments], cwd=cwd, capture_output=True, text=True, timeout=60)


def test_make_help_lists_every_target() -> None:
    listed = set(re.findall(r"^  make (\w+)", make("help").stdout, re.M))
    phony = re.search(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(), re.M)
    assert phony is not None
    assert listed == set(phony[1].split())
    assert {"run", "test", "check", "lint", "type", "bench", "soak", "clean", "help"} <= listed


@pytest.mark.parametrize(
    ("python", "told"),
    [
        ('[ "$1" = -V ] && echo Python 3.9.2; exit 1', "is Python 3.9.2; Driftline needs Python 3.11 or newer"),
        ('case "$2" in *ensurepip*) exit 1;; esac', "apt install python3-venv"),
    ],
)
def test_make_says_what_is_wrong_with_the_python_it_finds(tmp_path: Path, python: str, told: str) -> None:
    interpreter = tmp_path / "python3"
    interpreter.write_text(f"#!/bin/sh\n{python}\n")
    interpreter.chmod(0o755)
    failed = make("run", f"PYTHON={interpreter}", f"VENV={tmp_path / 'venv'}")
    assert failed.returncode != 0
    assert told in failed.stderr
    assert not (tmp_path / "venv").exists()


def test_make_says_that_there_is_no_python(tmp_path: Path) -> None:
    failed = make("run", "PYTHON=no-such-python", f"VENV={tmp_path / 'venv'}")
    assert failed.returncode != 0
    assert "no-such-python was not found; Driftline needs Python 3.11 or newer" in failed.stderr
