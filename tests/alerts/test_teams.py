"""What a Teams channel gets: one card that Teams takes, whatever is said, and text that it shows as it is."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from alerts.base import Notification, Permanent, Retryable
from alerts.notifiers.teams import CARD_BYTES, Teams, body, escape, size
from tests.alerts.told import examples, golden, groups, hostile, schema


def card(found: dict) -> dict:
    return orjson.loads(orjson.dumps(found["attachments"][0]["content"]))


def objects(found: object) -> Iterator[dict]:
    if isinstance(found, dict):
        yield found
    for value in found.values() if isinstance(found, dict) else found if isinstance(found, list) else ():
        yield from objects(value)


def test_the_channel_gets_the_golden_cards(server) -> None:
    server.status = 202  # what a workflow answers
    sender = Teams(url=SecretStr(f"{server.url}/workflows/1/triggers/manual/paths/invoke?sig=abc"))
    for notification in examples():
        sender.notify([notification])

    assert {path for _, path, _, _ in server.requests} == {"/workflows/1/triggers/manual/paths/invoke?sig=abc"}
    golden("teams.json", [orjson.loads(body) for *_, body in server.requests])


def test_several_changes_are_one_card_that_lists_them(server) -> None:
    Teams(url=SecretStr(server.url)).notify(examples())

    (request,) = server.requests
    golden("teams_several.json", orjson.loads(request[3]))


@given(groups(Teams.largest_group))
@settings(max_examples=100, deadline=None)
def test_the_form_and_the_size_hold_whatever_slices_say(group: Sequence[Notification]) -> None:
    found = body(group)
    encoded = orjson.dumps(found)

    schema("teams.json").validate(orjson.loads(encoded))
    assert len(encoded) <= CARD_BYTES
    assert len(encoded.decode().encode("utf-16-le")) <= CARD_BYTES


def test_the_usual_card_is_whole_and_far_from_the_limit() -> None:
    (notification, *_) = examples()
    found = body([notification])
    shown = " ".join(one["text"] for one in objects(card(found)) if one.get("type") == "TextRun")

    assert len(orjson.dumps(found)) < CARD_BYTES / 4
    for part in ("summary", "size", "carriers", "new", "confidence", "first"):
        assert notification.annotations[part] in shown


def test_of_a_card_that_would_be_too_large_the_last_paragraphs_are_left_out() -> None:
    (example, *_) = examples()
    parts = {name: f"{name} " + "語" * 2000 for name in ("size", "carriers", "new", "first", "confidence")}
    labels = {f"label{number:02}": "語" * 200 for number in range(12)}
    address = "https://example.com/" + "x" * 570
    links = {"change_url": address, "runbook_url": address, "traces": " ".join([address] * 3)}
    large = replace(example, annotations={**example.annotations, **parts, **links}, labels=labels)
    found = body([large])
    shown = [one["text"].split(" ")[0] for one in objects(card(found)) if one.get("type") == "TextRun"]

    assert size(found) <= CARD_BYTES
    assert "size" in shown and "confidence" not in shown
    assert "label08:" in shown


def test_what_slices_say_stands_only_where_no_markdown_is_read() -> None:
    found = card(body([hostile()]))

    assert "TextBlock" not in {one.get("type") for one in objects(found)}
    said = next(one["text"] for one in objects(found) if "<!channel>" in str(one.get("text")))
    assert said.count("[free](https://evil.example)")
    assert "[free](https" not in found["fallbackText"]
    assert all(one["url"].startswith("https://") for one in objects(found) if one.get("type") == "Action.OpenUrl")


@given(st.text(alphabet="[]()*_`<>!\\#-+.ab \U0001f600"))
def test_an_escaped_text_has_no_sign_left_that_markdown_reads(text: str) -> None:
    plain = iter(escape(text))
    for character in plain:
        if character == "\\":
            assert next(plain) in "[]()*_`<>!\\#-+."
        else:
            assert character not in "[]()*_`<>!#"


def test_a_misspelt_card_would_be_found() -> None:
    wrong = orjson.loads(orjson.dumps(body(examples()[:1])))
    wrong["attachments"][0]["content"]["body"][0]["item"] = []
    assert not schema("teams.json").is_valid(wrong)


@pytest.mark.parametrize(
    ("status", "error", "reason"),
    [
        (413, Permanent, "too_large"),
        (401, Permanent, "auth"),
        (429, Retryable, "rate_limited"),
        (502, Retryable, "server_error"),
    ],
)
def test_a_workflows_errors_are_what_they_say(status: int, error: type, reason: str, server) -> None:
    server.status = status
    with pytest.raises(error) as caught:
        Teams(url=SecretStr(server.url)).notify(examples()[:1])
    assert caught.value.reason == reason


def test_the_address_is_a_secret(server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEAMS", f"{server.url}/workflows/1?api-version=1&sig=S3cr3tS3cr3t")
    sender = Teams(url={"env": "TEAMS"})
    server.status, server.answer = 401, b"no: /workflows/1?api-version=1&sig=S3cr3tS3cr3t, or S3cr3tS3cr3t"
    with pytest.raises(Permanent) as caught:
        sender.notify(examples()[:1])

    assert "S3cr3t" not in repr(sender) + str(sender) + str(caught.value) + sender.model_dump_json()
    with pytest.raises(ValidationError, match="never as plain text"):
        Teams(url="https://example.com/?sig=x")
