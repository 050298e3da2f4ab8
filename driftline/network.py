"""The doors: receivers, page and API on one event loop in a thread of its own, and the Kafka receiver on another."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeAlias

from collector.core.engine import DEAD_LETTERS, SPANS, Engine, Record
from collector.core.errors import Rejected
from collector.core.telemetry import Telemetry
from collector.receivers.kafka_config import KafkaConfig
from collector.receivers.listen import access_of, address_text, server_tls
from collector.receivers.otlp_grpc import GrpcReceiver
from collector.receivers.otlp_http import HttpReceiver
from collector.wire.route import route
from driftline.config import ListenConfig, split_address
from driftline.web.server import Web
from driftline.web.source import Source

if TYPE_CHECKING:
    from collector.receivers.kafka import KafkaReceiver

_INLINE_BYTES = 8 * 1024
_GRACE_SECONDS = 10.0  # for requests that have begun, when the service stops
_APPEND_SECONDS = 60.0  # a store that does not answer for so long has failed

Redact: TypeAlias = Callable[[str, bytes], bytes]


class Network:
    """`bind` takes the addresses, `start` serves, `stop` is safe twice and without start.

    Args:
        receives: whether spans come in here; if not, what is configured for that is left to others.
        shows: whether the page and the API are here; metrics and probes always are.
        redact: makes a request (its kind, and protobuf) what may be kept of it; None keeps it as it came.
    """

    def __init__(
        self,
        listen: ListenConfig,
        kafka: KafkaConfig | None,
        engine: Engine,
        telemetry: Telemetry,
        receives: bool = True,
        shows: bool = True,
        redact: Redact | None = None,
    ) -> None:
        self._engine, self._redact = engine, redact
        self._access = access_of(listen, telemetry)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._receivers: dict[str, HttpReceiver | GrpcReceiver] = {}
        if receives and listen.otlp_http is not None:
            address = split_address(listen.otlp_http)
            receiver = HttpReceiver(*address, self.inbox, telemetry, listen, self._access, listen.otlp_hosts)
            self._receivers["otlp_http"] = receiver
        if receives and listen.otlp_grpc is not None:
            address = split_address(listen.otlp_grpc)
            self._receivers["otlp_grpc"] = GrpcReceiver(*address, self.inbox, telemetry, listen, self._access)
        self._hosts = {name: split_address(getattr(listen, name))[0] for name in self._receivers}
        self._web: Web | None = None
        if listen.web is not None:
            tls = server_tls(listen.web_tls, "web_tls") if listen.web_tls is not None else None
            self._web = Web(*split_address(listen.web), shows, listen.web_hosts, self._access, tls)
        self._kafka = self._kafka_receiver(kafka, telemetry) if receives and kafka is not None else None

    def _kafka_receiver(self, kafka: KafkaConfig, telemetry: Telemetry) -> "KafkaReceiver":
        # kafka-python takes 15 MB, which a service without Kafka need not carry
        from collector.receivers.kafka import KafkaReceiver
        from collector.receivers.kafka_dead_letter import DeadLetterTopic

        dead_letter = self.bury if kafka.dead_letter is None else DeadLetterTopic(kafka, kafka.dead_letter)
        return KafkaReceiver(kafka, self.inbox_batch, telemetry, dead_letter)

    # --- into the inbox ---

    async def inbox(self, kind: str, body: bytes, tenant: str) -> None:
        """Done when the request is durable."""
        if self._redact is None or len(body) <= _INLINE_BYTES:
            records = self.records(kind, body, tenant)
        else:  # milliseconds, which would hold up all other connections
            records = await asyncio.to_thread(self.records, kind, body, tenant)
        await asyncio.wrap_future(self._engine.append(SPANS, records))

    def inbox_batch(self, requests: Sequence[tuple[str, bytes, str]]) -> None:
        """Returns when the requests are durable."""
        records = [record for request in requests for record in self.records(*request)]
        self._engine.append(SPANS, records).result(_APPEND_SECONDS)

    def records(self, kind: str, body: bytes, tenant: str) -> list[Record]:
        """A request as records of the inbox: where that has partitions, all of a trace goes to one of them.

        Raises:
            Rejected: it is not OTLP protobuf.
        """
        if self._redact is not None:
            body = self._redact(kind, body)
        routed = route(kind, body, self._engine.partitions(SPANS))
        return [Record(part, key=tenant.encode(), kind=kind, partition=number) for number, part in routed]

    def bury(self, topic: str, partition: int, offset: int, reason: str, payload: bytes) -> None:
        """Keep a message that can never be accepted, for somebody to look at; only that it was, if none may be kept."""
        if self._redact is not None:
            payload = b""
        key = f"{topic}/{partition}/{offset}".encode()
        try:
            self._engine.append(DEAD_LETTERS, [Record(payload, key=key, kind=reason)]).result(_APPEND_SECONDS)
        except Rejected:  # too long for the log itself: that it was there is kept
            self._engine.append(DEAD_LETTERS, [Record(b"", key=key, kind=reason)]).result(_APPEND_SECONDS)

    # --- life ---

    def bind(self) -> None:
        """Take all addresses, before anything else begins.

        Raises:
            UserError: one cannot be had.
        """
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="driftline-network", daemon=True)
        self._thread.start()
        for receiver in self._receivers.values():
            self._call(receiver.bind())
        if self._web is not None:
            self._web.bind()

    def start(self, source: Source) -> None:
        """Serve."""
        for receiver in self._receivers.values():
            self._call(receiver.start())
        if self._web is not None:
            self._call(self._web.start(source))
        if self._kafka is not None:
            self._kafka.start()

    def stop(self) -> None:
        if self._kafka is not None:
            self._kafka.stop()
        if self._loop is None or self._thread is None:
            return
        for receiver in self._receivers.values():
            self._call(receiver.close(_GRACE_SECONDS))
        if self._web is not None:
            self._call(self._web.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._loop = self._thread = None

    def read_again(self, listen: ListenConfig) -> Callable[[], None]:
        """Read certificates and tokens again; what is returned puts them in force. Connections that there are go on.

        Raises:
            UserError: a certificate cannot be used; nothing changes.
        """
        over, web_over = listen.tls, listen.web_tls
        receive = server_tls(over) if over is not None else None
        web = server_tls(web_over, "web_tls") if web_over is not None else None

        async def renew() -> None:
            self._access.replace(listen.tokens)
            for receiver in self._receivers.values():
                if over is not None and receive is not None:
                    await (receiver.renew(receive) if isinstance(receiver, HttpReceiver) else receiver.renew(over))
            if self._web is not None and web is not None:
                await self._web.renew(web)

        return lambda: self._call(renew())

    @property
    def addresses(self) -> dict[str, str]:
        """HOST:PORT by listener, with the real ports."""
        found = {name: address_text(self._hosts[name], receiver.port) for name, receiver in self._receivers.items()}
        return found | ({"web": self._web.address} if self._web is not None else {})

    def problems(self) -> list[str]:
        """What keeps spans from coming in."""
        return [] if self._kafka is None or self._kafka.healthy else [f"kafka: {self._kafka.problem}"]

    def _call(self, work: Coroutine[Any, Any, None]) -> None:
        assert self._loop is not None
        future: Future[None] = asyncio.run_coroutine_threadsafe(work, self._loop)
        future.result()
