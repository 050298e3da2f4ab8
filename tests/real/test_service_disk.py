"""A disk that runs full under a service: senders are told, nothing accepted is lost, it goes on by itself."""

import resource
from pathlib import Path

import httpx

from tests.real.app import Settings
from tests.real.bodies import record_app
from tests.real.service import Service, service

START_NS = 1_750_000_000_000_000_000
PROTOBUF = {"content-type": "application/x-protobuf"}
FULL_AFTER = 15


def limit_files(driftline: Service, size: int) -> None:
    """Files of the service may grow to so many bytes: as good as a disk of that size."""
    resource.prlimit(driftline.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def test_senders_are_told_while_the_disk_is_full_and_all_that_was_accepted_is_evaluated(tmp_path: Path) -> None:
    bodies = record_app(40, 17, START_NS, Settings(spacing_ns=1_000_000_000, content="span"))
    with service(tmp_path) as driftline, httpx.Client(headers=PROTOBUF, timeout=10.0) as client:
        accepted, refused = [], []
        for number, body in enumerate(bodies):
            if number == FULL_AFTER:
                limit_files(driftline, 4096)
            reply = client.post(f"{driftline.otlp_http}/v1/traces", content=body.spans.SerializeToString())
            if reply.status_code == 200:
                accepted.append(body.trace_id)
            else:
                refused.append(body)
                assert reply.status_code == 503
                assert int(reply.headers["retry-after"]) >= 1
        assert len(accepted) == FULL_AFTER
        assert driftline.total("driftline_rejected_requests_total", 'reason="store"') == len(refused)
        driftline.wait(lambda: driftline.total("driftline_commit_retries_total") > 0, "a stage to wait for room", 30.0)
        assert httpx.get(f"http://{driftline.web}/healthz").status_code == 200

        limit_files(driftline, resource.RLIM_INFINITY)
        for body in refused:
            reply = client.post(f"{driftline.otlp_http}/v1/traces", content=body.spans.SerializeToString())
            assert reply.status_code == 200
        driftline.wait_for_traces([body.trace_id for body in bodies])
        assert driftline.candidates() == dict.fromkeys(driftline.candidates(), len(bodies))
        assert "Traceback" not in driftline.log
