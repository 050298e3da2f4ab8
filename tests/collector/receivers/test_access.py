"""What a token lets its bearer do, what is refused, and what is told of it."""

import asyncio
import hashlib
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest

from collector.core.errors import Overloaded, Rejected
from collector.core.telemetry import Telemetry
from collector.receivers import access as module
from collector.receivers.access import Access, Client
from collector.receivers.listen import ReceiveConfig, access_of
from collector.receivers.otlp_grpc import GrpcReceiver
from collector.receivers.otlp_http import HttpReceiver
from tests.collector.receivers.conftest import Ticking

HERE = "192.0.2.7"
TRACES = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Ticking:
    ticking = Ticking()
    monkeypatch.setattr(module, "time", ticking)
    return ticking


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch, telemetry: Telemetry) -> Callable[..., Access]:
    """`made(app="ingest", ana="read", **listen)`: tokens that are the bearer's name and `-token`."""

    def make(listen: dict[str, Any] | None = None, **roles: str) -> Access:
        tokens = []
        for name, role in roles.items():
            monkeypatch.setenv(f"TOKEN_{name}", f"{name}-token")
            tokens.append({"name": name, "role": role, "env": f"TOKEN_{name}"})
        return access_of(ReceiveConfig(tokens=tokens, **(listen or {})), telemetry)

    return make


def outcome(access: Access, role: Any, token: bytes | None, address: str = HERE) -> str:
    try:
        return access.admit("door", role, token, address).name or "anybody"
    except (Rejected, Overloaded) as error:
        return error.reason


@pytest.mark.parametrize(
    ("token", "ingest", "read"),
    [
        (b"app-token", "app", "forbidden_role"),
        (b"ana-token", "forbidden_role", "ana"),
        (b"boss-token", "boss", "boss"),
        (b"other", "unauthorized", "unauthorized"),
        (b"", "unauthorized", "unauthorized"),
        (None, "unauthorized", "unauthorized"),
    ],
)
def test_each_role_may_do_its_own_and_no_more(
    made: Callable[..., Access], token: bytes | None, ingest: str, read: str
) -> None:
    access = made(app="ingest", ana="read", boss="admin")
    assert (outcome(access, "ingest", token), outcome(access, "read", token)) == (ingest, read)


def test_a_role_that_nobody_has_is_not_asked_for(made: Callable[..., Access]) -> None:
    assert outcome(made(app="ingest"), "read", None) == "anybody"
    assert outcome(made(ana="read"), "ingest", b"whatever") == "anybody"
    assert outcome(made(boss="admin"), "ingest", None) == outcome(made(boss="admin"), "read", None) == "unauthorized"


def test_a_token_may_be_known_by_its_hash_only(tmp_path: Path, telemetry: Telemetry) -> None:
    file = tmp_path / "tokens"
    hashed = hashlib.sha256(b"s3cret").hexdigest()
    file.write_text(f"sha256:{hashed}\nplain\n")
    tokens = [{"name": "app", "role": "ingest", "file": str(file)}]
    access = access_of(ReceiveConfig(**{"tokens": tokens}), telemetry)
    assert outcome(access, "ingest", b"s3cret") == outcome(access, "ingest", b"plain") == "app"
    assert outcome(access, "ingest", f"sha256:{hashed}".encode()) == outcome(access, "ingest", hashed.encode())
    assert outcome(access, "ingest", hashed.encode()) == "unauthorized"


def test_every_known_token_is_compared_so_that_time_tells_nothing(
    made: Callable[..., Access], monkeypatch: pytest.MonkeyPatch
) -> None:
    access, compared = made(a="ingest", b="ingest", c="read"), []
    real = hashlib.sha256
    monkeypatch.setattr(
        "collector.receivers.tokens.compare_digest", lambda one, other: bool(compared.append(other)) or one == other
    )
    for token in (b"a-token", b"c-token", b"nobody's"):
        compared.clear()
        outcome(access, "ingest", token)
        assert compared == [real(f"{name}-token".encode()).digest() for name in "abc"]


def test_a_tenant_is_bound_to_its_token(telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACME", "a")
    tokens = [{"name": "app", "role": "ingest", "env": "ACME", "tenant": "acme"}]
    access = access_of(ReceiveConfig(**{"tokens": tokens, "tenants": {}}), telemetry)
    assert access.admit("door", "ingest", b"a", HERE) == Client("app", "acme")


def test_guessing_shuts_an_address_out_even_with_the_right_token_and_nobody_else(
    made: Callable[..., Access], clock: Ticking, count: Callable[..., float]
) -> None:
    access = made({"wrong_tokens": "3 per minute"}, app="ingest")
    guesses = [outcome(access, "ingest", str(number).encode()) for number in range(5)]
    assert guesses == ["unauthorized"] * 3 + ["guessing"] * 2
    assert outcome(access, "ingest", b"app-token") == "guessing"
    assert outcome(access, "ingest", b"app-token", "192.0.2.8") == "app"
    with pytest.raises(Overloaded) as raised:
        access.admit("door", "ingest", b"app-token", HERE)
    assert raised.value.retry_after_seconds == 60
    clock.now += 60
    assert outcome(access, "ingest", b"app-token") == "app"
    assert count("driftline_refused_access", "door", "unauthorized") == 3
    assert count("driftline_refused_access", "door", "guessing") == 4


def test_one_machine_cannot_guess_from_many_ipv6_addresses(made: Callable[..., Access], clock: Ticking) -> None:
    access = made({"wrong_tokens": "3 per minute"}, app="ingest")
    told = [outcome(access, "ingest", b"%d" % number, f"2001:db8::{number + 1:x}") for number in range(4)]
    assert told == ["unauthorized"] * 3 + ["guessing"]


def test_a_token_has_one_allowance_wherever_it_is_used_and_nobody_uses_anothers(
    made: Callable[..., Access], clock: Ticking, count: Callable[..., float]
) -> None:
    access = made({"rate_limit": "2 per minute"}, app="ingest", other="ingest")
    addresses = ["192.0.2.1", "192.0.2.2", "192.0.2.3"]
    assert [outcome(access, "ingest", b"app-token", one) for one in addresses] == ["app", "app", "rate_limited"]
    assert outcome(access, "ingest", b"other-token") == "other"
    clock.now += 30
    assert outcome(access, "ingest", b"app-token") == "app"
    assert count("driftline_refused_access", "door", "rate_limited") == 1


def test_a_refusal_is_told_once_a_minute_with_the_number_of_those_like_it(
    made: Callable[..., Access], clock: Ticking, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="driftline.audit")
    access = made(app="ingest", ana="read")
    for _ in range(5):
        outcome(access, "ingest", b"wr0ng")
    outcome(access, "ingest", b"ana-token")
    clock.now += 60
    outcome(access, "ingest", b"wr0ng")
    lines = [json.loads(line.getMessage()) for line in caplog.records if line.name == "driftline.audit"]
    for line in lines:
        del line["at"]
    unknown = {"action": "access.refused", "listener": "door", "reason": "unauthorized", "address": HERE}
    assert lines == [
        unknown,
        {**unknown, "reason": "forbidden_role", "token": "ana"},
        {**unknown, "not_told_before": 4},
    ]
    assert "wr0ng" not in caplog.text
    assert "ana-token" not in caplog.text


def test_what_is_remembered_of_refusals_is_bounded(made: Callable[..., Access], clock: Ticking) -> None:
    access = made(app="ingest")
    for number in range(3000):
        outcome(access, "ingest", None, f"10.0.{number // 250}.{number % 250}")
    assert len(access._told) == 1000


def told_of(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [json.loads(line.getMessage()) for line in caplog.records if line.name == "driftline.audit"]


def test_a_flood_of_strangers_does_not_hide_what_a_known_token_does(
    made: Callable[..., Access], clock: Ticking, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="driftline.audit")
    access = made(app="ingest", ana="read")
    for number in range(3000):
        outcome(access, "ingest", None, f"10.0.{number // 250}.{number % 250}")
    assert len(told_of(caplog)) == 60
    outcome(access, "ingest", b"ana-token")
    last = told_of(caplog)[-1]
    assert (last["reason"], last["token"], last["of_others_not_told"]) == ("forbidden_role", "ana", 2940)


@pytest.mark.parametrize("seed", range(5))
def test_every_refusal_is_told_or_counted_in_a_line_that_is(
    made: Callable[..., Access], clock: Ticking, caplog: pytest.LogCaptureFixture, telemetry: Telemetry, seed: int
) -> None:
    caplog.set_level("INFO", logger="driftline.audit")
    draw = random.Random(seed)
    access = made({"wrong_tokens": "5 per minute"}, app="ingest", ana="read")
    for _ in range(6000):
        clock.now += draw.choice([0.0, 0.0, 0.01, 0.2])
        address = f"10.{draw.randrange(3)}.{draw.randrange(8)}.{draw.randrange(250)}"
        outcome(access, "ingest", draw.choice([None, b"ana-token", b"%d" % draw.randrange(50)]), address)
    for _ in range(2):  # whatever is still to be told comes with the next lines
        clock.now += 3600
        outcome(access, "ingest", None, "192.0.2.1")
    refused = sum(telemetry.counter("driftline_refused_access", "", ["listener", "reason"]).values().values())
    waiting = access._untold + sum(times for _, times in access._told.values())
    lines = told_of(caplog)
    counted = sum(line.get("not_told_before", 0) + line.get("of_others_not_told", 0) for line in lines)
    assert len(lines) + counted + waiting == refused


# --- at the listeners ---

LISTEN = {"rate_limit": "2 per minute", "wrong_tokens": "2 per minute"}


@pytest.fixture
def config(monkeypatch: pytest.MonkeyPatch) -> ReceiveConfig:
    monkeypatch.setenv("APP", "app-token")
    monkeypatch.setenv("ANA", "ana-token")
    tokens = [{"name": "app", "role": "ingest", "env": "APP"}, {"name": "ana", "role": "read", "env": "ANA"}]
    return ReceiveConfig(**{"tokens": tokens, **LISTEN})


async def _post(port: int, body: bytes, token: str) -> tuple[int, bytes]:
    """Status and head of the answer, on a connection of its own."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = "POST /v1/traces HTTP/1.1\r\nhost: a\r\ncontent-type: application/x-protobuf"
    head += f"\r\nauthorization: Bearer {token}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
    writer.write(head.encode() + body)
    answer = await reader.read()
    writer.close()
    return int(answer.split()[1]), answer.partition(b"\r\n\r\n")[0]


def test_http_tells_who_asks_too_often_or_guesses_when_to_come_back(
    inbox: Any, telemetry: Telemetry, serving: Any, config: ReceiveConfig, traces_body: Callable[..., bytes]
) -> None:
    async def work() -> None:
        async with serving(HttpReceiver("127.0.0.1", 0, inbox, telemetry, config)) as receiver:
            assert (await _post(receiver.port, traces_body(), "ana-token"))[0] == 403
            told = [await _post(receiver.port, traces_body(), "app-token") for _ in range(3)]
            assert [status for status, _ in told] == [200, 200, 429]
            assert b"retry-after: " in told[2][1]
            told = [await _post(receiver.port, traces_body(), f"guess-{number}") for number in range(3)]
            assert [status for status, _ in told] == [401, 401, 429]
            assert b"retry-after: 60" in told[2][1]

    asyncio.run(work())
    assert len(inbox.taken) == 2


def test_grpc_tells_who_asks_too_often_or_guesses_when_to_come_back(
    inbox: Any, telemetry: Telemetry, serving: Any, config: ReceiveConfig, traces_body: Callable[..., bytes]
) -> None:
    async def work() -> None:
        async with (
            serving(GrpcReceiver("127.0.0.1", 0, inbox, telemetry, config)) as receiver,
            grpc.aio.insecure_channel(f"127.0.0.1:{receiver.port}") as channel,
        ):

            async def code(token: str) -> tuple[str, bool]:
                call = channel.unary_unary(TRACES)
                try:
                    await call(traces_body(), metadata=(("authorization", f"Bearer {token}"),), timeout=10)
                except grpc.aio.AioRpcError as error:
                    details = dict(error.trailing_metadata() or ())["grpc-status-details-bin"]
                    return error.code().name, b"RetryInfo" in details
                return "OK", False

            assert await code("ana-token") == ("PERMISSION_DENIED", False)
            told = [await code("app-token") for _ in range(3)]
            assert told == [("OK", False), ("OK", False), ("RESOURCE_EXHAUSTED", True)]
            told = [await code(f"guess-{number}") for number in range(3)]
            assert told == [("UNAUTHENTICATED", False)] * 2 + [("RESOURCE_EXHAUSTED", True)]

    asyncio.run(work())
    assert len(inbox.taken) == 2


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ("host: evil.example:4318\r\norigin: http://evil.example:4318", 421),
        ("host: evil.example:4318\r\norigin: null", 421),
        ("host: localhost:4318\r\norigin: http://localhost:4318", 200),
        ("host: ours.example\r\norigin: https://ours.example", 200),
        ("host: host.docker.internal:4318", 200),  # no browser
    ],
)
def test_a_page_whose_name_resolves_to_this_machine_cannot_send(
    inbox: Any, telemetry: Telemetry, serving: Any, traces_body: Callable[..., bytes], headers: str, status: int
) -> None:
    body = traces_body()

    async def work() -> bytes:
        receiver = HttpReceiver("127.0.0.1", 0, inbox, telemetry, ReceiveConfig(), hosts=["ours.example"])
        async with serving(receiver):
            reader, writer = await asyncio.open_connection("127.0.0.1", receiver.port)
            head = f"POST /v1/traces HTTP/1.1\r\n{headers}\r\ncontent-type: application/x-protobuf\r\n"
            writer.write(f"{head}content-length: {len(body)}\r\nconnection: close\r\n\r\n".encode() + body)
            answer = await reader.read()
            writer.close()
            return answer

    assert asyncio.run(work()).startswith(f"HTTP/1.1 {status} ".encode())
    assert len(inbox.taken) == (1 if status == 200 else 0)
