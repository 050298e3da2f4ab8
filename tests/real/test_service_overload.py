"""More than it can evaluate: it says so, keeps what it took, and takes more by itself once there is room."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc

from collector.wire.schema import RetryInfo, RpcStatus
from tests.real.app import Settings, run_app
from tests.real.bodies import TraceBodies, record_app
from tests.real.service import Service, overloaded, service

pytestmark = pytest.mark.long

START_NS = 1_750_000_000_000_000_000
SECOND_NS = 1_000_000_000
TRACES = 60
SENDERS = 8
PROTOBUF = {"content-type": "application/x-protobuf"}


@pytest.fixture(scope="module")
def bodies() -> list[TraceBodies]:
    # far apart, so that each makes the one before it due and the slow scorer is at work from the second on
    return record_app(TRACES, 61, START_NS, Settings(spacing_ns=30 * SECOND_NS, content="span"))


def assert_all_accepted_are_evaluated(driftline: Service, accepted: list[str], refused: int, receiver: str) -> None:
    assert accepted
    assert refused
    driftline.wait_for_traces(accepted)
    assert driftline.candidates() == {"latency": len(accepted), "slow": len(accepted)}
    parts = (f'receiver="{receiver}"', 'reason="backlog"')
    assert driftline.total("driftline_rejected_requests_total", *parts) == refused


def test_http_senders_are_told_when_to_come_back_and_what_was_accepted_is_evaluated(
    tmp_path: Path, bodies: list[TraceBodies]
) -> None:
    with service(tmp_path, overloaded(tmp_path)) as driftline:
        with httpx.Client(headers=PROTOBUF, timeout=10.0) as client, ThreadPoolExecutor(SENDERS) as pool:
            address = f"{driftline.otlp_http}/v1/traces"
            replies = list(pool.map(lambda one: client.post(address, content=one.spans.SerializeToString()), bodies))
        accepted = [one.trace_id for one, reply in zip(bodies, replies, strict=True) if reply.status_code == 200]
        refused = [reply for reply in replies if reply.status_code != 200]
        for reply in refused:
            assert reply.status_code in (429, 503)
            assert int(reply.headers["retry-after"]) > 0
            assert RpcStatus.FromString(reply.content).message
        assert_all_accepted_are_evaluated(driftline, accepted, len(refused), "otlp_http")

        again = httpx.post(address, content=bodies[-1].spans.SerializeToString(), headers=PROTOBUF)
        assert again.status_code == 200, "the backlog is worked off, and nobody had to do anything for it"


def test_grpc_senders_are_told_when_to_come_back_and_what_was_accepted_is_evaluated(
    tmp_path: Path, bodies: list[TraceBodies]
) -> None:
    with (
        service(tmp_path, overloaded(tmp_path)) as driftline,
        grpc.insecure_channel(driftline.addresses["otlp_grpc"]) as channel,
    ):
        stub: Any = trace_service_pb2_grpc.TraceServiceStub(channel)  # type: ignore[no-untyped-call]
        calls = [(one, stub.Export.future(one.spans, timeout=20.0)) for one in bodies]
        answers = [(one, call.exception()) for one, call in calls]
        accepted = [one.trace_id for one, error in answers if error is None]
        refused = [error for _, error in answers if error is not None]
        for error in refused:
            assert error.code() in (grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAVAILABLE)
            assert retry_seconds(error) > 0
        assert_all_accepted_are_evaluated(driftline, accepted, len(refused), "otlp_grpc")
        stub.Export(bodies[-1].spans, timeout=20.0)


def retry_seconds(error: Any) -> float:
    """What the google.rpc.RetryInfo of a refusal says."""
    metadata = dict(error.trailing_metadata())
    status = RpcStatus.FromString(metadata["grpc-status-details-bin"])
    (detail,) = status.details
    assert detail.type_url == "type.googleapis.com/google.rpc.RetryInfo"
    info = RetryInfo.FromString(detail.value)
    return float(info.retry_delay.seconds) + float(info.retry_delay.nanos) / 1e9


def test_an_application_that_heeds_retry_after_loses_nothing(tmp_path: Path) -> None:
    """The OpenTelemetry SDK is turned away for a while, tries again by itself, and every span of it arrives."""
    with service(tmp_path, overloaded(tmp_path)) as driftline:
        first = run_app(
            driftline.otlp_http, "http", 20, 62, START_NS, Settings(spacing_ns=30 * SECOND_NS, content="span")
        )
        later = START_NS + 1000 * SECOND_NS
        settings = Settings(spacing_ns=30 * SECOND_NS, content="mixed", timeout_seconds=30.0)
        second = run_app(driftline.otlp_http, "http", 20, 63, later, settings)
        assert (second.undelivered.spans, second.undelivered.logs) == (0, 0)
        driftline.wait_for_traces([trace.trace_id for run in (first, second) for trace in run.traces])
        assert driftline.total("driftline_rejected_requests_total", 'reason="backlog"') > 0
