"""Cards in a Microsoft Teams channel or chat, by a webhook of the Workflows app.

Source: learn.microsoft.com, "Create incoming webhooks with Workflows for Microsoft Teams" (a message whose attachment
is an Adaptive Card; 28 KB at most), and adaptivecards.io/explorer, version 1.4, which Teams shows everywhere. All text
that comes from traffic stands in runs of rich text, which are shown as they are: only text blocks know Markdown.
"""

import re
from collections.abc import Sequence
from typing import Any, ClassVar

import orjson
from pydantic import Field

from alerts.base import Notification
from alerts.http import NAME, HttpSettings, SecretAddress, post
from alerts.limit import Limited
from alerts.message import MARKS, TITLES, Message, State, cut, headline, message, units

CARD_BYTES = 28_000
"""Of a whole body, however it is counted: as UTF-8, or as UTF-16, which Teams keeps messages in."""

_ACTIONS = 5  # more are hidden behind a menu, or refused
_STYLES: dict[State, str] = {"firing": "attention", "reminder": "warning", "resolved": "good"}
_SUMMARY_UNITS, _LINE_UNITS, _PARAGRAPH_UNITS, _FALLBACK_UNITS = 1000, 350, 1200, 500
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-.!<>|~&])")


class Teams(HttpSettings, Limited):
    """Posts a card for each change, or one that lists several.

    Config:
        alerts:
          teams: {url: {env: DRIFTLINE_TEAMS_URL}}
    """

    largest_group: ClassVar[int] = 10

    url: SecretAddress = Field(description="the workflow's address, which is a secret: {env: NAME} or {file: PATH}")
    name: str = Field("teams", pattern=NAME, description="in metrics and logs, if there are several")

    def notify(self, notifications: Sequence[Notification]) -> None:
        post(self, "", orjson.dumps(body(notifications)), {})


def body(notifications: Sequence[Notification]) -> dict[str, Any]:
    """The request's body. What would make it too large is left out, from the end of the last paragraphs on."""
    messages = [message(notification) for notification in notifications]
    if len(messages) > 1:
        return _message(_several(headline(notifications), messages))
    (only,) = messages
    for paragraphs in range(len(only.paragraphs), -1, -1):
        found = _message(_one(only, only.paragraphs[:paragraphs]))
        if size(found) <= CARD_BYTES:
            return found
    return _message(_one(only._replace(facts=(), notes=only.notes[-1:]), ()))


def size(found: dict[str, Any]) -> int:
    """Bytes of a body, in the longer of the two encodings."""
    encoded = orjson.dumps(found)
    return max(len(encoded), 2 * units(encoded.decode()))


def escape(text: str) -> str:
    """Text as it may stand in Markdown: each sign that could mean something is preceded by a backslash.

    >>> escape("[free](http://x) *v2*")
    '\\\\[free\\\\]\\\\(http://x\\\\) \\\\*v2\\\\*'
    """
    return _MARKDOWN.sub(r"\\\1", text)


def _message(card: dict[str, Any]) -> dict[str, Any]:
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attachment]}


def _card(fallback: str, items: Sequence[dict[str, Any]], actions: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "fallbackText": cut(fallback, _FALLBACK_UNITS, escape),
        "msteams": {"width": "Full"},
        "body": items,
        **({"actions": actions} if actions else {}),
    }


def _one(one: Message, paragraphs: Sequence[str]) -> dict[str, Any]:
    title = f"{MARKS[one.state]} {TITLES[one.state]}"
    summary = _text(_run(cut(one.summary, _SUMMARY_UNITS), weight="Bolder"))
    items = [
        _container(one.state, [_text(_run(title, weight="Bolder", size="Large")), summary]),
        *(_text(_run(cut(text, _PARAGRAPH_UNITS))) for text in paragraphs),
        *(_text(_run(f"{name}: ", weight="Bolder"), _run(value or "-")) for name, value in one.facts),
        *(_text(_run(note, isSubtle=True, size="Small")) for note in one.notes),
    ]
    actions = [{"type": "Action.OpenUrl", "title": link.text, "url": link.url} for link in one.links[:_ACTIONS]]
    return _card(f"{TITLES[one.state]}: {one.summary}", items, actions)


def _several(title: str, messages: Sequence[Message]) -> dict[str, Any]:
    items = [_text(_run(title, weight="Bolder", size="Large"))]
    for one in messages:
        runs = [_run(f"{MARKS[one.state]} {TITLES[one.state]}: ", weight="Bolder")]
        runs.append(_run(cut(one.summary, _LINE_UNITS)))
        notes = [_text(_run(note, isSubtle=True, size="Small")) for note in one.notes[:-1]]
        items.append({**_container(one.state, [_text(*runs), *notes]), **_opens(one)})
    return _card(title, items, ())


def _opens(one: Message) -> dict[str, Any]:
    """What a click on a change among several leads to."""
    page = next((link.url for link in one.links), None)
    return {} if page is None else {"selectAction": {"type": "Action.OpenUrl", "url": page}}


def _container(state: State, items: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {"type": "Container", "style": _STYLES[state], "items": items}


def _text(*runs: dict[str, Any]) -> dict[str, Any]:
    return {"type": "RichTextBlock", "inlines": runs}


def _run(text: str, **look: object) -> dict[str, Any]:
    return {"type": "TextRun", "text": text, **look}
