"""Alerts to Prometheus Alertmanager, which groups, silences, inhibits and routes them.

Source: Alertmanager API v2 (api/v2/openapi.yaml), POST /api/v2/alerts. An alert is a state, not a message: it is sent
again while it lasts, each time with an end that lies a little ahead, so that it ends by itself if Driftline is gone.
"""

from collections.abc import Sequence
from typing import Annotated, Any

import orjson
from pydantic import Field, model_validator

from alerts.base import Notification, rfc3339
from alerts.http import NAME, HttpSettings, post
from collector.core.settings import Duration


class Alertmanager(HttpSettings):
    """Sends to one Alertmanager; for a cluster, each member is a notifier with a name of its own.

    Config:
        alerts:
          alertmanager: {url: "http://127.0.0.1:9093"}
    """

    name: str = Field("alertmanager", pattern=NAME, description="in metrics and logs, if there are several")
    resend: Annotated[Duration, Field(ge=1, description="how often a lasting alert is sent again")] = 60.0
    resolve_timeout: Annotated[
        Duration, Field(gt=0, description="an alert ends by itself so long after it was last sent")
    ] = 900.0
    """Longer than DriftlineDown takes to fire, which then holds back the end of the changes of what is gone."""

    @model_validator(mode="after")
    def _outlives_a_lost_resend(self) -> "Alertmanager":
        if self.resolve_timeout < 2 * self.resend:
            raise ValueError(
                f"resolve_timeout is {self.resolve_timeout:g}s; it must be at least twice resend ({self.resend:g}s), "
                "or one lost request would resolve an alert that still holds"
            )
        return self

    @property
    def repeat_seconds(self) -> float:
        return self.resend

    def notify(self, notifications: Sequence[Notification]) -> None:
        body = orjson.dumps([self.alert(notification) for notification in notifications])
        post(self, "/api/v2/alerts", body, {})

    def alert(self, notification: Notification) -> dict[str, Any]:
        """One element of the request's list (`postableAlert`)."""
        ends_at_ns = notification.ends_at_ns
        if ends_at_ns is None:
            ends_at_ns = notification.sent_at_ns + round(self.resolve_timeout * 1e9)
        annotations = dict(notification.annotations)
        link = annotations.pop("change_url", None)
        alert = {
            "labels": dict(notification.labels),
            "annotations": annotations,
            "startsAt": rfc3339(notification.starts_at_ns),
            "endsAt": rfc3339(ends_at_ns),
        }
        return alert if link is None else {**alert, "generatorURL": link}
