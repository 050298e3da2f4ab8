"""An application with the OpenTelemetry SDK on one side, `driftline serve` on the other."""

from pathlib import Path
from statistics import mean

import pytest

from tests.real.app import AppTrace, Settings, run_app
from tests.real.service import Sheet, service, values
from tests.real.telemetry import Protocol

START_NS = 1_750_000_000_000_000_000
TRACES = 120


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_every_trace_that_an_instrumented_application_sends_is_evaluated(tmp_path: Path, protocol: Protocol) -> None:
    with service(tmp_path) as driftline:
        endpoint = driftline.otlp_http if protocol == "http" else driftline.otlp_grpc
        run = run_app(endpoint, protocol, TRACES, 11, START_NS, Settings(spacing_ns=5_000_000))
        assert (run.undelivered.spans, run.undelivered.logs) == (0, 0)

        sheets = driftline.wait_for_traces(trace.trace_id for trace in run.traces)
        assert {trace.trace_id: trace.spans for trace in run.traces} == {
            trace_id: sheet["counts"]["spans"] for trace_id, sheet in sheets.items()
        }
        assert_says_what_was_sent(run.traces, sheets)

        scorers = [scorer["name"] for scorer in driftline.api("/api/status")["scorers"]]
        assert driftline.candidates() == dict.fromkeys(scorers, TRACES)
        assert driftline.total("driftline_received_spans_total", f'receiver="otlp_{protocol}"') == run.spans
        assert driftline.total("driftline_rejected_spans_total") == 0
        ((ticks,),) = driftline.stored("SELECT count(*) FROM log_spans WHERE kind = 'tick'")
        assert ticks < TRACES / 2, "in the silence after the last span, what is due together is evaluated together"


def assert_says_what_was_sent(sent: tuple[AppTrace, ...], sheets: dict[str, Sheet]) -> None:
    """Answers are scored wherever their content travelled, and as what they are."""
    groundedness, refusal = values(sheets.values(), "groundedness"), values(sheets.values(), "refusal")
    answered = {trace.trace_id for trace in sent if not trace.refused}
    assert answered <= set(groundedness)
    assert set(refusal) == set(sheets)
    for content in ("span", "event"):
        of_kind = [trace for trace in sent if trace.content == content]
        grounded = [groundedness[t.trace_id] for t in of_kind if t.grounded and not t.refused]
        made_up = [groundedness[t.trace_id] for t in of_kind if not t.grounded]
        assert min(grounded) > max(made_up)
        assert mean(grounded) - mean(made_up) > 0.3
        assert {t.trace_id for t in of_kind if refusal[t.trace_id] >= 0.5} == {t.trace_id for t in of_kind if t.refused}
    assert {sheets[t.trace_id]["error"] for t in sent if t.tool_failed} == {True}
    assert all(sheets[t.trace_id]["slices"]["prompt"] == t.prompt_version for t in sent)
