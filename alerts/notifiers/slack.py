"""Messages to a Slack channel, by an incoming webhook.

Source: docs.slack.dev, "Sending messages using incoming webhooks" and the Block Kit reference: 50 blocks a message, 150
characters a header, 3000 a section, 2000 a field, 10 fields. Links are links and not buttons: Slack reports a click on
a button to the app, and one that only has a webhook would answer nothing, which Slack shows as a failure.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

import orjson
from pydantic import Field

from alerts.base import Notification
from alerts.http import NAME, HttpSettings, SecretAddress, post
from alerts.limit import Limited
from alerts.message import MARKS, TITLES, Link, Message, State, cut, headline, message, units

HEADER_UNITS, SECTION_UNITS, FIELD_UNITS = 150, 3000, 2000
_TEXT_UNITS, _NOTE_UNITS = 2900, 500
_COLOURS: dict[State, str] = {"firing": "#d92c2c", "reminder": "#e8912d", "resolved": "#2f9e58"}


class Slack(HttpSettings, Limited):
    """Posts to the channel that the webhook belongs to: a message for each change, or one that lists several.

    Config:
        alerts:
          slack: {url: {env: DRIFTLINE_SLACK_URL}}
    """

    largest_group: ClassVar[int] = 20

    url: SecretAddress = Field(description="the webhook's address, which is a secret: {env: NAME} or {file: PATH}")
    name: str = Field("slack", pattern=NAME, description="in metrics and logs, if there are several")

    def notify(self, notifications: Sequence[Notification]) -> None:
        post(self, "", orjson.dumps(body(notifications)), {})


def body(notifications: Sequence[Notification]) -> dict[str, Any]:
    """The request's body. `text` is what notifications and screen readers tell; blocks and attachments are shown."""
    messages = [message(notification) for notification in notifications]
    if len(messages) == 1:
        (only,) = messages
        title = f"{TITLES[only.state]}: {notifications[0].labels.get('metric', '')}"
        text = f"{TITLES[only.state]}: {only.summary}"
        mark, attachments = MARKS[only.state], [_attachment(only, _whole(only))]
    else:
        title = headline(notifications)
        text = f"{title}. {messages[0].summary}"  # a telephone shows no more
        mark, attachments = "", [_attachment(one, _line(one)) for one in messages]
    return {
        "text": cut(text, SECTION_UNITS, escape),
        "blocks": [{"type": "header", "text": _plain(f"{mark} {title}".strip())}],
        "attachments": attachments,
    }


def escape(text: str) -> str:
    """Text as it may stand in mrkdwn: nothing in it is a link or a mention.

    >>> escape("<!channel> & co")
    '&lt;!channel&gt; &amp; co'
    """
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _attachment(one: Message, blocks: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The part with the coloured bar; only attachments have a colour."""
    return {"color": _COLOURS[one.state], "fallback": cut(one.summary, SECTION_UNITS, escape), "blocks": blocks}


def _whole(one: Message) -> list[dict[str, Any]]:
    blocks = [_section(f"*{cut(one.summary, _TEXT_UNITS, escape)}*")]
    if one.paragraphs:
        blocks.append(_section(cut("\n".join(one.paragraphs), SECTION_UNITS, escape)))
    if one.facts:
        fields = [_mrkdwn(f"*{escape(name)}*\n{cut(value, FIELD_UNITS // 2, escape)}") for name, value in one.facts]
        blocks.append({"type": "section", "fields": fields})
    if links := _in_a_row(one.links, SECTION_UNITS):
        blocks.append(_section(links))
    notes = [_mrkdwn(cut(note, _NOTE_UNITS, escape)) for note in one.notes]
    return [*blocks, {"type": "context", "elements": notes}]


def _line(one: Message) -> list[dict[str, Any]]:
    """A change among several."""
    text = f"*{TITLES[one.state]}* {cut(one.summary, SECTION_UNITS // 2, escape)}"
    links = _in_a_row(one.links[:1], SECTION_UNITS // 3)
    limit = [cut(note, _NOTE_UNITS // 2, escape) for note in one.notes[:-1]]
    return [_section("\n".join([text, *([links] if links else []), *limit]))]


def _in_a_row(links: Sequence[Link], most: int) -> str:
    """Links side by side, as many as have room."""
    row = ""
    for link in links:
        longer = f"{row} · " if row else ""
        longer += f"<{escape(link.url)}|{escape(link.text)}>"
        if units(longer) > most:
            break
        row = longer
    return row


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": _mrkdwn(text)}


def _mrkdwn(text: str) -> dict[str, Any]:
    """`verbatim`: addresses and names of channels and people that stand in the text become no links or mentions."""
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": cut(text, HEADER_UNITS), "emoji": False}
