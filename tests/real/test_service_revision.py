"""A span that comes after its trace was evaluated."""

from pathlib import Path
from typing import Any

import httpx
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.real.app import Settings
from tests.real.bodies import TraceBodies, record_app
from tests.real.service import Service, Sheet, service, values

START_NS = 1_750_000_000_000_000_000


def post(driftline: Service, request: ExportTraceServiceRequest) -> None:
    headers = {"content-type": "application/x-protobuf"}
    reply = httpx.post(f"{driftline.otlp_http}/v1/traces", content=request.SerializeToString(), headers=headers)
    assert reply.status_code == 200, reply.text


def with_a_late_answer() -> tuple[TraceBodies, ExportTraceServiceRequest]:
    """A trace that asks for a tool and then answers, without its last call of the model; and that call."""
    candidates = record_app(30, 41, START_NS, Settings(content="span"))
    one = next(one for one in candidates if len(chats(one.spans)) == 2 and not one.sent.refused)
    late = ExportTraceServiceRequest()
    late.CopyFrom(one.spans)
    last = chats(one.spans)[-1]
    last.end_time_unix_nano += 10_000_000_000  # a stream that outlives its root: the time of the trace moves, too
    one.spans.resource_spans[0].scope_spans[0].spans.remove(last)
    del late.resource_spans[0].scope_spans[0].spans[:]
    late.resource_spans[0].scope_spans[0].spans.append(last)
    return one, late


def chats(request: ExportTraceServiceRequest) -> list[Any]:
    spans = [span for span in request.resource_spans[0].scope_spans[0].spans if span.name.startswith("chat")]
    return sorted(spans, key=lambda span: span.start_time_unix_nano)


def decisions(sheet: Sheet) -> dict[str, tuple[str, str]]:
    return {one["scorer"]: (one["decision"], one["reason"]) for one in sheet["decisions"]}


def wait_for_revision(driftline: Service, trace_id: str, revision: int) -> Sheet:
    def look() -> Sheet | None:
        sheet = driftline.trace(trace_id)
        return sheet if sheet is not None and sheet["revision"] == revision else None

    found: Sheet = driftline.wait(look, f"revision {revision}")
    return found


def test_a_late_span_revises_its_trace_and_supersedes_its_scores(tmp_path: Path) -> None:
    one, late = with_a_late_answer()
    with service(tmp_path) as driftline:
        post(driftline, one.spans)
        first = driftline.wait_for_traces([one.trace_id])[one.trace_id]
        assert (first["revision"], first["counts"]["llm_calls"]) == (0, 1)
        assert decisions(first)["refusal"][0] == "filtered"
        assert driftline.total("driftline_late_spans_total") == 0

        post(driftline, late)
        revised = wait_for_revision(driftline, one.trace_id, 1)
        driftline.wait_until_idle()
        assert driftline.why(one.trace_id) == revised
        assert (revised["counts"]["llm_calls"], revised["counts"]["spans"]) == (2, one.sent.spans)
        assert decisions(revised)["refusal"] == ("scored", "ok")
        assert driftline.total("driftline_late_spans_total", 'outcome="revised"') == 1

        # one current decision a scorer, one current score: the first form is gone from everything but the log
        assert driftline.candidates() == dict.fromkeys(driftline.candidates(), 1)
        assert driftline.funnel()["refusal", "scored", "ok"] == 1
        before, after = values([first], "tokens")[one.trace_id], values([revised], "tokens")[one.trace_id]
        assert before < after
        assert [score["value"] for score in driftline.api("/api/scores", scorer="tokens")["scores"]] == [after]
        assert [sheet["revision"] for sheet in driftline.api("/api/traces")["traces"]] == [1]

        # the same span once more is no news
        post(driftline, late)
        driftline.wait(lambda: driftline.total("driftline_duplicate_spans_total") == 1, "the double to be counted")
        assert driftline.stored("SELECT count(*) FROM log_decisions") == [(2,)]


def test_a_late_span_finds_its_trace_after_a_crash(tmp_path: Path) -> None:
    one, late = with_a_late_answer()
    with service(tmp_path) as driftline:
        post(driftline, one.spans)
        driftline.wait_for_traces([one.trace_id])
        driftline.kill()
        driftline.start()
        post(driftline, late)
        sheet = wait_for_revision(driftline, one.trace_id, 1)
        assert sheet["counts"]["spans"] == one.sent.spans, "the spans of before the crash are still a part of it"
