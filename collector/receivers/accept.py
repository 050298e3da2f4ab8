"""The one way in: every receiver's bodies are decompressed, converted, checked and counted here."""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Literal, NamedTuple, TypeAlias

from collector.core.engine import TRACES_KIND
from collector.core.errors import Overloaded, Rejected, StoreError
from collector.core.telemetry import Telemetry
from collector.receivers.room import Room
from collector.receivers.senders import TenantNames
from collector.receivers.tenant_counters import TenantCounters
from collector.wire.compress import decompress
from collector.wire.forms import request_from_json, request_from_protobuf
from collector.wire.json import Converted, convert, load
from collector.wire.split import tally_logs, tally_traces

Encoding: TypeAlias = Literal["protobuf", "json"]

Inbox: TypeAlias = Callable[[str, bytes, str], Awaitable[None]]
"""Takes a kind, a protobuf request and its tenant (empty: there are none); done when it is durable. Raises Rejected,
Overloaded or StoreError."""

_INLINE_BYTES = 512 * 1024  # a longer body takes milliseconds, which would hold up all other connections

_log = logging.getLogger(__name__)


class Prepared(NamedTuple):
    """A request that may go to the inbox."""

    kind: str
    body: bytes  # protobuf
    encoding: Encoding
    size_bytes: int  # as it was before conversion, after decompression
    accepted: int
    rejected: list[Rejected]
    without_trace: int

    @property
    def is_empty(self) -> bool:
        """Nothing in it would ever be read again."""
        return self.accepted == 0

    @property
    def message(self) -> str:
        """What was left out and why, for the sender; empty if nothing was."""
        if not self.rejected:
            return ""
        counts = Counter(error.reason for error in self.rejected)
        first = {error.reason: str(error) for error in reversed(self.rejected)}
        return "; ".join(f"{count} {reason} ({first[reason]})" for reason, count in counts.most_common())


class Acceptor:
    """Prepares and counts for one receiver, whose name is the label `receiver`.

    Args:
        tenants: to count by tenant as well.
        any_form: whether a body may be of any of the forms in `collector.wire.forms`.
        max_unpacked_bytes: what `accept` may hold of bodies that came compressed; others wait for it as they came.
    """

    def __init__(
        self,
        receiver: str,
        telemetry: Telemetry,
        max_body_bytes: int,
        tenants: TenantNames | None = None,
        any_form: bool = False,
        max_unpacked_bytes: int = 256 * 2**20,
    ) -> None:
        self._receiver = receiver
        self._any_form = any_form
        self._of_tenants = TenantCounters(telemetry, tenants or TenantNames())
        self._max_body_bytes = max_body_bytes
        self._room = Room(max_unpacked_bytes)
        self._spans = telemetry.counter(
            "driftline_received_spans", "Spans accepted, and safe in the inbox.", ["receiver", "encoding"]
        )
        self._records = telemetry.counter(
            "driftline_received_log_records",
            "Log records of traces accepted, and safe in the inbox.",
            ["receiver", "encoding"],
        )
        self._rejected_spans = telemetry.counter(
            "driftline_rejected_spans", "Spans left out of an accepted request.", ["receiver", "reason"]
        )
        self._rejected_records = telemetry.counter(
            "driftline_rejected_log_records", "Log records left out of an accepted request.", ["receiver", "reason"]
        )
        self._rejected_requests = telemetry.counter(
            "driftline_rejected_requests", "Requests not accepted, for now or for ever.", ["receiver", "reason"]
        )
        self._bytes = telemetry.counter(
            "driftline_receiver_body_bytes",
            "Bodies of accepted requests, after decompression.",
            ["receiver"],
            unit="bytes",
        )

    def prepare(self, kind: str, body: bytes, encoding: Encoding, content_encoding: str = "") -> Prepared:
        """Checks a body, whatever it is; counts nothing.

        Raises:
            Rejected: it can never be accepted.
        """
        try:
            return self._prepare(kind, body, encoding, content_encoding)
        except (Rejected, MemoryError):
            raise
        except Exception as error:
            # A fault of ours. The sender must not repeat these bytes for ever, nor may they stop the others.
            _log.exception(
                "a %s request over %s of %d bytes was refused for a fault in here", kind, encoding, len(body)
            )
            raise Rejected("internal", f"the request could not be read: {type(error).__name__}") from error

    def _prepare(self, kind: str, body: bytes, encoding: Encoding, content_encoding: str) -> Prepared:
        is_traces = kind == TRACES_KIND
        content = decompress(body, content_encoding, self._max_body_bytes)
        converted = Converted(content, [])
        if encoding == "json" and content:
            document = load(content)
            converted = convert(request_from_json(kind, document) if self._any_form else document, not is_traces)
        elif self._any_form:
            converted = Converted(request_from_protobuf(kind, content), [])
        tally = tally_traces(converted.body) if is_traces else tally_logs(converted.body)
        rejected = converted.rejected + tally.rejected
        return Prepared(kind, converted.body, encoding, len(content), tally.accepted, rejected, tally.without_trace)

    def stored(self, prepared: Prepared, tenant: str = "") -> None:
        """Counts a request that is safe."""
        if tenant:
            self._of_tenants.stored(tenant, prepared.accepted, prepared.size_bytes)
        is_traces = prepared.kind == TRACES_KIND
        if prepared.accepted:
            received = self._spans if is_traces else self._records
            received.add(prepared.accepted, self._receiver, prepared.encoding)
        rejected = self._rejected_spans if is_traces else self._rejected_records
        for reason, count in Counter(error.reason for error in prepared.rejected).items():
            rejected.add(count, self._receiver, reason)
        if prepared.without_trace:
            rejected.add(prepared.without_trace, self._receiver, "no_trace")
        self._bytes.add(prepared.size_bytes, self._receiver)

    def refused(self, reason: str, tenant: str = "") -> None:
        """Counts a request that was not accepted."""
        if tenant:
            self._of_tenants.refused(tenant, reason)
        self._rejected_requests.add(1, self._receiver, reason)

    async def accept(
        self, inbox: Inbox, kind: str, body: bytes, encoding: Encoding, content_encoding: str = "", tenant: str = ""
    ) -> Prepared:
        """Checks a body, puts it into the inbox and counts it; returns when it is durable.

        Raises:
            Rejected: it can never be accepted.
            Overloaded, StoreError: not now; also for what else an inbox may raise, so that the sender tries again.
        """
        is_packed = content_encoding not in ("", "identity")  # a few bytes may become `max_body_bytes`
        held = await self._room.take(self._max_body_bytes) if is_packed else 0
        try:
            if len(body) > _INLINE_BYTES:
                prepared = await asyncio.to_thread(self.prepare, kind, body, encoding, content_encoding)
            else:
                prepared = self.prepare(kind, body, encoding, content_encoding)
            self._room.give(unused := held - min(held, prepared.size_bytes))
            held -= unused
            if not prepared.is_empty:
                await self._store(inbox, prepared, tenant)
        except (Rejected, Overloaded) as error:
            self.refused(error.reason, tenant)
            raise
        except (StoreError, MemoryError) as error:
            self.refused("store" if isinstance(error, StoreError) else "memory", tenant)
            raise StoreError(str(error) or "out of memory") from error
        finally:
            self._room.give(held)
        self.stored(prepared, tenant)
        return prepared

    async def _store(self, inbox: Inbox, prepared: Prepared, tenant: str) -> None:
        try:
            await inbox(prepared.kind, prepared.body, tenant)
        except (Rejected, Overloaded, StoreError):
            raise
        except Exception as error:
            _log.exception("the inbox failed")
            raise StoreError(f"the inbox failed: {type(error).__name__}") from error
