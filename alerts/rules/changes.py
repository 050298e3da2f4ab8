"""Changes as rules, for those whose Alertmanager Driftline does not tell itself, which says more: slices and traces."""

from alerts.rules.model import Alert, Group

_SINCE = (
    '{{ with printf "driftline_change_onset_timestamp_seconds{monitor=%q,metric=%q,slice=%q}" $labels.monitor '
    "$labels.metric $labels.slice | query }}{{ . | first | value | humanizeTimestamp }}{{ end }}"
)


def group() -> Group:
    return Group(
        "driftline-changes",
        [
            Alert(
                "DriftlineChangeActive",
                "driftline_change_paged == 1",
                "page",
                "{{ $labels.metric }} ({{ $labels.slice }}) has changed.",
                "A monitor found a change that its share of false_pages does not explain. Driftline's own page of the "
                "change says by how much, which slices carry it, and which traces to open.",
                variables=("monitor", "metric", "slice"),
                dashboard="driftline-overview",
                annotations={"since": _SINCE},
            )
        ],
    )
