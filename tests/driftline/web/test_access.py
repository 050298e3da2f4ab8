"""Who may look: what each route asks for, what a refusal says, and that it is as guarded as an answer."""

import asyncio
import base64
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.routing import Route

from collector.core.clock import FakeClock
from collector.receivers.listen import ReceiveConfig, TlsConfig, access_of, server_tls
from driftline.web.app import create_app
from driftline.web.server import Web
from tests.driftline.web.service import NOW_NS, Service

TLS_FILES = Path(__file__).parents[2] / "data" / "tls"
OPEN = ("/healthz", "/readyz")
TOKENS = [
    {"name": "ana", "role": "read", "env": "ANA"},
    {"name": "app", "role": "ingest", "env": "APP"},
    {"name": "boss", "role": "admin", "env": "BOSS"},
]

Answers = Callable[..., list[httpx.Response]]


@pytest.fixture
def answers(idle: Service, monkeypatch: pytest.MonkeyPatch) -> Answers:
    """`answers(("/", {"Authorization": ...}), ..., **listen)`: what one application says to each request in turn."""
    for name in ("ANA", "APP", "BOSS"):
        monkeypatch.setenv(name, f"{name.lower()}-token")

    def ask(*requests: tuple[str, dict[str, str]], **listen: Any) -> list[httpx.Response]:
        access = access_of(ReceiveConfig(**{"tokens": TOKENS, **listen}), idle.telemetry)
        app = create_app(idle, FakeClock(NOW_NS), access=access)

        async def work() -> list[httpx.Response]:
            transport = httpx.ASGITransport(app, client=("192.0.2.7", 4711))
            async with httpx.AsyncClient(transport=transport, base_url="http://driftline") as client:
                return [await client.get(path, headers=headers) for path, headers in requests]

        return asyncio.run(work())

    return ask


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def routes(of: Service) -> list[str]:
    found = [route.path for route in create_app(of).routes if isinstance(route, Route)]
    return [path.replace("{trace_id}", "0" * 32).replace("{change_id}", "nope") for path in found]


def test_every_route_but_the_probes_asks_for_a_token_that_may_read(idle: Service, answers: Answers) -> None:
    paths = routes(idle)
    assert len(paths) >= 16
    asking = [path for path in (*paths, "/nowhere", "/api/nowhere", "//", "/healthz/", "/static") if path not in OPEN]
    for path in asking:
        told = answers((path, {}), (path, bearer("wrong")), (path, bearer("app-token")), (path, bearer("ana-token")))
        assert [one.status_code for one in told[:3]] == [401, 401, 403], path
        assert told[3].status_code not in (401, 403), path
        assert answers((path, bearer("boss-token")))[0].status_code == told[3].status_code
        for refusal in told[:3]:
            assert refusal.headers["content-security-policy"].startswith("default-src 'none';")
            assert refusal.headers["x-content-type-options"] == "nosniff"
            assert refusal.headers["referrer-policy"] == "no-referrer"
            assert refusal.headers["cache-control"] == "no-store"
            assert ("error" in refusal.json()) if path.startswith("/api/") else refusal.text.endswith("\n")
            assert "token" not in refusal.text.replace("TOKEN", "").replace("the token", "") or path.startswith("/api/")
        assert told[0].headers["www-authenticate"].startswith("Basic realm=")


def test_a_browser_sends_the_token_as_the_password_that_it_asks_for(answers: Answers) -> None:
    def basic(text: str) -> dict[str, str]:
        return {"Authorization": f"Basic {base64.b64encode(text.encode()).decode()}"}

    sent = [basic("ana:ana-token"), basic(":ana-token"), basic("ana-token:"), basic("ana-token"), basic("x:ana-token:")]
    told = answers(*(("/", headers) for headers in sent), ("/", {"Authorization": "Basic ?"}))
    assert [one.status_code for one in told] == [200, 200, 401, 401, 401, 401]


def test_probes_need_no_token_but_tell_reasons_only_to_who_has_one(idle: Service, answers: Answers) -> None:
    idle.problems = ["store.path: /var/lib/driftline/driftline.db is full"]
    for path in OPEN[:1]:
        told = answers((path, {}), (path, bearer("ana-token")), (path, bearer("wrong")))
        assert [one.status_code for one in told] == [503, 503, 401]
        assert "/var/lib" not in told[0].text
        assert "/var/lib" in told[1].text
    assert [one.status_code for one in answers(("/readyz", {}), ("/static/style.css", {}))] == [200, 200]


def test_without_a_token_that_reads_nobody_is_asked(idle: Service, answers: Answers) -> None:
    idle.problems = ["a reason"]
    told = answers(("/", {}), ("/healthz", {}), tokens=[TOKENS[1]])
    assert (told[0].status_code, told[1].text) == (200, "a reason\n")


def test_who_asks_too_often_or_guesses_is_told_when_to_come_back(idle: Service, answers: Answers) -> None:
    often = answers(*[("/api/status", bearer("ana-token"))] * 3, rate_limit="2 per minute")
    assert [one.status_code for one in often] == [200, 200, 429]
    assert int(often[2].headers["retry-after"]) in range(25, 31)
    assert often[2].headers["cache-control"] == "no-store"
    tried = [("/", bearer(f"guess {n}")) for n in range(3)]
    guesses = answers(*tried, ("/", bearer("ana-token")), wrong_tokens="2 per hour")
    assert [one.status_code for one in guesses] == [401, 401, 429, 429]
    assert answers(*[("/healthz", {})] * 9, rate_limit="2 per minute")[-1].status_code == 200, "probes are let be"


def test_the_page_is_served_over_tls_and_its_certificate_renewed(idle: Service) -> None:
    def files(name: str) -> TlsConfig:
        certificate = TLS_FILES / f"{name}.crt"
        return TlsConfig(certificate=certificate, key=TLS_FILES / f"{name}.key", client_ca=certificate)

    def client(name: str, known: bool = True) -> httpx.AsyncClient:
        trust = ssl.create_default_context(cafile=str(TLS_FILES / f"{name}.crt"))
        if known:
            trust.load_cert_chain(TLS_FILES / f"{name}.crt", TLS_FILES / f"{name}.key")
        return httpx.AsyncClient(verify=trust)

    async def work() -> None:
        web = Web("127.0.0.1", 0, tls=server_tls(files("localhost"), "web_tls"))
        web.bind()
        try:
            await web.start(idle)
            url = f"https://localhost:{web.address.rpartition(':')[2]}/healthz"
            async with client("localhost") as one:
                assert (await one.get(url)).text == "ok\n"
            async with client("localhost", known=False) as stranger:
                with pytest.raises(httpx.TransportError):
                    await stranger.get(url)
            async with httpx.AsyncClient() as plain:
                with pytest.raises(httpx.TransportError):
                    await plain.get(url.replace("https", "http"))
            async with client("localhost") as kept:
                await kept.get(url)
                await web.renew(server_tls(files("renewed"), "web_tls"))
                with pytest.raises(httpx.TransportError):  # its connection has ended, another is not let in
                    await kept.get(url)
            async with client("renewed") as new:
                assert (await new.get(url)).text == "ok\n"
        finally:
            await web.stop()

    asyncio.run(work())


def test_whoever_is_behind_the_page_cannot_say_to_be_another(idle: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANA", "ana-token")
    listen = ReceiveConfig(**{"tokens": TOKENS[:1], "wrong_tokens": "2 per hour"})

    async def work() -> list[int]:
        web = Web("127.0.0.1", 0, access=access_of(listen, idle.telemetry))
        web.bind()
        try:
            await web.start(idle)
            async with httpx.AsyncClient(base_url=f"http://{web.address}") as client:
                asked = [{**bearer(f"guess {n}"), "X-Forwarded-For": f"192.0.2.{n}"} for n in range(3)]
                return [(await client.get("/", headers=headers)).status_code for headers in asked]
        finally:
            await web.stop()

    assert asyncio.run(work()) == [401, 401, 429]
