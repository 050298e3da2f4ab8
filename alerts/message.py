"""A notification as a message to people, before it takes the form of a service: what comes first, what follows, links.

Shared by the notifiers that lay out messages themselves. Each must still escape the text for its own format: names of
slices come from traffic and may hold anything that prints.
"""

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, TypeAlias

import httpx

from alerts.base import Notification
from alerts.plain import clean

State: TypeAlias = Literal["firing", "reminder", "resolved"]

TITLES: dict[State, str] = {"firing": "Firing", "reminder": "Still firing", "resolved": "Resolved"}
MARKS: dict[State, str] = {"firing": "\U0001f534", "reminder": "\U0001f7e0", "resolved": "\U0001f7e2"}
"""A circle in red, orange or green: colour is never the only sign, the title says it too."""

LONGEST_ADDRESS = 600  # characters; what is longer is not linked
MOST_FACTS = 10
_NAME_RUNES, _VALUE_RUNES, _TEXT_RUNES = 60, 200, 2000
_PARTS = ("size", "carriers", "moved", "new", "found_with", "first", "confidence")
_NO_FACTS = ("alertname", "direction", "statistic")  # the summary says them in words
_ID_DIGITS = 8  # of a trace id: enough to tell three apart


class Link(NamedTuple):
    """An http(s) address, and what to call it; the name is ours and needs no escaping."""

    text: str
    url: str


class Message(NamedTuple):
    """Every text is one line of valid Unicode and bounded; none is escaped.

    Attributes:
        state: what it tells.
        summary: the whole story in a sentence.
        paragraphs: sentences, the most important first.
        facts: names and values, such as the slice.
        links: where to look.
        notes: small print.
    """

    state: State
    summary: str
    paragraphs: Sequence[str]
    facts: Sequence[tuple[str, str]]
    links: Sequence[Link]
    notes: Sequence[str]


def message(notification: Notification) -> Message:
    """What a notification says, in the order in which somebody who was woken wants it."""
    said = notification.annotations
    facts = [("began", f"about {said['onset']}")] if "onset" in said else []
    facts += [(name, value) for name, value in notification.labels.items() if name not in _NO_FACTS]
    links = _links(notification)
    linked = any(link.text.startswith("Trace") for link in links)
    unlinked = [f"Traces to open: {said['traces']}"] if said.get("traces") and not linked else []
    quiet = [f"To silence it in Alertmanager: {said['silence']}"] if said.get("silence") else []
    notes = [*([said["rate_limit"]] if "rate_limit" in said else []), f"Change {notification.fingerprint}"]
    return Message(
        state=state(notification),
        summary=clean(said["summary"], _TEXT_RUNES),
        paragraphs=[clean(said[part], _TEXT_RUNES) for part in _PARTS if said.get(part)]
        + [clean(text, _TEXT_RUNES) for text in (*unlinked, *quiet)],
        facts=[(clean(name, _NAME_RUNES), clean(value, _VALUE_RUNES)) for name, value in facts[:MOST_FACTS]],
        links=links,
        notes=[clean(note, _VALUE_RUNES) for note in notes],
    )


def state(notification: Notification) -> State:
    """Whether something began, still lasts, or is over."""
    if notification.status == "resolved":
        return "resolved"
    return "reminder" if notification.reminder else "firing"


def headline(notifications: Sequence[Notification]) -> str:
    """What several notifications have in common, in numbers.

    >>> headline([])
    '0 changes'
    """
    found = [state(notification) for notification in notifications]
    counts = [f"{found.count(one)} {TITLES[one].lower()}" for one in TITLES if one in found]
    return ": ".join([f"{len(found)} changes", *([", ".join(counts)] if counts else [])])


def is_address(text: str) -> bool:
    """Whether services will take this as a link; they refuse the whole message over a bad one.

    >>> is_address("https://traces.example/trace/4bf9"), is_address("javascript:alert(1)"), is_address("runbook 7")
    (True, False, False)
    """
    if len(text) > LONGEST_ADDRESS or not text.isascii() or not text.isprintable() or set(text) & set(' <>"|\\^`{}'):
        return False
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        return False
    return url.scheme in ("http", "https") and bool(url.host)


def cut(text: str, most: int, escape: Callable[[str], str] = str) -> str:
    """The text, escaped, in at most so many UTF-16 code units (how most services count), `…` at its end if cut.

    Whole characters are escaped and counted, so that nothing is cut within an escape.

    >>> cut("a<b", 6, lambda text: text.replace("<", "&lt;")), cut("a<b", 5, lambda text: text.replace("<", "&lt;"))
    ('a&lt;b', 'a…')
    """
    pieces = [escape(character) for character in text[: most + 1]]
    sizes = [units(piece) for piece in pieces]
    if sum(sizes) <= most:
        return "".join(pieces)
    kept, used = 0, 1
    while used + sizes[kept] <= most:
        used += sizes[kept]
        kept += 1
    return "".join(pieces[:kept]) + "…"


def units(text: str) -> int:
    """The length in UTF-16 code units."""
    return len(text) + sum(character > "\uffff" for character in text)


def _links(notification: Notification) -> list[Link]:
    said = notification.annotations
    found = [Link("Change", said.get("change_url", "")), Link("Runbook", said.get("runbook_url", ""))]
    for name, part, ids in (
        ("Trace", "traces", notification.change.traces),
        ("Before", "contrast_traces", notification.change.contrast_traces),
    ):
        addresses = said.get(part, "").split(" ")
        found += [
            Link(f"{name} {_short(trace_id)}", address) for trace_id, address in zip(ids, addresses, strict=False)
        ]
    return [link for link in found if is_address(link.url)]


def _short(trace_id: str) -> str:
    """The beginning of a trace id; what is none is not shown."""
    found = trace_id[:_ID_DIGITS]
    return found if found.isascii() and found.isalnum() else ""
