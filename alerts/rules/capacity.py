"""Whether Driftline keeps up, and has room."""

from alerts.rules.model import Alert, Facts, Group
from alerts.rules.promql import duration

_NEAR, _NEARLY_THERE = 0.8, 0.95
_MESSAGES = 1000  # fewer that wait are on their way
_RECORDS = 10_000


def group(facts: Facts) -> Group:
    return Group("driftline-capacity", [*_keeping_up(facts), *_room(facts), *_kafka()])


def _keeping_up(facts: Facts) -> list[Alert]:
    return [
        Alert(
            "DriftlineShedding",
            'sum by (job, scorer) (increase(driftline_decisions_total{decision="shed"}[15m])) > 0',
            "ticket",
            "{{ $labels.scorer }} is left out, since more comes in than can be worked through: add workers, or lower "
            "its rate.",
            "Its estimates rest on fewer traces for as long as that goes on. What was shed is not scored later.",
            "15m",
            ("scorer",),
            dashboard="driftline-evaluators",
        ),
        Alert(
            "DriftlineBehind",
            f"driftline_behind_seconds > {facts.behind_seconds:g}",
            "ticket",
            "{{ $labels.instance }} works on spans that have waited for {{ $value | humanizeDuration }}.",
            f"For a quarter of an hour it has been more than {duration(facts.behind_seconds)} behind. Scores, alerts "
            "and pages come that much later than they should; nothing is lost yet.",
            "15m",
            ("instance",),
        ),
        Alert(
            "DriftlineSessionsBehind",
            f"driftline_session_behind_seconds > {facts.behind_seconds:g}",
            "ticket",
            "{{ $labels.instance }} works on turns of sessions that have waited for {{ $value | humanizeDuration }}.",
            f"For a quarter of an hour it has been more than {duration(facts.behind_seconds)} behind with sessions. "
            "They are scored that much later than they should; nothing is lost yet.",
            "15m",
            ("instance",),
        ),
        Alert(
            "DriftlineBacklogFull",
            f"driftline_backlog_bytes > {_NEAR * facts.max_backlog_bytes:.0f}",
            "page",
            "{{ $value | humanize1024 }}B wait to be evaluated on {{ $labels.instance }}: senders are refused soon.",
            "More than four fifths of store.max_backlog wait. When all of it does, senders are told to come back "
            "later (429), and those that do not keep what they have lose it.",
            "5m",
            ("instance",),
        ),
        Alert(
            "DriftlineEvicting",
            'sum by (job, instance) (increase(driftline_evicted_traces_total{stage="open"}[15m])) > 0',
            "ticket",
            "{{ $labels.instance }} evaluates traces before they are whole, since it has no memory to wait for them.",
            "Scores of such traces are of what had come by then. Raise assemble.max_open, or find who sends traces "
            "that never end.",
            "15m",
            ("instance",),
        ),
    ]


def _room(facts: Facts) -> list[Alert]:
    used = f"driftline_store_bytes / {facts.max_store_bytes}"
    summary = "The store of {{ $labels.instance }} is {{ $value | humanizePercentage }} full: "
    return [
        Alert(
            "DriftlineStoreFilling",
            f"{used} > {_NEAR} < {_NEARLY_THERE}",
            "ticket",
            summary + "at store.max_size senders are refused.",
            "It keeps what store.retention says, so it may settle by itself after a change of traffic. If it does "
            "not, raise store.max_size (and mind the disk), or lower store.retention.",
            "1h",
            ("instance",),
        ),
        Alert(
            "DriftlineStoreFull",
            f"{used} >= {_NEARLY_THERE}",
            "page",
            summary + "senders are refused at any moment.",
            "At store.max_size senders are told to come back later (429), and those that do not keep what they have "
            "lose it. Raise store.max_size if the disk has room, and restart.",
            "5m",
            ("instance",),
        ),
        Alert(
            "DriftlineStoreFailing",
            "sum by (job, instance, reason) (increase(driftline_store_failures_total[5m])) > 0",
            "page",
            "The store of {{ $labels.instance }} cannot be written ({{ $labels.reason }}): senders are refused.",
            "Senders get 503 and stages wait; both go on by themselves once it can be written. If the reason is "
            "`full`, make room on the disk; if it is `damaged`, stop the service and run `driftline repair`.",
            "5m",
            ("instance",),
        ),
        Alert(
            "DriftlineCommitsSlow",
            "histogram_quantile(0.99, sum by (job, instance, le) (rate(driftline_commit_seconds_bucket[10m]))) > 1",
            "ticket",
            "One commit of a hundred takes longer than {{ $value | humanizeDuration }} on {{ $labels.instance }}: its "
            "disk is slow.",
            "Every answer to a sender waits for a commit. A network disk, or another program that writes a lot, are "
            "the usual causes.",
            "30m",
            ("instance",),
        ),
        Alert(
            "DriftlineSeriesFolded",
            "sum by (job, instance, metric) (increase(driftline_folded_updates_total[30m])) > 0",
            "ticket",
            "{{ $labels.metric }} of {{ $labels.instance }} has too many label sets: the new ones are counted as "
            "`other`.",
            "What is watched and paged is not touched, but graphs, objectives and rules do not see those services, "
            "versions or scorers by name. Find the slice that grows, or raise metrics.max_series.",
            "30m",
            ("instance",),
        ),
    ]


def _kafka() -> list[Alert]:
    return [
        Alert(
            "DriftlineKafkaLag",
            f"min_over_time(driftline_kafka_lag_messages[30m]) > {_MESSAGES}\n"
            "and deriv(driftline_kafka_lag_messages[30m]) >= 0",
            "ticket",
            "{{ $value | humanize }} messages of {{ $labels.topic }} wait, and do not get fewer.",
            "Driftline reads slower than the topic is written. When the topic's retention reaches what was not read, "
            "it is lost.",
            "15m",
            ("instance", "topic"),
        ),
        Alert(
            "DriftlineStageLag",
            f"min_over_time(driftline_stage_lag_records[30m]) > {_RECORDS}\n"
            "and deriv(driftline_stage_lag_records[30m]) >= 0",
            "ticket",
            "{{ $value | humanize }} records wait for stage {{ $labels.stage }} of {{ $labels.instance }}, and do not "
            "get fewer.",
            "The stage is slower than what feeds it. Add workers of the role that runs it (`driftline serve --role`), "
            "up to the number of partitions.",
            "15m",
            ("instance", "stage"),
        ),
        Alert(
            "DriftlineRetentionNear",
            "driftline_retention_ratio > 0.8",
            "page",
            "{{ $value | humanizePercentage }} of what the inbox's retention keeps was not read yet: senders wait.",
            "Senders are told to wait so that retention drops nothing that was acknowledged. Add workers, or raise "
            "the retention of the topic, before those senders lose what they hold.",
            "5m",
            ("instance",),
        ),
        Alert(
            "DriftlineLeaderless",
            "driftline_leaderless_partitions > 0",
            "page",
            "{{ $value }} partitions of {{ $labels.topic }} have no leader: what belongs there waits.",
            "Brokers are down, or cannot agree. What goes to those partitions is neither taken nor evaluated until "
            "one leads them again.",
            "5m",
            ("topic",),
        ),
    ]
