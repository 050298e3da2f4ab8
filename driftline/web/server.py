"""Serves the page and the API: uvicorn on a socket that was taken before."""

import asyncio
import socket
from collections.abc import Collection

import uvicorn

from collector.receivers.listen import address_text, cannot_listen
from driftline.web.app import create_app
from driftline.web.source import Source

_GRACE_SECONDS = 3


class Web:
    """`bind`, then `start`; `stop` is safe without start.

    Args:
        shows: whether there are page and API, besides metrics and probes.
        hosts: names it answers to, besides IP addresses and localhost; None: any.
    """

    def __init__(self, host: str, port: int, shows: bool = True, hosts: Collection[str] | None = None) -> None:
        self._host, self._port, self._shows, self._hosts = host, port, shows, hosts
        self._socket: socket.socket | None = None
        self._server: uvicorn.Server | None = None
        self._serving: asyncio.Task[None] | None = None

    @property
    def address(self) -> str:
        """HOST:PORT, with the real port."""
        port = int(self._socket.getsockname()[1]) if self._socket is not None else self._port
        return address_text(self._host, port)

    def bind(self) -> None:
        """Take the address.

        Raises:
            UserError: it cannot be had.
        """
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        try:
            self._socket = socket.create_server((self._host, self._port), family=family)
        except OSError as error:
            raise cannot_listen(self._host, self._port, error) from error
        # uvicorn writes head and body apart, and asyncio sets this only for sockets that were made with a protocol:
        # without it every short answer waits 40 ms for an acknowledgement.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    async def start(self, source: Source) -> None:
        """Serve; returns when requests are answered."""
        assert self._socket is not None
        config = uvicorn.Config(
            create_app(source, shows=self._shows, hosts=self._hosts),
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=_GRACE_SECONDS,
        )
        self._server = uvicorn.Server(config)
        self._serving = asyncio.ensure_future(self._server.serve(sockets=[self._socket]))
        while not self._server.started and not self._serving.done():
            await asyncio.sleep(0.01)

    async def stop(self) -> None:
        if self._server is not None and self._serving is not None:
            self._server.should_exit = True
            await self._serving
        elif self._socket is not None:
            self._socket.close()
