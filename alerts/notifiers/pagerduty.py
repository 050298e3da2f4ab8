"""Incidents in PagerDuty, opened and resolved by its Events API v2.

Source: PagerDuty/api-schema, reference/events-v2/openapiv3.json; developer.pagerduty.com, "PD-CEF" and "Send an alert
event". The deduplication key is the change's fingerprint: a reminder joins the incident that is open, the end resolves
it. An event has at most 512 KB, a summary 1,024 characters, a key 255.
"""

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any, ClassVar, Literal, TypeAlias

import orjson
from pydantic import Field

from alerts.base import Notification, rfc3339
from alerts.http import NAME, Address, HttpSettings, post
from alerts.limit import Limited
from alerts.message import Message, cut, message
from alerts.plain import clean
from collector.core.settings import Secret

SUMMARY_UNITS, KEY_CHARACTERS = 1024, 255
Severity: TypeAlias = Literal["critical", "error", "warning", "info"]

_SEVERITIES: dict[str, Severity] = {
    **dict.fromkeys(("page", "critical", "emergency"), "critical"),
    **dict.fromkeys(("error", "high", "major"), "error"),
    **dict.fromkeys(("warning", "warn", "ticket", "minor"), "warning"),
    **dict.fromkeys(("info", "low", "none"), "info"),
}
_DETAILS = (
    *("onset", "size", "carriers", "moved", "new", "found_with", "first", "confidence", "silence"),
    *("traces", "typical_traces", "contrast_traces", "rate_limit"),
)
_ANY_OTHER: Severity = "error"
_DETAIL_UNITS = 4000  # times a dozen details, at four bytes each: well below 512 KB
_SOURCE_RUNES = 256


class PagerDuty(HttpSettings, Limited):
    """Triggers and resolves an incident for each change.

    Config:
        alerts:
          pagerduty: {routing_key: {env: DRIFTLINE_PAGERDUTY_KEY}}
    """

    largest_group: ClassVar[int] = 1  # an event tells of one change

    routing_key: Secret = Field(description="the integration key of an Events API v2 integration")
    url: Address = Field("https://events.pagerduty.com", description="`https://events.eu.pagerduty.com` in Europe")
    name: str = Field("pagerduty", pattern=NAME, description="in metrics and logs, if there are several")
    severities: Mapping[str, Severity] = Field(
        default_factory=dict, description="PagerDuty's severity for values of the label `severity`, besides the usual"
    )

    def notify(self, notifications: Sequence[Notification]) -> None:
        key = self.routing_key.get_secret_value()
        for notification in notifications:
            body = orjson.dumps({"routing_key": key, **self.event(notification)})
            post(self, "/v2/enqueue", body, {}, [key])

    def event(self, notification: Notification) -> dict[str, Any]:
        """The request's body, without the key."""
        key = dedup_key(notification.fingerprint)
        if notification.status == "resolved":
            return {"event_action": "resolve", "dedup_key": key}
        said = message(notification)
        event = {
            "event_action": "trigger",
            "dedup_key": key,
            "client": "Driftline",
            "payload": self._payload(notification, said),
            "links": [{"href": link.url, "text": link.text} for link in said.links],
        }
        pages = [link.url for link in said.links if link.text == "Change"]
        return {**event, "client_url": pages[0]} if pages else event

    def severity(self, label: str) -> Severity:
        """PagerDuty's word for the value of the label `severity`; what is not known is an error.

        >>> PagerDuty(routing_key={"env": "PATH"}, severities={"sev3": "info"}).severity("sev3")
        'info'
        """
        return self.severities.get(label) or _SEVERITIES.get(label.lower(), _ANY_OTHER)

    def _payload(self, notification: Notification, said: Message) -> dict[str, Any]:
        labels = notification.labels
        service = clean(labels.get("service", ""), _SOURCE_RUNES)
        details = {
            **{part: cut(text, _DETAIL_UNITS) for part, text in notification.annotations.items() if part in _DETAILS},
            "labels": {name: value for name, value in said.facts if name != "began"},
        }
        payload = {
            "summary": cut(said.summary, SUMMARY_UNITS),
            "timestamp": rfc3339(notification.starts_at_ns),
            "severity": self.severity(labels.get("severity", "")),
            "source": service or "driftline",
            "component": service,
            "group": clean(labels.get("monitor", ""), _SOURCE_RUNES),
            "class": clean(labels.get("metric", ""), _SOURCE_RUNES),
            "custom_details": details,
        }
        return {name: value for name, value in payload.items() if value != ""}


def dedup_key(fingerprint: str) -> str:
    """The fingerprint, or if PagerDuty would not take that as a key, its hash.

    >>> dedup_key("7f3a9c51"), len(dedup_key("x" * 300))
    ('7f3a9c51', 32)
    """
    if 0 < len(fingerprint) <= KEY_CHARACTERS and fingerprint.isascii() and fingerprint.isprintable():
        return fingerprint
    return blake2b(fingerprint.encode("utf-8", "replace"), digest_size=16).hexdigest()
