"""Connections to the page are bounded: in number, in the length of a head, and in how long it may take."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from collector.receivers.access import Access
from driftline.web.connection import MAX_HEAD_BYTES, Connection
from driftline.web.server import Web
from tests.driftline.web.service import Service

Open = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]
WHOLE = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n"


@pytest.fixture
def serving(idle: Service) -> Callable[[Callable[[Open], Awaitable[None]]], dict[str, float]]:
    """Runs work against a real server; how many connections were cut off, by reason."""

    def run(work: Callable[[Open], Awaitable[None]]) -> dict[str, float]:
        async def within() -> None:
            web = Web("127.0.0.1", 0, access=Access((), idle.telemetry))
            web.bind()
            await web.start(idle)
            try:
                host, _, port = web.address.rpartition(":")
                await work(lambda: asyncio.open_connection(host, int(port)))
            finally:
                await web.stop()

        asyncio.run(within())
        counter = next(one for one in idle.telemetry.instruments() if one.name == "driftline_refused_access")
        return {reason: count for (listener, reason), count in counter.values().items() if listener == "web"}

    return run


async def end(reader: asyncio.StreamReader) -> bytes:
    """All that comes until the connection ends, however it does."""
    found = b""
    try:
        while part := await asyncio.wait_for(reader.read(65536), 10):
            found += part
    except ConnectionError:
        pass
    return found


@pytest.mark.parametrize("sent", [b"G", b"GET /healthz HTTP/1.1\r\nx: "])
@pytest.mark.parametrize("requests", [0, 1])
def test_a_head_that_does_not_come_in_time_ends_the_connection(
    serving: Callable[..., dict[str, float]], monkeypatch: pytest.MonkeyPatch, sent: bytes, requests: int
) -> None:
    monkeypatch.setattr(Connection, "head_seconds", 0.1)

    async def work(connect: Open) -> None:
        reader, writer = await connect()
        for _ in range(requests):
            writer.write(WHOLE)
            await reader.readuntil(b"ok\n")
        writer.write(sent)
        assert await end(reader) == b""
        writer.close()

    assert serving(work) == {"slow": 1}


def test_a_connection_that_says_nothing_is_ended(
    serving: Callable[..., dict[str, float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Connection, "head_seconds", 0.1)

    async def work(connect: Open) -> None:
        reader, writer = await connect()
        assert await end(reader) == b""
        writer.close()

    assert serving(work) == {"slow": 1}


def test_a_connection_that_asks_again_and_again_is_kept(
    serving: Callable[..., dict[str, float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Connection, "head_seconds", 0.1)

    async def work(connect: Open) -> None:
        reader, writer = await connect()
        loop = asyncio.get_running_loop()
        until = loop.time() + 0.3  # longer than any one head may take
        while loop.time() < until:
            writer.write(WHOLE[:10])
            await asyncio.sleep(0)
            writer.write(WHOLE[10:])
            assert b"200 OK" in await reader.readuntil(b"\r\n\r\n")
            assert await reader.readexactly(3) == b"ok\n"
        writer.close()

    assert serving(work) == {}


@pytest.mark.parametrize(
    ("sent", "refused"),
    [
        (b"\x16\x03\x01\x02\x00\x01 a client that expects TLS\r\n\r\n", {"not_http": 20}),
        (b"GET / HTTP/1.1\r\nhost: a\x00[2J\r\n\r\n", {"not_http": 20}),
        (b"GET /healthz HTTP/1.1\r\nhost: a\r\nconnection: Upgrade, close\r\nupgrade: websocket\r\n\r\n", {}),
    ],
    ids=["no_http", "control_characters", "an_upgrade"],
)
def test_what_nobody_understands_is_counted_and_fills_no_log(
    serving: Callable[..., dict[str, float]], caplog: pytest.LogCaptureFixture, sent: bytes, refused: dict[str, float]
) -> None:
    async def work(connect: Open) -> None:
        for _ in range(20):
            reader, writer = await connect()
            writer.write(sent)
            assert (await end(reader)).startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 200 "))
            writer.close()

    with caplog.at_level("WARNING"):
        assert serving(work) == refused
    assert caplog.records == []


def test_a_head_without_end_is_refused_before_it_fills_the_memory(serving: Callable[..., dict[str, float]]) -> None:
    async def work(connect: Open) -> None:
        reader, writer = await connect()
        writer.write(b"GET /healthz HTTP/1.1\r\nhost: x\r\n" + b"a: " + b"x" * 2 * MAX_HEAD_BYTES)
        assert (await end(reader)).startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 431 "))
        writer.close()

    serving(work)


def test_there_are_so_many_connections_at_most(
    serving: Callable[..., dict[str, float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Connection, "most_connections", 3)

    async def work(connect: Open) -> None:
        held = [await connect() for _ in range(3)]
        for reader, writer in held:  # each is there before the next comes
            writer.write(WHOLE)
            await reader.readuntil(b"ok\n")
        reader, writer = await connect()
        writer.write(WHOLE)
        assert await end(reader) == b""
        writer.close()
        for _, kept in held:
            kept.close()

    assert serving(work) == {"connections": 1}
