"""Whether Driftline is there, evaluates, and can tell anybody."""

from alerts.rules.model import Alert, Facts, Group
from alerts.rules.promql import quoted

_STUCK_SECONDS = 900  # the longest batch that anybody has seen take minutes, not a quarter of an hour
_FAILING_SHARE = 0.1
_SILENT_LEAST = 50


def group(facts: Facts) -> Group:
    return Group("driftline-health", [*_there(facts), *_evaluating(), *_telling()])


def _there(facts: Facts) -> list[Alert]:
    up = f"up{{job={quoted(facts.job)}}}"
    return [
        Alert(
            "DriftlineDown",
            f"{up} == 0",
            "page",
            "Driftline on {{ $labels.instance }} cannot be scraped: nothing is evaluated, nothing would page.",
            "Its metrics could not be read for five minutes. What senders got an answer for is on disk; what they "
            "send now is refused or lost. Look whether the process runs, then at the end of its log.",
            "5m",
            ("instance",),
        ),
        Alert(
            "DriftlineAbsent",
            f"absent({up})",
            "page",
            "Prometheus knows of no Driftline (job {{ $labels.job }}): nothing is evaluated, or nobody would know.",
            "No target of that job is scraped. Either it is not discovered any more, or the job has another "
            "name, and none of these alerts can be trusted until that is put right.",
            "10m",
        ),
        Alert(
            "DriftlineReloadFailed",
            "driftline_config_last_reload_successful == 0",
            "ticket",
            "The configuration on disk of {{ $labels.instance }} is wrong and not in force: its log says why, and so "
            "does `driftline check`.",
            "The service goes on with the configuration it had. It will not start with the file as it is now.",
            "10m",
            ("instance",),
        ),
    ]


def _evaluating() -> list[Alert]:
    decisions = "driftline_decisions_total"
    return [
        # A dead man's switch: it fires when something that should happen does not. By job, as on a cluster some
        # workers receive and others score.
        Alert(
            "DriftlineNothingScored",
            "sum by (job) (increase(driftline_received_spans_total[30m])) > 0\n"
            f'unless sum by (job) (increase({decisions}{{decision="scored"}}[30m])) > 0',
            "page",
            "{{ $labels.job }} receives spans, and nothing was scored for half an hour: no monitor would notice a "
            "change.",
            "Spans come in and no scorer gives a score. Either evaluation is stuck, or what comes in has nothing "
            "that scorers need: `driftline why --summary` says which.",
            "15m",
        ),
        Alert(
            "DriftlineStageStuck",
            f"time() - driftline_stage_busy_since_timestamp_seconds > {_STUCK_SECONDS}",
            "page",
            "Stage {{ $labels.stage }} of {{ $labels.instance }} has committed nothing for "
            "{{ $value | humanizeDuration }}, and has work.",
            "What it works on is safe and will be done again, but nothing behind it moves: no scores, changes or "
            "notifications, depending on the stage. Its log says what it waits for, if it knows.",
            "1m",
            ("instance", "stage"),
        ),
        Alert(
            "DriftlineScorerSilent",
            f'sum by (job, scorer) (increase({decisions}{{decision="scored"}}[1d] offset 2h)) > {_SILENT_LEAST}\n'
            f'unless sum by (job, scorer) (increase({decisions}{{decision="scored"}}[2h])) > 0\n'
            'and on (job) sum by (job) (increase(driftline_traces_total{outcome="evaluated"}[2h])) > '
            f"{_SILENT_LEAST}",
            "ticket",
            "{{ $labels.scorer }} gave scores the day before and none for two hours: `driftline why --summary` says "
            "what became of its candidates.",
            "Other scorers go on, so traces come in. Usually the application stopped sending what this scorer needs, "
            "after a change of its instrumentation.",
            "15m",
            ("scorer",),
            dashboard="driftline-evaluators",
        ),
        Alert(
            "DriftlineScorerFailing",
            f'sum by (job, scorer) (increase({decisions}{{decision="failed"}}[1h]))\n'
            f"> {_FAILING_SHARE} * sum by (job, scorer) "
            f'(increase({decisions}{{decision=~"failed|scored"}}[1h]))',
            "ticket",
            "{{ $labels.scorer }} failed on {{ $value | humanize }} traces within an hour, more than a tenth of those "
            "it ran on.",
            "A failure is never a score, so its numbers rest on the traces that are left, which may be other ones "
            "than usual. The reasons are in driftline_decisions_total by `reason`.",
            "15m",
            ("scorer",),
            dashboard="driftline-evaluators",
        ),
        Alert(
            "DriftlineScorerSuspended",
            "driftline_scorer_suspended == 1",
            "ticket",
            "{{ $labels.scorer }} hung or crashed so often on {{ $labels.instance }} that it is called no more.",
            "It stays so until the service starts again or is reloaded. Its candidates are recorded as failed.",
            variables=("instance", "scorer"),
            dashboard="driftline-evaluators",
        ),
    ]


def _telling() -> list[Alert]:
    return [
        Alert(
            "DriftlineNotificationsFailing",
            "driftline_notification_pending > 0",
            "page",
            "{{ $value }} notifications wait for {{ $labels.notifier }}: a page may not arrive.",
            "They are tried again until alerts.give_up has passed, then dropped. Look at what is on the page of "
            "Driftline meanwhile, as it may be what nobody was told.",
            "15m",
            ("notifier",),
        ),
        Alert(
            "DriftlineNotificationsLost",
            'increase(driftline_notifications_total{outcome=~"refused|given_up"}[1h]) > 0',
            "page",
            "{{ $labels.notifier }} did not take a notification ({{ $labels.reason }}); see the log of Driftline.",
            "Somebody was not told of a change, or of its end. A change that lasts is told afresh at the next "
            "reminder (alerts.repeat); until then, look at the page of Driftline.",
            variables=("notifier",),
        ),
        Alert(
            "DriftlineNotificationsHeldBack",
            'sum by (notifier) (increase(driftline_notifications_total{outcome="held_back"}[1h])) > 0',
            "ticket",
            "{{ $labels.notifier }} has reached its rate_limit: the page of Driftline shows what it has not told.",
            "More changed at once than this notifier may tell within its limit. What waits is told when there is room, "
            "what has ended by then by its end; the end of what was told is never held back.",
            variables=("notifier",),
        ),
        Alert(
            "DriftlineEventsDropped",
            'increase(driftline_evaluation_events_total{outcome=~"failed|queue_full"}[1h]) > 0',
            "ticket",
            "Scores are not reaching the OpenTelemetry receiver ({{ $labels.outcome }}).",
            "They are stored and watched all the same; only the events of events.otlp_http are missing there, and "
            "are not sent again.",
            "1h",
        ),
    ]
