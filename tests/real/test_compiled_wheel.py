"""The wheel with compiled modules: it can be built, gives the same scores, and passes the tests of what is compiled."""

import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import orjson
import pytest

from benchmarks.compiled import build, environment
from tests.real.parts.process import missing

ROOT = Path(__file__).parents[2]
WHEEL = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
MODULES = WHEEL["hooks"]["custom"]["modules"]
TESTS = ("text", "linear", "steps", "injection", "relevance", "correctness", "groundedness", "hostile", "conformance")
SUFFIX = str(sysconfig.get_config_var("EXT_SUFFIX"))
RUN_SECONDS = 240


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("cc") is None:
        missing("A C compiler", "apt-get install gcc libc6-dev")
    if not Path(sysconfig.get_paths()["include"], "Python.h").is_file():
        missing("Python.h", "apt-get install python3-dev")
    return build(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def run(*arguments: str, first: Path) -> subprocess.CompletedProcess[bytes]:
    """A module of Python with the packages of `first`, and tests and benchmarks of this checkout."""
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=ROOT,
        env=environment(first),
        capture_output=True,
        timeout=RUN_SECONDS,
    )


def all_scores(first: Path) -> dict[str, Any]:
    done = run("tests.real.all_scores", first=first)
    assert done.returncode == 0, done.stderr.decode()
    told: dict[str, Any] = orjson.loads(done.stdout)
    return told


def test_the_wheel_is_for_this_machine_and_holds_what_was_compiled_beside_its_source(wheel: Path) -> None:
    assert not wheel.name.endswith("-any.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    compiled = {name for name in names if name.endswith(SUFFIX)}
    (shared,) = (name for name in compiled if "/" not in name)  # the code of all of them
    assert compiled - {shared} == {module.removesuffix(".py") + SUFFIX for module in MODULES}
    assert set(MODULES) <= names
    assert not any(name.endswith(".c") for name in names)


def test_nothing_that_was_compiled_is_left_in_the_checkout(wheel: Path) -> None:
    assert [path for package in (ROOT / "scorers", ROOT / "collector") for path in package.rglob(f"*{SUFFIX}")] == []
    assert list(ROOT.glob(f"*{SUFFIX}")) == []


def test_compiled_or_not_scores_reasons_evidence_and_evaluator_ids_are_the_same(installed: Path) -> None:
    compiled, plain = all_scores(installed), all_scores(ROOT)
    assert compiled.pop("file") == str(installed / f"scorers/text{SUFFIX}")
    assert plain.pop("file") == str(ROOT / "scorers/text.py")
    assert compiled["scorers"] == plain["scorers"]
    assert compiled["decisions"] == plain["decisions"]
    scored = sum(decision["decision"] == "scored" for decisions in plain["decisions"] for decision in decisions)
    assert scored > 2_000


def test_the_tests_of_what_is_compiled_pass(installed: Path) -> None:
    tests = [*(f"tests/scorers/test_{name}.py" for name in TESTS), "tests/collector/test_patterns.py"]
    done = run("pytest", "-q", "-p", "no:cacheprovider", "-n", "0", *tests, first=installed)
    assert done.returncode == 0, done.stdout.decode()[-5_000:]
