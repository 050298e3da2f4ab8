"""What senders are told agrees with the schemas that senders read it with."""

import orjson
import pytest
from google.protobuf import json_format
from google.rpc.error_details_pb2 import BadRequest, RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from collector.core.engine import EVENTS_KIND, TRACES_KIND
from collector.core.errors import Overloaded, Rejected, StoreError
from collector.receivers import answers
from collector.receivers.accept import Prepared

NONE = Prepared(TRACES_KIND, b"", "protobuf", 0, 3, [], 0)
SOME = Prepared(TRACES_KIND, b"", "protobuf", 0, 3, [Rejected("bad_span", "a span is bad")] * 2, 0)


def test_success_is_an_empty_message() -> None:
    assert answers.success(NONE, "protobuf") == b""
    assert answers.success(NONE, "json") == b"{}"


def test_what_was_left_out_is_a_partial_success() -> None:
    traces = ExportTraceServiceResponse.FromString(answers.success(SOME, "protobuf"))
    assert traces.partial_success.rejected_spans == 2
    assert traces.partial_success.error_message == "2 bad_span (a span is bad)"
    logs = ExportLogsServiceResponse.FromString(answers.success(SOME._replace(kind=EVENTS_KIND), "protobuf"))
    assert logs.partial_success.rejected_log_records == 2


def test_a_partial_success_in_json_writes_the_count_as_text() -> None:
    partial = orjson.loads(answers.success(SOME, "json"))["partialSuccess"]
    assert partial == {"rejectedSpans": "2", "errorMessage": "2 bad_span (a span is bad)"}
    logs = orjson.loads(answers.success(SOME._replace(kind=EVENTS_KIND), "json"))
    assert logs["partialSuccess"]["rejectedLogRecords"] == "2"


def test_a_failure_carries_when_to_try_again() -> None:
    status = Status.FromString(answers.failure(answers.RESOURCE_EXHAUSTED, "full", "protobuf", 2.25))
    info = RetryInfo()
    assert status.details[0].Unpack(info)
    assert (status.code, status.message) == (8, "full")
    assert (info.retry_delay.seconds, info.retry_delay.nanos) == (2, 250_000_000)


def test_a_failure_in_json_is_the_same_message_in_the_mapping_of_protobuf() -> None:
    for code, message, retry_seconds in ((3, "bad", None), (8, "full", 2.25), (14, "down", 5.0), (16, "who?", None)):
        status = Status()
        json_format.Parse(answers.failure(code, message, "json", retry_seconds), status)
        assert status == Status.FromString(answers.failure(code, message, "protobuf", retry_seconds))


def test_bad_data_is_described_in_a_bad_request() -> None:
    bad = BadRequest()
    assert Status.FromString(answers.failure(3, "a is not b", "protobuf")).details[0].Unpack(bad)
    assert bad.field_violations[0].description == "a is not b"


@pytest.mark.parametrize(
    ("error", "code", "retry_seconds"),
    [
        (Rejected("malformed", ""), answers.INVALID_ARGUMENT, None),
        (Rejected("internal", ""), answers.INTERNAL, None),
        (Overloaded("queue", "", 7.5), answers.RESOURCE_EXHAUSTED, 7.5),
        (Overloaded("queue", "", 0), answers.RESOURCE_EXHAUSTED, 1.0),
        (Overloaded("queue", "", float("inf")), answers.RESOURCE_EXHAUSTED, 1.0),
        (StoreError(""), answers.UNAVAILABLE, answers.STORE_RETRY_SECONDS),
    ],
)
def test_each_error_has_its_code_and_delay(
    error: Rejected | Overloaded | StoreError, code: int, retry_seconds: float | None
) -> None:
    assert answers.code_of(error) == code
    assert answers.retry_seconds_of(error) == retry_seconds
