"""A notification that is marked as a test, to see before it matters whether a notifier reaches anybody."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from alerts.base import DeliveryError, Notification, Notifier, as_delivery_error
from alerts.compose import compose
from alerts.explain import Wording
from collector.core.clock import Clock
from drift.base import Change, Estimate

_SECOND = 1_000_000_000


class Trial(NamedTuple):
    """What came of it: `error` is None if both notifications were taken, `told` counts those that were."""

    notifier: str
    milliseconds: int
    told: int
    error: DeliveryError | None


def try_notifier(notifier: Notifier, wording: Wording, clock: Clock) -> Trial:
    """Send that something began, then that it is over; once each, without limit or second try."""
    began = clock.monotonic()
    told, error = 0, None
    try:
        for notification in marked_notifications(wording, clock.now_ns()):
            notifier.notify([notification])
            told += 1
    except Exception as raised:
        error = as_delivery_error(raised)
    return Trial(notifier.name, round(1000 * (clock.monotonic() - began)), told, error)


def marked_notifications(wording: Wording, now_ns: int) -> Sequence[Notification]:
    """Firing and resolved, of a change that there never was: labels and severity as configured, and `test="true"`."""
    nothing = Estimate(0.0, 0.0, 0.0, 0.0)
    change = Change(
        id=f"test-{now_ns:x}",
        status="active",
        monitor="test",
        metric="test",
        statistic="mean",
        slice={},
        direction="down",
        detector="test",
        evidence=0.0,
        threshold=1.0,
        detected_ns=now_ns,
        onset_ns=now_ns,
        onset_low_ns=now_ns,
        onset_high_ns=now_ns,
        before=nothing,
        after=nothing,
        size=nothing,
        sequence=1,
    )
    over = replace(change, status="resolved", resolved_ns=now_ns + _SECOND, sequence=2)
    wording = replace(wording, change_url=None, labels={**wording.labels, "test": "true"})
    return [
        _worded(compose(change, wording, now_ns, "firing"), "Test: nothing has changed, somebody tries out the alerts"),
        _worded(compose(over, wording, now_ns + _SECOND, "resolved"), "Test: the test of the alerts is over"),
    ]


def _worded(notification: Notification, summary: str) -> Notification:
    """With words that nobody can take for a change; links to the runbook stay."""
    kept = {name: text for name, text in notification.annotations.items() if name == "runbook_url"}
    first = "Nothing to do: `driftline alerts test` sent this."
    words = {"summary": summary, "description": f"{summary}.\n{first}", "first": first}
    return replace(notification, annotations={**words, **kept})
