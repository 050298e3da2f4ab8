"""`why` on a terminal: the story is that of the decision, and what a trace says of itself forges no line."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from collector.core.engine import SPANS, TICK_KIND, Record
from collector.core.model import LLMCall, Trace
from collector.core.telemetry import Telemetry
from collector.sample import Admission
from collector.wire.read import read_bodies
from driftline.build import build
from driftline.commands import why
from driftline.config import Config, load_config
from driftline.records import read_sheet, sheet
from driftline.stages.score_worker import END_OF_INPUT
from scorers.base import Scorer, scorer
from scorers.runner import Runner

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
HOSTILE = "shop\x1b[2J\x1b]0;owned\x07\u202e\r\n  groundedness         scored 1, passed"


def text(key: str, value: str) -> dict[str, object]:
    return {"key": key, "value": {"stringValue": value}}


def request() -> bytes:
    """One model call of a trace in which every name is hostile."""
    attributes = [
        text("gen_ai.operation.name", "chat"),
        *(text(key, HOSTILE) for key in ("gen_ai.request.model", "gen_ai.provider.name", "session.id")),
    ]
    span = {
        "traceId": TRACE_ID,
        "spanId": "00f067aa0ba902b7",
        "name": HOSTILE,
        "startTimeUnixNano": "1750000000000000000",
        "endTimeUnixNano": "1750000001000000000",
        "attributes": attributes,
        "status": {"code": 2, "message": HOSTILE},
    }
    resource = {"attributes": [text("service.name", HOSTILE)]}
    return json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span]}]}]}).encode()


def test_hostile_names_are_spelled_out(tmp_path: Path) -> None:
    path = tmp_path / "driftline.yaml"
    path.write_text(
        f"listen: {{otlp_http: null, otlp_grpc: null, web: null}}\nstore: {{path: {tmp_path}/a.db}}\n"
        "scorers: [latency, error]\nmonitors: []\n"
    )
    service = build(load_config(path, {}))
    records = [Record(body, kind=kind) for kind, body in read_bodies(request(), "a.json")]
    service.engine.append(SPANS, [*records, Record(END_OF_INPUT, kind=TICK_KIND)]).result()
    service.drain()
    service.stop()
    for arguments in ([TRACE_ID], ["--session", HOSTILE], ["--summary"], [TRACE_ID, "--scorer", HOSTILE]):
        told = CliRunner().invoke(why.command, [*arguments, "-c", str(path)])
        assert all(one.isprintable() or one == "\n" for one in told.output), arguments
    lines = CliRunner().invoke(why.command, [TRACE_ID, "-c", str(path)]).output.splitlines()
    assert any("shop\\x1b[2J" in line for line in lines)
    assert not [line for line in lines if line.startswith("  groundedness")]


def told_of(admission: Admission, *scorers: Scorer, trace: Trace | None = None) -> list[str]:
    """The lines on the decisions of these scorers on a trace, as they were recorded."""
    runner, subject = Runner(scorers, Telemetry()), trace or Trace(TRACE_ID, answer="yes")
    decisions = runner.evaluate(subject, admission)
    runner.close()
    return why.story(read_sheet(sheet(subject, 0, 1, {}, admission, decisions)), Config())[2:]


def one(**configured: Any) -> Scorer:
    return scorer(name="one")(lambda trace: 1.0).configured(**configured)


def test_a_probability_is_told_as_it_was_applied_where_samplers_share_their_randomness() -> None:
    admission = Admission(0.05, 0.1, 0.1, "sample.rate", nested=True)
    first, *_ = told_of(admission, one())
    assert first == "  sampled with probability 0.1 (sample.rate, after the application's sampler kept 0.1)"


def test_the_line_that_decided_is_named_with_what_it_makes_of_the_probability() -> None:
    inside = Admission(0.1, 0.5, 0.5, "sample.rate")
    assert told_of(inside, one())[1:] == ["  one                  scored 1, no verdict"]
    (halved,) = told_of(inside, one(rate=0.5))[1:]
    assert halved.endswith("scored 1, no verdict; with probability 0.125 (scorers[0].rate)")


@pytest.mark.parametrize("nested", [False, True])
def test_what_left_a_trace_out_is_told_apart(nested: bool) -> None:
    admitted = Admission(0.4, 0.5, 0.1, "sample.rate", nested)
    assert told_of(admitted, one(rate=0.5))[1].endswith("0.400000000 is not below the rate of scorers[0].rate")
    assert told_of(admitted, one(rate=1e-9, salt="s"))[1].endswith(
        "it is not in the share that scorers[0].rate chooses by its own salt"
    )
    left_out = Admission(0.6, 0.5, 0.1, "sample.rate", nested)
    assert told_of(left_out, one(rate=0.5, salt="s"))[1].endswith("is not below the rate of sample.rate")


def test_a_span_that_was_sampled_apart_has_its_own_probability() -> None:
    of_call = scorer(name="of_call", target="llm_call")(lambda call, trace: 1.0)
    trace = Trace(TRACE_ID, llm_calls=[LLMCall("b" * 16, output_text="x")])
    lines = told_of(Admission(0.0, 1.0, 0.5, "sample.rate", apart={"b" * 16: 0.1}), of_call, trace=trace)
    assert lines[0].startswith("  sampled with probability 0.5 (sample.rate")
    assert lines[1].endswith("(span bbbbbbbbbbbbbbbb) 1, no verdict; with probability 0.1 (sample.rate)")
