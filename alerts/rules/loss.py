"""Whether anything is left out that should be evaluated or handed on."""

from alerts.rules.model import Alert, Group
from alerts.rules.promql import grown

_SHARE = 0.01
_HOUR = "1h"

# Of records that nobody can read, and which log they were in.
_UNREADABLE = (
    ("driftline_unreadable_records_total", "spans"),
    ("driftline_unreadable_points_total", "scores"),
    ("driftline_unreadable_turns_total", "turns"),
    ("driftline_normalise_failures_total", "traces"),
)
_LEFT_OUT = (
    "driftline_rejected_spans_total",
    "driftline_undecodable_spans_total",
    "driftline_excess_spans_total",
    'driftline_late_spans_total{outcome="too_late"}',
)


def group() -> Group:
    return Group("driftline-loss", [_rejecting(), _spans_left_out(), _records_lost(), _export_left_out()])


def _rejecting() -> Alert:
    return Alert(
        "DriftlineRejecting",
        "sum by (job, receiver, reason) (increase(driftline_rejected_requests_total[15m])) > 0",
        "ticket",
        "Requests are not accepted at {{ $labels.receiver }} ({{ $labels.reason }}).",
        "Whether anything is lost depends on the sender: what is refused for good is dropped by it, what has to wait "
        "is sent again for as long as it keeps it.",
        "30m",
        ("receiver",),
    )


def _spans_left_out() -> Alert:
    # Their labels differ, so that `or` keeps them all.
    left_out = "\n  or ".join(f"increase({metric}[{_HOUR}])" for metric in _LEFT_OUT)
    return Alert(
        "DriftlineSpansLeftOut",
        f"sum by (job) (\n  {left_out}\n)\n"
        f"> {_SHARE} * sum by (job) (increase(driftline_received_spans_total[{_HOUR}]))",
        "ticket",
        "{{ $value | humanize }} spans were left out within an hour, more than a hundredth of all.",
        "They cannot be decoded, belong to a trace that has too many, or came after their trace was let go. Scores "
        "of their traces are of what is left.",
        "15m",
    )


def _records_lost() -> Alert:
    some = (
        f'label_replace(sum by (job) ({grown(metric, _HOUR)}), "log", "{log}", "", "")' for metric, log in _UNREADABLE
    )
    too_large = f"sum by (job, log) ({grown('driftline_too_large_records_total', _HOUR)})"
    return Alert(
        "DriftlineRecordsLost",
        "\nor ".join((too_large, *some)),
        "ticket",
        "Records of {{ $labels.log }} could not be worked on and were left out: {{ $value | humanize }} in an hour.",
        "They were accepted, and what is in them will not be evaluated. Those of the inbox are kept among the dead "
        "letters. This should never happen: please report it.",
    )


def _export_left_out() -> Alert:
    return Alert(
        "DriftlineExportLeftOut",
        f"sum by (job, sink, rows, reason) ({grown('driftline_export_left_out_total', _HOUR)})",
        "ticket",
        "Rows of {{ $labels.rows }} are missing in the export to {{ $labels.sink }} ({{ $labels.reason }}).",
        "Driftline itself has them; whoever reads the export does not, and will not get them later.",
        variables=("sink",),
    )
