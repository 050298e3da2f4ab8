"""deploy/systemd: systemd understands every line of the unit, and finds little that the service could do."""

import subprocess
from pathlib import Path

import pytest

from tests.real.parts.process import program

UNIT = Path(__file__).parents[2] / "deploy" / "systemd" / "driftline.service"
MOST_EXPOSED = 15  # tenths, of `systemd-analyze security`: 0 is nothing, 100 everything


def analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [program("systemd-analyze", "systemd"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit with a program that is there: whether that of the unit is installed is not the question."""
    placed = tmp_path / UNIT.name
    placed.write_text(UNIT.read_text().replace("/opt/driftline/bin/driftline", "/bin/true"))
    return placed


def test_systemd_understands_every_line(unit: Path) -> None:
    done = analyze("verify", "--man=no", unit)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_line_that_systemd_does_not_know_would_be_noticed(unit: Path) -> None:
    unit.write_text(unit.read_text().replace("PrivateTmp=yes", "PrivateTemp=yes"))
    assert "PrivateTemp" in analyze("verify", "--man=no", unit).stderr


def test_systemd_finds_little_that_the_service_could_do_to_the_machine(unit: Path) -> None:
    done = analyze("security", "--offline=true", f"--threshold={MOST_EXPOSED}", unit)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
