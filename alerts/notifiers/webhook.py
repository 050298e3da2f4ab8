"""Notifications as JSON to an address of one's own. The body is described by webhook.schema.json beside this file."""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.resources import files
from typing import Any

import orjson
from pydantic import Field

from alerts.base import Notification, rfc3339
from alerts.http import NAME, HttpSettings, post
from alerts.limit import RateLimit
from alerts.plain import clean
from collector.core.settings import Secret
from drift.base import Coincidence

VERSION = "1"
_NAME_RUNES = 256


class Webhook(HttpSettings):
    """Posts all that is due in one body, signed if a secret is set.

    Config:
        alerts:
          webhook: {url: "https://ops.example/driftline", secret: {env: DRIFTLINE_WEBHOOK_SECRET}}
    """

    name: str = Field("webhook", pattern=NAME, description="in metrics and logs, if there are several")
    secret: Secret | None = Field(None, description="signs each body with HMAC-SHA256")
    rate_limit: RateLimit | None = Field(None, description="messages at most, such as `30 per hour`; null: no limit")

    def notify(self, notifications: Sequence[Notification]) -> None:
        body = orjson.dumps(payload(notifications))
        headers: dict[str, str] = {}
        if self.secret is not None:
            headers["Driftline-Signature"] = signature(
                self.secret.get_secret_value(), body, notifications[0].sent_at_ns // 1_000_000_000
            )
        post(self, "", body, headers)


def payload(notifications: Sequence[Notification]) -> dict[str, Any]:
    """The body as plain values. Numbers that are not finite are null."""
    return {
        "version": VERSION,
        "sent_at": rfc3339(notifications[0].sent_at_ns),
        "notifications": [_notification(notification) for notification in notifications],
    }


def signature(secret: str, body: bytes, at_seconds: int) -> str:
    """`t=SECONDS,v1=HEX`, where HEX is the HMAC-SHA256 of `SECONDS.BODY`: who checks the time too is safe from replays.

    >>> signature("key", b"{}", 1700000000)[:26]
    't=1700000000,v1=9d713ed406'
    """
    code = hmac.new(secret.encode(), f"{at_seconds}.".encode() + body, hashlib.sha256)
    return f"t={at_seconds},v1={code.hexdigest()}"


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of the body."""
    text = files("alerts.notifiers").joinpath("webhook.schema.json").read_bytes()
    found: dict[str, Any] = orjson.loads(text)
    return found


def _notification(notification: Notification) -> dict[str, Any]:
    change = notification.change
    ends_at_ns = notification.ends_at_ns
    return {
        "fingerprint": clean(notification.fingerprint, _NAME_RUNES),
        "sequence": notification.sequence,
        "status": notification.status,
        "reminder": notification.reminder,
        "starts_at": rfc3339(notification.starts_at_ns),
        "ends_at": None if ends_at_ns is None else rfc3339(ends_at_ns),
        "labels": dict(notification.labels),
        "annotations": dict(notification.annotations),
        "change": {
            "monitor": clean(change.monitor, _NAME_RUNES),
            "metric": clean(change.metric, _NAME_RUNES),
            "statistic": clean(change.statistic, _NAME_RUNES),
            "direction": clean(change.direction, _NAME_RUNES),
            "slice": _clean_items(change.slice),
            "detector": clean(change.detector, _NAME_RUNES),
            "evidence": change.evidence,
            "threshold": change.threshold,
            "detected_at": rfc3339(change.detected_ns),
            "onset_at": rfc3339(change.onset_ns),
            "onset_between": [rfc3339(change.onset_low_ns), rfc3339(change.onset_high_ns)],
            "before": asdict(change.before),
            "after": asdict(change.after),
            "size": asdict(change.size),
            "carriers": [_carrier(asdict(carrier)) for carrier in change.carriers],
            "traces": [clean(trace_id) for trace_id in change.traces],
            "contrast_traces": [clean(trace_id) for trace_id in change.contrast_traces],
            "typical_traces": [clean(trace_id) for trace_id in change.typical_traces],
            "coincidences": [_coincidence(one) for one in change.coincidences],
            "companions": [{**_carrier(asdict(one)), "slice": _clean_items(one.slice)} for one in change.companions],
            "evaluators_before": [clean(evaluator_id, _NAME_RUNES) for evaluator_id in change.evaluators_before],
            "evaluators_after": [clean(evaluator_id, _NAME_RUNES) for evaluator_id in change.evaluators_after],
            "staked": change.staked,
            "moved": clean(change.moved, _NAME_RUNES),
            "reason": clean(change.reason, _NAME_RUNES),
            "related": clean(change.related, _NAME_RUNES),
        },
    }


def _carrier(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: clean(value, _NAME_RUNES) if isinstance(value, str) else value for name, value in fields.items()}


def _coincidence(one: Coincidence) -> dict[str, Any]:
    found = _carrier(asdict(one))
    at_ns = found.pop("at_ns")
    return {**found, "seen_at": None if at_ns is None else rfc3339(at_ns)}


def _clean_items(items: Mapping[str, str]) -> dict[str, str]:
    return {clean(name, _NAME_RUNES): clean(value, _NAME_RUNES) for name, value in items.items()}
