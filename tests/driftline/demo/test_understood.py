"""What the demo plans is what the service understands: through the real splitting, decoding and normalising."""

from collections import Counter, defaultdict
from collections.abc import Iterator

import pytest

from collector.core.engine import TRACES_KIND
from collector.core.model import LogEvent, Span, Trace
from collector.normalise import normalise
from collector.wire.decode import decode_log, decode_span
from collector.wire.split import split_logs, split_traces
from driftline.demo.recordings import shipped_sample
from driftline.demo.traffic import Request, Traffic, Visit

TRAFFIC = Traffic(shipped_sample(), end_ns=1_800_000_000 * 10**9, traces=1000)


def understood(requests: Iterator[tuple[str, bytes]]) -> dict[str, Trace]:
    """The normalised traces of requests, by id."""
    spans: dict[str, list[Span]] = defaultdict(list)
    events: dict[str, list[LogEvent]] = defaultdict(list)
    for kind, body in requests:
        if kind == TRACES_KIND:
            found = split_traces(body)
            for span in map(decode_span, found.slices):
                spans[span.trace_id].append(span)
        else:
            logs = split_logs(body)
            for event in map(decode_log, logs.slices):
                events[event.trace_id].append(event)
    return {trace_id: normalise(trace_id, spans[trace_id], events[trace_id]) for trace_id in spans}


def of_visit(visit: Visit) -> list[Trace]:
    return list(understood((kind, m.SerializeToString()) for kind, m in TRAFFIC.cast(visit)).values())


@pytest.fixture(scope="module")
def traces() -> list[tuple[Visit, list[Trace]]]:
    return [(visit, of_visit(visit)) for visit in TRAFFIC.visits]


def test_a_planned_answer_is_the_answer_that_is_understood(traces: list[tuple[Visit, list[Trace]]]) -> None:
    planned = [(visit, found) for visit, found in traces if visit.answer is not None]
    assert len(planned) > 500
    for visit, (trace,) in planned:
        assert trace.answer == visit.answer, visit.recording
        assert trace.contexts, visit.recording
        assert trace.service == visit.service.name
        assert trace.resource["service.version"] == visit.version


def test_failures_are_understood_as_failures(traces: list[tuple[Visit, list[Trace]]]) -> None:
    failed = [found for visit, found in traces if visit.outcome == "failed"]
    assert failed
    assert all(trace.error for found in failed for trace in found)


def test_no_response_id_is_in_two_visits(traces: list[tuple[Visit, list[Trace]]]) -> None:
    ids = Counter(
        response_id
        for _, found in traces
        for response_id in {call.response_id for trace in found for call in trace.llm_calls if call.response_id}
    )
    assert len(ids) > 300
    assert max(ids.values()) == 1


def test_batches_are_understood_like_visits_alone(traces: list[tuple[Visit, list[Trace]]]) -> None:
    def bodies(requests: Iterator[Request]) -> Iterator[tuple[str, bytes]]:
        return ((request.kind, request.body) for request in requests)

    together = understood(bodies(TRAFFIC.requests()))
    alone = {trace.trace_id: trace for _, found in traces for trace in found}
    assert together.keys() == alone.keys()
    for trace_id, trace in alone.items():
        assert together[trace_id].answer == trace.answer
        assert len(together[trace_id].llm_calls) == len(trace.llm_calls)


def test_prompt_versions_follow_the_deployment(traces: list[tuple[Visit, list[Trace]]]) -> None:
    found = {
        (visit.version, trace.prompt_version)
        for visit, understood in traces
        for trace in understood
        if visit.service.name == TRAFFIC.truth.service and visit.recording == "openinference-langchain/rag_health"
    }
    assert found == {("2.3.1", "v7"), ("2.4.0", "v8")}
