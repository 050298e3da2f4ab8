"""Several tenants at one `driftline serve`: each has its own traces, its own slice and its own share of the room."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.real.service import Service, overloaded, service

pytestmark = pytest.mark.long

START_NS = 1_750_000_000_000_000_000
TRACE = bytes([7] * 16)
TENANTS: dict[str, Any] = {"listen": {"tenants": {"max_labels": 2}}, "slices": {"tenant": "tenant"}, "monitors": []}


def body(trace_id: bytes, span: int, name: str, root: bool = True, start_ns: int = START_NS) -> bytes:
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    made = spans.add(trace_id=trace_id, span_id=bytes([span] * 8), name=name)
    made.start_time_unix_nano, made.end_time_unix_nano = start_ns, start_ns + 1000
    if not root:
        made.parent_span_id = bytes([1] * 8)
    encoded: bytes = request.SerializeToString()
    return encoded


def send(driftline: Service, tenant: str, request: bytes) -> httpx.Response:
    headers = {"content-type": "application/x-protobuf", "x-scope-orgid": tenant}
    return httpx.post(f"{driftline.otlp_http}/v1/traces", content=request, headers=headers)


def ledger(driftline: Service) -> dict[str, int]:
    """How often each trace was evaluated: id in hexadecimal, then the tenant."""
    rows = driftline.stored("SELECT key, count(*) FROM log_decisions GROUP BY key")
    return {key[:16].hex() + key[16:].decode(): count for key, count in rows}


def test_one_trace_id_of_two_tenants_is_two_traces_also_after_a_crash(tmp_path: Path) -> None:
    with service(tmp_path, TENANTS) as driftline:
        assert send(driftline, "acme", body(TRACE, 1, "of acme")).status_code == 200
        assert send(driftline, "globex", body(TRACE, 1, "of globex")).status_code == 200
        driftline.kill()
        driftline.start()
        assert send(driftline, "globex", body(TRACE, 2, "more of globex", root=False)).status_code == 200
        driftline.wait(lambda: len(ledger(driftline)) == 2, "both to be evaluated")
        driftline.wait_until_idle()
        assert set(ledger(driftline)) == {TRACE.hex() + "acme", TRACE.hex() + "globex"}
        traces = {one["slices"]["tenant"]: one for one in driftline.api("/api/traces")["traces"]}
        assert {name: one["name"] for name, one in traces.items()} == {"acme": "of acme", "globex": "of globex"}
        assert driftline.why(TRACE.hex())["slices"]["tenant"] == "acme"  # the first by name

        # what one adds afterwards revises its own trace and nobody else's
        before = ledger(driftline)
        assert send(driftline, "globex", body(TRACE, 3, "late", root=False)).status_code == 200
        driftline.wait(lambda: ledger(driftline) != before, "a revision")
        after = ledger(driftline)
        assert after[TRACE.hex() + "acme"] == before[TRACE.hex() + "acme"]
        assert after[TRACE.hex() + "globex"] == before[TRACE.hex() + "globex"] + 1


def test_requests_are_counted_by_tenant_up_to_a_number_of_tenants(tmp_path: Path) -> None:
    with service(tmp_path, TENANTS) as driftline:
        for tenant in ("acme", "globex", "initech", "umbrella"):
            assert send(driftline, tenant, body(TRACE, 1, "x")).status_code == 200
        assert send(driftline, "", body(TRACE, 1, "x")).status_code == 401
        counted = {
            name: driftline.total("driftline_tenant_received_items_total", f'tenant="{name}"')
            for name in ("acme", "globex", "initech", "other")
        }
        assert counted == {"acme": 1, "globex": 1, "initech": 0, "other": 2}
        assert driftline.total("driftline_rejected_requests_total", 'reason="no_tenant"') == 1


def test_a_noisy_tenant_is_told_to_wait_while_a_quiet_one_is_taken(tmp_path: Path) -> None:
    document = {**overloaded(tmp_path), **{key: TENANTS[key] for key in ("listen", "slices")}}
    document["store"] = {"max_backlog": "64KiB"}
    with service(tmp_path, document) as driftline:
        refused = None
        for number in range(1, 3000):
            trace_id = number.to_bytes(16, "big")
            # event time goes on by minutes, so that each makes the one before ready, which takes 100 ms of scoring
            answer = send(driftline, "noisy", body(trace_id, 1, "x" * 2000, start_ns=START_NS + number * 60 * 10**9))
            if answer.status_code != 200:
                refused = answer
                break
        assert refused is not None
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) >= 1
        assert send(driftline, "quiet", body(TRACE, 1, "x")).status_code == 200
        assert driftline.total("driftline_tenant_rejected_requests_total", 'tenant="noisy"', "tenant_share") == 1
