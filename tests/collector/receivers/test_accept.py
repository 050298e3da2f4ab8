"""The one way in: what is counted, what is refused, and when."""

import asyncio
import gzip
import threading
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from collector.core.engine import EVENTS_KIND, TRACES_KIND
from collector.core.errors import Overloaded, Rejected, StoreError
from collector.core.telemetry import Telemetry
from collector.receivers import accept as accept_module
from collector.receivers.accept import Acceptor
from collector.wire.split import Tally, tally_traces

Build = Callable[..., bytes]
Count = Callable[..., float]


@pytest.fixture
def acceptor(telemetry: Telemetry) -> Acceptor:
    return Acceptor("test", telemetry, max_body_bytes=2 << 20)


def test_a_protobuf_body_reaches_the_inbox_byte_for_byte(
    acceptor: Acceptor, inbox: Any, traces_body: Build, count: Count
) -> None:
    body = traces_body(3, bad=2)
    prepared = asyncio.run(acceptor.accept(inbox, TRACES_KIND, gzip.compress(body), "protobuf", "gzip"))
    assert inbox.taken == [(TRACES_KIND, body)]
    assert prepared.message == "2 bad_trace_id (a span has a trace id that is not 16 bytes, or all zero)"
    assert count("driftline_received_spans", "test", "protobuf") == 3
    assert count("driftline_rejected_spans", "test", "bad_trace_id") == 2
    assert count("driftline_receiver_body_bytes", "test") == len(body)


def test_json_reaches_the_inbox_as_protobuf_and_all_that_was_left_out_is_counted(
    acceptor: Acceptor, inbox: Any, count: Count
) -> None:
    good = {"traceId": "07" * 16, "spanId": "01" * 8}
    spans = [good, {**good, "name": 5}, {**good, "spanId": "01"}]
    body = orjson.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]})
    prepared = asyncio.run(acceptor.accept(inbox, TRACES_KIND, body, "json"))
    assert (prepared.accepted, len(prepared.rejected), len(inbox.taken)) == (1, 2, 1)
    assert inbox.taken[0][1] != body
    assert count("driftline_received_spans", "test", "json") == 1
    assert count("driftline_rejected_spans", "test", "bad_span") == 1
    assert count("driftline_rejected_spans", "test", "bad_span_id") == 1


def test_records_without_a_trace_are_counted_but_nobody_is_told(
    acceptor: Acceptor, inbox: Any, logs_body: Build, count: Count
) -> None:
    prepared = asyncio.run(acceptor.accept(inbox, EVENTS_KIND, logs_body(2, without_trace=3), "protobuf"))
    assert prepared.message == ""
    assert count("driftline_received_log_records", "test", "protobuf") == 2
    assert count("driftline_rejected_log_records", "test", "no_trace") == 3


@pytest.mark.parametrize("kind", [TRACES_KIND, EVENTS_KIND])
def test_what_holds_nothing_usable_is_accepted_but_never_stored(
    acceptor: Acceptor, inbox: Any, kind: str, traces_body: Build, logs_body: Build
) -> None:
    for body in (b"", traces_body(0, bad=2) if kind == TRACES_KIND else logs_body(0, without_trace=2)):
        asyncio.run(acceptor.accept(inbox, kind, body, "protobuf"))
    asyncio.run(acceptor.accept(inbox, kind, b"", "json"))
    assert inbox.taken == []


@pytest.mark.parametrize(
    ("error", "raised", "reason"),
    [
        (Overloaded("queue", "full"), Overloaded, "queue"),
        (StoreError("disk full"), StoreError, "store"),
        (Rejected("too_large", "longer than the log takes"), Rejected, "too_large"),
        (ValueError("a fault of the inbox"), StoreError, "store"),
    ],
)
def test_what_was_not_stored_is_not_counted_as_received(
    acceptor: Acceptor,
    inbox: Any,
    traces_body: Build,
    count: Count,
    error: Exception,
    raised: type[Exception],
    reason: str,
) -> None:
    inbox.error = error
    with pytest.raises(raised):
        asyncio.run(acceptor.accept(inbox, TRACES_KIND, traces_body(2, bad=1), "protobuf"))
    assert count("driftline_received_spans", "test", "protobuf") == 0
    assert count("driftline_rejected_spans", "test", "bad_trace_id") == 0
    assert count("driftline_rejected_requests", "test", reason) == 1


@pytest.mark.parametrize(
    ("body", "encoding", "content_encoding", "reason"),
    [
        (b"hello", "protobuf", "", "malformed"),
        (b"hello", "json", "", "malformed"),
        (b"hello", "protobuf", "gzip", "bad_gzip"),
        (b"hello", "protobuf", "br", "unsupported_encoding"),
        (bytes(3 << 20), "protobuf", "", "too_large"),
    ],
)
def test_a_refused_request_is_counted_by_reason(
    acceptor: Acceptor, inbox: Any, count: Count, body: bytes, encoding: Any, content_encoding: str, reason: str
) -> None:
    with pytest.raises(Rejected) as raised:
        asyncio.run(acceptor.accept(inbox, TRACES_KIND, body, encoding, content_encoding))
    assert raised.value.reason == reason
    assert count("driftline_rejected_requests", "test", reason) == 1


def test_a_fault_of_ours_refuses_the_request_and_says_so(
    acceptor: Acceptor, inbox: Any, count: Count, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def faulty(body: bytes) -> None:
        raise KeyError("fault")

    monkeypatch.setattr(accept_module, "tally_traces", faulty)
    with pytest.raises(Rejected) as raised:
        asyncio.run(acceptor.accept(inbox, TRACES_KIND, b"", "protobuf"))
    assert raised.value.reason == "internal"
    assert "KeyError" in caplog.text
    assert count("driftline_rejected_requests", "test", "internal") == 1


def test_what_comes_compressed_is_unpacked_only_while_there_is_room_for_it(
    telemetry: Telemetry, traces_body: Build
) -> None:
    body = traces_body(1, text="x" * 600_000)
    packed, unpacked, most, done = gzip.compress(body), 0, 0, asyncio.Event()

    async def slow(kind: str, body: bytes, tenant: str) -> None:
        nonlocal unpacked, most
        unpacked += len(body)
        most = max(most, unpacked)
        await done.wait()
        unpacked -= len(body)

    async def run() -> None:
        acceptor = Acceptor("test", telemetry, 1_000_000, max_unpacked_bytes=2_000_000)
        calls = [asyncio.create_task(acceptor.accept(slow, TRACES_KIND, packed, "protobuf", "gzip")) for _ in range(9)]
        calls.append(asyncio.create_task(acceptor.accept(slow, TRACES_KIND, b"no gzip", "protobuf", "gzip")))
        while unpacked < 2 * len(body):
            await asyncio.sleep(0)
        calls[-2].cancel()
        done.set()
        found = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(one).__name__ for one in found] == ["Prepared"] * 8 + ["CancelledError", "Rejected"]

    asyncio.run(run())
    assert 2 * len(body) <= most <= 2_000_000


@pytest.mark.parametrize(("length", "is_elsewhere"), [(10, False), (1 << 20, True)])
def test_a_long_body_is_read_on_another_thread_so_that_the_others_go_on(
    acceptor: Acceptor,
    inbox: Any,
    traces_body: Build,
    monkeypatch: pytest.MonkeyPatch,
    length: int,
    is_elsewhere: bool,
) -> None:
    threads = []

    def noted(body: bytes) -> Tally:
        threads.append(threading.current_thread())
        return tally_traces(body)

    monkeypatch.setattr(accept_module, "tally_traces", noted)
    asyncio.run(acceptor.accept(inbox, TRACES_KIND, traces_body(1, text="x" * length), "protobuf"))
    assert len(inbox.taken) == 1
    assert (threads[0] is not threading.main_thread()) == is_elsewhere
