"""The dashboard of Driftline's pipeline: in, work, store, Kafka, out, page."""

from alerts.dashboards.model import Dashboard, Panel, Query, Row, Variable
from alerts.dashboards.parts import INSTANCE, quantile, rate

_HERE = 'instance=~"$instance"'


def pipeline() -> Dashboard:
    return Dashboard(
        "driftline-pipeline",
        "Driftline / Pipeline",
        "Does everything that is sent arrive, in time, and is it kept; does word of changes get out.",
        [
            INSTANCE,
            Variable("stage", "driftline_stage_loops_total"),
            Variable("topic", "driftline_kafka_lag_messages"),
            Variable("notifier", "driftline_notification_pending"),
            Variable("receiver", "driftline_received_spans_total"),
            Variable("sink", "driftline_exported_rows_total"),
        ],
        [
            Row("In", [_received(), _rejected(), _undecodable(), _traces()]),
            Row("Work", [_heartbeat(), _lag(), _waiting(), _memory()]),
            Row("Store", [_size(), _commits(), _failures(), _export()]),
            Row("Kafka", [_kafka_lag(), _kafka_state()]),
            Row("Out", [_pending(), _notifications(), _events(), _reload()]),
            Row("Page and API", [_answered(), _not_let_in()]),
        ],
    )


def _received() -> Panel:
    return Panel(
        "Spans received",
        "Spans a second that were accepted and are safe, by receiver.",
        [
            Query(
                rate("driftline_received_spans_total", "receiver, encoding", f'receiver=~"$receiver", {_HERE}'),
                "{{receiver}} {{encoding}}",
            )
        ],
        "reqps",
    )


def _rejected() -> Panel:
    return Panel(
        "Refused",
        "Requests a second that were not accepted, and spans left out of accepted ones, by reason. `rate_limited` and "
        "`backlog_full` ask senders to wait; the others are their mistakes.",
        [
            Query(
                rate("driftline_rejected_requests_total", "receiver, reason", _HERE), "requests {{receiver}} {{reason}}"
            ),
            Query(rate("driftline_rejected_spans_total", "receiver, reason", _HERE), "spans {{receiver}} {{reason}}"),
        ],
        "reqps",
    )


def _answered() -> Panel:
    return Panel(
        "Answers of the page and the API",
        "Requests a second, by status. 401 once a visit is a browser that has not sent its token yet; 503 is more "
        "questions at once than are worked on; 500 is a defect, which the log tells.",
        [Query(rate("driftline_web_requests_total", "code", _HERE), "{{code}}")],
        "reqps",
    )


def _not_let_in() -> Panel:
    return Panel(
        "Not let in",
        "Requests and connections a second that were turned away before they were looked at, by listener and reason. "
        "`guessing` is an address that tried many wrong tokens and is shut out.",
        [Query(rate("driftline_refused_access_total", "listener, reason", _HERE), "{{listener}} {{reason}}")],
        "reqps",
    )


def _undecodable() -> Panel:
    return Panel(
        "Left out",
        "Spans a second that did not become a part of a trace: sampled out, twice, too many, too late, or not "
        "readable.",
        [
            Query(rate("driftline_sampled_out_spans_total", "rule", _HERE), "sampled out by {{rule}}"),
            Query(rate("driftline_duplicate_spans_total", "outcome", _HERE), "duplicate {{outcome}}"),
            Query(rate("driftline_late_spans_total", "outcome", _HERE), "late {{outcome}}"),
            Query(rate("driftline_undecodable_spans_total", "reason", _HERE), "undecodable {{reason}}"),
            Query(f"sum (rate(driftline_excess_spans_total{{{_HERE}}}[$__rate_interval]))", "excess"),
        ],
        "reqps",
    )


def _traces() -> Panel:
    return Panel(
        "Traces",
        "Traces a second by what became of them.",
        [Query(rate("driftline_traces_total", "outcome", _HERE), "{{outcome}}")],
        "reqps",
    )


def _heartbeat() -> Panel:
    return Panel(
        "Turns of each stage",
        "The heartbeat: a stage that turns no more hangs.",
        [
            Query(
                rate("driftline_stage_loops_total", "stage, instance", f'stage=~"$stage", {_HERE}'),
                "{{stage}} {{instance}}",
            )
        ],
        "reqps",
    )


def _lag() -> Panel:
    return Panel(
        "Records to be read",
        "How many records each stage has yet to read. It may rise with traffic; it should not go on rising.",
        [Query(f'sum by (stage) (driftline_stage_lag_records{{stage=~"$stage", {_HERE}}})', "{{stage}}")],
    )


def _waiting() -> Panel:
    return Panel(
        "Waiting",
        "How long spans have waited, and how much is accepted and not yet evaluated.",
        [Query(f"max by (instance) (driftline_behind_seconds{{{_HERE}}})", "{{instance}}")],
        "s",
        warn=60,
        alarm=300,
    )


def _memory() -> Panel:
    return Panel(
        "Open traces",
        "Traces and sessions that wait for their end; those let go early for memory, a second.",
        [
            Query(f"sum (driftline_open_traces{{{_HERE}}})", "traces"),
            Query(f"sum (driftline_open_sessions{{{_HERE}}})", "sessions"),
            Query(rate("driftline_evicted_traces_total", "stage", _HERE), "let go early, {{stage}}"),
        ],
    )


def _size() -> Panel:
    return Panel(
        "Size",
        "What the store and the inbox hold. At `store.max_size` senders are asked to wait.",
        [
            Query(f"sum by (instance) (driftline_store_bytes{{{_HERE}}})", "store {{instance}}"),
            Query(f"sum by (instance) (driftline_backlog_bytes{{{_HERE}}})", "backlog {{instance}}"),
            Query(f"sum by (instance) (driftline_held_bytes{{{_HERE}}})", "memory {{instance}}"),
        ],
        "bytes",
    )


def _commits() -> Panel:
    return Panel(
        "Time of a commit",
        "Median and upper hundredth. Senders get their answer after one.",
        [
            Query(quantile(0.5, "driftline_commit_seconds", "instance", _HERE), "{{instance}} median"),
            Query(quantile(0.99, "driftline_commit_seconds", "instance", _HERE), "{{instance}} 99%"),
        ],
        "s",
        warn=1,
        alarm=10,
    )


def _failures() -> Panel:
    return Panel(
        "Failed commits",
        "A second, by reason, and those that were tried again by stage.",
        [
            Query(rate("driftline_store_failures_total", "reason", _HERE), "{{reason}}"),
            Query(rate("driftline_commit_retries_total", "stage", _HERE), "again {{stage}}"),
        ],
        "reqps",
    )


def _export() -> Panel:
    return Panel(
        "Exported",
        "Rows a second by sink, and what was left out by reason.",
        [
            Query(rate("driftline_exported_rows_total", "sink, rows", f'sink=~"$sink", {_HERE}'), "{{sink}} {{rows}}"),
            Query(
                rate("driftline_export_left_out_total", "sink, reason", f'sink=~"$sink", {_HERE}'),
                "{{sink}} left out {{reason}}",
            ),
        ],
        "reqps",
    )


def _kafka_lag() -> Panel:
    return Panel(
        "Messages to be read",
        "By topic. The unread part of what retention keeps is in the other panel.",
        [Query(f'sum by (topic) (driftline_kafka_lag_messages{{topic=~"$topic", {_HERE}}})', "{{topic}}")],
    )


def _kafka_state() -> Panel:
    return Panel(
        "Retention, pauses, leaders",
        "The unread part of what retention keeps (past .8 senders wait), workers that have paused reading, and "
        "partitions "
        "without a leader.",
        [
            Query(f"max (driftline_retention_ratio{{{_HERE}}})", "retention"),
            Query(f"sum (driftline_kafka_paused{{{_HERE}}})", "paused"),
            Query(f"sum by (topic) (driftline_leaderless_partitions{{{_HERE}}})", "leaderless {{topic}}"),
        ],
        warn=0.8,
        alarm=0.9,
    )


def _pending() -> Panel:
    return Panel(
        "Notifications that wait",
        "Beginnings and ends of changes that a notifier has not delivered yet.",
        [
            Query(
                f'sum by (notifier) (driftline_notification_pending{{notifier=~"$notifier", {_HERE}}})', "{{notifier}}"
            )
        ],
        kind="stat",
        warn=1,
        alarm=5,
    )


def _notifications() -> Panel:
    return Panel(
        "Notifications an hour",
        "By outcome: delivered, tried again, held back by the rate limit, refused or given up.",
        [
            Query(
                "3600 * "
                + rate("driftline_notifications_total", "notifier, outcome, reason", f'notifier=~"$notifier", {_HERE}'),
                "{{notifier}} {{outcome}} {{reason}}",
            )
        ],
    )


def _events() -> Panel:
    return Panel(
        "Scores as events",
        "OpenTelemetry events a second, by outcome.",
        [Query(rate("driftline_evaluation_events_total", "outcome", _HERE), "{{outcome}}")],
        "reqps",
    )


def _reload() -> Panel:
    return Panel(
        "Configuration",
        "1 if the file on disk is in force. 0: it is wrong, and the log says why.",
        [Query(f"min by (instance) (driftline_config_last_reload_successful{{{_HERE}}})", "{{instance}}")],
        kind="stat",
        alarm=1,
        low=True,
    )
