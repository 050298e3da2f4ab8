"""A backup under load, damage, and the backup restored, as an operator does it with a real service."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.collector.engines.stores import damage, leaf_pages
from tests.real.app import Settings
from tests.real.bodies import TraceBodies, record_app
from tests.real.service import Service, run_driftline, service

pytestmark = pytest.mark.long

START_NS = 1_750_000_000_000_000_000
PROTOBUF = {"content-type": "application/x-protobuf"}
TRACES = 90


def post(driftline: Service, client: httpx.Client, body: TraceBodies) -> str:
    reply = client.post(f"{driftline.otlp_http}/v1/traces", content=body.spans.SerializeToString())
    assert reply.status_code == 200, reply.text
    return body.trace_id


def assert_numbers_agree(driftline: Service, traces: int) -> None:
    """One decision a trace and scorer, in the ledger, the view and the watchers alike."""
    sheets = driftline.stored("SELECT lower(hex(key)), count(*) FROM log_decisions GROUP BY 1")
    assert Counter(count for _, count in sheets) == Counter({1: traces})
    assert driftline.candidates() == dict.fromkeys(driftline.candidates(), traces)
    assert len(driftline.api("/api/traces", limit=1000)["traces"]) == traces
    watched = {one["metric"]: one["points"] for one in driftline.api("/api/series")["series"]}
    assert watched["refusal"] == driftline.funnel()["refusal", "scored", "ok"] > 0


def test_a_backup_under_load_takes_the_place_of_a_damaged_store_and_goes_on_where_it_was(tmp_path: Path) -> None:
    bodies = record_app(TRACES, 19, START_NS, Settings(spacing_ns=1_000_000_000, content="span"))
    copy = tmp_path / "copy.db"
    document = {"monitors": [{"watch": "refusal", "by": ["service"]}]}
    with service(tmp_path / "service", document) as driftline, httpx.Client(headers=PROTOBUF, timeout=10.0) as client:
        accepted: list[str] = []
        third, copied = threading.Event(), threading.Event()

        def send() -> None:
            for number, body in enumerate(bodies):
                accepted.append(post(driftline, client, body))
                if number == TRACES // 3:
                    third.set()
                if number == TRACES * 2 // 3:
                    assert copied.wait(30)

        with ThreadPoolExecutor(1) as sender:
            sent = sender.submit(send)
            assert third.wait(30)
            before = list(accepted)
            made = run_driftline("backup", copy, "-c", driftline.config_path)
            copied.set()
            sent.result(60)
        assert (made.returncode, made.stderr) == (0, "")
        driftline.wait_for_traces(accepted)
        assert_numbers_agree(driftline, TRACES)
        driftline.kill()

        damage(driftline.store_path, leaf_pages(driftline.store_path, "log_decisions")[0])
        refused = run_driftline("serve", "-c", driftline.config_path)
        assert refused.returncode == 3
        (line,) = refused.stderr.splitlines()
        assert f"{driftline.store_path} is damaged" in line
        assert "run `driftline repair`, or restore a backup" in line
        restored = run_driftline("restore", copy, "-c", driftline.config_path, "--force")
        assert (restored.returncode, restored.stderr) == (0, "")
        driftline.start()
        driftline.wait_for_traces(before)
        known = {one["trace_id"] for one in driftline.api("/api/traces", limit=1000)["traces"]}
        assert set(before) <= known < set(accepted)
        for body in bodies:  # what came after the backup comes again, as from a sender that kept it
            if body.trace_id not in known:
                post(driftline, client, body)
        driftline.wait_for_traces(accepted)
        assert_numbers_agree(driftline, TRACES)
