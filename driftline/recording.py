"""OTLP requests that lie somewhere, in files or in the inbox, and the traces that they make up."""

from collections.abc import Container

from collector.answers import settle_all
from collector.core.engine import TRACES_KIND
from collector.core.errors import Rejected
from collector.core.model import LogEvent, LogSlice, Span, SpanSlice, Trace
from collector.normalise import normalise
from collector.prices import Prices, built_in
from collector.tenancy import claim, trace_id_of
from collector.waiting import says_more
from collector.wire.decode import decode_log, decode_span
from collector.wire.read import read_bodies
from collector.wire.split import split_logs, split_traces


class Recording:
    """The spans and log records of requests, by trace, in order of their first span.

    Args:
        wanted: trace ids to keep, each with its tenant after it; all if None.
        prices: what calls cost of which nobody tells; the built-in list if None.
    """

    def __init__(self, wanted: Container[bytes] | None = None, prices: Prices | None = None) -> None:
        self.spans: dict[bytes, list[SpanSlice]] = {}
        self.events: dict[bytes, list[LogSlice]] = {}
        self.left_out: list[str] = []
        self._wanted = wanted
        self._prices = prices or Prices([built_in()])

    def add(self, content: bytes, name: str) -> None:
        """Read one file.

        Raises:
            Rejected: it holds neither traces nor logs.
        """
        for kind, body in read_bodies(content, name):
            self.add_request(kind, body, name)

    def add_request(self, kind: str, body: bytes, name: str, tenant: bytes = b"") -> None:
        """Take one request.

        Args:
            kind: of the inbox.
            name: what it is called in `left_out`.
            tenant: whose it is.

        Raises:
            Rejected: it is none.
        """
        if kind == TRACES_KIND:
            spans = split_traces(body)
            claim(spans.slices, tenant)
            for span in spans.slices:
                if self._wants(span.trace_id):
                    self.spans.setdefault(span.trace_id, []).append(span)
            rejected = spans.rejected
        else:
            logs = split_logs(body)
            claim(logs.slices, tenant)
            for event in logs.slices:
                if self._wants(event.trace_id):
                    self.events.setdefault(event.trace_id, []).append(event)
            rejected = logs.rejected
        self.left_out += [f"{name}: {error.reason}: {error}" for error in rejected]

    def traces(self) -> list[Trace]:
        """All traces that have spans."""
        found = [self.trace(trace_id) for trace_id in self.spans]
        settle_all(found)
        for trace in found:
            self._prices.complete(trace)
        return found

    def trace(self, trace_id: bytes) -> Trace:
        """One of them, as it is by itself. What was recorded twice counts once; what is no span is left out."""
        return normalise(trace_id_of(trace_id).hex(), *self.decoded(trace_id))

    def decoded(self, trace_id: bytes) -> tuple[list[Span], list[LogEvent]]:
        """What one of them is made of."""
        decoded = []
        parts: dict[bytes, SpanSlice] = {}
        for part in self.spans[trace_id]:
            known = parts.get(part.span_id)
            if known is None or says_more(part, known):
                parts[part.span_id] = part
        for part in parts.values():
            try:
                decoded.append(decode_span(part))
            except Rejected as error:
                self.left_out.append(f"span {part.span_id.hex()}: {error.reason}: {error}")
        return decoded, self._events(trace_id)

    def _events(self, trace_id: bytes) -> list[LogEvent]:
        decoded = []
        for part in {part.raw: part for part in self.events.get(trace_id, ())}.values():
            try:
                decoded.append(decode_log(part))
            except Rejected as error:
                self.left_out.append(f"log record of span {part.span_id.hex()}: {error.reason}: {error}")
        return decoded

    def _wants(self, trace_id: bytes) -> bool:
        return self._wanted is None or trace_id in self._wanted
