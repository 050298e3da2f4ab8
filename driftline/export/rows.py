"""A sheet of the ledger as rows of scores, and a change as a row: what leaves, in the form that is published.

The forms are described by score.schema.json and change.schema.json beside this file. What the logs hold is compact and
may change with any release; these forms may gain fields, and lose or redefine none without a new number.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

from drift.base import Change
from driftline.records import Sheet
from scorers.ledger import score_id

Row: TypeAlias = dict[str, Any]

SCORE_FORM = "driftline.score/1"
CHANGE_FORM = "driftline.change/1"

_SECOND_NS = 1_000_000_000


def score_rows(sheet: Sheet, *, unscored: bool = False) -> list[Row]:
    """The rows of one revision of a trace.

    A candidate without a score is left out unless `unscored`. A revision always has all of its rows: that a scorer has
    nothing to say any more must reach those who keep what it said before.
    """
    everything = unscored or sheet["revision"] > 0
    shared = {
        "trace_id": sheet["trace_id"],
        "revision": sheet["revision"],
        "session_id": sheet["session_id"],
        "event_time": rfc3339(sheet["event_ns"]),
        "slices": sheet["slices"],
        "trace_error": sheet["error"],
        "trace_incomplete": sheet["incomplete"],
    }
    tenant = sheet.get("tenant")
    owner = f"{sheet['trace_id']}@{tenant}" if tenant else sheet["trace_id"]  # two tenants may have one trace id
    wanted = [decision for decision in sheet["decisions"] if everything or decision.get("score")]
    return [_score_row(shared, decision, owner) for decision in wanted]


def _score_row(shared: Mapping[str, Any], decision: Mapping[str, Any], owner: str) -> Row:
    score = decision.get("score") or {}
    span_id, scorer, probability = decision.get("span_id"), decision["scorer"], decision["probability"]
    return {
        "form": SCORE_FORM,
        "id": score_id(owner, span_id, scorer, shared["revision"]),
        **shared,
        "span_id": span_id,
        "scorer": scorer,
        "evaluator_id": decision["evaluator_id"],
        "decision": decision["decision"],
        "reason": decision["reason"],
        "value": score.get("value"),
        "passed": score.get("passed"),
        "label": score.get("label"),
        "probability": probability,
        "weight": 1 / probability if probability > 0 else None,
        "rule": decision["rule"],
    }


def score_key(row: Row) -> bytes:
    """The same for all revisions of a score, so that a compacted topic keeps the newest."""
    return "/".join((row["trace_id"], row["scorer"], row["span_id"] or "")).encode("utf-8", "replace")


def change_row(change: Change) -> Row:
    """The row of one telling of a change."""
    row = asdict(change)
    row["change_id"], row["slices"] = row.pop("id"), row.pop("slice")
    for name in ("detected", "onset", "onset_low", "onset_high", "resolved"):
        at_ns = row.pop(f"{name}_ns")
        row[f"{name}_time"] = None if at_ns is None else rfc3339(at_ns)
    for one in row["coincidences"]:
        at_ns = one.pop("at_ns")
        one["seen_time"] = None if at_ns is None else rfc3339(at_ns)
    for one in row["companions"]:
        one["slices"] = one.pop("slice")
    return {
        "form": CHANGE_FORM,
        "id": f"{change.id}/{change.sequence}",
        "event": change_event(change),
        **row,
    }


def change_event(change: Change) -> Literal["opened", "updated", "resolved"]:
    if change.status == "resolved":
        return "resolved"
    return "updated" if change.sequence else "opened"


def change_key(row: Row) -> bytes:
    """The same for all that is told of a change."""
    return str(row["change_id"]).encode()


def day(row: Row) -> str:
    """The day a row belongs to, in UTC: of the trace's end, or of the change's detection.

    >>> day({"form": SCORE_FORM, "event_time": "2026-03-01T23:59:59.999999999Z"})
    '2026-03-01'
    """
    time: str = row["event_time"] if row["form"] == SCORE_FORM else row["detected_time"]
    return time[:10]


def by_day(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """The rows of each day, in order."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(day(row), []).append(row)
    return found


def rfc3339(at_ns: int) -> str:
    """A moment in UTC, to the nanosecond.

    >>> rfc3339(1_700_000_000_250_000_001)
    '2023-11-14T22:13:20.250000001Z'
    """
    seconds, rest_ns = divmod(at_ns, _SECOND_NS)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest_ns:09}Z"
