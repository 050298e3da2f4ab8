"""What a Slack channel gets: within Slack's limits whatever is said, and with no markup but our own."""

import logging
import re
from collections.abc import Sequence

import orjson
import pytest
from hypothesis import given, settings
from pydantic import SecretStr, ValidationError

from alerts.base import Notification, Permanent, Retryable
from alerts.message import units
from alerts.notifiers.slack import FIELD_UNITS, HEADER_UNITS, SECTION_UNITS, Slack, body
from tests.alerts.told import examples, golden, groups, hostile, schema

MOST_BLOCKS = 50  # of a message
OUR_LINK = re.compile(r"<https?://[^<>|\s]+\|(Change|Runbook|(Trace|Before) ?[0-9a-zA-Z]*)>")


def texts(found: object) -> list[str]:
    """Every text that Slack reads as mrkdwn."""
    if isinstance(found, dict):
        own = [found["text"]] if found.get("type") == "mrkdwn" else []
        return own + [text for value in found.values() for text in texts(value)]
    return [text for value in found for text in texts(value)] if isinstance(found, list) else []


def test_the_channel_gets_the_golden_message(server) -> None:
    sender = Slack(url=SecretStr(f"{server.url}/services/T0/B0/X"))
    for notification in examples():
        sender.notify([notification])

    assert {path for _, path, _, _ in server.requests} == {"/services/T0/B0/X"}
    assert {headers["Content-Type"] for _, _, headers, _ in server.requests} == {"application/json"}
    golden("slack.json", [orjson.loads(body) for *_, body in server.requests])


def test_several_changes_are_one_message_that_lists_them(server) -> None:
    Slack(url=SecretStr(server.url)).notify(examples())

    (request,) = server.requests
    golden("slack_several.json", orjson.loads(request[3]))


@pytest.mark.parametrize("count", [1, 2, Slack.largest_group])
def test_the_body_has_the_published_form(count: int) -> None:
    schema("slack.json").validate(body((examples() * 20)[:count]))


def test_a_misspelt_body_would_be_found() -> None:
    wrong = body(examples())
    wrong["attachments"][0]["colour"] = "#000000"
    assert not schema("slack.json").is_valid(wrong)


@given(groups(Slack.largest_group))
@settings(max_examples=60, deadline=None)
def test_no_limit_is_exceeded_and_no_markup_smuggled_in_whatever_slices_say(group: Sequence[Notification]) -> None:
    found = orjson.loads(orjson.dumps(body(group)))

    schema("slack.json").validate(found)
    assert len(found["blocks"]) + sum(len(one["blocks"]) for one in found["attachments"]) <= MOST_BLOCKS
    assert units(found["blocks"][0]["text"]["text"]) <= HEADER_UNITS
    fields = [
        field["text"] for one in found["attachments"] for block in one["blocks"] for field in block.get("fields", ())
    ]
    assert all(units(text) <= FIELD_UNITS for text in fields)
    for text in [*texts(found), found["text"], *(one["fallback"] for one in found["attachments"])]:
        assert 0 < units(text) <= SECTION_UNITS
        rest = OUR_LINK.sub("", text)
        assert not set(rest) & set("<>")
        assert re.sub(r"&(amp|lt|gt);", "", rest).count("&") == 0


def test_what_slices_say_is_shown_as_it_is() -> None:
    (_, whole, *_) = texts(body([hostile()]))[0:3]
    assert "&lt;!channel&gt; &lt;@U123&gt;" in whole
    assert all(one["verbatim"] for one in _elements(body([hostile()])))


def _elements(found: object) -> list[dict]:
    if isinstance(found, dict):
        own = [found] if found.get("type") == "mrkdwn" else []
        return own + [one for value in found.values() for one in _elements(value)]
    return [one for value in found for one in _elements(value)] if isinstance(found, list) else []


def test_state_shows_in_words_and_in_colour() -> None:
    found = [body([notification]) for notification in examples()]

    assert [one["text"].split(":")[0] for one in found] == ["Firing", "Still firing", "Resolved"]
    assert len({one["attachments"][0]["color"] for one in found}) == 3


@pytest.mark.parametrize(
    ("status", "answer", "error", "reason"),
    [
        (429, b"rate_limited", Retryable, "rate_limited"),
        (500, b"rollup_error", Retryable, "server_error"),
        (400, b"invalid_blocks", Permanent, "client_error"),
        (403, b"action_prohibited", Permanent, "auth"),
        (404, b"no_service", Permanent, "client_error"),
        (410, b"channel_is_archived", Permanent, "client_error"),
    ],
)
def test_slacks_errors_mean_what_slack_says(status: int, answer: bytes, error: type, reason: str, server) -> None:
    server.status, server.answer, server.headers = status, answer, {"Retry-After": "30"}

    with pytest.raises(error, match=answer.decode()) as caught:
        Slack(url=SecretStr(server.url)).notify(examples()[:1])
    assert caught.value.reason == reason
    assert getattr(caught.value, "retry_after_seconds", 0) == (30 if error is Retryable else 0)


def test_the_address_is_a_secret(server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("SLACK", f"{server.url}/services/T0/B0/S3cr3tS3cr3t")
    sender = Slack(url={"env": "SLACK"})
    server.status, server.answer = 404, b"nothing at /services/T0/B0/S3cr3tS3cr3t, S3cr3tS3cr3t is unknown"
    with pytest.raises(Permanent) as caught:
        sender.notify(examples()[:1])

    assert "S3cr3t" not in caplog.text
    assert "S3cr3t" not in repr(sender) + str(sender) + str(caught.value) + sender.model_dump_json()
    with pytest.raises(ValidationError, match="never as plain text"):
        Slack(url="https://hooks.slack.com/services/T0/B0/X")
