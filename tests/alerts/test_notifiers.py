"""The bodies that leave: held as golden files, against the published schema, and over a real socket."""

import hashlib
import hmac
import json
import logging
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import jsonschema_rs
import orjson
import pytest
from pydantic import ValidationError

from alerts.base import Notification, Notifier
from alerts.compose import compose, labels
from alerts.config import AlertsConfig, PluginConfig, build_notifiers
from alerts.explain import Wording
from alerts.notifiers.alertmanager import Alertmanager
from alerts.notifiers.log import Log
from alerts.notifiers.webhook import Webhook, payload, schema
from collector.core.errors import UserError
from drift.base import Carrier, Change, Estimate

GOLDEN = Path(__file__).parent / "golden"
SENT_NS = 1_772_376_000_250_000_000
WORDING = Wording(
    "https://traces.example/{trace_id}", "https://driftline.example/changes/{change_id}", "https://runbook.example"
)


def examples(make_change: Callable[..., Change]) -> list[Notification]:
    over = make_change(status="resolved", sequence=4, resolved_ns=SENT_NS - 10**9, reason="recovered")
    return [
        compose(make_change(), WORDING, SENT_NS, "firing"),
        compose(make_change(sequence=3), WORDING, SENT_NS, "firing", reminder=True),
        compose(over, WORDING, SENT_NS, "resolved"),
    ]


def pretty(value: object) -> str:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode() + "\n"


def test_alertmanager_receives_the_golden_body(server, make_change: Callable[..., Change]) -> None:
    Alertmanager(url=server.url + "/").notify(examples(make_change))

    _, path, headers, body = server.requests[0]
    assert path == "/api/v2/alerts"
    assert headers["Content-Type"] == "application/json"
    assert pretty(orjson.loads(body)) == (GOLDEN / "alertmanager.json").read_text()


def test_webhook_receives_the_golden_body(server, make_change: Callable[..., Change]) -> None:
    Webhook(url=server.url + "/hook?team=a").notify(examples(make_change))

    _, path, headers, body = server.requests[0]
    assert path == "/hook?team=a"
    assert "Driftline-Signature" not in headers
    assert pretty(orjson.loads(body)) == (GOLDEN / "webhook.json").read_text()


def test_the_webhook_body_follows_its_schema(make_change: Callable[..., Change]) -> None:
    validator = jsonschema_rs.validator_for(schema())
    validator.validate(orjson.loads(orjson.dumps(payload(examples(make_change)))))

    broken = orjson.loads(orjson.dumps(payload(examples(make_change))))
    del broken["notifications"][0]["change"]["size"]
    assert not validator.is_valid(broken)


def test_the_webhook_body_has_what_is_known_of_a_change(
    make_change: Callable[..., Change],
) -> None:
    """What is left out is told of the notification, but for the share of clipped points, which is in its words."""
    told = payload(examples(make_change)[:1])["notifications"][0]["change"]
    elsewhere = {"id", "sequence", "status", "resolved_ns", "paged", "clipped"}
    times = {"detected_ns": "detected_at", "onset_ns": "onset_at"}
    assert told["onset_between"] == ["2026-03-01T13:53:00.000Z", "2026-03-01T14:04:00.000Z"]
    expected = {field.name for field in fields(Change)} - elsewhere - {"onset_low_ns", "onset_high_ns"}
    assert told.keys() == {times.get(name, name) for name in expected} | {"onset_between"}


def test_numbers_and_text_that_json_cannot_hold_still_give_a_valid_body(make_change: Callable[..., Change]) -> None:
    bad = float("nan")
    change = make_change(
        size=Estimate(bad, bad, float("inf"), bad),
        slice={"service\ud800": "\ud800"},
        carriers=[Carrier("a\ud800", "b\udfff", bad, None, None, True)],
        traces=["\ud800"],
        detected_ns=2**80,
    )
    notifications = [compose(change, WORDING, SENT_NS, "firing")]

    jsonschema_rs.validator_for(schema()).validate(orjson.loads(orjson.dumps(payload(notifications))))
    orjson.dumps([Alertmanager(url="http://127.0.0.1").alert(n) for n in notifications])


def test_a_receiver_can_check_the_signature(
    server, make_change: Callable[..., Change], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK_SECRET", "geheim")
    Webhook(url=server.url, secret={"env": "HOOK_SECRET"}).notify(examples(make_change))

    _, _, headers, body = server.requests[0]
    at, code = (part.partition("=")[2] for part in headers["Driftline-Signature"].split(","))
    assert at == str(SENT_NS // 10**9)
    assert hmac.compare_digest(hmac.new(b"geheim", f"{at}.".encode() + body, hashlib.sha256).hexdigest(), code)


def test_a_firing_alert_ends_by_itself_and_a_resolved_one_has_ended(make_change: Callable[..., Change]) -> None:
    sender = Alertmanager(url="http://127.0.0.1:9093", resend="1m", resolve_timeout="5m")
    firing, _, resolved = (sender.alert(notification) for notification in examples(make_change))

    assert (firing["startsAt"], firing["endsAt"]) == ("2026-03-01T14:16:00.000Z", "2026-03-01T14:45:00.250Z")
    assert resolved["endsAt"] == "2026-03-01T14:39:59.250Z"
    assert firing["labels"] == resolved["labels"]


def test_times_stay_in_order_when_event_time_runs_ahead_of_the_clock(make_change: Callable[..., Change]) -> None:
    change = make_change(detected_ns=SENT_NS + 10**12, resolved_ns=SENT_NS + 10**13, status="resolved")
    notification = compose(change, WORDING, SENT_NS, "resolved")

    assert notification.starts_at_ns == notification.ends_at_ns == SENT_NS


def test_an_alert_that_one_lost_resend_would_resolve_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"resolve_timeout is 60s; it must be at least twice resend \(60s\)"):
        Alertmanager(url="http://127.0.0.1:9093", resolve_timeout="1m")
    assert Alertmanager(url="http://127.0.0.1:9093", resolve_timeout="2m").resolve_timeout == 120


def test_slice_names_never_hide_our_labels_and_are_always_label_names(make_change: Callable[..., Change]) -> None:
    change = make_change(slice={"monitor": "m", "gen_ai.model": "x", "1st": "y", "__name__": "z", "": "e", "gone": ""})

    assert labels(change, {"team": "ml", "severity": "critical"}) == {
        "alertname": "DriftlineChange",
        "monitor": "quality",
        "metric": "groundedness",
        "statistic": "pass_rate",
        "direction": "down",
        "severity": "critical",
        "team": "ml",
        "slice_monitor": "m",
        "gen_ai_model": "x",
        "slice_1st": "y",
        "slice___name__": "z",
        "slice_": "e",
    }


def test_the_log_gets_one_line_of_json_for_each(
    caplog: pytest.LogCaptureFixture, make_change: Callable[..., Change]
) -> None:
    unpaged = compose(make_change(paged=False, slice={"service": "a\nb"}), WORDING, SENT_NS, "firing")
    with caplog.at_level(logging.INFO, "driftline.alerts"):
        Log().notify([*examples(make_change), unpaged])

    lines = [json.loads(record.getMessage()) for record in caplog.records]
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO", "INFO", "INFO"]
    assert [line["event"] for line in lines] == [
        "change firing",
        "change firing (still)",
        "change resolved",
        "change firing",
    ]
    assert lines[0]["service"] == "shop"
    assert lines[0]["traces"].startswith("https://traces.example/4bf9")
    assert not any("\n" in record.getMessage() for record in caplog.records)


def test_the_configuration_makes_its_notifiers() -> None:
    config = AlertsConfig(alertmanager={"url": "http://127.0.0.1:9093"}, webhook={"url": "http://127.0.0.1/x"})
    notifiers = build_notifiers(config)

    assert [notifier.name for notifier in notifiers] == ["alertmanager", "webhook", "log"]
    assert all(isinstance(notifier, Notifier) for notifier in notifiers)
    assert [notifier.name for notifier in build_notifiers(AlertsConfig())] == ["log"]
    assert build_notifiers(AlertsConfig(log=False)) == []


def test_several_alertmanagers_are_several_notifiers() -> None:
    use = "alerts.notifiers.alertmanager:Alertmanager"
    second = {"use": use, "options": {"name": "second", "url": "http://127.0.0.1:9094"}}
    config = AlertsConfig(alertmanager={"url": "http://127.0.0.1:9093"}, plugins=[second], log=False)

    assert [notifier.name for notifier in build_notifiers(config)] == ["alertmanager", "second"]
    unnamed = {"use": use, "options": {"url": "http://127.0.0.1:9094"}}
    with pytest.raises(UserError, match="more than one notifier is named alertmanager"):
        build_notifiers(AlertsConfig(alertmanager={"url": "http://127.0.0.1:9093"}, plugins=[unnamed]))


PLUGIN = """
class Pager:
    def __init__(self, key):
        if not key:
            raise ValueError("key is empty")
        self.name = "pager"
    def notify(self, notifications):
        pass
class Mute:
    name = "mute"
class Hasty(Pager):
    rate_limit = "30 a second"
class Never(Pager):
    rate_limit = 0
class Double(Pager):
    def __init__(self):
        self.name = "log"
"""


def test_a_notifier_of_ones_own_is_loaded_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(PLUGIN)
    config = AlertsConfig(plugins=[{"use": "./mine.py:Pager", "options": {"key": "k"}}])

    assert [notifier.name for notifier in build_notifiers(config, tmp_path)] == ["log", "pager"]


@pytest.mark.parametrize(
    ("plugin", "message"),
    [
        ({"use": "./mine.py:Pager", "options": {"key": ""}}, r"alerts.plugins\[0\].options: .* key is empty"),
        ({"use": "./mine.py:Pager", "options": {"kee": ""}}, r"alerts.plugins\[0\].options: .*kee"),
        ({"use": "./mine.py:Mute"}, r"alerts.plugins\[0\].use: .* makes a Mute without `name` and `notify`"),
        ({"use": "./mine.py:Hasty", "options": {"key": "k"}}, "rate_limit that is none: '30 a second' is not a number"),
        ({"use": "./mine.py:Never", "options": {"key": "k"}}, "rate_limit that is none: 0 is not a number"),
        ({"use": "./mine.py:Double"}, "more than one notifier is named log"),
        ({"use": "./mine.py:PLUGIN_VERSION"}, "has no 'PLUGIN_VERSION'"),
        ({"use": "./mine.py:__doc__"}, "is not a class or function"),
        ({"use": "./missing.py:Pager"}, "there is no file"),
    ],
)
def test_a_plugin_that_cannot_be_used_is_named(plugin: dict, message: str, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(PLUGIN)

    with pytest.raises(UserError, match=message):
        build_notifiers(AlertsConfig(plugins=[PluginConfig(**plugin)]), tmp_path)


@pytest.mark.parametrize(
    ("use", "options"),
    [
        ("slack", {"url": "https://hooks.slack.com/services/s3cr3t"}),
        ("teams", {"url": "https://example.com/?sig=s3cr3t"}),
        ("pagerduty", {"routing_key": "s3cr3t"}),
        ("email", {"host": "h", "sender": "a@b.c", "to": ["d@e.f"], "username": "u", "password": "s3cr3t"}),
    ],
)
def test_a_secret_in_plain_text_is_refused_without_repeating_it(use: str, options: dict) -> None:
    with pytest.raises(UserError, match=r"given as {env: NAME} or {file: PATH}") as caught:
        build_notifiers(AlertsConfig(plugins=[{"use": use, "options": options}]))
    assert "s3cr3t" not in str(caught.value)


def test_people_can_be_told_in_several_places_of_one_kind(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("https://example.com/x")
    url = {"file": str(tmp_path / "secret")}
    plugins = [
        {"use": "slack", "options": {"url": url, "name": "slack-ml", "rate_limit": "5 per day"}},
        {"use": "teams", "options": {"url": url}},
        {"use": "email", "options": {"host": "h", "sender": "a@b.c", "to": ["d@e.f"]}},
        {"use": "pagerduty", "options": {"routing_key": url, "name": "night"}},
    ]
    notifiers = build_notifiers(AlertsConfig(slack={"url": url}, log=False, plugins=plugins))

    assert [notifier.name for notifier in notifiers] == ["slack", "slack-ml", "teams", "email", "night"]
    assert [notifier.rate_limit.text for notifier in notifiers] == ["30 per hour", "5 per day", *["30 per hour"] * 3]
    with pytest.raises(UserError, match="more than one notifier is named slack"):
        build_notifiers(AlertsConfig(slack={"url": url}, plugins=[{"use": "slack", "options": {"url": url}}]))


@pytest.mark.parametrize(
    ("config", "where"),
    [
        ({"alertmanager": {}}, "alertmanager.url"),
        ({"alertmanager": {"url": "http://x", "timeout": 0}}, "alertmanager.timeout"),
        ({"alertmanager": {"url": "http://x", "timeout": 5}}, "alertmanager.timeout"),
        ({"alertmanager": {"url": "http://x", "resend": "0.5s"}}, "alertmanager.resend"),
        ({"webhook": {"url": "http://x", "secret": "plain"}}, "webhook.secret"),
        ({"webhook": {"url": "http://x", "headers": {"A": "plain"}}}, "webhook.headers.A"),
        ({"repeat": "59s"}, "repeat"),
        ({"repeat": 0}, "repeat"),
        ({"trace_url": "https://traces.example/"}, "trace_url"),
        ({"trace_url": "traces/{trace_id}"}, "trace_url"),
        ({"change_url": "https://x/{trace_id}"}, "change_url"),
        ({"slak": {}}, "slak"),
    ],
)
def test_a_wrong_value_is_named_with_its_path(config: dict, where: str) -> None:
    with pytest.raises(ValidationError) as caught:
        AlertsConfig(**config)
    places = [".".join(map(str, error["loc"])) for error in caught.value.errors()]
    assert any(place.startswith(where) for place in places), places
