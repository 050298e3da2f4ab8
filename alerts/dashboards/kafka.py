"""The row of Kafka: what is to be read, and whether it can be."""

from alerts.dashboards.model import Panel, Query, Row
from alerts.dashboards.parts import HERE


def kafka() -> Row:
    return Row("Kafka", [_kafka_lag(), _kafka_state()])


def _kafka_lag() -> Panel:
    return Panel(
        "Messages to be read",
        "By topic. The unread part of what retention keeps is in the other panel.",
        [Query(f'sum by (topic) (driftline_kafka_lag_messages{{topic=~"$topic", {HERE}}})', "{{topic}}")],
    )


def _kafka_state() -> Panel:
    return Panel(
        "Retention, pauses, leaders",
        "The unread part of what retention keeps (past .8 senders wait), workers that have paused reading, and "
        "partitions without a leader.",
        [
            Query(f"max (driftline_retention_ratio{{{HERE}}})", "retention"),
            Query(f"sum (driftline_kafka_paused{{{HERE}}})", "paused"),
            Query(f"sum by (topic) (driftline_leaderless_partitions{{{HERE}}})", "leaderless {{topic}}"),
        ],
        warn=0.8,
        alarm=0.9,
    )
