"""Ways to ask the application: in process, or by a browser on a real socket."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn

from collector.core.clock import FakeClock
from driftline.web.app import create_app
from tests.driftline.web.service import NOW_NS, Service, busy, service

Get = Callable[..., httpx.Response]


@pytest.fixture
def idle(tmp_path: Path) -> Iterator[Service]:
    made = service(tmp_path)
    yield made
    made.view.close()


@pytest.fixture
def incident(tmp_path: Path) -> Iterator[Service]:
    made = busy(tmp_path)
    yield made
    made.view.close()


@pytest.fixture
def ask() -> Iterator[Callable[..., httpx.Response]]:
    """`ask(service, "/api/status", method="GET", **options)`: one request, answered in process."""
    with asyncio.Runner() as runner:

        def send(of: Service, path: str, method: str = "GET", **options: object) -> httpx.Response:
            async def request() -> httpx.Response:
                transport = httpx.ASGITransport(create_app(of, FakeClock(NOW_NS)))
                async with httpx.AsyncClient(transport=transport, base_url="http://driftline") as client:
                    return await client.request(method, path, **options)  # type: ignore[arg-type]

            return runner.run(request())

        yield send


@pytest.fixture
def serve() -> Iterator[Callable[[Service], str]]:
    """`serve(service)` gives the address of a real server of it."""
    running: list[tuple[uvicorn.Server, threading.Thread]] = []

    def start(of: Service) -> str:
        taken = socket.create_server(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(create_app(of, FakeClock(NOW_NS)), log_config=None, lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [taken]})
        thread.start()
        running.append((server, thread))
        return f"http://127.0.0.1:{taken.getsockname()[1]}"  # connections wait in the socket until it serves

    yield start
    for server, thread in running:
        server.should_exit = True
        thread.join()
