"""`kill -9` while spans come in, then a restart on the same store: nothing acknowledged lost, nothing scored twice."""

import random
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.real.app import Settings
from tests.real.bodies import TraceBodies, record_app
from tests.real.service import Service, service

pytestmark = pytest.mark.long

START_NS = 1_750_000_000_000_000_000
SECOND_NS = 1_000_000_000
SENDERS = 6
KILLS = 3
PROTOBUF = {"content-type": "application/x-protobuf"}

MONITORS = [
    {"watch": "groundedness", "by": ["service", "prompt"], "direction": "down", "warmup": 60},
    {"watch": "refusal", "by": ["service"], "warmup": 60},
]


class Sending:
    """Clients that post one trace a request, each again and again until it is told 200."""

    def __init__(self, driftline: Service, bodies: list[TraceBodies]) -> None:
        self._driftline = driftline
        self._bodies = [(one.trace_id, one.spans.SerializeToString()) for one in bodies]
        self.accepted: list[str] = []
        self.attempts = 0
        self._lock = threading.Lock()
        self._client = httpx.Client(headers=PROTOBUF, timeout=10.0)

    def post(self, body: tuple[str, bytes]) -> None:
        trace_id, content = body
        while True:
            with self._lock:
                self.attempts += 1
            try:
                reply = self._client.post(f"{self._driftline.otlp_http}/v1/traces", content=content)
            except httpx.TransportError:
                time.sleep(0.02)  # it is down: a client's back-off
                continue
            assert reply.status_code == 200, reply.text
            with self._lock:
                self.accepted.append(trace_id)
            return

    def run(self, senders: int) -> None:
        with self._client, ThreadPoolExecutor(senders) as pool:
            list(pool.map(self.post, self._bodies))

    def has_accepted(self, count: int) -> bool:
        with self._lock:
            return len(self.accepted) >= count


def kill_while_it_receives(driftline: Service, sending: Sending, senders: int, seed: int, traces: int) -> None:
    """Send everything; on the way, kill the service at `KILLS` moments drawn by `seed` and start it again."""
    draw = random.Random(seed)
    moments = sorted(draw.sample(range(traces // 20, traces - traces // 20), KILLS))
    with ThreadPoolExecutor(1) as background:
        sent = background.submit(sending.run, senders)
        for moment in moments:
            driftline.wait(partial(sending.has_accepted, moment), f"{moment} accepted traces")
            driftline.kill()
            driftline.start()
        sent.result(timeout=60)


def sheets_by_trace(driftline: Service) -> Counter[tuple[str, int]]:
    """How often each revision of each trace is in the ledger's log, where a double would show."""
    rows = driftline.stored(
        "SELECT lower(hex(key)), json_extract(CAST(value AS TEXT), '$.revision'), count(*) "
        "FROM log_decisions GROUP BY 1, 2"
    )
    return Counter({(trace_id, revision): count for trace_id, revision, count in rows})


def test_what_was_acknowledged_before_a_kill_is_evaluated_once_after_it(tmp_path: Path) -> None:
    bodies = record_app(400, 31, START_NS, Settings(spacing_ns=SECOND_NS // 2, content="span"))
    with service(tmp_path, {"monitors": MONITORS}) as driftline:
        sending = Sending(driftline, bodies)
        kill_while_it_receives(driftline, sending, SENDERS, 1, len(bodies))
        assert driftline.process.running
        assert sending.attempts > len(bodies), "no request was cut off: the kills came to nothing"

        driftline.wait_for_traces(sending.accepted)
        assert sheets_by_trace(driftline) == Counter({(one.trace_id, 0): 1 for one in bodies})
        assert driftline.candidates() == dict.fromkeys(driftline.candidates(), len(bodies))
        assert_watched_once(driftline)


def assert_watched_once(driftline: Service) -> None:
    """The watchers have seen as many points as there are scored traces."""
    funnel = driftline.funnel()
    for scorer in ("groundedness", "refusal"):
        scored = funnel[scorer, "scored", "ok"]
        whole = [one for one in driftline.api("/api/series")["series"] if set(one["slice"]) == {"service"}]
        assert [one["points"] for one in whole if one["metric"] == scorer] == [scored]
        distinct = {score["trace_id"] for score in driftline.api("/api/scores", scorer=scorer, limit=10_000)["scores"]}
        assert len(distinct) == scored


def test_a_service_that_was_killed_on_the_way_knows_what_an_undisturbed_one_knows(tmp_path: Path) -> None:
    """Sent in one order, the same bytes give the same decisions, series and changes, with or without crashes."""
    settings = Settings(spacing_ns=30 * SECOND_NS, content="span", regress_after=160)
    bodies = record_app(250, 32, START_NS, settings)
    document = {"monitors": MONITORS, "false_pages": "1 per day"}

    with service(tmp_path / "calm", document) as calm:
        Sending(calm, bodies).run(1)
        calm.wait_for_traces([one.trace_id for one in bodies])
        expected = knowledge(calm)
    assert expected["changes"], "nothing changed, so that nothing is compared"

    with service(tmp_path / "killed", document) as killed:
        kill_while_it_receives(killed, Sending(killed, bodies), 1, 2, len(bodies))
        killed.wait_for_traces([one.trace_id for one in bodies])
        found = knowledge(killed)
    assert found == expected


def knowledge(driftline: Service) -> dict[str, Any]:
    """All that a person or a program can be told, the sheets in the order in which they were made."""
    return {
        "sheets": [value for (value,) in driftline.stored("SELECT value FROM log_decisions ORDER BY offset")],
        "changes": driftline.api("/api/changes")["changes"],
        "series": driftline.api("/api/series")["series"],
        "funnel": driftline.funnel(),
    }
