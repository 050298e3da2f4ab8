"""Huge and deep: it is cut or left as it is, and nothing is lost beside what is over a limit."""

import json

import orjson
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.core.engine import TRACES_KIND
from collector.wire.read import read_body
from driftline.commands.inspect import as_line
from driftline.recording import Recording
from tests.fuzz.hostile import any_value
from tests.fuzz.through import Outcome, Path

CHAT = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m"}
MIB = 2**20


def request(*spans: dict[str, object]) -> bytes:
    """Spans of one trace with these attributes."""
    message = ExportTraceServiceRequest()
    scope = message.resource_spans.add().scope_spans.add()
    for number, attributes in enumerate(spans, 1):
        span = scope.spans.add(trace_id=b"t" * 16, span_id=number.to_bytes(8, "big"), end_time_unix_nano=9)
        for key, value in attributes.items():
            span.attributes.add(key=key, value=any_value(value))
    return message.SerializeToString()


def through(body: bytes, max_body_bytes: int = 16 * MIB) -> Outcome:
    path = Path(max_body_bytes=max_body_bytes)
    path.receive(TRACES_KIND, body)
    return path.finish()


def decided(outcome: Outcome) -> None:
    (sheet,) = outcome.sheets
    assert not [one for one in sheet["decisions"] if one["decision"] == "failed"]
    assert outcome.counts["normalise_failures"] == 0


def test_an_attribute_of_tens_of_megabytes_is_cut_and_the_call_is_still_understood() -> None:
    prompt = json.dumps([{"role": "user", "content": "x" * (40 * MIB)}])
    outcome = through(request({"gen_ai.input.messages": prompt, **CHAT}), 64 * MIB)
    decided(outcome)
    assert outcome.sheets[0]["counts"]["llm_calls"] == 1
    assert outcome.sheets[0]["slices"]["model"] == "m"
    assert outcome.counts["truncated_traces"] == 1


@pytest.mark.parametrize(
    "tail", [b"\x4a\x00", b"\x5a\x00", b"\x4a\x06\x0a\x01k\x12\x01\x0a"], ids=["attribute", "event", "bad"]
)
def test_a_million_of_nothing_costs_little_and_only_itself(tail: bytes) -> None:
    outcome = through(request_with_tail(tail * 1_000_000))
    decided(outcome)
    assert outcome.sheets[0]["counts"]["llm_calls"] == 1


def request_with_tail(tail: bytes) -> bytes:
    good = ExportTraceServiceRequest.FromString(request(CHAT)).resource_spans[0].scope_spans[0].spans[0]
    raw = good.SerializeToString() + tail
    return field(1, field(2, field(2, raw)))


def field(number: int, content: bytes) -> bytes:
    size, prefix = len(content), bytes([number << 3 | 2])
    while size > 127:
        prefix += bytes([size & 127 | 128])
        size >>= 7
    return prefix + bytes([size]) + content


@pytest.mark.parametrize("depth", [31, 32, 100, 179, 180, 181, 250, 20_000])
@pytest.mark.parametrize("form", ["[", '{"a":'])
def test_deep_json_is_understood_or_left_as_text_and_can_be_shown(depth: int, form: str) -> None:
    closed = "]" if form == "[" else "}"
    deep = form * depth + "1" + closed * depth
    keys = ("gen_ai.input.messages", "gen_ai.tool.call.arguments", "gen_ai.tool.definitions", "input.value")
    kinds = (
        {**CHAT},
        {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "f"},
        {"openinference.span.kind": "TOOL"},
    )
    nested: object = deep
    for _ in range(30):
        nested = [nested]
    spans = [{**kind, **dict.fromkeys(keys, value)} for kind in kinds for value in (deep, nested, json.dumps([deep]))]
    body = request(*spans)
    decided(through(body))
    recording = Recording()
    recording.add_request(*read_body(body), "deep")
    for trace in recording.traces():
        orjson.loads(as_line(trace))
