"""The JSON encoding of the demo's requests is OTLP's."""

import json
from base64 import b64encode

import pytest
from google.protobuf.json_format import ParseDict

from collector.core.engine import TRACES_KIND
from driftline.demo.otlp_json import to_json
from driftline.demo.recordings import Recording, shipped_sample

SAMPLE = shipped_sample()


def with_base64_ids(value: object) -> object:
    """OTLP/JSON as the plain proto3 JSON that protobuf's own parser takes."""
    if isinstance(value, list):
        return [with_base64_ids(item) for item in value]
    if isinstance(value, dict):
        return {
            key: b64encode(bytes.fromhex(item)).decode()
            if key in ("traceId", "spanId", "parentSpanId")
            else with_base64_ids(item)
            for key, item in value.items()
        }
    return value


@pytest.mark.parametrize("recording", SAMPLE.values(), ids=list(SAMPLE))
def test_json_says_the_same_as_protobuf(recording: Recording) -> None:
    for kind, message in recording.messages():
        document = json.loads(to_json(kind, message.SerializeToString()))
        assert ParseDict(with_base64_ids(document), type(message)()) == message


def test_enums_are_numbers_and_ids_hexadecimal() -> None:
    kind, message = next(SAMPLE["openinference-openai/chat_support"].messages())
    assert kind == TRACES_KIND
    span = json.loads(to_json(kind, message.SerializeToString()))["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    assert isinstance(span["kind"], int)
    assert len(bytes.fromhex(span["traceId"])) == 16
    assert int(span["startTimeUnixNano"]) > 0
