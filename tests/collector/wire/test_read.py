"""Recorded files: the kind is found from the bytes, whatever the name says."""

import contextlib
import gzip
from collections.abc import Callable

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.core.engine import EVENTS_KIND, TRACES_KIND
from collector.core.errors import Rejected
from collector.wire.read import read_bodies, read_body
from collector.wire.split import split_logs, split_traces

Bodies = Callable[[str], dict[str, bytes]]
Build = Callable[..., bytes]

_SPAN = {"traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174"}
TRACES_LINE = orjson.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [_SPAN]}]}]})
LOGS_LINE = orjson.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [_SPAN]}]}]})


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("name", [None, "misnamed-logs.traces.bin"])
def test_recorded_protobuf_is_told_apart_by_its_bytes(
    recorded: Bodies, pack: Callable[[bytes], bytes], name: str | None
) -> None:
    for body in recorded("*.otlp.pb").values():
        assert read_body(pack(body), name) == (TRACES_KIND, body)
    for body in recorded("*.otlp-logs.pb").values():
        assert read_body(pack(body), name) == (EVENTS_KIND, body)


@pytest.mark.parametrize("before", [b"", b"\xef\xbb\xbf", b"\n \n", b"\r\n"])
def test_json_is_found_behind_a_byte_order_mark_or_empty_lines(before: bytes) -> None:
    kind, body = read_body(before + LOGS_LINE)
    assert kind == EVENTS_KIND
    assert len(split_logs(body).slices) == 1


def test_json_over_many_lines_is_one_request() -> None:
    pretty = orjson.dumps(orjson.loads(TRACES_LINE), option=orjson.OPT_INDENT_2)
    assert len(split_traces(read_body(pretty)[1]).slices) == 1


def test_lines_of_one_kind_become_one_request() -> None:
    kind, body = read_body(gzip.compress(TRACES_LINE + b"\n\n" + TRACES_LINE + b"\n"))
    assert kind == TRACES_KIND
    assert len(split_traces(body).slices) == 2


def test_lines_of_both_kinds_keep_their_order() -> None:
    content = TRACES_LINE + b"\n" + LOGS_LINE + b"\n" + TRACES_LINE
    assert [kind for kind, _ in read_bodies(content)] == [TRACES_KIND, EVENTS_KIND, TRACES_KIND]
    with pytest.raises(Rejected, match=r"both\.jsonl holds traces and logs") as raised:
        read_body(content, "both.jsonl")
    assert raised.value.reason == "mixed"


def test_a_protobuf_request_that_begins_like_json_is_protobuf(traces_body: Build) -> None:
    """Its first byte is a line feed, and its length may be the code of an opening brace."""
    for padding in range(200):
        body = traces_body({"name": "n" * padding})
        if body[1:2] == b"{":
            break
    assert body[:2] == b"\n{"
    assert read_body(body) == (TRACES_KIND, body)


def test_records_without_a_trace_make_it_logs(logs_body: Build) -> None:
    assert read_body(logs_body({"trace_id": b""}))[0] == EVENTS_KIND


def test_of_an_empty_file_the_name_decides() -> None:
    assert read_body(b"") == (TRACES_KIND, b"")
    assert read_body(b"", "a.otlp-logs.pb") == (EVENTS_KIND, b"")


def test_metrics_hold_nothing_for_us() -> None:
    assert read_body(b'{"resourceMetrics": [{}]}') == (TRACES_KIND, b"")


@pytest.mark.parametrize("content", [b"hello", b"\n", b'{"spans": []}', b"[]", b"\x0a\xff", b"{}{"])
def test_what_is_neither_is_malformed(content: bytes) -> None:
    with pytest.raises(Rejected) as raised:
        read_body(content)
    assert raised.value.reason == "malformed"


def test_a_bad_line_is_named_by_its_number() -> None:
    with pytest.raises(Rejected, match=r"^line 3: "):
        read_body(TRACES_LINE + b"\n\n" + b'{"resourceSpans": 4}\n')


def test_a_file_over_the_limit_or_damaged_is_rejected() -> None:
    packed = gzip.compress(TRACES_LINE)
    for content, limit, reason in ((packed, 10, "too_large"), (packed[:-5], 1000, "bad_gzip")):
        with pytest.raises(Rejected) as raised:
            read_body(content, limit_bytes=limit)
        assert raised.value.reason == reason


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_give_a_result_or_a_rejection(content: bytes) -> None:
    for candidate in (content, b"\n{" + content, b'{"resourceSpans":' + content):
        with contextlib.suppress(Rejected):
            read_body(candidate)
