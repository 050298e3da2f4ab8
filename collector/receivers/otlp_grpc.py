"""OTLP over gRPC: the Export calls of the trace and the logs service.

Messages stay bytes: gRPC takes off its framing and compression, the rest is what every receiver does. A message over
the limit gRPC answers itself; so that it is counted all the same, the calls are served as streams of one message, which
then end without any. Source: OpenTelemetry protocol specification 1.x, "OTLP/gRPC".
"""

import asyncio
import logging
import socket
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NoReturn, TypeAlias
from urllib.parse import unquote

import grpc
import grpc.aio

from collector.core.engine import EVENTS_KIND, TRACES_KIND
from collector.core.errors import DriftlineError, Overloaded, Rejected, StoreError
from collector.core.telemetry import Telemetry
from collector.receivers import answers
from collector.receivers.accept import Acceptor, Inbox
from collector.receivers.access import Access
from collector.receivers.listen import (
    ReceiveConfig,
    TlsConfig,
    access_of,
    address_text,
    cannot_listen,
    server_tls,
)
from collector.receivers.places import ADDRESS_CONNECTIONS, Places
from collector.receivers.senders import Senders
from collector.receivers.throttle import network_of

RECEIVER = "otlp_grpc"

_SERVICES = {
    "opentelemetry.proto.collector.trace.v1.TraceService": TRACES_KIND,
    "opentelemetry.proto.collector.logs.v1.LogsService": EVENTS_KIND,
}
_OTHER_SIGNALS = {
    "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export": "metrics",
    "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export": "profiles",
}
_CODES = {code.value[0]: code for code in grpc.StatusCode}
_DETAILS = "grpc-status-details-bin"
_MAX_METADATA_BYTES = 16 * 1024
_RETRY_SECONDS = 1.0
_MAX_MESSAGE_TEXT = 1024  # the status message travels in a header

_log = logging.getLogger(__name__)


class GrpcReceiver:
    """A listener. `bind`, then `start`; `close` is safe twice and without start."""

    def __init__(
        self,
        host: str,
        port: int,
        inbox: Inbox,
        telemetry: Telemetry,
        config: ReceiveConfig | None = None,
        access: Access | None = None,
    ) -> None:
        self._host = host
        self._port = port
        self._inbox = inbox
        self._config = config or ReceiveConfig()
        self._acceptor = Acceptor(RECEIVER, telemetry, self._config.max_body, self._config.counted_tenants)
        access = access or access_of(self._config, telemetry)
        self._senders = Senders(RECEIVER, access, self._config.tenants)
        self._tenant_key = self._senders.header.decode()
        self._places = Places(self._config.max_connections, self._config.max_connections_per_address)
        self._server: Any = None
        self._renewed: deque[Any] = deque(maxlen=1)

    @property
    def port(self) -> int:
        """The port it listens at, also where 0 was asked for."""
        return self._port

    async def bind(self) -> None:
        """Take the address, but serve nobody yet.

        Raises:
            UserError: the address cannot be had, or the certificate cannot be used.
        """
        if self._server is not None:
            return
        self._check_address()
        server = grpc.aio.server(
            handlers=[_Calls({f"/{name}/Export": self._export(kind) for name, kind in _SERVICES.items()}, self._other)],
            options=self._options(),
            maximum_concurrent_rpcs=self._config.max_connections,
        )
        address = address_text(self._host, self._port)
        credentials = self._credentials()
        try:
            if credentials is None:
                self._port = server.add_insecure_port(address)
            else:
                self._port = server.add_secure_port(address, credentials)
        except RuntimeError as error:
            raise cannot_listen(self._host, self._port, error) from error
        self._server = server

    def _check_address(self) -> None:
        """Take the address and let go of it again: gRPC does not say why it cannot have one, but writes to stderr."""
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        try:
            socket.create_server((self._host, self._port), family=family).close()
        except OSError as error:
            raise cannot_listen(self._host, self._port, error) from error

    async def start(self) -> None:
        """Serve.

        Raises:
            UserError: as `bind`.
        """
        await self.bind()
        await self._server.start()

    async def close(self, grace_seconds: float = 10.0) -> None:
        """Take no new call, finish those that have begun, then cut off what is left."""
        if self._server is not None:
            await self._server.stop(grace_seconds)

    def _options(self) -> list[tuple[str, int]]:
        return [
            ("grpc.max_receive_message_length", self._config.max_body),
            ("grpc.max_metadata_size", _MAX_METADATA_BYTES),
            ("grpc.so_reuseport", 0),  # a second process on the same port must fail, not take half of the spans
            ("grpc.max_connection_idle_ms", round(self._config.idle_timeout * 1000)),
        ]

    def _credentials(self) -> Any:
        tls = self._config.tls
        if tls is None:
            return None
        server_tls(tls)  # says what is wrong with the files; gRPC would only fail
        return grpc.dynamic_ssl_server_credentials(
            _certificates(tls), self._fetch_certificates, require_client_authentication=tls.client_ca is not None
        )

    def _fetch_certificates(self) -> Any:
        """gRPC asks at every handshake, on threads of its own; None: as before."""
        try:
            return self._renewed.pop()
        except IndexError:
            return None

    async def renew(self, tls: TlsConfig) -> None:
        """Read the files again for the connections that come from now on; those that there are go on.

        Raises:
            OSError: one cannot be read.
        """
        self._renewed.append(_certificates(tls))

    def _export(self, kind: str) -> "_Call":
        async def export(_: Any, context: Any) -> bytes:
            client = network_of(_address(context.peer()))
            if refused := self._places.take(client):
                await self._turn_away(context, refused, client)
            try:
                return await answered(context)
            finally:
                self._places.give_back(client)

        async def answered(context: Any) -> bytes:
            tenant = await self._admit(context)
            body = await self._read(context)
            if body is grpc.aio.EOF:
                self._acceptor.refused("too_large")
                message = f"one message of at most {self._config.max_body} bytes was expected"
                return await _abort(context, answers.RESOURCE_EXHAUSTED, message, None)
            try:
                prepared = await self._acceptor.accept(self._inbox, kind, body, "protobuf", tenant=tenant)
                return answers.success(prepared, "protobuf")
            except (Rejected, Overloaded, StoreError) as error:
                failure: DriftlineError = error
            except Exception:
                _log.exception("a call could not be answered")
                failure = StoreError("internal error")
            return await _abort(context, answers.code_of(failure), str(failure), answers.retry_seconds_of(failure))

        return export

    def _other(self, method: str) -> "_Call":
        """Says politely that a signal, or anything else, is not taken here."""
        signal = _OTHER_SIGNALS.get(method)

        async def refuse(_: Any, context: Any) -> bytes:
            self._acceptor.refused(signal or "not_found")
            message = f"{signal} are not taken here, only traces and logs" if signal else "there is no such method"
            return await _abort(context, answers.UNIMPLEMENTED, message, None)

        return refuse

    async def _turn_away(self, context: Any, reason: str, client: str) -> NoReturn:
        self._acceptor.refused(reason)
        message = "too many calls at a time; try again later"
        if reason == ADDRESS_CONNECTIONS:
            message = f"more than {self._places.most_of_one} calls at a time from {client}; try again later"
        await _abort(context, answers.RESOURCE_EXHAUSTED, message, _RETRY_SECONDS)

    async def _read(self, context: Any) -> Any:
        """The message of a call, which must come in time: a call that has a place and says nothing holds it else."""
        try:
            async with asyncio.timeout(self._config.request_timeout):
                return await context.read()
        except TimeoutError:
            self._acceptor.refused("timeout")
            message = f"the request took longer than {self._config.request_timeout:g} s to arrive"
            await _abort(context, answers.DEADLINE_EXCEEDED, message, None)

    async def _admit(self, context: Any) -> str:
        """The tenant of a call that may come in."""
        metadata = dict(context.invocation_metadata() or ())
        try:
            return self._senders.admit(
                _sent(metadata, "authorization"), _sent(metadata, self._tenant_key), _address(context.peer())
            )
        except (Rejected, Overloaded) as error:
            self._acceptor.refused(error.reason)
            await _abort(context, answers.code_of(error), str(error), answers.retry_seconds_of(error))


_Call: TypeAlias = Callable[[Any, Any], Awaitable[bytes]]


class _Calls(grpc.GenericRpcHandler):  # type: ignore[misc]
    """What is behind each method. No (de)serialisers: all get and return bytes."""

    def __init__(self, known: Mapping[str, _Call], other: Callable[[str], _Call]) -> None:
        self._known = {method: grpc.stream_unary_rpc_method_handler(call) for method, call in known.items()}
        self._other = other

    def service(self, details: Any) -> Any:
        return self._known.get(details.method) or grpc.stream_unary_rpc_method_handler(self._other(details.method))


def _certificates(tls: TlsConfig) -> Any:
    authorities = tls.client_ca.read_bytes() if tls.client_ca is not None else None
    pair = (tls.key.read_bytes(), tls.certificate.read_bytes())
    return grpc.ssl_server_certificate_configuration([pair], root_certificates=authorities)


def _address(peer: str) -> str:
    """The IP address in gRPC's name of a peer.

    >>> _address("ipv4:192.0.2.7:4711"), _address("ipv6:%5B2001:db8::1%5D:4711")
    ('192.0.2.7', '2001:db8::1')
    """
    return unquote(peer).partition(":")[2].rpartition(":")[0].strip("[]")


def _sent(metadata: Mapping[str, str | bytes], key: str) -> bytes:
    value = metadata.get(key, b"") if key else b""
    return value.encode() if isinstance(value, str) else value


async def _abort(context: Any, code: int, message: str, retry_seconds: float | None) -> NoReturn:
    message = message[:_MAX_MESSAGE_TEXT]
    details = answers.failure(code, message, "protobuf", retry_seconds)
    try:
        await context.abort(_CODES[code], message, trailing_metadata=((_DETAILS, details),))
    except grpc.aio.AbortError:
        raise
    except Exception as error:  # gRPC ended the call itself, as it does where a message is too long: nobody listens
        _log.debug("by", exc_info=error)
        raise asyncio.CancelledError from None
    raise AssertionError("abort raises")
