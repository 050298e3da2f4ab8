"""What holds for all addresses: metrics and probes, headers, methods, and what happens when something fails."""

import asyncio
import logging
import re
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from starlette.routing import Route

from collector.core.clock import FakeClock
from driftline.web.app import create_app
from tests.driftline.web.service import NOW_NS, Service, trace_id

Ask = Callable[..., httpx.Response]
DOCS = Path(__file__).parents[3] / "docs" / "api.md"
ADDRESSES = (
    *("/", "/healthz", "/readyz", "/metrics", "/static/style.css", "/static/refresh.js", "/static/icon.svg"),
    *("/api/status", "/api/changes", "/api/traces", "/api/funnel", "/api/series", "/nowhere", "/api/nowhere"),
    *("/changes/nope", f"/traces/{'0' * 32}", "/traces/xyz"),
)


def test_metrics_come_in_the_format_that_is_asked_for(idle: Service, ask: Ask) -> None:
    idle.telemetry.counter("driftline_scores", "Scores.").add(3)
    classic = ask(idle, "/metrics", headers={"Accept": "*/*"})
    assert classic.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert classic.headers["vary"] == "Accept"
    openmetrics = ask(
        idle, "/metrics", headers={"Accept": "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"}
    )
    assert openmetrics.headers["content-type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    assert openmetrics.text.endswith("# EOF\n")
    for page in (classic, openmetrics):
        assert "driftline_scores_total 3.0\n" in page.text


def test_probes_say_ok_or_why_not(idle: Service, ask: Ask) -> None:
    assert (ask(idle, "/healthz").status_code, ask(idle, "/healthz").text) == (200, "ok\n")
    idle.problems = ["score: out of memory", "the disk is full"]
    sick = ask(idle, "/healthz")
    assert (sick.status_code, sick.text) == (503, "score: out of memory\nthe disk is full\n")
    assert ask(idle, "/readyz").status_code == 200
    idle.waiting = ["starting"]
    early = ask(idle, "/readyz")
    assert (early.status_code, early.text) == (503, "starting\n")
    assert early.headers["content-type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize("path", ADDRESSES)
def test_every_answer_forbids_what_hostile_content_would_need(idle: Service, ask: Ask, path: str) -> None:
    headers = ask(idle, path).headers
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none';")
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", ["/", "/api/status", "/metrics", "/healthz", "/static/style.css"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_nothing_can_be_changed(idle: Service, ask: Ask, path: str, method: str) -> None:
    assert ask(idle, path, method=method).status_code == 405


@pytest.mark.parametrize("path", ["/", "/api/status", "/metrics", "/healthz"])
def test_head_is_answered_like_get(idle: Service, ask: Ask, path: str) -> None:
    answer = ask(idle, path, method="HEAD")
    assert answer.status_code == 200


def test_static_files_cannot_be_left(idle: Service, ask: Ask) -> None:
    for path in ("/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py", "/static/"):
        assert ask(idle, path).status_code == 404


def test_a_view_that_cannot_be_read_is_503_and_tells_no_details(
    idle: Service, ask: Ask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(limit: int) -> list[bytes]:
        raise sqlite3.OperationalError("disk I/O error at /secret/place")

    monkeypatch.setattr(idle.view, "changes", fail)
    for path in ("/", "/api/changes"):
        answer = ask(idle, path)
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "5"
        assert "/secret/place" not in answer.text
    assert "disk I/O error" in caplog.text
    assert ask(idle, "/healthz").status_code == 200


def test_what_nobody_expected_is_500_logged_and_guarded(
    idle: Service, ask: Ask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> list[str]:
        raise RuntimeError("secret words")

    monkeypatch.setattr(idle, "health", fail)
    with caplog.at_level(logging.ERROR):
        answer = ask(idle, "/healthz")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "content-security-policy" in answer.headers
    assert "secret words" in caplog.text


def test_requests_are_counted_by_route_and_status(idle: Service, ask: Ask) -> None:
    ask(idle, f"/api/traces/{trace_id(1)}")
    ask(idle, "/healthz")
    ask(idle, "/nowhere")
    counted = idle.telemetry.counter("driftline_web_requests", "", ["route", "code"]).values()
    assert counted == {("/api/traces/{trace_id}", "404"): 1, ("/healthz", "200"): 1, ("none", "404"): 1}


def test_too_many_questions_are_sent_away_while_probes_still_answer(
    idle: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("driftline.web.app._QUESTION_THREADS", 1)
    monkeypatch.setattr("driftline.web.app._MOST_QUESTIONS_WAITING", 2)
    release, begun = threading.Event(), threading.Event()

    def slow() -> dict[str, int]:
        begun.set()
        assert release.wait(10)
        return {}

    monkeypatch.setattr(idle, "counts", slow)

    async def crowd() -> tuple[list[int], int, str]:
        transport = httpx.ASGITransport(create_app(idle, FakeClock(NOW_NS)))
        async with httpx.AsyncClient(transport=transport, base_url="http://driftline") as client:
            waiting = [asyncio.create_task(client.get("/api/status")) for _ in range(3)]
            while not begun.is_set():
                await asyncio.sleep(0)
            refused = await client.get("/api/status")
            probe = (await client.get("/healthz")).status_code
            release.set()
            codes = [answer.status_code for answer in await asyncio.gather(*waiting)]
            return codes, probe, f"{refused.status_code} {refused.headers['retry-after']}"

    assert asyncio.run(crowd()) == ([200, 200, 200], 200, "503 1")


def test_behind_a_prefix_all_links_carry_it(idle: Service) -> None:
    async def page() -> str:
        transport = httpx.ASGITransport(create_app(idle, FakeClock(NOW_NS)), root_path="/ops")
        async with httpx.AsyncClient(transport=transport, base_url="http://driftline") as client:
            return (await client.get("/ops/")).text

    links = re.findall(r'(?:href|src|action)="([^"#]*)', asyncio.run(page()))
    assert len(links) > 5
    assert all(link.startswith("/ops/") for link in links if link)


def test_every_address_is_documented(idle: Service) -> None:
    documented = DOCS.read_text(encoding="utf-8")
    routes = [route.path for route in create_app(idle).routes if isinstance(route, Route)]
    assert [path for path in routes if f"`{path}`" not in documented and f"GET {path}" not in documented] == []
    assert "driftline_web_requests" in documented


_OURS = ("127.0.0.1:8321", "localhost", "LocalHost.:1", "[::1]:8321", "10.1.2.3", "ours.example:80")
_OTHERS = (
    *("evil.example", "evil.example:8321", "127.0.0.1.evil.example", "localhost.evil.example", "[evil.example]:1"),
    *("ours.example.evil.example", "[::1", "0x7f000001.evil.example:80"),
)


@pytest.mark.parametrize(("host", "status"), [*((host, 200) for host in _OURS), *((host, 421) for host in _OTHERS)])
def test_a_page_of_somebody_else_whose_name_resolves_to_here_is_told_nothing(
    idle: Service, host: str, status: int
) -> None:
    async def work() -> None:
        app = create_app(idle, FakeClock(NOW_NS), hosts=["ours.example"])
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
            for path in ("/", "/api/status", "/metrics"):
                answer = await client.get(path, headers={"host": host})
                assert answer.status_code == status
                assert (status == 200) or "ours.example" not in answer.text

    asyncio.run(work())
