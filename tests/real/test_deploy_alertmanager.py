"""The configuration of Alertmanager that is deployed, in a real one: who is told, and in how many messages."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from alerts.rules.config import ObjectiveConfig
from alerts.rules.generate import alerts
from alerts.rules.model import Facts
from tests.real.parts.alertmanager import Alertmanager, amtool
from tests.real.parts.process import wait_until
from tests.real.parts.webhook import Webhook

Labels = dict[str, str]

CONFIG = Path(__file__).parents[2] / "deploy" / "alertmanager" / "alertmanager.yml"


@pytest.fixture
def deployed(alertmanager_factory: Callable[..., Alertmanager], webhook_receiver: Webhook) -> Alertmanager:
    return alertmanager_factory(webhook_receiver.url, document=shipped(webhook_receiver.url))


def shipped(url: str) -> dict[str, Any]:
    """As deployed, but for the addresses of the receivers, and the times it gathers alerts for."""
    document: dict[str, Any] = yaml.safe_load(CONFIG.read_text())
    document["route"].update(group_wait="1s", group_interval="1s")
    for receiver in document["receivers"]:
        for hook in receiver.get("webhook_configs", []):
            hook["url"] = f"{url}/{hook['url'].rpartition('/')[2]}"
    return document


def alert(name: str, over: bool = False, **labels: str) -> dict[str, Any]:
    return as_of_now({"alertname": name, **labels}, over)


def as_of_now(labels: Labels, over: bool = False) -> dict[str, Any]:
    """An alert that is older than the time to gather for would be told at once, and alone."""
    now = datetime.now(UTC)
    began, ends = (now - timedelta(seconds=1), {"endsAt": now.isoformat()}) if over else (now, {})
    return {"labels": labels, "startsAt": began.isoformat(), **ends}


def change(service: str, monitor: str = "groundedness", over: bool = False) -> dict[str, Any]:
    return alert("DriftlineChange", over, service=service, monitor=monitor)


def told(hook: Webhook) -> list[tuple[str, set[str]]]:
    """Each message: its status, and the services that its alerts are of."""
    messages = [received.json() for received in hook.received]
    return [(one["status"], {each["labels"].get("service", "") for each in one["alerts"]}) for one in messages]


def test_amtool_finds_nothing_wrong_with_it() -> None:
    checked = amtool("check-config", CONFIG)
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        (("alertname=DriftlineChange", "service=shop", "severity=page"), "on-call"),
        (("alertname=DriftlineChange", "service=playground", "severity=page"), "nobody"),
        (("alertname=DriftlineDown", "severity=page"), "on-call"),
        (("alertname=DriftlineBehind", "severity=ticket"), "tickets"),
        (("alertname=DriftlineChange", "service=shop", "severity=critical"), "on-call"),  # of `alerts.labels`
    ],
)
def test_a_page_wakes_somebody_and_a_ticket_and_the_playground_do_not(labels: tuple[str, ...], receiver: str) -> None:
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


PAIRS: list[tuple[Labels, Labels, Labels]] = [
    (
        {"alertname": "DriftlineChange", "monitor": "m", "metric": "x", "service": "shop"},
        {"alertname": "DriftlineChangeActive", "monitor": "m", "metric": "x", "slice": "service=shop"},
        {"metric": "y"},
    ),
    (
        {"alertname": "DriftlineNothingScored", "job": "a"},
        {"alertname": "DriftlineScorerSilent", "job": "a", "scorer": "x"},
        {"job": "b"},
    ),
    (
        {"alertname": "DriftlineNothingScored", "job": "a"},
        {"alertname": "DriftlineObjectiveWithoutScores", "objective": "o", "scorer": "x"},
        {"alertname": "DriftlineBudgetSpent"},
    ),
    (
        {"alertname": "DriftlineBudgetBurnFast", "job": "a", "objective": "o", "service": "shop"},
        {"alertname": "DriftlineBudgetBurnSlow", "job": "a", "objective": "o", "service": "shop"},
        {"service": "search"},
    ),
    (
        {"alertname": "DriftlineBudgetBurnFast", "job": "a", "objective": "o"},  # of all services together
        {"alertname": "DriftlineBudgetSpent", "job": "a", "objective": "o"},
        {"objective": "other"},
    ),
    (
        {"alertname": "DriftlineBacklogFull", "job": "a", "instance": "1"},
        {"alertname": "DriftlineRejecting", "job": "a", "receiver": "otlp_http", "reason": "backlog"},
        {"reason": "unauthorized"},
    ),
    (
        {"alertname": "DriftlineStoreFull", "job": "a", "instance": "1"},
        {"alertname": "DriftlineRejecting", "job": "a", "receiver": "otlp_http", "reason": "store_full"},
        {"reason": "backlog"},
    ),
    (
        {"alertname": "DriftlineStoreFailing", "job": "a", "instance": "1", "reason": "full"},
        {"alertname": "DriftlineStageStuck", "job": "a", "instance": "1", "stage": "score"},
        {"instance": "2"},
    ),
    (
        {"alertname": "DriftlineLeaderless", "job": "a", "instance": "1", "topic": "t"},
        {"alertname": "DriftlineKafkaLag", "job": "a", "instance": "1", "topic": "t"},
        {"job": "b"},
    ),
]
"""What holds back, what is held back, and the labels that make it another's."""


@pytest.mark.parametrize(
    ("cause", "held", "other"), PAIRS, ids=[f"{a['alertname']}-{b['alertname']}" for a, b, _ in PAIRS]
)
def test_what_follows_from_an_alert_is_held_back_until_that_is_over_and_what_does_not_is_told(
    deployed: Alertmanager, cause: Labels, held: Labels, other: Labels
) -> None:
    apart = {**held, **other}
    deployed.post([as_of_now(each) for each in (cause, held, apart)]).raise_for_status()

    def states() -> dict[str, str]:
        return {str(sorted(one["labels"].items())): one["status"]["state"] for one in deployed.alerts()}

    def expect(told: dict[str, str]) -> None:
        wait_until(lambda: states() == told, f"{told}, not {states()}")

    one, two, three = (str(sorted(labels.items())) for labels in (cause, held, apart))
    expect({one: "active", two: "suppressed", three: "active"})
    deployed.post([as_of_now(cause, over=True)]).raise_for_status()
    expect({two: "active", three: "active"})


def test_every_alert_that_is_named_is_one_that_there_is() -> None:
    objectives = [ObjectiveConfig(scorer="groundedness", target=0.9)]
    known = {"DriftlineChange", *(one.name for one in alerts(Facts(objectives=objectives)))}
    named = {
        name
        for rule in yaml.safe_load(CONFIG.read_text())["inhibit_rules"]
        for matcher in (*rule["source_matchers"], *rule["target_matchers"])
        for name in re.findall(r"Driftline\w+", matcher)
    }
    assert named
    assert named <= known


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
