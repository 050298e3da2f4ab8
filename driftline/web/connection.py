"""One connection to the page: uvicorn's, by h11, which bounds a head; and what uvicorn leaves open, bounded too.

A client may connect and say nothing, or a byte a minute, or a thousand times over: each costs a socket of the whole
service for a bounded time, and there are so many at most.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

MAX_HEAD_BYTES = 32 * 1024
"""Request line and headers together."""

MOST_CONNECTIONS = 500
HEAD_SECONDS = 10.0

CONNECTIONS = "connections"
SLOW = "slow"
NOT_HTTP = "not_http"

# uvicorn warns of whatever a client sends that it does not understand: a stranger could fill the log. It is counted.
_log = logging.getLogger("uvicorn.error.connection")
_log.setLevel(logging.ERROR)


class Connection(H11Protocol):
    """Cut off if there are too many, or if a head is not whole in time."""

    refused: Callable[[str], None] | None = None
    head_seconds = HEAD_SECONDS
    most_connections = MOST_CONNECTIONS
    _late: asyncio.TimerHandle | None = None

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.logger = _log

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        if len(self.connections) > self.most_connections:
            self._cut_off(CONNECTIONS)
        else:
            self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def send_400_response(self, msg: str) -> None:
        if self.refused is not None:
            self.refused(NOT_HTTP)
        super().send_400_response(msg)

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget()
        super().connection_lost(exc)

    def _watch(self) -> None:
        """A head has so long from its first byte, or from the connection; between requests uvicorn's own time runs."""
        if self.cycle is not None and not self.cycle.response_complete:
            self._forget()
        elif self._late is None and not self.transport.is_closing():
            self._late = self.loop.call_later(self.head_seconds, self._cut_off, SLOW)

    def _forget(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _cut_off(self, reason: str) -> None:
        self._late = None
        if self.refused is not None:
            self.refused(reason)
        self.transport.abort()


def counted(refused: Callable[[str], None] | None) -> type[Connection]:
    """Connections that tell why one was cut off."""
    return type("Counted", (Connection,), {"refused": None if refused is None else staticmethod(refused)})
