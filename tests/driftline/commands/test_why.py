"""`why` on a terminal: what a trace says of itself steers nothing and forges no line."""

import json
from pathlib import Path

from click.testing import CliRunner

from collector.core.engine import SPANS, TICK_KIND, Record
from collector.wire.read import read_bodies
from driftline.build import build
from driftline.commands import why
from driftline.config import load_config
from driftline.stages.score_worker import END_OF_INPUT

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
