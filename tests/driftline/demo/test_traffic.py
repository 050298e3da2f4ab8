"""The demo's traffic: the same for the same arguments, in its window, and wrong in the way it says."""

from collections import Counter
from collections.abc import Iterator
from hashlib import sha256

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.core.engine import TRACES_KIND
from driftline.demo.recordings import log_records, shipped_sample, spans
from driftline.demo.services import CLINIC
from driftline.demo.texts import subjects
from driftline.demo.traffic import Request, Traffic, Visit

SAMPLE = shipped_sample()
END_NS = 1_800_000_000 * 10**9
HOUR_NS = 3600 * 10**9


def traffic(traces: int = 300, seed: int = 1, end_ns: int = END_NS, **options: float) -> Traffic:
    return Traffic(SAMPLE, end_ns=end_ns, traces=traces, seed=seed, **options)


def digest(requests: Iterator[Request]) -> str:
    total = sha256()
    for request in requests:
        total.update(request.kind.encode() + request.service.encode() + request.body)
    return total.hexdigest()


@pytest.fixture(scope="module")
def full() -> Traffic:
    return traffic(3000)


@pytest.fixture(scope="module")
def requests(full: Traffic) -> list[Request]:
    return list(full.requests())


def clinic_answers(full: Traffic, after: bool) -> list[Visit]:
    return [
        visit
        for visit in full.visits
        if visit.service is CLINIC
        and visit.outcome in ("grounded", "ungrounded", "refused")
        and (visit.start_ns >= full.truth.onset_ns) == after
    ]


def test_the_same_arguments_give_the_same_bytes() -> None:
    assert digest(traffic().requests()) == digest(traffic().requests())


def test_reading_the_requests_twice_gives_the_same_bytes() -> None:
    once = traffic(50)
    assert digest(once.requests()) == digest(once.requests())


@pytest.mark.parametrize("other", [{"seed": 2}, {"end_ns": END_NS + 1}, {"traces": 301}])
def test_other_arguments_give_other_ids(other: dict[str, int]) -> None:
    mine, theirs = trace_ids(traffic().requests()), trace_ids(traffic(**other).requests())
    assert not set(mine) & set(theirs)


def trace_ids(requests: Iterator[Request]) -> list[bytes]:
    """The id of each root."""
    return [
        span.trace_id
        for request in requests
        if request.kind == TRACES_KIND
        for span in spans(ExportTraceServiceRequest.FromString(request.body))
        if not span.parent_span_id
    ]


@pytest.mark.parametrize("traces", [1, 2, 7, 299, 3000])
def test_there_are_as_many_traces_as_were_asked_for(traces: int) -> None:
    made = list(traffic(traces).requests())
    ids = trace_ids(iter(made))
    assert len(ids) == len(set(ids)) == traces
    assert sum(request.traces for request in made) == traces


def test_all_bodies_can_be_decoded_and_all_span_ids_are_unique(requests: list[Request]) -> None:
    seen: Counter[bytes] = Counter()
    for request in requests:
        if request.kind == TRACES_KIND:
            seen.update(span.span_id for span in spans(ExportTraceServiceRequest.FromString(request.body)))
        else:
            assert list(log_records(ExportLogsServiceRequest.FromString(request.body)))
    assert max(seen.values()) == 1


def test_all_times_are_in_the_window_and_requests_in_order_of_time(full: Traffic, requests: list[Request]) -> None:
    newest_ns = 0
    for request in requests:
        if request.kind != TRACES_KIND:
            continue
        found = list(spans(ExportTraceServiceRequest.FromString(request.body)))
        first_ns = min(span.start_time_unix_nano for span in found)
        last_ns = max(span.end_time_unix_nano for span in found)
        assert full.start_ns <= first_ns <= last_ns <= full.end_ns
        assert last_ns - first_ns <= 5 * 10**9  # a burst is over before the usual quiet time is
        assert first_ns >= newest_ns - 5 * 10**9
        newest_ns = max(newest_ns, last_ns)
    assert full.end_ns - full.start_ns == 6 * HOUR_NS
    assert newest_ns > full.end_ns - 120 * 10**9


def test_the_truth_is_what_was_done(full: Traffic) -> None:
    before, after = clinic_answers(full, after=False), clinic_answers(full, after=True)
    assert len(before) >= 900
    assert len(after) >= 400
    assert share(before, "ungrounded") == pytest.approx(0.04, abs=0.02)
    assert share(after, "ungrounded") == pytest.approx(0.35, abs=0.06)
    assert share(before, "refused") == pytest.approx(0.02, abs=0.015)
    assert share(after, "refused") == pytest.approx(0.15, abs=0.05)
    assert {v.version for v in before} == {"2.3.1"}
    assert {v.version for v in after} == {"2.4.0"}
    assert full.truth.onset_ns == full.start_ns + round(0.7 * 6 * HOUR_NS)


def share(visits: list[Visit], outcome: str) -> float:
    return sum(visit.outcome == outcome for visit in visits) / len(visits)


def test_other_services_do_not_change(full: Traffic) -> None:
    others = [v for v in full.visits if v.service is not CLINIC]
    assert all(v.version == v.service.version for v in others)
    late = [v for v in others if v.start_ns >= full.truth.onset_ns and v.outcome not in ("recorded", "failed")]
    assert share(late, "ungrounded") < 0.12


def test_some_requests_fail_as_recorded(full: Traffic) -> None:
    visits = list(full.visits)
    assert 0.005 < share(visits, "failed") < 0.03


def test_the_resource_tells_of_the_deployment(full: Traffic, requests: list[Request]) -> None:
    for request in requests:
        if request.kind != TRACES_KIND or request.service != CLINIC.name:
            continue
        for group in ExportTraceServiceRequest.FromString(request.body).resource_spans:
            attributes = {a.key: a.value.string_value for a in group.resource.attributes}
            at_ns = group.scope_spans[0].spans[0].end_time_unix_nano
            assert attributes["service.name"] == CLINIC.name
            assert attributes["deployment.environment.name"] == "production"
            if abs(at_ns - full.truth.onset_ns) > 10 * 10**9:
                wanted = "2.4.0" if at_ns > full.truth.onset_ns else "2.3.1"
                assert attributes["service.version"] == wanted


@pytest.mark.parametrize("label", sorted(label for label in CLINIC.mix if "/rag_" in label))
def test_a_planned_answer_is_what_its_trace_says(full: Traffic, label: str) -> None:
    visit = next(v for v in full.visits if v.recording == label and v.outcome == "ungrounded")
    assert visit.answer is not None
    sentences = [known for known in subjects()["health"].invented if known in visit.answer]
    assert len(sentences) == 3
    bodies = b"".join(message.SerializeToString() for _, message in full.cast(visit))
    assert visit.answer.encode() in bodies  # no character in it that JSON would write otherwise
    recorded = SAMPLE[label].answer
    assert recorded is not None
    assert recorded.encode() not in bodies


def test_requests_vary_as_real_ones_do(full: Traffic, requests: list[Request]) -> None:
    assert {(r.exporter.transport, r.exporter.encoding, r.exporter.gzip) for r in requests} == {
        ("http", "protobuf", True),
        ("http", "json", True),
        ("http", "protobuf", False),
        ("grpc", "protobuf", False),
    }
    assert max(request.traces for request in requests) >= 4
    first = {burst.events_first for burst in full.bursts}
    assert first == {True, False}


def test_some_children_come_before_their_root(requests: list[Request]) -> None:
    rootless = 0
    for request in requests:
        if request.kind == TRACES_KIND and request.traces == 0:
            rootless += 1
    split = 0
    seen: set[bytes] = set()
    for request in requests:
        if request.kind != TRACES_KIND:
            continue
        found = list(spans(ExportTraceServiceRequest.FromString(request.body)))
        split += sum(1 for span in found if not span.parent_span_id and span.trace_id in seen)
        seen |= {span.trace_id for span in found}
    assert split > 100


def test_many_traces_in_little_time_still_keep_their_order() -> None:
    dense = traffic(2000, hours=0.25)
    newest_ns = 0
    for burst in dense.bursts:
        assert min(v.start_ns for v in burst.visits) > newest_ns
        newest_ns = max(v.start_ns + round(v.duration_seconds * 1e9) for v in burst.visits)
    assert newest_ns <= END_NS


@pytest.mark.parametrize(
    "wrong", [{"traces": 0}, {"hours": 0.0}, {"onset": 1.5}, {"onset": -0.1}, {"end_ns": 10**9}, {"hours": -1.0}]
)
def test_arguments_out_of_range_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="traces="):
        traffic(**wrong)
