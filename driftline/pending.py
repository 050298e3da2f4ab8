"""Traces that were received and are not evaluated yet: what is in the inbox and not in the view.

The inbox is read from the oldest record that the stage `score` still needs: what waits is all after it, and what is
before it may be as much as the brokers keep.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from collector.core.engine import SPANS, TRACES_KIND
from collector.core.errors import Rejected
from collector.core.model import SpanSlice
from collector.sample import Sampler
from collector.wire.split import split_traces
from driftline.config import Config
from driftline.export.content import requests
from driftline.store_reading import read_log
from driftline.view import View


@dataclass(slots=True)
class Pending:
    """What came of a trace so far.

    `ended_ns` is the latest end of a span, `root_ended` says whether a root is among them.
    """

    spans: int = 0
    ended_ns: int = 0
    root_ended: bool = False

    def add(self, span: SpanSlice) -> None:
        self.spans += 1
        self.ended_ns = max(self.ended_ns, span.end_ns)
        self.root_ended |= not span.parent_id


def pending_trace(config: Config, trace_id: str) -> Pending | None:
    """What waits in the inbox of one trace; None if nothing does.

    Raises:
        StoreError: the inbox cannot be read.
    """
    raw, found = bytes.fromhex(trace_id), Pending()
    for span in _spans(config):
        if span.trace_id == raw:
            found.add(span)
    return found if found.spans else None


def pending_traces(config: Config, view: View) -> int:
    """How many traces wait to be evaluated.

    Raises:
        StoreError: the inbox cannot be read.
    """
    sampler = Sampler(config.sample)
    received = {span.trace_id for span in _spans(config)}
    return sum(not sampler.never(one) and view.sheet(one.hex()) is None for one in received)


def _spans(config: Config) -> Iterator[SpanSlice]:
    for entry in read_log(config, SPANS, "score"):
        try:
            parts = [body for kind, body in requests(entry) if kind == TRACES_KIND]
            slices = [span for body in parts for span in split_traces(body).slices]
        except Rejected:
            continue  # the service counts it
        yield from slices
