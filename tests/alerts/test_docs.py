"""The documentation names every option, and its examples work."""

import re
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from alerts.base import Notifier
from alerts.config import AlertsConfig, build_notifiers
from alerts.events import EventsConfig
from alerts.notifiers.alertmanager import Alertmanager
from alerts.notifiers.email import Email
from alerts.notifiers.pagerduty import PagerDuty
from alerts.notifiers.slack import Slack
from alerts.notifiers.teams import Teams
from alerts.notifiers.webhook import Webhook, signature

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "alerts.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


@pytest.mark.parametrize("model", [AlertsConfig, Alertmanager, Webhook, Slack, PagerDuty, Teams, Email, EventsConfig])
def test_every_option_is_documented(model: type[BaseModel]) -> None:
    assert [name for name in model.model_fields if f"`{name}`" not in TEXT] == []


def test_the_configurations_shown_are_valid(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in re.findall(r"env: (\w+)", TEXT):
        monkeypatch.setenv(name, "https://example.com/secret")
    token = tmp_path / "token"
    token.write_text("https://example.com/token")
    shown = [yaml.safe_load(re.sub("/run/secrets/[a-z-]+", str(token), block)) for block in blocks("yaml")]

    assert len(shown) == 9
    for document in shown:
        if "./pager.py" not in str(document):
            build_notifiers(AlertsConfig(**document.get("alerts", {})))
        EventsConfig(**document.get("events", {}))


def test_the_receiver_shown_accepts_our_signature_and_no_other() -> None:
    names: dict = {}
    exec(blocks("python")[0], names)
    at = int(names["time"].time())
    header = signature("geheim", b'{"a":1}', at)

    assert names["genuine"]("geheim", header, b'{"a":1}')
    assert not names["genuine"]("geheim", header, b'{"a":2}')
    assert not names["genuine"]("other", header, b'{"a":1}')
    assert not names["genuine"]("geheim", signature("geheim", b"{}", at - 301), b"{}")


def test_the_notifier_shown_can_be_used(tmp_path: Path) -> None:
    (tmp_path / "pager.py").write_text(blocks("python")[1])
    plugins = next(yaml.safe_load(b) for b in blocks("yaml") if "./pager.py" in b)["alerts"]["plugins"]
    notifiers = build_notifiers(AlertsConfig(log=False, plugins=plugins), tmp_path)

    assert [notifier.name for notifier in notifiers] == ["pager"]
    assert isinstance(notifiers[0], Notifier)
