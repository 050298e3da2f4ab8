"""Scores as OpenTelemetry events: exact keys, the right parent, over a real OTLP socket, bounded and counted."""

import threading
from collections.abc import Iterator, Sequence

import pytest
import requests
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, LogRecordExporter, LogRecordExportResult

from alerts.events import EVENT_NAME, Direct, EventExporter, EventsConfig, attributes
from collector.core.clock import FakeClock
from collector.core.model import LLMCall, Trace
from collector.core.telemetry import Telemetry
from scorers.base import Score
from scorers.ledger import Decision, score_id

TRACE_ID, ROOT_ID, CALL_ID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", "53995c3f42cd8ad8"


def trace(trace_id: str = TRACE_ID, root_span_id: str | None = ROOT_ID) -> Trace:
    return Trace(
        trace_id,
        root_span_id=root_span_id,
        llm_calls=[LLMCall(CALL_ID, response_id="chatcmpl-1")],
        answer="secret text",
    )


def decision(score: Score | None, kind: str = "scored", reason: str = "ok", span_id: str | None = None) -> Decision:
    return Decision("groundedness", "ev1", kind, reason, 0.25, "sample.rate", score, span_id)


def values(record: LogRecord) -> dict[str, object]:
    found = {}
    for item in record.attributes:
        kind = item.value.WhichOneof("value")
        found[item.key] = getattr(item.value, kind)
    return found


@pytest.fixture
def telemetry() -> Telemetry:
    return Telemetry()


def outcomes(telemetry: Telemetry) -> dict[str, float]:
    counter = next(i for i in telemetry.instruments() if i.name == "driftline_evaluation_events")
    return {labels[0]: value for labels, value in counter.values().items() if value}


def test_scores_arrive_over_otlp_http_with_the_keys_of_the_convention(server, telemetry: Telemetry) -> None:
    exporter = EventExporter(EventsConfig(otlp_http=server.url), telemetry, FakeClock(5_000))
    server.answer = b""
    exporter.emit(
        trace(),
        [
            decision(Score(0.75, passed=True, explanation="3 of 4 sentences")),
            decision(Score(0.5, label="partly"), span_id=CALL_ID),
            decision(None, "failed", "timeout"),
            decision(None, "filtered", "needs:contexts"),
            decision(None, "not_sampled", "rate"),
        ],
        revision=2,
    )
    exporter.close()

    _, path, headers, body = server.requests[0]
    request = ExportLogsServiceRequest.FromString(body)
    assert path == "/v1/logs"
    assert {name.lower(): value for name, value in headers.items()}["content-type"] == "application/x-protobuf"
    resource = {item.key: item.value.string_value for item in request.resource_logs[0].resource.attributes}
    assert resource["service.name"] == "driftline"
    assert request.resource_logs[0].scope_logs[0].scope.name == "driftline"

    records = request.resource_logs[0].scope_logs[0].log_records
    assert {record.event_name for record in records} == {EVENT_NAME} == {"gen_ai.evaluation.result"}
    assert {record.trace_id.hex() for record in records} == {TRACE_ID}
    assert [record.span_id.hex() for record in records] == [ROOT_ID, CALL_ID, ROOT_ID]
    assert records[0].time_unix_nano == 5_000
    common = {
        "gen_ai.evaluation.name": "groundedness",
        "gen_ai.response.id": "chatcmpl-1",
        "driftline.evaluator.id": "ev1",
        "driftline.score.revision": 2,
        "driftline.sampling.probability": 0.25,
        "driftline.sampling.rule": "sample.rate",
    }
    whole = {**common, "driftline.score.id": score_id(TRACE_ID, None, "groundedness", 2)}
    assert values(records[0]) == {
        **whole,
        "gen_ai.evaluation.score.value": 0.75,
        "gen_ai.evaluation.score.label": "pass",
        "gen_ai.evaluation.explanation": "3 of 4 sentences",
        "driftline.score.passed": True,
    }
    assert values(records[1]) == {
        **common,
        "driftline.score.id": score_id(TRACE_ID, CALL_ID, "groundedness", 2),
        "gen_ai.evaluation.score.value": 0.5,
        "gen_ai.evaluation.score.label": "partly",
    }
    assert values(records[2]) == {**whole, "error.type": "timeout"}
    assert outcomes(telemetry) == {"sent": 3}


def test_an_error_is_no_score_and_a_number_that_is_not_finite_is_left_out() -> None:
    failed = attributes(trace(), decision(Score(0.0), "failed", ""), 0)
    assert failed["error.type"] == "_OTHER"
    assert "gen_ai.evaluation.score.value" not in failed

    assert "gen_ai.evaluation.score.value" not in attributes(trace(), decision(Score(float("nan"))), 0)
    assert attributes(trace(), decision(Score(0.0, passed=False)), 0)["gen_ai.evaluation.score.value"] == 0.0


def test_explanations_can_be_kept_at_home_and_content_is_never_sent() -> None:
    judged = decision(Score(0.1, explanation="quotes the answer"))
    assert "gen_ai.evaluation.explanation" not in attributes(trace(), judged, 0, explanations=False)
    assert "secret text" not in str(attributes(trace(), judged, 0))


def test_the_response_id_is_that_of_the_evaluated_call_or_left_out() -> None:
    several = trace()
    several.llm_calls.append(LLMCall("a" * 16, response_id="chatcmpl-2"))

    assert "gen_ai.response.id" not in attributes(several, decision(Score(1.0)), 0)
    assert attributes(several, decision(Score(1.0), span_id="a" * 16), 0)["gen_ai.response.id"] == "chatcmpl-2"


@pytest.mark.parametrize("trace_id", ["", "0" * 32, "x" * 32, "4bf9", "4_f92f3577b34da6a3ce929d0e0e4736", "١" * 32])
def test_a_trace_without_a_valid_id_is_counted_not_sent(trace_id: str, telemetry: Telemetry) -> None:
    memory = InMemoryLogRecordExporter()
    exporter = EventExporter(EventsConfig(), telemetry, exporter=memory)
    exporter.emit(trace(trace_id), [decision(Score(1.0))])
    exporter.close()

    assert not memory.get_finished_logs()
    assert outcomes(telemetry) == {"bad_id": 1}


@pytest.mark.parametrize("span_id", [None, "", "zz", "0" * 16])
def test_without_a_valid_span_id_the_trace_is_the_parent(span_id: str | None, telemetry: Telemetry) -> None:
    memory = InMemoryLogRecordExporter()
    exporter = EventExporter(EventsConfig(), telemetry, exporter=memory)
    exporter.emit(trace(root_span_id=span_id), [decision(Score(1.0, explanation="\ud800" + "x" * 10_000))])
    exporter.flush()

    record = memory.get_finished_logs()[0].log_record
    assert (record.trace_id, record.span_id) == (int(TRACE_ID, 16), 0)
    assert len(record.attributes["gen_ai.evaluation.explanation"]) == 4096
    exporter.close()


class Gate(LogRecordExporter):
    """Holds each batch until it is opened."""

    def __init__(self, result: LogRecordExportResult = LogRecordExportResult.SUCCESS) -> None:
        self.result, self.opened, self.records = result, threading.Event(), 0

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        assert self.opened.wait(10)
        self.records += len(batch)
        return self.result

    def shutdown(self) -> None:
        """Nothing to stop."""

    def force_flush(self, timeout_millis: int = 0) -> bool:
        return True


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.opened.set()


def test_a_full_queue_drops_and_counts_and_never_waits(gate: Gate, telemetry: Telemetry) -> None:
    exporter = EventExporter(EventsConfig(queue=10), telemetry, exporter=gate)
    for _ in range(25):
        exporter.emit(trace(), [decision(Score(1.0))])
    assert outcomes(telemetry) == {"queue_full": 15}

    gate.opened.set()
    exporter.close()
    assert gate.records == 10
    assert outcomes(telemetry) == {"queue_full": 15, "sent": 10}


def test_what_the_receiver_does_not_take_is_counted(gate: Gate, telemetry: Telemetry) -> None:
    gate.result = LogRecordExportResult.FAILURE
    gate.opened.set()
    exporter = EventExporter(EventsConfig(queue=2), telemetry, exporter=gate)
    for _ in range(3):
        exporter.emit(trace(), [decision(Score(1.0))])
        exporter.flush()
    exporter.close()

    assert outcomes(telemetry) == {"failed": 3}


def test_an_exporter_needs_somewhere_to_send_to(telemetry: Telemetry) -> None:
    with pytest.raises(ValueError, match="otlp_http is null"):
        EventExporter(EventsConfig(), telemetry)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_and_what_was_sent_counts_as_failed(
    server, other_server, telemetry: Telemetry, status: int
) -> None:
    server.status, server.headers = status, {"Location": f"{other_server.url}/v1/logs"}
    exporter = EventExporter(EventsConfig(otlp_http=server.url), telemetry)
    exporter.emit(trace(), [decision(Score(1.0))])
    exporter.close()
    assert (len(server.requests), other_server.requests) == (1, [])
    assert outcomes(telemetry) == {"failed": 1}


@pytest.mark.parametrize("address", ["http://127.0.0.1:9/", "http://\udcff.example/"])
def test_a_failure_to_send_tells_nothing_of_the_address(address: str) -> None:
    with pytest.raises(requests.RequestException) as failed:
        Direct().post(f"{address}kumquat-marmalade?token=kumquat", data=b"", timeout=2)
    assert "kumquat" not in str(failed.value)
    assert failed.value.__suppress_context__  # nor does a traceback
