"""Whatever ids, parents, times and orders spans have: each is in a trace that is evaluated, or is counted."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.core.engine import TRACES_KIND
from tests.fuzz.effort import fuzz
from tests.fuzz.through import SCORER_NAMES, Path

pytestmark = pytest.mark.fuzz
NOW_NS = 1_790_000_000 * 10**9
HOUR_NS = 3600 * 10**9
trace_ids = st.sampled_from([bytes([n]) * 16 for n in (1, 2, 3)] + [bytes(16), b"", b"x" * 15])
span_ids = st.sampled_from([bytes([n]) * 8 for n in range(1, 7)] + [bytes(8), b"", b"y" * 9])
times = st.builds(
    lambda base, more: min(max(0, base + more), 2**64 - 1),
    st.sampled_from([0, NOW_NS, NOW_NS, NOW_NS, NOW_NS - 3 * HOUR_NS, NOW_NS + 3 * HOUR_NS, 4_102_444_800 * 10**9]),
    st.integers(-30, 30).map(lambda seconds: seconds * 10**9),
)
spans = st.fixed_dictionaries(
    {
        "trace_id": trace_ids,
        "span_id": span_ids,
        "parent_span_id": span_ids,
        "start_time_unix_nano": times,
        "end_time_unix_nano": times | st.sampled_from([2**63, 2**64 - 1]),
        "name": st.sampled_from(["chat", ""]),
    }
)


def request(*some: dict[str, object]) -> bytes:
    message = ExportTraceServiceRequest()
    scope = message.resource_spans.add().scope_spans.add()
    for one in some:
        scope.spans.add(**one)
    return message.SerializeToString()


@fuzz
@given(
    st.lists(st.lists(spans, min_size=1, max_size=6), min_size=1, max_size=12),
    st.sampled_from(["1KiB", "64MiB"]),
    st.sampled_from(["1s", "1h"]),
)
def test_every_span_is_evaluated_or_counted_and_every_revision_is_decided_once(
    sent: list[list[dict[str, object]]], max_open: str, window: str
) -> None:
    path = Path(quiet="5s", max_open=max_open, revision_window=window, max_spans=4)
    accepted = 0
    for some in sent:
        prepared = path.receive(TRACES_KIND, request(*some))
        assert prepared.accepted + len(prepared.rejected) == len(some)
        accepted += prepared.accepted
    outcome = path.finish()
    counts = outcome.counts
    # A trace of which nothing is remembered any more begins anew, with revision 0.
    begun: Counter[str] = Counter()
    last: dict[tuple[str, int], int] = {}
    next_revision: dict[str, int] = {}
    for sheet in outcome.sheets:
        trace_id, revision = sheet["trace_id"], sheet["revision"]
        begun[trace_id] += revision == 0
        assert revision in (0, next_revision.get(trace_id, 0))
        next_revision[trace_id] = revision + 1
        last[trace_id, begun[trace_id]] = sheet["counts"]["spans"]
    known = counts["duplicate_spans"] + counts["excess_spans"] + counts["late_spans:too_late"]
    assert sum(last.values()) + known == accepted
    for sheet in outcome.sheets:
        assert {one["scorer"] for one in sheet["decisions"]} == SCORER_NAMES
        assert not [one for one in sheet["decisions"] if one["decision"] == "failed"]


def test_thousands_of_traces_of_one_span_are_each_evaluated_once_with_little_memory() -> None:
    path = Path(quiet="1s", revision_window="10s", max_open="4MiB")
    total = 5_000
    for first in range(0, total, 500):
        path.receive(
            TRACES_KIND,
            request(
                *(
                    {
                        "trace_id": (number + 1).to_bytes(16, "big"),
                        "span_id": b"s" * 8,
                        "start_time_unix_nano": NOW_NS + number * 10**6,
                        "end_time_unix_nano": NOW_NS + number * 10**6,
                    }
                    for number in range(first, first + 500)
                )
            ),
        )
        assert path.held_bytes < 5 * 2**20
    outcome = path.finish()
    assert len(outcome.sheets) == len({sheet["trace_id"] for sheet in outcome.sheets}) == total


def test_a_trace_that_never_ends_is_evaluated_and_revised_and_stays_within_its_limit() -> None:
    path = Path(quiet="5s", max_age="1m", revision_window="1h", max_spans=100)
    for number in range(600):
        at = NOW_NS + number * 10**9
        one = {"trace_id": b"t" * 16, "span_id": (number + 1).to_bytes(8, "big"), "parent_span_id": b"p" * 8}
        path.receive(TRACES_KIND, request({**one, "start_time_unix_nano": at, "end_time_unix_nano": at}))
    outcome = path.finish()
    assert outcome.sheets[0]["incomplete"]
    assert outcome.sheets[-1]["counts"]["spans"] == 100
    assert outcome.counts["excess_spans"] == 500
