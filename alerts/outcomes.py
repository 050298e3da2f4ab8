"""What became of notifications, as metrics and as lines of the log."""

import logging
from collections.abc import Iterable, Sequence
from typing import get_args

from alerts.base import REASONS, DeliveryError, Notification, Notifier, Retryable
from alerts.history import Outcome
from alerts.schedule import Kind
from collector.core.clock import Clock
from collector.core.telemetry import Telemetry

_logger = logging.getLogger("driftline.alerts")

_SECONDS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)


class Outcomes:
    """The instruments of the deliverer."""

    def __init__(self, telemetry: Telemetry, clock: Clock, notifiers: Iterable[str]) -> None:
        self._clock = clock
        self._notifications = telemetry.counter(
            "driftline_notifications",
            "Notifications by outcome: delivered (reason: firing, reminder, resolved), retry (failed, tried again), "
            "split (failed in company, tried alone), refused (never accepted), given_up (failed for too long) and "
            "held_back (waits, since the notifier's rate_limit is reached; reason: as of delivered).",
            ["notifier", "outcome", "reason"],
        )
        self._pending = telemetry.gauge(
            "driftline_notification_pending", "Beginnings and ends of changes not yet delivered.", ["notifier"]
        )
        self._seconds = telemetry.histogram(
            "driftline_notification_seconds",
            "Time that one call of a notifier took.",
            ["notifier"],
            buckets=_SECONDS,
            unit="seconds",
        )
        self._changes = telemetry.counter(
            "driftline_notification_changes",
            "Records of changes taken from the log, by what they were to the deliverer: new, updated, resolved, "
            "duplicate (known already), unmatched (an end without a beginning) or unreadable (stored state lost).",
            ["outcome"],
        )

        for notifier in notifiers:  # from zero on: a counter that appears at 1 shows Prometheus no increase
            for outcome in ("refused", "given_up"):
                for reason in REASONS:
                    self._notifications.add(0, notifier, outcome, reason)
            for kind in get_args(Kind):
                self._notifications.add(0, notifier, "held_back", kind)

    def timed(self, notifier: Notifier, notifications: Sequence[Notification]) -> None:
        """Call the notifier; runs in the notifier's thread."""
        began = self._clock.monotonic()
        try:
            notifier.notify(notifications)
        finally:
            self._seconds.observe(self._clock.monotonic() - began, notifier.name)

    def change(self, fate: str) -> None:
        self._changes.add(1, fate)

    def unreadable(self, entries: int) -> None:
        if entries:
            self._changes.add(entries, "unreadable")
            _logger.error("%d stored notifications could not be read; what they told may be told again", entries)

    def pending(self, notifier: str, count: int) -> None:
        self._pending.set(count, notifier)

    def settled(self, notifier: str, kind: Kind, outcome: Outcome, error: DeliveryError | None) -> None:
        """What came of one notification."""
        self._notifications.add(1, notifier, outcome, kind if error is None else error.reason)

    def log(self, notifier: str, notifications: int, error: DeliveryError) -> None:
        """One line for a call that failed, however many notifications were in it."""
        again = "tried again" if isinstance(error, Retryable) else "not tried again in this form"
        _logger.warning("notifier %s failed (%s) on %d, %s: %s", notifier, error.reason, notifications, again, error)
