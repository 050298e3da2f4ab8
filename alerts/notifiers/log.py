"""One line of the service's own log for each notification: the record that is there even if nothing else is set up."""

import logging
from collections.abc import Sequence
from typing import ClassVar

import orjson

from alerts.base import Notification
from collector.core.settings import Settings

_logger = logging.getLogger("driftline.alerts")


class Log(Settings):
    """Writes a JSON object per notification: warnings for what begins, information for the rest.

    Also gets the changes that are no pages, for which nobody is woken.

    Config:
        alerts:
          log: true
    """

    name: ClassVar[str] = "log"
    takes_unpaged: ClassVar[bool] = True

    def notify(self, notifications: Sequence[Notification]) -> None:
        for notification in notifications:
            began = notification.status == "firing" and not notification.reminder
            level = logging.WARNING if began and notification.change.paged else logging.INFO
            _logger.log(level, "%s", line(notification))


def line(notification: Notification) -> str:
    """The notification as one line of JSON."""
    fields = {
        "event": f"change {notification.status}" + (" (still)" if notification.reminder else ""),
        "change": notification.fingerprint,
        "sequence": notification.sequence,
        "paged": notification.change.paged,
        **{name: value for name, value in notification.labels.items() if name not in ("alertname", "severity")},
        "summary": notification.annotations["summary"],
        "traces": notification.annotations.get("traces", ""),
    }
    return orjson.dumps(fields).decode()
