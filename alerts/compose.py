"""From a change to the notification of one moment: labels that identify, annotations that explain."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from alerts.base import Notification
from alerts.explain import Wording, explain, trace_links
from alerts.plain import clean, minute
from alerts.silence import silence
from drift.base import Change

ALERT_NAME = "DriftlineChange"
_DEFAULT_SEVERITY = "page"
_LABEL_RUNES = 256
_NOT_A_LABEL = re.compile(r"[^a-zA-Z0-9_]")


def compose(
    change: Change,
    wording: Wording,
    sent_at_ns: int,
    status: Literal["firing", "resolved"],
    *,
    reminder: bool = False,
) -> Notification:
    """The notification to send at `sent_at_ns`.

    A change that is over may still have to be told as firing, where the news of its beginning could not be delivered
    in time: receivers see the beginning before the end, always.
    """
    if status == "firing":
        change = replace(change, status="active", resolved_ns=None)
    starts_at_ns = min(change.detected_ns, sent_at_ns)  # event time may run ahead of this machine's clock
    ends_at_ns = None
    if status == "resolved":
        resolved_ns = sent_at_ns if change.resolved_ns is None else change.resolved_ns
        ends_at_ns = max(starts_at_ns, min(resolved_ns, sent_at_ns))
    return Notification(
        fingerprint=change.id,
        sequence=change.sequence,
        status=status,
        reminder=reminder,
        starts_at_ns=starts_at_ns,
        ends_at_ns=ends_at_ns,
        sent_at_ns=sent_at_ns,
        labels=labels(change, wording.labels),
        annotations=annotations(change, wording),
        change=change,
    )


def labels(change: Change, more: Mapping[str, str]) -> dict[str, str]:
    """Who the alert concerns. The same for all notifications of a change, and different for changes that may be open at
    the same time: Alertmanager takes alerts of equal labels for one.

    A slice whose name is taken or is no label name is called `slice_...`; empty values are left out, as Alertmanager
    would.
    """
    found = {
        "alertname": ALERT_NAME,
        "monitor": change.monitor,
        "metric": change.metric,
        "statistic": change.statistic,
        "direction": change.direction,
        "severity": _DEFAULT_SEVERITY,
        **more,
    }
    for name, value in sorted(change.slice.items()):
        label = _NOT_A_LABEL.sub("_", name)
        if label in found or label.startswith("__") or not label[:1].isalpha():
            label = f"slice_{label}"
        found[label] = value
    return {name: clean(value, _LABEL_RUNES) for name, value in found.items() if value}


def annotations(change: Change, wording: Wording) -> dict[str, str]:
    """What to read; the parts of the description also stand alone, for those who lay out messages themselves."""
    words = explain(change, wording)
    quiet = silence(labels(change, wording.labels)) if change.status != "resolved" else ""
    found = {
        "summary": words.summary,
        "description": words.description,
        "onset": minute(change.onset_ns),
        "size": words.what,
        "carriers": words.carried_by,
        "moved": words.moved,
        "new": words.new_then,
        "found_with": words.found_with,
        "confidence": words.sure,
        "first": words.first,
        "silence": quiet,
        "traces": " ".join(trace_links(change.traces, wording)),
        "contrast_traces": " ".join(trace_links(change.contrast_traces, wording)),
        "typical_traces": " ".join(trace_links(change.typical_traces, wording)),
        "runbook_url": wording.runbook_url or "",
        "change_url": change_link(change.id, wording) or "",
    }
    return {name: text for name, text in found.items() if text}


def change_link(change_id: str, wording: Wording) -> str | None:
    """Where the change can be seen, if that is configured."""
    return None if wording.change_url is None else wording.change_url.replace("{change_id}", change_id)
