"""What `make audit` and `make check` make of how pip-audit ends: not asked is never taken for nothing found."""

import importlib.util
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[1] / "requirements" / "audit.py"


@pytest.fixture(scope="module")
def audit() -> ModuleType:
    spec = importlib.util.spec_from_file_location("audit_script", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("code", "out", "err", "exits", "told"),
    [
        (0, "", "No known vulnerabilities found", 0, "nothing is known of"),
        (1, "requests 2.1 PYSEC-1", "Found 1 known vulnerability in 1 package", 1, "PYSEC-1"),
        (1, "", "requests.exceptions.ConnectionError: Max retries exceeded", 3, "NOT AUDITED, the advisories"),
        (1, "", "a: Dependency not found on PyPI and could not be audited: a (1)", 3, "NOT AUDITED, the advisories"),
        (2, "", "error: Failed to fetch: `https://index.example/simple/pip-audit/`", 3, "NOT AUDITED, the advisories"),
        (1, "", "KeyError: 'x'", 3, "NOT AUDITED, pip-audit failed"),
        (1, "", "", 3, "NOT AUDITED, pip-audit failed: it says nothing"),
    ],
)
def test_each_end_has_its_exit_code(
    audit: ModuleType, capsys: pytest.CaptureFixture[str], code: int, out: str, err: str, exits: int, told: str
) -> None:
    assert audit.answer("dev.lock", code, out, err) == exits
    assert told in capsys.readouterr().out


@pytest.mark.parametrize(
    ("answers", "strict", "lenient"),
    [([0, 0], 0, 0), ([0, 1, 0], 1, 1), ([3], 3, 0), ([0, 3], 3, 0), ([1, 3], 1, 1), ([3, 1, 0], 1, 1)],
)
def test_what_is_known_fails_always_and_what_could_not_be_asked_is_said(
    audit: ModuleType, capsys: pytest.CaptureFixture[str], answers: list[int], strict: int, lenient: int
) -> None:
    assert audit.exit_code(answers, False) == strict
    assert capsys.readouterr().out == ""
    assert audit.exit_code(answers, True) == lenient
    assert ("SKIPPED" in capsys.readouterr().out) == (3 in answers and 1 not in answers)


def test_locks_that_nothing_was_known_of_are_not_asked_for_again_on_the_same_day(
    audit: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = tmp_path / "audited.json"
    assert audit.hours_since(memory, 1e9) is None
    audit.remember(memory, 1e9)
    assert audit.hours_since(memory, 1e9 + 7200) == 2
    assert audit.hours_since(memory, 1e9 + 86400) is None
    assert audit.hours_since(memory, 1e9 - 1) is None, "a clock that went back"
    with monkeypatch.context() as patched:
        patched.setattr(audit, "ACCEPTED", {"PYSEC-1": "not called"})
        assert audit.hours_since(memory, 1e9 + 1) is None, "other exceptions are another question"
    for damaged in ("", "[]", '{"locks": 1}', '{"at": "x", "locks": ""}'):
        memory.write_text(damaged)
        assert audit.hours_since(memory, 1e9 + 1) is None


def test_an_answer_that_does_not_come_is_none(audit: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(*_: object, **options: float) -> None:
        raise subprocess.TimeoutExpired("uv", options["timeout"])

    monkeypatch.setattr(audit.subprocess, "run", slow)
    assert audit.ask("dev.lock") == 3


def test_every_lock_is_asked_for_or_is_part_of_one_that_is(audit: ModuleType) -> None:
    locks = {path.name: set(_pins(path)) for path in SCRIPT.parent.glob("*.lock")}
    asked = set().union(*(locks[name] for name in audit.LOCKS))
    assert asked == set().union(*locks.values())


def _pins(path: Path) -> list[str]:
    return [line.split(" ")[0] for line in path.read_text().splitlines() if "==" in line and not line.startswith(" ")]
