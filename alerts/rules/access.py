"""Who is turned away: at the page and its API, and, for wrong tokens, at any listener.

What OTLP receivers refuse for other reasons is in `loss`, as traces may be lost by it.
"""

from alerts.rules.model import Alert, Group
from alerts.rules.promql import grown

_WINDOW = "15m"
_LEAST = 60  # a browser's first request has no token yet, and is counted too
_FAILING_SHARE = 0.05
_FAILING_LEAST = 5
_PROBES = 'route!~"/healthz|/readyz"'  # 503 is what they are there to say


def group() -> Group:
    return Group("driftline-access", [_page_refusing(), _page_failing(), _tokens_guessed()])


def _page_refusing() -> Alert:
    return Alert(
        "DriftlinePageRefusing",
        'sum by (job, instance, reason) (increase(driftline_refused_access_total{listener="web"}'
        f"[{_WINDOW}])) > {_LEAST}",
        "ticket",
        "The page and API of {{ $labels.instance }} turn requests away ({{ $labels.reason }}): "
        "{{ $value | humanize }} in a quarter of an hour.",
        "Somebody who may look cannot, or something asks that should not. Scrapes come by the same way: if it is "
        "Prometheus that is refused, DriftlineDown follows.",
        _WINDOW,
        ("instance",),
    )


def _page_failing() -> Alert:
    failed, asked = (
        f"sum by (job, instance) (increase(driftline_web_requests_total{{{chosen}{_PROBES}}}[{_WINDOW}]))"
        for chosen in ('code=~"5..",', "")
    )
    return Alert(
        "DriftlinePageFailing",
        f"{failed}\n> {_FAILING_SHARE} * {asked}\nand {failed} > {_FAILING_LEAST}",
        "ticket",
        "The page and API of {{ $labels.instance }} failed {{ $value | humanize }} requests in a quarter of an hour, "
        "more than a twentieth of all.",
        "Evaluation and alerts go on; people and programs that ask get 503 (more questions at once than can be worked "
        "on) or 500 (its log says which).",
        _WINDOW,
        ("instance",),
    )


def _tokens_guessed() -> Alert:
    counter = 'driftline_refused_access_total{reason="guessing"}'
    return Alert(
        "DriftlineTokensGuessed",
        f"sum by (job, instance, listener) ({grown(counter, '1h')})",
        "ticket",
        "Many wrong tokens came from one address at {{ $labels.listener }} of {{ $labels.instance }}: it is shut out.",
        "Somebody tries tokens, or a sender goes through a list of old ones. Whatever comes from that address is "
        "refused meanwhile, the right token too; the audit log names it.",
        variables=("instance",),
    )
