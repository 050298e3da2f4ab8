"""The configuration of Alertmanager that is deployed, in a real one: who is told, and in how many messages."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.real.parts.alertmanager import Alertmanager, amtool
from tests.real.parts.webhook import Webhook

CONFIG = Path(__file__).parents[2] / "deploy" / "alertmanager" / "alertmanager.yml"


@pytest.fixture
def deployed(alertmanager_factory: Callable[..., Alertmanager], webhook_receiver: Webhook) -> Alertmanager:
    """As deployed, but for the address of the receiver and the times it gathers alerts for."""
    document = yaml.safe_load(CONFIG.read_text())
    document["route"].update(group_wait="1s", group_interval="1s")
    (on_call,) = [one for one in document["receivers"] if one["name"] == "on-call"]
    on_call["webhook_configs"][0]["url"] = webhook_receiver.url
    return alertmanager_factory(webhook_receiver.url, document=document)


def alert(name: str, over: bool = False, **labels: str) -> dict[str, Any]:
    """As of now: an alert that is older than the time to gather for is told at once, and alone."""
    now = datetime.now(UTC)
    began, ends = (now - timedelta(seconds=1), {"endsAt": now.isoformat()}) if over else (now, {})
    return {"labels": {"alertname": name, **labels}, "startsAt": began.isoformat(), **ends}


def change(service: str, monitor: str = "groundedness", over: bool = False) -> dict[str, Any]:
    return alert("DriftlineChange", over, service=service, monitor=monitor)


def told(hook: Webhook) -> list[tuple[str, set[str]]]:
    """Each message: its status, and the services that its alerts are of."""
    messages = [received.json() for received in hook.received]
    return [(one["status"], {each["labels"].get("service", "") for each in one["alerts"]}) for one in messages]


def test_amtool_finds_nothing_wrong_with_it() -> None:
    checked = amtool("check-config", CONFIG)
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize(("service", "receiver"), [("shop", "on-call"), ("playground", "nobody")])
def test_changes_of_the_playground_wake_nobody(service: str, receiver: str) -> None:
    labels = ("alertname=DriftlineChange", f"service={service}", "monitor=groundedness")
    routed = amtool("config", "routes", "test", f"--config.file={CONFIG}", *labels)
    assert (routed.returncode, routed.stdout.strip()) == (0, receiver)


def test_what_one_monitor_finds_is_one_message_and_so_is_its_end(
    deployed: Alertmanager, webhook_receiver: Webhook
) -> None:
    deployed.post([change("shop"), change("search"), change("playground")]).raise_for_status()
    webhook_receiver.wait_for(1)
    assert told(webhook_receiver) == [("firing", {"shop", "search"})]

    deployed.post([change("shop", over=True), change("search", over=True)]).raise_for_status()
    webhook_receiver.wait_for(2)
    assert told(webhook_receiver)[1:] == [("resolved", {"shop", "search"})]


def test_a_service_that_is_down_keeps_its_changes_from_being_told(
    deployed: Alertmanager, webhook_receiver: Webhook
) -> None:
    deployed.post([alert("DriftlineDown", instance="a")]).raise_for_status()
    webhook_receiver.wait_for(1)
    deployed.post([change("shop")]).raise_for_status()
    deployed.wait_for_alerts(
        lambda found: (
            {one["labels"]["alertname"]: one["status"]["state"] for one in found}
            == {"DriftlineDown": "active", "DriftlineChange": "suppressed"}
        )
    )
    # told as long after as the change would have been, had it not been kept back: so that one was
    deployed.post([alert("DriftlineBehind", service="driftline")]).raise_for_status()
    webhook_receiver.wait_for(2)
    assert told(webhook_receiver) == [("firing", {""}), ("firing", {"driftline"})]
