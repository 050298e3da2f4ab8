"""A span that comes after its trace was evaluated."""

from pathlib import Path

import httpx
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.real.app import Settings
from tests.real.bodies import record_app
from tests.real.service import Service, service, values

START_NS = 1_750_000_000_000_000_000


def post(driftline: Service, request: ExportTraceServiceRequest) -> None:
    headers = {"content-type": "application/x-protobuf"}
    reply = httpx.post(f"{driftline.otlp_http}/v1/traces", content=request.SerializeToString(), headers=headers)
    assert reply.status_code == 200, reply.text


def cut(request: ExportTraceServiceRequest, name: str) -> ExportTraceServiceRequest:
    """Take the spans whose name begins with `name` out of the request, into one of their own."""
    taken = ExportTraceServiceRequest()
    taken.CopyFrom(request)
    mine = request.resource_spans[0].scope_spans[0].spans
    theirs = taken.resource_spans[0].scope_spans[0].spans
    kept = [span for span in mine if not span.name.startswith(name)]
    late = [span for span in mine if span.name.startswith(name)]
    assert kept
    assert late
    del mine[:]
    mine.extend(kept)
    del theirs[:]
    theirs.extend(late)
    return taken


def test_a_late_span_revises_its_trace_and_supersedes_its_scores(tmp_path: Path) -> None:
    (one,) = record_app(1, 41, START_NS, Settings(content="span"))
    late = cut(one.spans, "retrieval")
    with service(tmp_path) as driftline:
        post(driftline, one.spans)
        first = driftline.wait_for_traces([one.trace_id])[one.trace_id]
        assert first["revision"] == 0
        assert first["counts"]["retrievals"] == 0
        latency = values([first], "latency")
        funnel = driftline.funnel()
        assert driftline.total("driftline_late_spans_total") == 0

        post(driftline, late)
        revised = driftline.wait(
            lambda: (sheet := driftline.trace(one.trace_id)) and sheet["revision"] == 1 and sheet, "revision 1"
        )
        driftline.wait_until_idle()
        assert driftline.why(one.trace_id) == revised
        assert revised["counts"] == {**first["counts"], "retrievals": 1, "spans": one.sent.spans}
        assert values([revised], "groundedness")[one.trace_id] > 0
        assert values([revised], "latency") == latency
        assert driftline.total("driftline_late_spans_total", 'outcome="revised"') == 1

        # one current decision a scorer, one current score: the first form is gone from everything but the log
        assert driftline.candidates() == dict.fromkeys(driftline.candidates(), 1)
        assert driftline.funnel().keys() != funnel.keys()
        assert len(driftline.api("/api/scores", scorer="latency")["scores"]) == 1
        told = [sheet["revision"] for sheet in driftline.api("/api/traces")["traces"]]
        assert told == [1]

        # the same span once more is no news
        post(driftline, late)
        driftline.wait(lambda: driftline.total("driftline_duplicate_spans_total") == 1, "the double to be counted")
        assert driftline.stored("SELECT count(*) FROM log_decisions") == [(2,)]


def test_a_revision_outlives_a_restart(tmp_path: Path) -> None:
    (one,) = record_app(1, 41, START_NS, Settings(content="span"))
    late = cut(one.spans, "retrieval")
    with service(tmp_path) as driftline:
        post(driftline, one.spans)
        driftline.wait_for_traces([one.trace_id])
        driftline.kill()
        driftline.start()
        post(driftline, late)
        sheet = driftline.wait(
            lambda: (sheet := driftline.trace(one.trace_id)) and sheet["revision"] == 1 and sheet, "revision 1"
        )
        assert sheet["counts"]["spans"] == one.sent.spans, "the spans of before the crash are still a part of it"
