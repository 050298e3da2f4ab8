"""Notifications to lay out: the three steps of an example, and any that hostile traffic could lead to."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema_rs
import orjson
from hypothesis import strategies as st

from alerts.base import DeliveryError, Notification
from alerts.compose import compose
from alerts.explain import Wording
from drift.base import Carrier, Change, Coincidence, Estimate
from tests.alerts.conftest import EXAMPLE

HERE = Path(__file__).parent
SENT_NS = 1_772_376_000_250_000_000
WORDING = Wording(
    "https://traces.example/{trace_id}", "https://driftline.example/changes/{change_id}", "https://runbook.example"
)
HOSTILE = (
    "<!channel> <@U123> <https://evil.example|Log in> & [free](https://evil.example) ![x](https://evil.example/p.png) "
    "**bold** `code` {{DATE(2020-01-01T00:00:00Z)}} ${evil} <script>alert(1)</script> <img src=x onerror=alert(1)>"
)


def examples() -> list[Notification]:
    over = replace(EXAMPLE, status="resolved", sequence=4, resolved_ns=SENT_NS - 10**9, reason="recovered")
    return [
        compose(EXAMPLE, WORDING, SENT_NS, "firing"),
        compose(replace(EXAMPLE, sequence=3), WORDING, SENT_NS, "firing", reminder=True),
        compose(over, WORDING, SENT_NS, "resolved"),
    ]


def hostile() -> Notification:
    """Every text that comes from traffic tries to be markup."""
    carriers = [replace(carrier, attribute=HOSTILE, value=HOSTILE) for carrier in EXAMPLE.carriers]
    told = [Coincidence(HOSTILE, HOSTILE, "new", 0.0, 1.0, 0), Coincidence("tool", HOSTILE, "gone", 1.0, 0.0, 2**62)]
    change = replace(
        EXAMPLE, slice={"service": HOSTILE, HOSTILE: HOSTILE}, carriers=carriers, coincidences=told, moved=HOSTILE
    )
    return compose(change, WORDING, SENT_NS, "firing")


def golden(name: str, found: object) -> None:
    """Compare with the file of this name."""
    text = orjson.dumps(found, option=orjson.OPT_INDENT_2).decode() + "\n"
    assert text == (HERE / "golden" / name).read_text()


def outcome(action: Callable[[], None]) -> tuple[type[DeliveryError] | None, str]:
    """How a delivery failed, and why; (None, "") if it did not."""
    try:
        action()
    except DeliveryError as error:
        return type(error), error.reason
    return None, ""


def schema(name: str) -> Any:
    """A checker of a published form."""
    return jsonschema_rs.validator_for(orjson.loads((HERE / "schemas" / name).read_bytes()))


_TEXT = st.one_of(
    st.text(max_size=40),
    st.text(alphabet="<>&*_`[]()|\\\"'{}$#!\r\n\0\u2028\U0001f600é\ud800", max_size=400),
    st.sampled_from(["", " ", "&" * 5000, "\U0001f600" * 3000, "<" * 300, HOSTILE, "x" * 100_000]),
)
_NUMBER = st.one_of(st.floats(), st.sampled_from([0.0, 0.5, 1.0, -1e300]))


def _estimates() -> st.SearchStrategy[Estimate]:
    return st.builds(Estimate, _NUMBER, _NUMBER, _NUMBER, _NUMBER)


def _changes() -> st.SearchStrategy[Change]:
    carriers = st.builds(
        Carrier, _TEXT, _TEXT, _NUMBER, st.none() | _NUMBER, st.none() | _NUMBER, st.booleans(), _NUMBER, _NUMBER,
        _NUMBER,
    )  # fmt: skip
    return st.builds(
        replace,
        st.just(EXAMPLE),
        id=_TEXT,
        monitor=_TEXT,
        metric=_TEXT,
        detector=_TEXT,
        direction=st.sampled_from(["up", "down", "both"]),
        slice=st.dictionaries(_TEXT, _TEXT, max_size=30),
        carriers=st.lists(carriers, max_size=6),
        traces=st.lists(_TEXT, max_size=6),
        contrast_traces=st.lists(_TEXT, max_size=3),
        before=_estimates(),
        after=_estimates(),
        size=_estimates(),
        onset_ns=st.integers(0, 2**70),
        reason=_TEXT,
        related=_TEXT,
        sequence=st.integers(0, 10**9),
    )


def _wordings() -> st.SearchStrategy[Wording]:
    links = st.sampled_from([None, "https://t.example/", "http://" + "a" * 5000 + "/", "not an address <b>|"])

    def make(link: str | None, labels: dict[str, str]) -> Wording:
        if link is None:
            return Wording(labels=labels)
        return Wording(link + "{trace_id}", link + "{change_id}", link + "&a=<1>", labels)

    return st.builds(make, links, st.dictionaries(_TEXT, _TEXT, max_size=5))


def any_notification() -> st.SearchStrategy[Notification]:
    """Whatever slices, ids and settings say."""

    def make(change: Change, wording: Wording, status: Any, reminder: bool, note: str) -> Notification:
        if status == "resolved":
            change = replace(change, status="resolved", resolved_ns=SENT_NS)
        made = compose(change, wording, SENT_NS, status, reminder=reminder and status == "firing")
        return made if not note else replace(made, annotations={**made.annotations, "rate_limit": note})

    status = st.sampled_from(["firing", "resolved"])
    return st.builds(make, _changes(), _wordings(), status, st.booleans(), st.sampled_from(["", "limit " * 40]))


def groups(most: int) -> st.SearchStrategy[Sequence[Notification]]:
    """What a notifier may be given at once: few, or as many as it takes."""
    some = st.lists(any_notification(), min_size=1, max_size=3)
    full: Callable[[Notification], Sequence[Notification]] = lambda one: [one] * most  # noqa: E731
    return st.one_of(some.filter(lambda group: len(group) <= most), any_notification().map(full))
