"""Whoever is told is told everything that a page must say, however long the names are."""

from collections.abc import Callable
from dataclasses import replace
from email.headerregistry import Address

import orjson
import pytest

from alerts.base import Notification
from alerts.compose import compose
from alerts.letter import letter
from alerts.notifiers import slack, teams, webhook
from alerts.notifiers.alertmanager import Alertmanager
from alerts.notifiers.pagerduty import PagerDuty
from alerts.silence import silence
from drift.base import Carrier, Change, Coincidence
from tests.alerts.conftest import EXAMPLE
from tests.alerts.told import SENT_NS, WORDING, hostile

QUESTIONS = {
    "what": "fell from 94.8% to 81.6%",
    "since when": "2026-03-01 14:00 UTC",
    "by how much": "(95% interval 10.1 to 16.3)",
    "who carries it": "(86% of the change",
    "what moved": "The application itself moved",
    "what changed then": "first seen 2026-03-01 13:59 UTC",
    "what to do first": "What to do first",
    "how sure": "The evidence is 2.1 times what a page needs",
    "how to silence it": "amtool silence add",
    "a first trace": "https://traces.example/4bf92f3577b34da6a3ce929d0e0e4736",
    "a second": "https://traces.example/0af7651916cd43dd8448eb211c80319c",
    "a third": "https://traces.example/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "the runbook": "https://runbook.example",
}


def long_names() -> Change:
    """All names as long as they are ever told."""
    name = "n" * 300
    return replace(
        EXAMPLE,
        slice={"service": name, "version": name},
        carriers=[Carrier(name, name, 0.86, None, 0.62, True, 0.1, 0.76, 0.4)] * 4,
        coincidences=[Coincidence("tool_schema", name, "new", 0.0, 0.4, one.at_ns) for one in EXAMPLE.coincidences[:1]]
        * 8,
    )


def said_by_mail(notification: Notification) -> str:
    made = letter(notification, Address("", "a", "b.example"), [Address("", "c", "d.example")])
    return str(made.get_body(("plain",)).get_content())


TELLERS: dict[str, Callable[[Notification], str]] = {
    "alertmanager": lambda one: orjson.dumps(Alertmanager(url="http://127.0.0.1").alert(one)).decode(),
    "pagerduty": lambda one: orjson.dumps(PagerDuty(routing_key={"env": "PATH"}).event(one)).decode(),
    "slack": lambda one: orjson.dumps(slack.body([one])).decode().replace("\\n", " "),
    "teams": lambda one: orjson.dumps(teams.body([one])).decode(),
    "webhook": lambda one: orjson.dumps(webhook.payload([one])).decode(),
    "e-mail": said_by_mail,
}


@pytest.mark.parametrize("teller", TELLERS)
@pytest.mark.parametrize("change", [EXAMPLE, long_names()], ids=["usual", "long"])
def test_each_notifier_answers_every_question_of_a_page(teller: str, change: Change) -> None:
    said = TELLERS[teller](compose(change, WORDING, SENT_NS, "firing"))
    assert [question for question, answer in QUESTIONS.items() if answer not in said] == []


def test_what_to_paste_holds_nothing_that_a_shell_or_alertmanager_could_take_for_more() -> None:
    command = hostile().annotations["silence"]
    assert command.startswith("amtool silence add alertname=DriftlineChange monitor=quality ")
    assert "wider than this alert: 2 labels left out" in command
    assert not set(command.replace("'who, and why'", "").replace("(wider", "").replace("out)", "")) & set(
        "$`;&|<>(){}'\"\\"
    )
    assert silence({"alertname": "A", "x": "a\nb", "$(reboot)": "v"}).count("=") == 2 + 1


def test_what_is_over_needs_no_silence() -> None:
    over = replace(EXAMPLE, status="resolved", resolved_ns=SENT_NS - 10**9, reason="recovered")
    assert "silence" not in compose(over, WORDING, SENT_NS, "resolved").annotations
