"""The application of the tests sends what it says it sends, by both protocols."""

import gzip
import json
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2, logs_service_pb2_grpc
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.real.app import DETAILS_EVENT, AppRun, Settings, run_app
from tests.real.parts.webhook import Answer, Webhook

START_NS = 1_750_000_000_000_000_000
Spans = list[Any]


def attributes(span: Any) -> dict[str, Any]:
    return {one.key: one.value for one in span.attributes}


def posted(hook: Webhook) -> tuple[Spans, list[Any]]:
    """The spans and the log records that arrived over HTTP."""
    spans, logs = [], []
    for request in hook.received:
        body = gzip.decompress(request.body) if request.headers.get("content-encoding") == "gzip" else request.body
        if request.path == "/v1/traces":
            spans += spans_of(ExportTraceServiceRequest.FromString(body))
        else:
            assert request.path == "/v1/logs"
            logs += logs_of(ExportLogsServiceRequest.FromString(body))
    return spans, logs


def spans_of(request: Any) -> Spans:
    return [span for resource in request.resource_spans for scope in resource.scope_spans for span in scope.spans]


def logs_of(request: Any) -> list[Any]:
    return [log for resource in request.resource_logs for scope in resource.scope_logs for log in scope.log_records]


def send(hook: Webhook, traces: int, settings: Settings | None = None, seed: int = 1) -> AppRun:
    return run_app(hook.url, "http", traces, seed, START_NS, settings)


def test_every_span_it_tells_of_arrives_in_its_trace(webhook_receiver: Webhook) -> None:
    run = send(webhook_receiver, 30)
    spans, logs = posted(webhook_receiver)
    assert Counter(span.trace_id.hex() for span in spans) == {trace.trace_id: trace.spans for trace in run.traces}
    assert (run.undelivered.spans, run.undelivered.logs) == (0, 0)
    ids = {(span.trace_id, span.span_id) for span in spans}
    assert len(ids) == run.spans == len(spans)
    assert all((span.trace_id, span.parent_span_id) in ids for span in spans if span.parent_span_id)
    assert all((log.trace_id, log.span_id) in ids for log in logs)


def test_times_are_those_asked_for_and_children_lie_within_their_parents(webhook_receiver: Webhook) -> None:
    run = send(webhook_receiver, 5, Settings(spacing_ns=60_000_000_000))
    assert [trace.start_ns for trace in run.traces] == [START_NS + n * 60_000_000_000 for n in range(5)]
    spans, _ = posted(webhook_receiver)
    roots = {span.trace_id: span for span in spans if not span.parent_span_id}
    for span in spans:
        root = roots[span.trace_id]
        assert root.start_time_unix_nano <= span.start_time_unix_nano <= span.end_time_unix_nano
        assert span.end_time_unix_nano <= root.end_time_unix_nano
    assert {root.end_time_unix_nano for root in roots.values()} == {trace.end_ns for trace in run.traces}


def test_messages_are_on_the_spans_or_in_log_events_but_never_in_both(webhook_receiver: Webhook) -> None:
    run = send(webhook_receiver, 10)
    spans, logs = posted(webhook_receiver)
    on_spans = {span.trace_id.hex() for span in spans if "gen_ai.output.messages" in attributes(span)}
    in_events = {log.trace_id.hex() for log in logs if log.event_name == DETAILS_EVENT}
    assert on_spans == {trace.trace_id for trace in run.traces if trace.content == "span"}
    assert in_events == {trace.trace_id for trace in run.traces if trace.content == "event"}
    assert len(on_spans) == len(in_events) == 5
    messages = attributes(logs[0])["gen_ai.input.messages"]
    assert messages.WhichOneof("value") == "array_value", "structured on events, JSON text on spans"


def test_the_answer_told_is_the_answer_sent(webhook_receiver: Webhook) -> None:
    run = send(webhook_receiver, 20, Settings(content="span"))
    answers = {trace.trace_id: trace.answer for trace in run.traces}
    spans, _ = posted(webhook_receiver)
    finals = [span for span in spans if "chat" in span.name]
    said = {span.trace_id.hex(): attributes(span)["gen_ai.output.messages"].string_value for span in finals}
    for trace_id, answer in answers.items():
        assert json.loads(said[trace_id])[0]["parts"] == [{"type": "text", "content": answer}]


def test_a_run_is_repeated_by_its_seed(webhook_receiver: Webhook) -> None:
    first, again, other = (send(webhook_receiver, 10, seed=seed) for seed in (1, 1, 2))
    assert first.traces == again.traces
    assert not {trace.trace_id for trace in first.traces} & {trace.trace_id for trace in other.traces}


def test_after_the_regression_answers_get_worse_and_questions_stay_the_same(webhook_receiver: Webhook) -> None:
    before = send(webhook_receiver, 200)
    after = send(webhook_receiver, 200, Settings(regress_after=0))
    assert [trace.question for trace in before.traces] == [trace.question for trace in after.traces]
    assert sum(not trace.grounded for trace in before.traces) < 25 < 60 < sum(not t.grounded for t in after.traces)
    assert sum(trace.refused for trace in before.traces) < 15 < 30 < sum(trace.refused for trace in after.traces)
    assert {trace.prompt_version for trace in after.traces} == {"v2"}


@pytest.mark.parametrize("compress", [True, False])
def test_bodies_are_compressed_if_asked(webhook_receiver: Webhook, compress: bool) -> None:
    send(webhook_receiver, 2, Settings(compress=compress, headers={"authorization": "Bearer a-token"}))
    for request in webhook_receiver.received:
        assert request.headers.get("content-encoding") == ("gzip" if compress else None)
        assert request.headers["authorization"] == "Bearer a-token"


def test_what_a_receiver_refuses_is_counted(webhook_receiver: Webhook) -> None:
    webhook_receiver.answers.extend([Answer(400)] * 20)
    run = send(webhook_receiver, 4, Settings(timeout_seconds=1))
    assert run.undelivered.spans == run.spans
    assert run.undelivered.logs > 0


class Collected(trace_service_pb2_grpc.TraceServiceServicer):
    def __init__(self) -> None:
        self.spans: Spans = []
        self.logs: list[Any] = []

    def Export(self, request: Any, context: Any) -> Any:  # noqa: N802, the service's name for it
        if isinstance(request, ExportTraceServiceRequest):
            self.spans += spans_of(request)
            return trace_service_pb2.ExportTraceServiceResponse()
        self.logs += logs_of(request)
        return logs_service_pb2.ExportLogsServiceResponse()


@contextmanager
def grpc_receiver() -> Iterator[tuple[str, Collected]]:
    collected = Collected()
    with ThreadPoolExecutor(2) as workers:
        server = grpc.server(workers)
        registrations: list[Callable[..., None]] = [
            trace_service_pb2_grpc.add_TraceServiceServicer_to_server,
            logs_service_pb2_grpc.add_LogsServiceServicer_to_server,
        ]
        for register in registrations:
            register(collected, server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            yield f"http://127.0.0.1:{port}", collected
        finally:
            server.stop(None).wait()


def test_grpc_carries_the_same() -> None:
    with grpc_receiver() as (endpoint, collected):
        run = run_app(endpoint, "grpc", 10, 1, START_NS)
    assert Counter(span.trace_id.hex() for span in collected.spans) == {one.trace_id: one.spans for one in run.traces}
    assert {log.trace_id.hex() for log in collected.logs} == {t.trace_id for t in run.traces if t.content == "event"}
    assert (run.undelivered.spans, run.undelivered.logs) == (0, 0)
