"""The evaluator id follows the code and data that a score depends on, and nothing else."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from collector.core.errors import UserError
from scorers.builtin.groundedness import groundedness
from scorers.code import code_hash
from scorers.loading import ScorerConfig, load_scorer

SCORER = """
import json
from collector.core.model import Trace
from scorers.base import scorer
from words import rules
from . import common
from .deep.inner import limit

@scorer(name="mine", files=["weights.json"])
def mine(trace: Trace) -> float:
    return 1.0
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package of a user's own, `words`, with a scorer in `words.score`."""
    folder = tmp_path / "words"
    (folder / "deep").mkdir(parents=True)
    for name, text in {
        "__init__.py": "",
        "score.py": SCORER,
        "rules.py": "from words.deep import inner\n",
        "common.py": "",
        "unused.py": "",
        "deep/__init__.py": "",
        "deep/inner.py": "limit = 1\n",
        "weights.json": "{}",
    }.items():
        (folder / name).write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield folder
    for name in [name for name in sys.modules if name.partition(".")[0] == "words"]:
        del sys.modules[name]


def evaluator_id() -> str:
    for name in [name for name in sys.modules if name.partition(".")[0] == "words"]:
        del sys.modules[name]
    return load_scorer(ScorerConfig(use="words.score:mine")).evaluator_id


@pytest.mark.parametrize("changed", ["score.py", "rules.py", "common.py", "deep/inner.py", "deep/__init__.py"])
def test_the_id_changes_with_any_module_that_is_imported_from_the_same_package(package: Path, changed: str) -> None:
    before = evaluator_id()
    path = package / changed
    path.write_text(path.read_text() + "\nMORE = 1\n")
    assert evaluator_id() != before


def test_the_id_changes_with_its_data(package: Path) -> None:
    before = evaluator_id()
    (package / "weights.json").write_text("{ }")
    assert evaluator_id() != before


def test_the_id_does_not_change_with_a_module_that_is_not_imported(package: Path) -> None:
    before = evaluator_id()
    (package / "unused.py").write_text("MORE = 1\n")
    assert evaluator_id() == before


def test_data_that_is_not_there_is_a_fault_of_the_configuration(package: Path) -> None:
    (package / "weights.json").unlink()
    with pytest.raises(UserError, match=r"'words.score:mine': .*weights.json.* cannot be read"):
        evaluator_id()


def test_modules_that_import_one_another_are_read_once(package: Path) -> None:
    (package / "common.py").write_text("from words import score\n")
    assert evaluator_id() == evaluator_id()


def test_a_file_has_the_same_id_wherever_it_lies(tmp_path: Path) -> None:
    ids = set()
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "my.py").write_text(
            "from scorers.base import scorer\n@scorer(name='my')\ndef my(trace): return 1.0\n"
        )
        ids.add(load_scorer(ScorerConfig(use="./my.py:my"), tmp_path / folder).evaluator_id)
    assert len(ids) == 1


def test_a_built_in_is_hashed_with_the_shared_code_it_reads_texts_with(monkeypatch: pytest.MonkeyPatch) -> None:
    import scorers.code

    before, source = code_hash(groundedness.function), scorers.code._source
    asked: list[str] = []

    def changed(name: str) -> bytes | None:
        asked.append(name)
        found = source(name)
        return found + b"#" if found is not None and name == "scorers.text" else found

    monkeypatch.setattr(scorers.code, "_source", changed)
    assert code_hash(groundedness.function) != before
    assert not [name for name in asked if name.startswith(("scorers.base", "collector.core", "orjson"))]


def test_a_function_without_a_file_is_hashed_by_its_code() -> None:
    one, other = (eval(text, {"__name__": "nowhere"}) for text in ("lambda trace: 1.0", "lambda trace: 2.0"))
    assert code_hash(one) != code_hash(other)
