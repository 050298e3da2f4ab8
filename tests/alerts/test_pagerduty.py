"""What PagerDuty gets: events of the published form, an incident a change, never too large, the key never shown."""

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from alerts.base import Notification, Permanent, Retryable
from alerts.compose import compose
from alerts.explain import Wording
from alerts.notifiers.pagerduty import PagerDuty, dedup_key
from tests.alerts.conftest import EXAMPLE
from tests.alerts.told import SENT_NS, any_notification, examples, golden, schema

KEY = "K3yK3yK3yK3yK3yK3yK3yK3yK3yK3yK3"
LARGEST_EVENT = 512_000


def sender(**options: object) -> PagerDuty:
    return PagerDuty(routing_key=SecretStr(KEY), **options)


def test_pagerduty_gets_the_golden_events(server) -> None:
    sender(url=server.url).notify(examples())

    assert {path for _, path, _, _ in server.requests} == {"/v2/enqueue"}
    golden("pagerduty.json", [orjson.loads(body) for *_, body in server.requests])


def test_a_change_is_one_incident_from_beginning_to_end() -> None:
    events = [sender().event(notification) for notification in examples()]

    assert [event["event_action"] for event in events] == ["trigger", "trigger", "resolve"]
    assert {event["dedup_key"] for event in events} == {"7f3a9c51"}


@given(any_notification())
@settings(max_examples=100, deadline=None)
def test_the_form_and_every_limit_hold_whatever_slices_say(notification: Notification) -> None:
    body = orjson.dumps({"routing_key": KEY, **sender().event(notification)})

    assert len(body) <= LARGEST_EVENT
    schema("pagerduty.json").validate(orjson.loads(body))


def test_a_misspelt_event_would_be_found() -> None:
    wrong = orjson.loads(orjson.dumps({"routing_key": KEY, **sender().event(examples()[0])}))
    wrong["payload"]["severty"] = wrong["payload"].pop("severity")
    assert not schema("pagerduty.json").is_valid(wrong)


@pytest.mark.parametrize(
    ("label", "severity"),
    [
        ("page", "critical"),
        ("CRITICAL", "critical"),
        ("high", "error"),
        ("ticket", "warning"),
        ("info", "info"),
        ("sev3", "info"),
        ("Page", "critical"),
        ("no such word", "error"),
    ],
)
def test_the_label_severity_decides_pagerdutys(label: str, severity: str) -> None:
    notification = compose(EXAMPLE, Wording(labels={"severity": label}), SENT_NS, "firing")

    assert sender(severities={"sev3": "info"}).event(notification)["payload"]["severity"] == severity


def test_an_own_severity_beats_the_usual_one_and_must_be_one_of_pagerdutys() -> None:
    assert sender(severities={"page": "warning"}).severity("page") == "warning"
    with pytest.raises(ValidationError, match="'critical', 'error', 'warning' or 'info'"):
        sender(severities={"page": "urgent"})


@given(st.text(max_size=600))
def test_a_key_is_never_one_that_pagerduty_refuses_and_two_changes_never_share_one(fingerprint: str) -> None:
    key = dedup_key(fingerprint)

    assert 0 < len(key) <= 255 and key.isascii() and key.isprintable()
    assert key != dedup_key(fingerprint + "x")


@pytest.mark.parametrize(
    ("status", "error", "reason"),
    [
        (202, None, ""),
        (400, Permanent, "client_error"),
        (429, Retryable, "rate_limited"),
        (500, Retryable, "server_error"),
        (503, Retryable, "server_error"),
    ],
)
def test_pagerdutys_answers_mean_what_its_documentation_says(
    status: int, error: type | None, reason: str, server
) -> None:
    server.status, server.answer = status, b'{"status":"x","message":"y"}'
    if error is None:
        sender(url=server.url).notify(examples()[:1])
        return
    with pytest.raises(error) as caught:
        sender(url=server.url).notify(examples()[:1])
    assert caught.value.reason == reason


def test_the_key_is_sent_but_never_shown(server) -> None:
    server.status, server.answer = 400, f'{{"errors": ["no integration has the key {KEY}"]}}'.encode()
    with pytest.raises(Permanent) as caught:
        sender(url=server.url).notify(examples()[:1])

    assert KEY.encode() in server.requests[0][3]
    assert KEY not in str(caught.value) + repr(sender()) + sender().model_dump_json()
    assert "no integration has the key ***" in str(caught.value)
