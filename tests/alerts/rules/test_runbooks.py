"""Runbooks: one for each alert, with commands and metrics that exist."""

import re
from pathlib import Path

import pytest

from alerts.rules.config import ObjectiveConfig
from alerts.rules.generate import alerts
from alerts.rules.model import Facts
from driftline.cli import COMMANDS

ROOT = Path(__file__).parents[3]
RUNBOOKS = ROOT / "docs" / "runbooks"
ALERTS = {alert.name: alert for alert in alerts(Facts(objectives=[ObjectiveConfig(scorer="pii", target=0.9)]))}
METRICS = set(re.findall(r"^\| `(driftline_\w+)` \|", (ROOT / "docs" / "metrics.md").read_text(), re.MULTILINE))
HEADINGS = ["What it means", "Impact", "Look first at", "Likely causes", "What to do", "Silence"]


def commands_in(text: str) -> str:
    """What is to be typed: lines set off as code, and code within lines; one a line."""
    return "\n".join([*re.findall(r"^    (.+)$", text, re.MULTILINE), *re.findall(r"`([^`]+)`", text)])


def test_there_is_a_runbook_for_every_alert_and_an_alert_for_every_runbook() -> None:
    assert {path.stem for path in RUNBOOKS.glob("*.md")} == set(ALERTS)


@pytest.mark.parametrize("name", ALERTS)
def test_a_runbook_says_what_to_do_with_commands_and_metrics_that_exist(name: str) -> None:
    text = (RUNBOOKS / f"{name}.md").read_text()
    assert text.startswith(f"# {name}\n")
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert headings == HEADINGS
    assert 25 <= len(text.splitlines()) <= 52
    assert f"**{ALERTS[name].severity}**" in text.splitlines()[2]
    assert f"`{ALERTS[name].dashboard}`" in text, "no dashboard to look at"
    assert re.search(r"^    \S", text, re.MULTILINE), "no command to run"
    # what is searched for may be the beginning of several
    named = {re.sub(r"_(bucket|count|sum)$", "", one) for one in re.findall(r"\bdriftline_[a-z_]+[a-z]\b", text)}
    assert {one for one in named if not any(metric.startswith(one) for metric in METRICS)} == set()
    assert set(re.findall(r"^driftline ([a-z]+)", commands_in(text), re.MULTILINE)) <= set(COMMANDS)
    for target in re.findall(r"\]\(([^)#\s]+)", text):
        assert "://" in target or (RUNBOOKS / target).exists(), target
