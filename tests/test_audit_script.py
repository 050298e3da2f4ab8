"""What `make audit` makes of the ways in which pip-audit ends: not asked is never taken for nothing found."""

import importlib.util
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


def test_every_lock_is_asked_for_or_is_part_of_one_that_is(audit: ModuleType) -> None:
    locks = {path.name: set(_pins(path)) for path in SCRIPT.parent.glob("*.lock")}
    asked = set().union(*(locks[name] for name in audit.LOCKS))
    assert asked == set().union(*locks.values())


def _pins(path: Path) -> list[str]:
    return [line.split(" ")[0] for line in path.read_text().splitlines() if "==" in line and not line.startswith(" ")]
