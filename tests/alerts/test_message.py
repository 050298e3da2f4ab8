"""What all messages to people have in common: order, bounds, and links that services take."""

from collections.abc import Callable
from dataclasses import replace
from html import escape as html

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.base import Notification
from alerts.compose import compose
from alerts.explain import Wording
from alerts.message import LONGEST_ADDRESS, MOST_FACTS, cut, headline, is_address, message, units
from alerts.notifiers import slack, teams
from tests.alerts.conftest import EXAMPLE
from tests.alerts.told import SENT_NS, any_notification, examples


def test_a_message_tells_the_story_in_the_order_of_need() -> None:
    said = message(examples()[0])

    assert said.summary.startswith("Pass rate of groundedness fell")
    assert [text.split()[0] for text in said.paragraphs] == [
        *("The", "Carried", "The", "Changed", "Found", "What", "The", "To")
    ]
    assert [link.text for link in said.links][:3] == ["Change", "Runbook", "Trace 4bf92f35"]
    assert dict(said.facts)["service"] == "shop"
    assert "alertname" not in dict(said.facts)
    assert [message(one).state for one in examples()] == ["firing", "reminder", "resolved"]


def test_where_it_is_not_known_where_traces_are_shown_their_ids_are_told() -> None:
    said = message(compose(EXAMPLE, Wording(), SENT_NS, "firing"))

    assert said.links == []
    assert said.paragraphs[-2].startswith("Traces to open: 4bf92f3577b34da6a3ce929d0e0e4736 ")


@given(any_notification())
@settings(max_examples=60, deadline=None)
def test_every_text_of_a_message_is_one_bounded_line_that_can_be_sent(notification: Notification) -> None:
    said = message(notification)
    names = [text for fact in said.facts for text in fact]

    for text in [said.summary, *said.paragraphs, *names, *said.notes, *(link.text for link in said.links)]:
        assert text.isprintable()
        assert len(text) <= 2000
        text.encode()
    assert len(said.facts) <= MOST_FACTS
    assert all(is_address(link.url) for link in said.links)
    assert len(said.links) <= 8


def test_several_are_counted_by_state() -> None:
    assert headline(examples() + examples()[:1]) == "4 changes: 2 firing, 1 still firing, 1 resolved"


@pytest.mark.parametrize(
    "text",
    [
        *("", "x", "ftp://a/b", "javascript:alert(1)", "data:text/html,x", "//a/b", "http://", "http:///x"),
        *(
            "https://a/b c",
            "https://a/<b>",
            'https://a/"',
            "https://a/|x",
            "https://a/\n",
            "https://ä/",
            "https://[::1",
        ),
        "https://a/" + "x" * LONGEST_ADDRESS,
    ],
)
def test_what_a_service_would_refuse_or_a_browser_run_is_no_link(text: str) -> None:
    assert not is_address(text)
    notification = compose(EXAMPLE, Wording(runbook_url=text), SENT_NS, "firing")
    assert "Runbook" not in [link.text for link in message(notification).links]


@pytest.mark.parametrize("escape", [str, html, slack.escape, teams.escape])
@given(text=st.text(alphabet="ab<>&*\U0001f600é\"'", max_size=30), most=st.integers(1, 40))
def test_a_text_is_cut_to_fit_once_escaped_and_never_within_an_escape(
    escape: Callable[[str], str], text: str, most: int
) -> None:
    found = cut(text, most, escape)

    assert units(found) <= most
    if units(escape(text)) <= most:
        assert found == escape(text)
    else:
        assert found.endswith("…")
        assert any(found[:-1] == escape(text[:kept]) for kept in range(len(text)))


def test_what_is_counted_are_utf_16_code_units() -> None:
    assert units("aé\U0001f600") == len("aé\U0001f600".encode("utf-16-le")) // 2


def test_a_note_of_the_limit_stands_before_the_id() -> None:
    (example, *_) = examples()
    noted = replace(example, annotations={**example.annotations, "rate_limit": "The limit is reached."})
    assert message(noted).notes == ["The limit is reached.", "Change 7f3a9c51"]
