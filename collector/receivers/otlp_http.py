"""OTLP over HTTP: `POST /v1/traces` and `POST /v1/logs`, in protobuf or JSON, gzip allowed.

A request is answered with success once the inbox says that it is durable. Source: OpenTelemetry protocol
specification 1.x, "OTLP/HTTP".
"""

import asyncio
import logging
import math
import socket
import ssl
from collections.abc import Collection, Sequence
from dataclasses import replace

from collector.core.engine import EVENTS_KIND, TRACES_KIND
from collector.core.errors import DriftlineError, Overloaded, Rejected, StoreError
from collector.core.telemetry import Telemetry
from collector.receivers import answers
from collector.receivers.accept import Acceptor, Encoding, Inbox
from collector.receivers.access import FORBIDDEN_ROLE, UNAUTHORIZED, Access
from collector.receivers.hosts import is_ours
from collector.receivers.http_connection import Connection, Shared
from collector.receivers.http_messages import JSON_TYPE, KEPT_HEADERS, PROTOBUF_TYPE, Reply, Request
from collector.receivers.listen import ReceiveConfig, access_of, cannot_listen, server_tls
from collector.receivers.places import ADDRESS_CONNECTIONS, CONNECTIONS, Places
from collector.receivers.senders import FORBIDDEN_TENANT, NO_TENANT, Senders
from collector.wire.compress import ENCODINGS

RECEIVER = "otlp_http"

_KINDS = {"/v1/traces": TRACES_KIND, "/v1/logs": EVENTS_KIND}
_OTHER_SIGNALS = {"/v1/metrics": "metrics", "/v1development/profiles": "profiles"}
_TYPES: dict[str, Encoding] = {PROTOBUF_TYPE: "protobuf", JSON_TYPE: "json"}
_TYPE_OF = {encoding: content_type for content_type, encoding in _TYPES.items()}
_BACKLOG = 512
_GREETING = b"This port receives OpenTelemetry data: POST /v1/traces and /v1/logs (OTLP/HTTP, protobuf or JSON).\n"
_BROKEN_STATUS = {
    "timeout": (408, answers.DEADLINE_EXCEEDED),
    "too_large": (413, answers.INVALID_ARGUMENT),
    "head_too_large": (431, answers.INVALID_ARGUMENT),
    CONNECTIONS: (503, answers.UNAVAILABLE),
    ADDRESS_CONNECTIONS: (429, answers.RESOURCE_EXHAUSTED),
    "in_flight": (503, answers.UNAVAILABLE),
}
_REFUSED_CODE = {
    401: answers.UNAUTHENTICATED,
    403: answers.PERMISSION_DENIED,
    421: answers.PERMISSION_DENIED,
    404: answers.NOT_FOUND,
    405: answers.UNIMPLEMENTED,
}
_SENDER_STATUS = {UNAUTHORIZED: 401, NO_TENANT: 401, FORBIDDEN_TENANT: 403, FORBIDDEN_ROLE: 403}
_REJECTED_STATUS = {"too_large": 413, "unsupported_encoding": 415, "internal": 500}

_log = logging.getLogger(__name__)


class HttpReceiver:
    """A listener. `bind`, then `start`; `close` is safe twice and without start."""

    def __init__(
        self,
        host: str,
        port: int,
        inbox: Inbox,
        telemetry: Telemetry,
        config: ReceiveConfig | None = None,
        access: Access | None = None,
        hosts: Collection[str] | None = None,
    ) -> None:
        """
        Args:
            hosts: names under which a browser may send, besides IP addresses and localhost; None: any.
        """
        self._host = host
        self._port = port
        self._config = config or ReceiveConfig()
        otlp = _Otlp(inbox, telemetry, self._config, access or access_of(self._config, telemetry), hosts)
        places = Places(self._config.max_connections, self._config.max_connections_per_address)
        self._shared = Shared(otlp, self._config, places, otlp.kept_headers)
        self._socket: socket.socket | None = None
        self._server: asyncio.Server | None = None

    @property
    def port(self) -> int:
        """The port it listens at, also where 0 was asked for."""
        return int(self._socket.getsockname()[1]) if self._socket is not None else self._port

    async def bind(self) -> None:
        """Take the address, but serve nobody yet.

        Raises:
            UserError: the address cannot be had.
        """
        self._bound()

    def _bound(self) -> socket.socket:
        if self._socket is None:
            family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
            try:
                self._socket = socket.create_server((self._host, self._port), family=family, backlog=_BACKLOG)
            except OSError as error:
                raise cannot_listen(self._host, self._port, error) from error
        return self._socket

    async def start(self) -> None:
        """Serve.

        Raises:
            UserError: the address cannot be had, or the certificate cannot be used.
        """
        self._server = await self._serve(self._bound(), server_tls(self._config.tls) if self._config.tls else None)

    async def renew(self, tls: ssl.SSLContext) -> None:
        """Take this for the connections that come from now on; none is refused, and those that there are go on."""
        if self._server is None or self._socket is None:
            return
        old, self._socket = self._server, self._socket.dup()
        self._server = await self._serve(self._socket, tls)
        old.close()

    async def _serve(self, bound: socket.socket, tls: ssl.SSLContext | None) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        return await loop.create_server(lambda: Connection(self._shared), sock=bound, backlog=_BACKLOG, ssl=tls)

    async def close(self, grace_seconds: float = 10.0) -> None:
        """Take no new connection, finish the requests that have begun, then cut off what is left."""
        self._shared.is_closing = True
        if self._server is not None:
            self._server.close()
        elif self._socket is not None:
            self._socket.close()
        for connection in list(self._shared.connections):
            connection.finish()
        deadline = asyncio.get_running_loop().time() + grace_seconds
        while self._shared.connections and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.01)
        for connection in list(self._shared.connections):
            connection.abort()


class _Otlp:
    """The protocol: which requests are taken, and what they are told."""

    def __init__(
        self, inbox: Inbox, telemetry: Telemetry, config: ReceiveConfig, access: Access, hosts: Collection[str] | None
    ) -> None:
        self._inbox, self._hosts = inbox, hosts
        self._config = config
        self._acceptor = Acceptor(
            RECEIVER, telemetry, config.max_body, config.counted_tenants, max_unpacked_bytes=config.max_in_flight
        )
        self._senders = Senders(RECEIVER, access, config.tenants)
        self.kept_headers = KEPT_HEADERS | {self._senders.header}

    def screen(self, request: Request) -> Reply | None:
        # only browsers send an Origin, with every request that is not GET
        if b"origin" in request.headers and self._hosts is not None:
            host = request.headers.get(b"host", b"").decode("latin-1")
            if not is_ours(host, self._hosts):
                message = "this is not the name of this service; listen.hosts lists those that browsers may use"
                return self._refuse(request, 421, "foreign_host", message)
        kind = _KINDS.get(request.path)
        is_greeting = request.path == "/"
        if (signal := _OTHER_SIGNALS.get(request.path)) is not None:
            return self._refuse(request, 404, signal, f"{signal} are not taken here, only traces and logs")
        if kind is None and not is_greeting:
            return self._refuse(request, 404, "not_found", f"nothing is here; OTLP goes to {' and '.join(_KINDS)}")
        allowed = ("GET", "HEAD") if is_greeting else ("POST",)
        if request.method not in allowed:
            allow = ", ".join(allowed)
            return self._refuse(request, 405, "bad_method", f"use {allow}", [("allow", allow)])
        if is_greeting:
            return None
        try:
            request.tenant = self._senders.admit(
                request.headers.get(b"authorization", b""),
                request.headers.get(self._senders.header, b""),
                request.address,
            )
        except Rejected as error:
            status = _SENDER_STATUS.get(error.reason, 400)
            challenge = [("www-authenticate", "Bearer")] if error.reason == UNAUTHORIZED else []
            return self._refuse(request, status, error.reason, str(error), challenge)
        except Overloaded as error:
            self._acceptor.refused(error.reason)
            reply = _failed(error, _TYPES.get(request.content_type, "json"))
            return replace(reply, last=True)
        if request.content_type not in _TYPES:
            message = f"content type {request.content_type[:80]!r} is not one of {', '.join(_TYPES)}"
            return self._refuse(request, 415, "unsupported_type", message)
        if (request.content_length or 0) > self._config.max_body:
            message = f"the body is longer than {self._config.max_body} bytes"
            return self._refuse(request, 413, "too_large", message)
        return None

    async def serve(self, request: Request) -> Reply:
        if request.path == "/":
            return Reply(200, body=_GREETING)
        encoding = _TYPES[request.content_type]
        content_encoding = request.headers.get(b"content-encoding", b"").decode("latin-1")
        try:
            kind = _KINDS[request.path]
            prepared = await self._acceptor.accept(
                self._inbox, kind, request.body, encoding, content_encoding, request.tenant
            )
            return Reply(200, _TYPE_OF[encoding], answers.success(prepared, encoding))
        except (Rejected, Overloaded, StoreError) as error:
            return _failed(error, encoding)
        except Exception:
            _log.exception("a request could not be answered")
            return _failed(StoreError("internal error"), encoding)

    def broken(self, reason: str, message: str, request: Request | None) -> Reply:
        self._acceptor.refused(reason)
        status, code = _BROKEN_STATUS.get(reason, (400, answers.INVALID_ARGUMENT))
        headers = [("retry-after", "1")] if status in (429, 503) else []
        encoding = _TYPES.get(request.content_type, "json") if request is not None else "json"
        return Reply(status, _TYPE_OF[encoding], answers.failure(code, message, encoding), headers, last=True)

    def _refuse(
        self, request: Request, status: int, reason: str, message: str, headers: Sequence[tuple[str, str]] = ()
    ) -> Reply:
        self._acceptor.refused(reason)
        encoding = _TYPES.get(request.content_type, "json")
        body = answers.failure(_REFUSED_CODE.get(status, answers.INVALID_ARGUMENT), message, encoding)
        return Reply(status, _TYPE_OF[encoding], body, headers, last=True)


def _failed(error: DriftlineError, encoding: Encoding) -> Reply:
    """The reply to a request that was read but not accepted."""
    retry_seconds = answers.retry_seconds_of(error)
    body = answers.failure(answers.code_of(error), str(error), encoding, retry_seconds)
    headers: list[tuple[str, str]] = []
    if retry_seconds is not None:
        headers.append(("retry-after", str(math.ceil(retry_seconds))))
    if isinstance(error, Rejected):
        status = _REJECTED_STATUS.get(error.reason, 400)
        if error.reason == "unsupported_encoding":
            headers.append(("accept-encoding", ", ".join(ENCODINGS)))
    else:
        status = 429 if isinstance(error, Overloaded) else 503
    return Reply(status, _TYPE_OF[encoding], body, headers)
