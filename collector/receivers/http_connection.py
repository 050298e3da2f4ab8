"""One HTTP/1.1 connection: bytes in, whole requests to a service, replies out in the order of the requests.

The parser is llhttp (httptools); what is here are the limits around it. A sender may be slow, silent, too fast, or may
never read its replies: each costs a bounded amount of memory for a bounded time.
"""

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import Protocol, cast

import httptools

from collector.receivers.http_messages import KEPT_HEADERS, Reply, Request
from collector.receivers.listen import ReceiveConfig
from collector.receivers.places import CONNECTIONS, Places
from collector.receivers.throttle import network_of

MAX_HEAD_BYTES = 32 * 1024
"""Request line and headers together; also trailers, and the line before a chunk."""

_LINGER_SECONDS = 2.0  # time for a sender to read the reply that told it to stop, before it is cut off
_MAX_WAITING = 8  # pipelined requests parsed ahead before we stop reading
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_FOREVER = float("inf")


class Service(Protocol):
    """What stands behind the connections."""

    def screen(self, request: Request) -> Reply | None:
        """A reply to give instead of reading the body, seen the head; None to read on."""
        ...

    async def serve(self, request: Request) -> Reply:
        """The reply to a whole request. Raises nothing."""
        ...

    def broken(self, reason: str, message: str, request: Request | None) -> Reply:
        """The last reply to a sender that does not speak HTTP, or too slowly, or too much of it."""
        ...


@dataclass(slots=True)
class Shared:
    """What all connections of one listener share."""

    service: Service
    config: ReceiveConfig
    places: Places
    kept_headers: frozenset[bytes] = KEPT_HEADERS
    connections: "set[Connection]" = field(default_factory=set)
    in_flight_bytes: int = 0
    is_closing: bool = False


class Connection(asyncio.Protocol):
    """States: idle, receiving (a request has begun), working (replies are due), stopped (nothing more is read)."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._config = shared.config
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._request: Request | None = None  # being received
        self._waiting: deque[Request | Reply] = deque()  # whole, or refused
        self._worker: asyncio.Task[None] | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._stopped = False
        self._unread_bytes = 0  # fed to the parser since it last made something of it
        self._replay = b""  # the head of a request that is to be parsed again
        self._deadline = _FOREVER
        self._timer: asyncio.TimerHandle | None = None

    # --- the transport's calls ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._address = (transport.get_extra_info("peername") or ("",))[0]
        self._client = network_of(self._address)
        refused = self._shared.places.take(self._client)
        self._has_place = not refused
        self._shared.connections.add(self)
        if refused and len(self._shared.connections) > 2 * self._config.max_connections:
            self._transport.abort()
        elif refused == CONNECTIONS:
            self._break(refused, "too many connections; try again later")
        elif refused:
            most = self._shared.places.most_of_one
            self._break(refused, f"more than {most} connections from {self._client}; try again later")
        else:
            self._set_deadline(self._config.request_timeout)

    def connection_lost(self, exc: Exception | None) -> None:
        self._shared.connections.discard(self)
        if self._has_place:
            self._has_place = False
            self._shared.places.give_back(self._client)
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
        self._drop()
        self._writable.set()  # the worker may finish what it has begun

    def data_received(self, data: bytes) -> None:
        if self._stopped:
            return
        self._unread_bytes += len(data)
        rest = data
        while rest and not self._stopped:
            rest = self._feed(rest)
        if self._unread_bytes > MAX_HEAD_BYTES and not self._stopped:
            self._break("head_too_large", f"more than {MAX_HEAD_BYTES} bytes of headers")

    def _feed(self, data: bytes) -> bytes:
        """Parse, and return what is to be parsed again."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            # llhttp takes the offer of another protocol (h2c, by Java's client) as agreed and gives up. We do not
            # agree, so it starts afresh with the same request less the offer.
            head, self._replay = self._replay, b""
            self._parser = httptools.HttpRequestParser(self)
            return head + data[upgrade.args[0] :]
        except httptools.HttpParserError as error:
            self._break("bad_http", f"not HTTP: {error}")
        return b""

    def eof_received(self) -> bool:
        """The sender has said all; True keeps our half open for replies that are due."""
        is_tls = self._transport.get_extra_info("sslcontext") is not None
        self._stop()
        return self._worker is not None and not is_tls

    def pause_writing(self) -> None:
        self._writable.clear()
        self._wait()

    def resume_writing(self) -> None:
        self._writable.set()
        self._wait()

    # --- the parser's calls ---

    def on_message_begin(self) -> None:
        if not self._stopped:
            self._request = Request(address=self._address)
            self._wait()

    def on_url(self, url: bytes) -> None:
        if self._request is not None:
            self._request.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if self._request is not None and name in self._shared.kept_headers:
            known = self._request.headers.get(name)
            self._request.headers[name] = value if known is None else known + b", " + value

    def on_headers_complete(self) -> None:
        request = self._request
        if request is None or self._stopped:
            return
        request.method = self._parser.get_method().decode("latin-1")
        request.keep_alive = self._parser.should_keep_alive()
        if self._parser.should_upgrade() and request.method != "CONNECT":
            self._replay, self._request = request.head(self._parser.get_http_version()), None
            return
        refusal = self._shared.service.screen(request)
        if refusal is not None:
            self._refuse(refusal)
        elif request.expects_continue and self._worker is None:
            self._transport.write(_CONTINUE)

    def on_body(self, body: bytes) -> None:
        request = self._request
        if request is None or self._stopped:
            return
        self._unread_bytes = 0
        request.chunks.append(body)
        request.size_bytes += len(body)
        self._shared.in_flight_bytes += len(body)
        if request.size_bytes > self._config.max_body:
            self._break("too_large", f"the body is longer than {self._config.max_body} bytes")
        elif self._shared.in_flight_bytes > self._config.max_in_flight:
            self._break("in_flight", "too many requests at a time; try again later")

    def on_message_complete(self) -> None:
        self._unread_bytes = 0
        request, self._request = self._request, None
        if request is None or self._stopped:
            return
        if len(request.chunks) > 1:
            request.chunks = [b"".join(request.chunks)]
        if not request.keep_alive:
            self._stopped = True
        self._enqueue(request)

    # --- requests to replies ---

    def _enqueue(self, item: Request | Reply) -> None:
        self._waiting.append(item)
        if len(self._waiting) >= _MAX_WAITING:
            self._transport.pause_reading()
        if self._worker is None:
            self._worker = self._loop.create_task(self._work())
        self._wait()

    async def _work(self) -> None:
        goes_on = True
        while self._waiting and goes_on:
            item = self._waiting.popleft()
            if isinstance(item, Reply):
                goes_on = self._send(item, keep_alive=False, without_body=False)
                continue
            try:
                reply = await self._shared.service.serve(item)
            finally:
                self._release(item)
            keep_alive = item.keep_alive and not (self._shared.is_closing and not self._waiting)
            goes_on = self._send(reply, keep_alive, without_body=item.method == "HEAD")
            await self._writable.wait()
        self._worker = None
        self._rest(goes_on)

    def _send(self, reply: Reply, keep_alive: bool, without_body: bool) -> bool:
        """Whether another reply may follow."""
        if self._transport.is_closing():
            return False
        self._transport.write(reply.encode(keep_alive, without_body))
        return keep_alive and not reply.last

    def _rest(self, goes_on: bool) -> None:
        """Everything that was asked is answered."""
        if self._transport.is_closing():
            return
        if self._stopped or not goes_on:
            self._linger()
        elif self._shared.is_closing and self._request is None:
            self._transport.close()
        else:
            self._transport.resume_reading()
            self._wait()

    def _release(self, request: Request) -> None:
        self._shared.in_flight_bytes -= request.size_bytes
        request.size_bytes = 0
        request.chunks = []

    # --- the end ---

    def finish(self) -> None:
        """Close as soon as nothing is being received or worked on."""
        if self._worker is None and self._request is None:
            self._transport.close()

    def abort(self) -> None:
        self._transport.abort()

    def _break(self, reason: str, message: str) -> None:
        self._refuse(self._shared.service.broken(reason, message, self._request))

    def _refuse(self, reply: Reply) -> None:
        """Answer what came before, then this, and read no more."""
        self._stop()
        self._enqueue(reply)

    def _stop(self) -> None:
        self._stopped = True
        if self._request is not None:
            self._release(self._request)
            self._request = None

    def _drop(self) -> None:
        """Nobody waits for replies any more."""
        self._stop()
        for held in self._waiting:
            if isinstance(held, Request):
                self._release(held)
        self._waiting.clear()

    def _linger(self) -> None:
        """Close our half and let the sender finish, so that it reads the reply and not a reset connection."""
        self._drop()
        if self._transport.can_write_eof():
            self._transport.resume_reading()
            try:
                self._transport.write_eof()
            except OSError:  # the sender is gone already
                self._transport.abort()
            else:
                self._set_deadline(_LINGER_SECONDS)
        else:
            self._transport.close()

    def _wait(self) -> None:
        """Set the deadline that this state has."""
        if not self._writable.is_set():
            self._set_deadline(self._config.request_timeout)
        elif self._worker is not None:
            self._set_deadline(_FOREVER)
        elif not self._stopped:
            is_receiving = self._request is not None
            self._set_deadline(self._config.request_timeout if is_receiving else self._config.idle_timeout)

    def _set_deadline(self, seconds: float) -> None:
        """One timer per connection, moved only when it fires: most requests never touch it."""
        self._deadline = self._loop.time() + seconds
        if seconds == _FOREVER or (self._timer is not None and self._timer.when() <= self._deadline):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(self._deadline, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        if self._deadline == _FOREVER:
            return
        if self._loop.time() < self._deadline:
            self._timer = self._loop.call_at(self._deadline, self._on_timer)
        elif self._stopped or not self._writable.is_set():
            self._transport.abort()
        elif self._request is not None:
            self._break("timeout", f"the request took longer than {self._config.request_timeout:g} s to arrive")
        else:
            self._transport.close()
