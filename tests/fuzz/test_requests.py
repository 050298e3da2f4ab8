"""Nothing that is sent can break anything, and of everything that is sent it is known what became of it."""

from collections import Counter
from collections.abc import Callable
from typing import TypeVar

import orjson
import pytest
from google.protobuf.json_format import MessageToDict
from hypothesis import given
from hypothesis import strategies as st

from collector.core.engine import EVENTS_KIND, TRACES_KIND
from collector.core.errors import Rejected
from collector.wire.json import logs_from_json, traces_from_json
from collector.wire.route import route
from collector.wire.split import split_logs, split_traces, tally_logs, tally_traces
from driftline.commands.inspect import as_line
from driftline.recording import Recording
from tests.fuzz import hostile
from tests.fuzz.effort import fuzz
from tests.fuzz.through import SCORER_NAMES, Outcome, Path

pytestmark = pytest.mark.fuzz
T = TypeVar("T")
REASONS = {"malformed", "bad_span", "bad_record", "bad_trace_id", "bad_span_id", "bad_time", "too_large"}


def attempted(call: Callable[[], T]) -> tuple[T | None, str]:
    """What it gives, or why it was refused; nothing else may be raised."""
    try:
        return call(), ""
    except Rejected as error:
        return None, error.reason


def understood(outcome: Outcome) -> None:
    """Every trace has a decision on every scorer, and none is a defect of ours."""
    for sheet in outcome.sheets:
        assert {one["scorer"] for one in sheet["decisions"]} == SCORER_NAMES
        failed = [one for one in sheet["decisions"] if one["decision"] == "failed"]
        assert not failed, failed
    assert outcome.counts["normalise_failures"] == 0
    revisions = Counter((sheet["trace_id"], sheet["revision"]) for sheet in outcome.sheets)
    assert set(revisions.values()) <= {1}


@fuzz
@given(hostile.requests())
def test_a_request_with_hostile_values_is_understood_scored_and_accounted_for(sent: tuple[str, bytes]) -> None:
    kind, body = sent
    path = Path()
    prepared = path.receive(kind, body)
    found = hostile.items(hostile.parse(kind, body))
    assert prepared.accepted + len(prepared.rejected) + prepared.without_trace == len(found)
    assert {error.reason for error in prepared.rejected} <= REASONS
    outcome = path.finish()
    understood(outcome)
    if kind == TRACES_KIND:
        spans = sum(sheet["counts"]["spans"] for sheet in outcome.sheets if sheet["revision"] == 0)
        assert spans + outcome.counts["duplicate_spans"] == prepared.accepted
    else:
        assert {sheet["trace_id"] for sheet in outcome.sheets} == {
            one.trace_id.hex() for one in found if len(one.trace_id) == 16 and any(one.trace_id)
        } or prepared.rejected


@fuzz
@given(hostile.damaged())
def test_damaged_bytes_are_rejected_as_a_whole_or_item_by_item(sent: tuple[str, bytes]) -> None:
    kind, body = sent
    path = Path()
    prepared, reason = attempted(lambda: path.receive(kind, body))
    if prepared is None:
        assert reason in REASONS
        return
    assert {error.reason for error in prepared.rejected} <= REASONS
    outcome = path.finish()
    understood(outcome)
    if kind == TRACES_KIND:
        spans = sum(sheet["counts"]["spans"] for sheet in outcome.sheets if sheet["revision"] == 0)
        lost = outcome.counts["duplicate_spans"] + outcome.counts["undecodable_spans:bad_span"]
        assert spans + lost == prepared.accepted


@fuzz
@given(st.binary(max_size=300), st.sampled_from((TRACES_KIND, EVENTS_KIND)))
def test_any_bytes_are_counted_alike_by_who_counts_and_who_splits(body: bytes, kind: str) -> None:
    split, tally = (split_traces, tally_traces) if kind == TRACES_KIND else (split_logs, tally_logs)
    counted, reason = attempted(lambda: tally(body))
    if counted is None:
        assert reason == "malformed"
        return
    result = split(body)
    assert (len(result.slices), len(result.rejected)) == (counted.accepted, len(counted.rejected))


@fuzz
@given(hostile.requests() | hostile.damaged(), st.integers(2, 5))
def test_what_is_routed_is_what_was_accepted(sent: tuple[str, bytes], partitions: int) -> None:
    kind, body = sent
    split = split_traces if kind == TRACES_KIND else split_logs
    try:
        whole = split(body)
    except Rejected:
        return
    parts = route(kind, body, partitions)
    routed = [item for _, part in parts for item in split(part).slices]
    assert sorted(item.raw for item in routed) == sorted(item.raw for item in whole.slices)


@fuzz
@given(hostile.requests())
def test_inspect_shows_whatever_is_recorded(sent: tuple[str, bytes]) -> None:
    kind, body = sent
    recording = Recording()
    recording.add_request(kind, body, "recorded")
    for trace in recording.traces():
        orjson.loads(as_line(trace))


_KEYS = (
    *("resourceSpans", "scopeSpans", "spans", "resource", "attributes", "key", "value", "stringValue", "resourceLogs"),
    *("intValue", "doubleValue", "arrayValue", "kvlistValue", "values", "bytesValue", "scopeLogs", "logRecords"),
    *("body", "events", "links", "status", "scope", "traceId", "spanId"),
)
json_documents = st.recursive(
    hostile.values,
    lambda inner: st.dictionaries(
        st.sampled_from(_KEYS),
        inner | st.lists(inner, max_size=3),
        max_size=5,
    ),
    max_leaves=20,
)


@fuzz
@given(json_documents | st.builds(lambda one: {"resourceSpans": [{"scopeSpans": [{"spans": [one]}]}]}, json_documents))
def test_any_json_becomes_a_request_or_is_rejected(document: object) -> None:
    body = orjson.dumps(document, option=orjson.OPT_PASSTHROUGH_DATACLASS) if _is_json(document) else b"{"
    for convert in (traces_from_json, logs_from_json):
        converted, reason = attempted(lambda: convert(body))  # noqa: B023  called at once
        if converted is None:
            assert reason in REASONS
            continue
        tally = (tally_traces if convert is traces_from_json else tally_logs)(converted.body)
        assert {error.reason for error in (*converted.rejected, *tally.rejected)} <= REASONS


def _is_json(document: object) -> bool:
    try:
        orjson.dumps(document)
    except TypeError:
        return False
    return True


@fuzz
@given(hostile.requests(), st.data())
def test_json_with_wrong_types_costs_only_the_items_they_are_in(sent: tuple[str, bytes], data: st.DataObject) -> None:
    kind, body = sent
    plain = MessageToDict(hostile.parse(kind, body), use_integers_for_enums=True)
    groups, scopes, listed = (
        ("resourceSpans", "scopeSpans", "spans") if kind == TRACES_KIND else ("resourceLogs", "scopeLogs", "logRecords")
    )
    found = [one for group in plain.get(groups, ()) for scope in group[scopes] for one in scope.get(listed, ())]
    for one in found:
        for name in ("traceId", "spanId", "parentSpanId"):
            one[name] = one.get(name, "") and "0a" * (16 if name == "traceId" else 8)
    for _ in range(data.draw(st.integers(0, 3)) if found else 0):
        places = list(hostile.places(data.draw(st.sampled_from(found))))
        container, key = data.draw(st.sampled_from(places))
        container[key] = data.draw(hostile.values)
    try:
        encoded = orjson.dumps(plain)
    except TypeError:  # a lone surrogate, or an integer that no sender of JSON writes
        return
    path = Path()
    prepared = path.receive(kind, encoded, "json")
    assert prepared.accepted + len(prepared.rejected) + prepared.without_trace == len(found)
    understood(path.finish())
