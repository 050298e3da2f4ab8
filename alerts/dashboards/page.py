"""The row of Driftline's own page and API: what it answers, and whom it turns away."""

from alerts.dashboards.model import Panel, Query, Row
from alerts.dashboards.parts import HERE, rate


def page_and_api() -> Row:
    return Row("Page and API", [_answered(), _not_let_in()])


def _answered() -> Panel:
    return Panel(
        "Answers of the page and the API",
        "Requests a second, by status. 401 once a visit is a browser that has not sent its token yet; 503 is more "
        "questions at once than are worked on; 500 is a defect, which the log tells.",
        [Query(rate("driftline_web_requests_total", "code", HERE), "{{code}}")],
        "reqps",
    )


def _not_let_in() -> Panel:
    return Panel(
        "Not let in",
        "Requests and connections a second that were turned away before they were looked at, by listener and reason. "
        "`guessing` is an address that tried many wrong tokens and is shut out.",
        [Query(rate("driftline_refused_access_total", "listener, reason", HERE), "{{listener}} {{reason}}")],
        "reqps",
    )
