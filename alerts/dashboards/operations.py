"""Dashboards of Driftline itself: its evaluators, and its pipeline."""

from alerts.dashboards.kafka import kafka
from alerts.dashboards.model import Dashboard, Panel, Query, Row, Variable
from alerts.dashboards.page import page_and_api
from alerts.dashboards.parts import HERE, INSTANCE, SCORER, quantile, rate

_SCORERS = 'scorer=~"$scorer"'


def evaluators() -> Dashboard:
    return Dashboard(
        "driftline-evaluators",
        "Driftline / Evaluators",
        "Do scorers score, how long do they take, and what becomes of each candidate.",
        [SCORER, INSTANCE],
        [
            Row(
                "What becomes of each candidate",
                [
                    Panel(
                        "Decisions",
                        "Candidates a second by decision: scored, or the reason class why not. They add up to all "
                        "candidates.",
                        [Query(rate("driftline_decisions_total", "decision", _SCORERS), "{{decision}}")],
                        "reqps",
                    ),
                    Panel(
                        "Not scored, by reason",
                        "Candidates a second that have no score, by scorer and reason.",
                        [
                            Query(
                                rate(
                                    "driftline_decisions_total",
                                    "scorer, decision, reason",
                                    f'{_SCORERS}, decision!="scored"',
                                ),
                                "{{scorer}} {{decision}} {{reason}}",
                            )
                        ],
                        "reqps",
                    ),
                    Panel(
                        "Verdicts",
                        "Scores a second by outcome. A scorer without a passing expression is unjudged.",
                        [
                            Query(
                                rate("driftline_evaluations_total", "scorer, outcome", _SCORERS),
                                "{{scorer}} {{outcome}}",
                            )
                        ],
                        "reqps",
                    ),
                    Panel(
                        "Failing scorers",
                        "The share of runs that ended in an error. A judge that is down shows here first.",
                        [
                            Query(
                                f"{rate('driftline_evaluations_total', 'scorer', _ERROR)} / "
                                f"{rate('driftline_evaluations_total', 'scorer', _SCORERS)}",
                                "{{scorer}}",
                            )
                        ],
                        "percentunit",
                        warn=0.01,
                        alarm=0.1,
                    ),
                ],
            ),
            Row(
                "What they take",
                [
                    Panel(
                        "Time of a run",
                        "Median and upper hundredth, by scorer.",
                        [
                            Query(quantile(0.5, "driftline_scorer_seconds", "scorer", _SCORERS), "{{scorer}} median"),
                            Query(quantile(0.99, "driftline_scorer_seconds", "scorer", _SCORERS), "{{scorer}} 99%"),
                        ],
                        "s",
                    ),
                    Panel(
                        "Processors busy",
                        "How many processors each scorer keeps busy, or how many calls of a judge are under way on "
                        "average.",
                        [Query(rate("driftline_scorer_seconds_sum", "scorer", _SCORERS), "{{scorer}}")],
                    ),
                    Panel(
                        "Tried again",
                        "Calls a second that failed in passing and were tried again.",
                        [Query(rate("driftline_scorer_retries_total", "scorer", _SCORERS), "{{scorer}}")],
                        "reqps",
                    ),
                    Panel(
                        "Suspended",
                        "1 for a scorer that hung or crashed so often that it is called no more. Mend it, then reload.",
                        [Query(f"max by (scorer) (driftline_scorer_suspended{{{_SCORERS}}})", "{{scorer}}")],
                        kind="stat",
                        alarm=1,
                    ),
                ],
            ),
            Row(
                "Which they are",
                [
                    Panel(
                        "Evaluators",
                        "The id of each evaluator: scorer, version and options. Where it changes, so may the scores.",
                        [
                            Query(
                                f"max by (scorer, evaluator_id, tier) (driftline_scorer_info{{{_SCORERS}}})",
                                "{{scorer}} {{evaluator_id}} tier {{tier}}",
                            )
                        ],
                        kind="table",
                    ),
                    Panel(
                        "Scores at the monitors",
                        "Scores a second by what monitors did with them: watched, no_monitor, no_verdict, revised, "
                        "invalid.",
                        [Query(rate("driftline_points_total", "metric, outcome"), "{{metric}} {{outcome}}")],
                        "reqps",
                    ),
                ],
            ),
        ],
    )


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
            kafka(),
            Row("Out", [_pending(), _notifications(), _events(), _reload(), _series()]),
            page_and_api(),
        ],
    )


_ERROR = f'{_SCORERS}, outcome="error"'


def _received() -> Panel:
    return Panel(
        "Spans received",
        "Spans a second that were accepted and are safe, by receiver.",
        [
            Query(
                rate("driftline_received_spans_total", "receiver, encoding", f'receiver=~"$receiver", {HERE}'),
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
                rate("driftline_rejected_requests_total", "receiver, reason", HERE), "requests {{receiver}} {{reason}}"
            ),
            Query(rate("driftline_rejected_spans_total", "receiver, reason", HERE), "spans {{receiver}} {{reason}}"),
        ],
        "reqps",
    )


def _undecodable() -> Panel:
    return Panel(
        "Left out",
        "Spans a second that did not become a part of a trace: sampled out, twice, too many, too late, or not "
        "readable.",
        [
            Query(rate("driftline_sampled_out_spans_total", "rule", HERE), "sampled out by {{rule}}"),
            Query(rate("driftline_duplicate_spans_total", "outcome", HERE), "duplicate {{outcome}}"),
            Query(rate("driftline_late_spans_total", "outcome", HERE), "late {{outcome}}"),
            Query(rate("driftline_undecodable_spans_total", "reason", HERE), "undecodable {{reason}}"),
            Query(f"sum (rate(driftline_excess_spans_total{{{HERE}}}[$__rate_interval]))", "excess"),
        ],
        "reqps",
    )


def _traces() -> Panel:
    return Panel(
        "Traces",
        "Traces a second by what became of them.",
        [Query(rate("driftline_traces_total", "outcome", HERE), "{{outcome}}")],
        "reqps",
    )


def _heartbeat() -> Panel:
    return Panel(
        "Turns of each stage",
        "The heartbeat: a stage that turns no more hangs.",
        [
            Query(
                rate("driftline_stage_loops_total", "stage, instance", f'stage=~"$stage", {HERE}'),
                "{{stage}} {{instance}}",
            )
        ],
        "reqps",
    )


def _lag() -> Panel:
    return Panel(
        "Records to be read",
        "How many records each stage has yet to read. It may rise with traffic; it should not go on rising.",
        [Query(f'sum by (stage) (driftline_stage_lag_records{{stage=~"$stage", {HERE}}})', "{{stage}}")],
    )


def _waiting() -> Panel:
    return Panel(
        "Waiting",
        "How long spans, and turns of sessions, have waited to be worked on. Past `shed.after` scorers are left out.",
        [
            Query(f"max by (instance) (driftline_behind_seconds{{{HERE}}})", "{{instance}}"),
            Query(f"max by (instance) (driftline_session_behind_seconds{{{HERE}}})", "sessions {{instance}}"),
        ],
        "s",
        warn=60,
        alarm=300,
    )


def _memory() -> Panel:
    return Panel(
        "Open traces",
        "Traces and sessions that wait for their end; those let go early for memory, a second.",
        [
            Query(f"sum (driftline_open_traces{{{HERE}}})", "traces"),
            Query(f"sum (driftline_open_sessions{{{HERE}}})", "sessions"),
            Query(rate("driftline_evicted_traces_total", "stage", HERE), "let go early, {{stage}}"),
        ],
    )


def _size() -> Panel:
    return Panel(
        "Size",
        "What the store and the inbox hold. At `store.max_size` senders are asked to wait.",
        [
            Query(f"sum by (instance) (driftline_store_bytes{{{HERE}}})", "store {{instance}}"),
            Query(f"sum by (instance) (driftline_backlog_bytes{{{HERE}}})", "backlog {{instance}}"),
            Query(f"sum by (instance) (driftline_held_bytes{{{HERE}}})", "memory {{instance}}"),
        ],
        "bytes",
    )


def _commits() -> Panel:
    return Panel(
        "Time of a commit",
        "Median and upper hundredth. Senders get their answer after one.",
        [
            Query(quantile(0.5, "driftline_commit_seconds", "instance", HERE), "{{instance}} median"),
            Query(quantile(0.99, "driftline_commit_seconds", "instance", HERE), "{{instance}} 99%"),
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
            Query(rate("driftline_store_failures_total", "reason", HERE), "{{reason}}"),
            Query(rate("driftline_commit_retries_total", "stage", HERE), "again {{stage}}"),
        ],
        "reqps",
    )


def _export() -> Panel:
    return Panel(
        "Exported",
        "Rows a second by sink, and what was left out by reason.",
        [
            Query(rate("driftline_exported_rows_total", "sink, rows", f'sink=~"$sink", {HERE}'), "{{sink}} {{rows}}"),
            Query(
                rate("driftline_export_left_out_total", "sink, reason", f'sink=~"$sink", {HERE}'),
                "{{sink}} left out {{reason}}",
            ),
        ],
        "reqps",
    )


def _pending() -> Panel:
    return Panel(
        "Notifications that wait",
        "Beginnings and ends of changes that a notifier has not delivered yet.",
        [Query(f'sum by (notifier) (driftline_notification_pending{{notifier=~"$notifier", {HERE}}})', "{{notifier}}")],
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
                + rate("driftline_notifications_total", "notifier, outcome, reason", f'notifier=~"$notifier", {HERE}'),
                "{{notifier}} {{outcome}} {{reason}}",
            )
        ],
    )


def _events() -> Panel:
    return Panel(
        "Scores as events",
        "OpenTelemetry events a second, by outcome.",
        [Query(rate("driftline_evaluation_events_total", "outcome", HERE), "{{outcome}}")],
        "reqps",
    )


def _reload() -> Panel:
    return Panel(
        "Configuration",
        "1 if the file on disk is in force. 0: it is wrong, and the log says why.",
        [Query(f"min by (instance) (driftline_config_last_reload_successful{{{HERE}}})", "{{instance}}")],
        kind="stat",
        alarm=1,
        low=True,
    )


def _series() -> Panel:
    used = f"driftline_metric_series{{{HERE}}} / driftline_metric_series_limit{{{HERE}}}"
    return Panel(
        "Series",
        "How much of `metrics.max_series` is used. At 100%, new services and versions are counted as `other`.",
        [Query(f"max by (instance) ({used})", "{{instance}}")],
        "percentunit",
        kind="stat",
        alarm=0.9,
    )


DASHBOARDS = (evaluators, pipeline)
