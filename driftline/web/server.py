"""Serves the page and the API: uvicorn on a socket that was taken before."""

import asyncio
import socket
import ssl
from collections.abc import Collection

import uvicorn

from collector.receivers.access import Access
from collector.receivers.listen import address_text, cannot_listen
from driftline.web.app import create_app
from driftline.web.connection import MAX_HEAD_BYTES, counted
from driftline.web.source import Source

_GRACE_SECONDS = 3


class Web:
    """`bind`, then `start`; `stop` is safe without start.

    Args:
        shows: whether there are page and API, besides metrics and probes.
        hosts: names it answers to, besides IP addresses and localhost; None: any.
        access: who may look; None: anybody.
        tls: to serve over; None: in the clear.
    """

    def __init__(
        self,
        host: str,
        port: int,
        shows: bool = True,
        hosts: Collection[str] | None = None,
        access: Access | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._host, self._port, self._shows, self._hosts = host, port, shows, hosts
        self._access, self._tls = access, tls
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
        self._app = create_app(source, shows=self._shows, hosts=self._hosts, access=self._access)
        await self._serve(self._socket.dup())  # uvicorn closes what it is given; ours goes on listening

    async def renew(self, tls: ssl.SSLContext) -> None:
        """Take this for the connections that come from now on; what has begun is answered, then those there are end."""
        if self._server is None or self._socket is None or self._serving is None:
            return
        old, serving, self._tls = self._server, self._serving, tls
        await self._serve(self._socket.dup())
        old.should_exit = True
        await serving

    async def _serve(self, listening: socket.socket) -> None:
        tls = self._tls
        config = uvicorn.Config(
            self._app,
            http=counted(self._refused),
            h11_max_incomplete_event_size=MAX_HEAD_BYTES,
            ws="none",
            log_config=None,
            access_log=False,
            lifespan="off",
            proxy_headers=False,  # or whoever is on this machine could say that a request came from another
            server_header=False,
            timeout_graceful_shutdown=_GRACE_SECONDS,
            ssl_context_factory=None if tls is None else lambda *_: tls,
        )
        self._server = uvicorn.Server(config)
        self._serving = asyncio.ensure_future(self._server.serve(sockets=[listening]))
        while not self._server.started and not self._serving.done():
            await asyncio.sleep(0.01)

    def _refused(self, reason: str) -> None:
        if self._access is not None:
            self._access.refused("web", reason)

    async def stop(self) -> None:
        if self._server is not None and self._serving is not None:
            self._server.should_exit = True
            await self._serving
        if self._socket is not None:
            self._socket.close()
