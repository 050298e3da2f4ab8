"""A notification as an e-mail: plain text, the same as simple HTML, and headers that keep a change in one thread.

Source: RFC 5322 sections 3.6.4 (identification fields) and 3.6.5; RFC 3834 section 5 (`Auto-Submitted`). Mail programs
thread by `References`, some only where the subject is the same too (workspaceupdates.googleblog.com, March 2019): so
every letter of a change has the same subject and refers to the same message id, which no letter has itself.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from email.headerregistry import Address, HeaderRegistry, MessageIDHeader
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from hashlib import blake2b
from html import escape

from alerts.base import Notification
from alerts.message import MARKS, TITLES, Message, message
from alerts.plain import clean

_REGISTRY = HeaderRegistry()  # by itself it takes these two for plain words, and would encode a long id to fold it
for _name in ("references", "in-reply-to"):
    _REGISTRY.map_to_type(_name, MessageIDHeader)  # type: ignore[arg-type]  # takes such classes, as the library's own
_POLICY = SMTP.clone(header_factory=_REGISTRY)
_SUBJECT_RUNES = 150
_PLAIN_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_LATEST_SECONDS = 253_402_300_799  # 9999-12-31, the last second that a date can say
_COLOURS = {"firing": "#c62828", "reminder": "#b26a00", "resolved": "#2e7d32"}


def letter(notification: Notification, sender: Address, to: Sequence[Address]) -> EmailMessage:
    """The whole letter. No text of a notification can become a header of its own: there is no line break in any."""
    said = message(notification)
    made = EmailMessage(policy=_POLICY)
    made["From"] = sender
    made["To"] = tuple(to)
    made["Subject"] = subject(notification)
    made["Date"] = format_datetime(
        datetime.fromtimestamp(min(max(notification.sent_at_ns // 10**9, 0), _LATEST_SECONDS), UTC)
    )
    made["Message-ID"] = message_id(notification, sender.domain)
    made["References"] = thread_id(notification, sender.domain)
    if said.state != "firing":
        made["In-Reply-To"] = thread_id(notification, sender.domain)
    made["Auto-Submitted"] = "auto-generated"
    made.set_content(_plain(said), cte="quoted-printable")
    made.add_alternative(_html(said), subtype="html", cte="quoted-printable")
    return made


def subject(notification: Notification) -> str:
    """What it is about, equal for all letters of a change; what has become of it is the first line."""
    labels = notification.labels
    moved = {"down": "fell", "up": "rose"}.get(labels.get("direction", ""), "moved")
    service = f" in {labels['service']}" if labels.get("service") else ""
    test = "Test: " if labels.get("test") == "true" else ""
    text = clean(f"[Driftline] {test}{labels.get('metric', 'a metric')} {moved}{service}", _SUBJECT_RUNES)
    return text.replace("=?", "= ?")  # no encoded word (RFC 2047) but our own: one could hold a line break


def thread_id(notification: Notification, domain: str) -> str:
    """The message id that stands for the change."""
    return f"<{_word(notification.fingerprint)}@{domain}>"


def message_id(notification: Notification, domain: str) -> str:
    """The same for the same step of a change, so that mail programs drop one that comes twice."""
    kind = f"{notification.status}.{notification.sequence}"
    if notification.reminder:  # may tell no newer numbers than the one before, and is still another letter
        kind = f"reminder.{notification.sequence}.{notification.sent_at_ns // 10**9}"
    return f"<{_word(notification.fingerprint)}.{kind}@{domain}>"


def _word(fingerprint: str) -> str:
    """A fingerprint as the left side of a message id; its hash if it is no plain word."""
    if _PLAIN_ID.fullmatch(fingerprint) and not fingerprint.startswith(".") and ".." not in fingerprint:
        return f"driftline-{fingerprint.rstrip('.')}"
    return f"driftline-{blake2b(fingerprint.encode('utf-8', 'replace'), digest_size=10).hexdigest()}"


def _plain(said: Message) -> str:
    parts = [
        f"{TITLES[said.state]}: {said.summary}",
        *said.paragraphs,
        "\n".join(f"{name}: {value}" for name, value in said.facts),
        "\n".join(f"{link.text}: {link.url}" for link in said.links),
        "\n".join(said.notes),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _html(said: Message) -> str:
    """Simple enough for every mail program: no pictures, no style sheet, nothing fetched."""
    title = f'<h2 style="color:{_COLOURS[said.state]}">{MARKS[said.state]} {TITLES[said.state]}</h2>'
    rows = "".join(f"<tr><td>{escape(name)}</td><td>{escape(value)}</td></tr>" for name, value in said.facts)
    links = " · ".join(f'<a href="{escape(link.url)}">{escape(link.text)}</a>' for link in said.links)
    parts = [
        title,
        f"<p><b>{escape(said.summary)}</b></p>",
        *(f"<p>{escape(text)}</p>" for text in said.paragraphs),
        f'<table cellpadding="4">{rows}</table>' if rows else "",
        f"<p>{links}</p>" if links else "",
        f"<p><small>{'<br>'.join(escape(note) for note in said.notes)}</small></p>",
    ]
    body = "\n".join(part for part in parts if part)
    return f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"></head><body>\n{body}\n</body></html>\n'
