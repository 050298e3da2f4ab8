"""OTLP over gRPC: the Export calls of the trace and the logs service.

Messages stay bytes: gRPC takes off its framing and compression, the rest is what every receiver does. Source:
OpenTelemetry protocol specification 1.x, "OTLP/gRPC".
"""

import logging
import socket
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

import grpc
import grpc.aio

from collector.core.engine import EVENTS_KIND, TRACES_KIND
from collector.core.errors import DriftlineError, Overloaded, Rejected, StoreError
from collector.core.telemetry import Telemetry
from collector.receivers import answers
from collector.receivers.accept import Acceptor, Inbox
from collector.receivers.listen import ReceiveConfig, address_text, cannot_listen, is_authorized, server_tls

RECEIVER = "otlp_grpc"

_SERVICES = {
    "opentelemetry.proto.collector.trace.v1.TraceService": TRACES_KIND,
    "opentelemetry.proto.collector.logs.v1.LogsService": EVENTS_KIND,
}
_CODES = {code.value[0]: code for code in grpc.StatusCode}
_DETAILS = "grpc-status-details-bin"
_MAX_METADATA_BYTES = 16 * 1024
_MAX_MESSAGE_TEXT = 1024  # the status message travels in a header

_log = logging.getLogger(__name__)


class GrpcReceiver:
    """A listener. `bind`, then `start`; `close` is safe twice and without start."""

    def __init__(
        self, host: str, port: int, inbox: Inbox, telemetry: Telemetry, config: ReceiveConfig | None = None
    ) -> None:
        self._host = host
        self._port = port
        self._inbox = inbox
        self._config = config or ReceiveConfig()
        self._acceptor = Acceptor(RECEIVER, telemetry, self._config.max_body)
        self._server: Any = None

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
            handlers=[self._handler(service, kind) for service, kind in _SERVICES.items()],
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
        return grpc.ssl_server_credentials([(tls.key.read_bytes(), tls.certificate.read_bytes())])

    def _handler(self, service: str, kind: str) -> Any:
        # No (de)serialisers: the handler gets and returns bytes.
        method = grpc.unary_unary_rpc_method_handler(self._export(kind))
        return grpc.method_handlers_generic_handler(service, {"Export": method})

    def _export(self, kind: str) -> Callable[[bytes, Any], Awaitable[bytes]]:
        async def export(body: bytes, context: Any) -> bytes:
            await self._authorize(context)
            try:
                prepared = await self._acceptor.accept(self._inbox, kind, body, "protobuf")
                return answers.success(prepared, "protobuf")
            except (Rejected, Overloaded, StoreError) as error:
                failure: DriftlineError = error
            except Exception:
                _log.exception("a call could not be answered")
                failure = StoreError("internal error")
            return await _abort(context, answers.code_of(failure), str(failure), answers.retry_seconds_of(failure))

        return export

    async def _authorize(self, context: Any) -> None:
        if self._config.token is None:
            return
        sent = dict(context.invocation_metadata() or ()).get("authorization", "")
        if not is_authorized(self._config, sent.encode() if isinstance(sent, str) else sent):
            self._acceptor.refused("unauthorized")
            await _abort(context, answers.UNAUTHENTICATED, "send authorization: Bearer TOKEN", None)


async def _abort(context: Any, code: int, message: str, retry_seconds: float | None) -> NoReturn:
    message = message[:_MAX_MESSAGE_TEXT]
    details = answers.failure(code, message, "protobuf", retry_seconds)
    await context.abort(_CODES[code], message, trailing_metadata=((_DETAILS, details),))
    raise AssertionError("abort raises")
