"""Remote write: the series of the metrics page, ended when they end; tried again only where that may help."""

import logging
import math
from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families as parse_classic
from pydantic import ValidationError

from alerts import remote_write as module
from alerts.exposition import Exposition
from alerts.remote_write import RemoteWriteConfig, RemoteWriter
from collector.core.clock import FakeClock
from collector.core.telemetry import Exemplar, Telemetry
from tests.alerts.conftest import Server
from tests.alerts.prompb import Series, WriteRequest, series, unpacked

NOW_NS = 1_700_000_000_000_000_000
NOW_MS = NOW_NS // 1_000_000
SECOND = 1_000_000_000
TRACE_ID, SPAN_ID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def telemetry() -> Telemetry:
    made = Telemetry()
    made.counter("driftline_points", "Points.", ["metric", "outcome"]).add(3, "groundedness", 'wat"ched\n')
    made.counter("driftline_plain", "Never yet.")
    made.gauge("driftline_store_bytes", "Size.", unit="bytes").set(4096.0)
    made.gauge("driftline_odd", "No number.", ["a"]).set(math.nan, "")
    spread = made.histogram("driftline_scorer_seconds", "Time.", ["scorer"], buckets=[0.1, 1.0], unit="seconds")
    spread.observe(0.5, "refusal", exemplar=Exemplar(TRACE_ID, SPAN_ID, 0.5, NOW_NS))
    spread.observe(7.0, "refusal", exemplar=Exemplar("no-id", "", 7.0, NOW_NS))
    made.histogram("driftline_signed", "From -1 to 1.", buckets=[-0.5, 0.5]).observe(-0.75)
    return made


def config(server: Server, **changed: Any) -> RemoteWriteConfig:
    url = f"{server.url}/api/v1/write"
    return RemoteWriteConfig.model_validate(
        {"url": url, "every": "1h", "timeout": "2s", "labels": {"instance": "here"}, **changed}
    )


class Writer:
    """A writer whose waits are written down in place of waiting."""

    def __init__(self, server: Server, measured: Telemetry, ending_at: int = 100, **changed: Any) -> None:
        self.clock, self.waits = FakeClock(NOW_NS), list[float]()

        def wait(seconds: float) -> bool:
            self.waits.append(seconds)
            return len(self.waits) >= ending_at

        self.ours = RemoteWriter(config(server, **changed), measured, self.clock, wait)
        self.measured = measured

    def push(self) -> bool:
        self.clock.advance(1.0)
        return self.ours.push()

    def outcomes(self) -> dict[str, float]:
        found = self.measured.counter("driftline_remote_write_samples", "", ["outcome"]).values()
        return {outcome: count for (outcome,), count in found.items()}

    def retries(self) -> dict[str, float]:
        found = self.measured.counter("driftline_remote_write_retries", "", ["reason"]).values()
        return {reason: count for (reason,), count in found.items()}


def sent(server: Server, at: int = -1) -> list[Series]:
    return series(unpacked(server.requests[at][3]))


def named(found: list[Series], name: str) -> list[Series]:
    return [one for one in found if one.name == name]


def on_page(measured: Telemetry) -> dict[tuple[tuple[str, str], ...], float]:
    page = Exposition(measured).render("text/plain")[0].decode()
    return {
        tuple(sorted({**sample.labels, "__name__": sample.name}.items())): sample.value
        for family in parse_classic(page)
        for sample in family.samples
    }


def test_the_series_are_those_of_the_metrics_page_and_so_are_the_numbers(server: Server) -> None:
    measured = telemetry()
    writer = Writer(server, measured)
    expected = on_page(measured)
    assert writer.push()
    ours = {tuple(pair for pair in one.labels if pair[0] not in ("job", "instance")): one.value for one in sent(server)}
    blank = {labels: tuple(pair for pair in labels if pair[1]) for labels in expected}  # no label is as good as empty
    assert ours.keys() == set(blank.values())
    changing = {"process_cpu_seconds_total", "process_resident_memory_bytes", "process_virtual_memory_bytes"}
    for labels, value in expected.items():
        if dict(labels)["__name__"] not in changing | {"process_open_fds"}:
            assert ours[blank[labels]] == value or (math.isnan(value) and math.isnan(ours[blank[labels]])), labels
    every = sent(server)
    assert {one.at_ms for one in every} == {NOW_MS + 1000}
    assert {dict(one.labels)["job"] for one in every} == {"driftline"}
    assert {dict(one.labels)["instance"] for one in every} == {"here"}
    assert all(one.labels == tuple(sorted(one.labels)) for one in every)


def test_the_request_is_one_of_version_1(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY", "abc")
    writer = Writer(server, telemetry(), headers={"Authorization": {"env": "KEY"}, "X-Scope-OrgID": {"env": "KEY"}})
    writer.push()
    ((method, path, headers, body),) = server.requests
    lower = {name.lower(): value for name, value in headers.items()}
    assert (method, path) == ("POST", "/api/v1/write")
    assert (lower["content-encoding"], lower["content-type"]) == ("snappy", "application/x-protobuf")
    assert lower["x-prometheus-remote-write-version"] == "0.1.0"
    assert lower["user-agent"].startswith("driftline")
    assert (lower["authorization"], lower["x-scope-orgid"]) == ("abc", "abc")
    told = {one.metric_family_name: (one.type, one.unit) for one in WriteRequest.FromString(unpacked(body)).metadata}
    assert told["driftline_points_total"] == (1, "")
    assert told["driftline_store_bytes"] == (2, "bytes")
    assert told["driftline_scorer_seconds"] == (3, "seconds")


def test_an_exemplar_is_sent_once(server: Server) -> None:
    measured = telemetry()
    writer = Writer(server, measured)

    def exemplars() -> list[tuple[str, str]]:
        writer.push()
        return [(dict(one.labels)["le"], dict(each[0])["trace_id"]) for one in sent(server) for each in one.exemplars]

    assert exemplars() == [("1.0", TRACE_ID)]
    assert exemplars() == []
    spread = measured.histogram("driftline_scorer_seconds", "", ["scorer"], buckets=[0.1, 1.0])
    spread.observe(0.01, "refusal", exemplar=Exemplar("f" * 32, SPAN_ID, 0.01, NOW_NS))
    assert exemplars() == [("0.1", "f" * 32)]


def test_a_series_that_is_gone_is_ended_once_and_may_come_back(server: Server) -> None:
    measured = Telemetry()
    lag = measured.gauge("driftline_lag", "Lag.", ["topic"])
    lag.set(1.0, "a")
    lag.set(2.0, "b")
    writer = Writer(server, measured)
    writer.push()
    lag.remove("a")
    writer.push()
    (end,) = [one for one in sent(server) if one.is_end]
    assert (dict(end.labels)["topic"], end.at_ms) == ("a", NOW_MS + 2000)
    before = len(server.requests)
    lag.set(3.0, "a")
    writer.push()
    assert len(server.requests) == before + 1
    assert [one.value for one in named(sent(server), "driftline_lag")] == [2.0, 3.0]
    assert not any(one.is_end for one in sent(server))


def test_an_end_that_was_not_taken_is_told_again_until_it_is_too_old(server: Server) -> None:
    measured = Telemetry()
    lag = measured.gauge("driftline_lag", "Lag.", ["topic"])
    lag.set(1.0, "a")
    writer = Writer(server, measured)
    writer.push()
    lag.remove("a")
    server.status = 400
    writer.push()
    server.status = 200
    writer.push()
    assert [dict(one.labels).get("topic") for one in sent(server) if one.is_end] == ["a"]
    lag.set(1.0, "b")
    writer.push()
    lag.remove("b")
    server.status = 400
    writer.push()
    server.status = 200
    writer.clock.advance(301.0)
    before = len(server.requests)
    writer.push()
    assert not any(one.is_end for at in range(before, len(server.requests)) for one in sent(server, at))


@pytest.mark.parametrize(("for_good", "ends"), [(True, True), (False, False)])
def test_at_the_end_all_is_sent_once_more_and_ended_if_nobody_goes_on(
    server: Server, for_good: bool, ends: bool
) -> None:
    measured = telemetry()
    writer = RemoteWriter(config(server), measured, FakeClock(NOW_NS))
    writer.start()
    writer.stop(for_good)
    first = sent(server, 0)
    assert not any(one.is_end for one in first)
    assert named(first, "driftline_store_bytes")[0].value == 4096.0
    assert len(server.requests) == 1 + ends
    if ends:
        assert {(one.labels, one.is_end, one.at_ms) for one in sent(server)} == {
            (one.labels, True, NOW_MS + 1) for one in first
        }
    writer.stop(for_good)
    assert len(server.requests) == 1 + ends


@pytest.mark.parametrize("status", [400, 401, 404, 408, 413, 425, 302])
def test_what_is_refused_is_never_tried_again(server: Server, status: int) -> None:
    writer = Writer(server, telemetry())
    server.status, server.headers = status, {"Location": f"{server.url}/elsewhere"}
    assert not writer.push()
    assert [path for _, path, _, _ in server.requests] == ["/api/v1/write"]
    assert writer.waits == []
    assert writer.retries() == {}
    assert writer.outcomes() == {"refused": len(sent(server))}


@pytest.mark.parametrize("status", [429, 500, 503])
def test_what_may_be_taken_later_is_tried_again_with_pauses_that_grow(server: Server, status: int) -> None:
    writer = Writer(server, telemetry(), ending_at=6)
    server.status = status
    assert not writer.push()
    assert len({body for *_, body in server.requests}) == 1, "the same request, of the same moment"
    assert len(server.requests) == 6
    assert writer.waits[0] <= 0.5 < writer.waits[4] <= 8
    assert sum(writer.retries().values()) == 5
    assert writer.outcomes() == {"given_up": len(sent(server))}


def test_a_receiver_says_when_to_come_back(server: Server) -> None:
    writer = Writer(server, telemetry(), ending_at=2)
    server.status, server.headers = 429, {"Retry-After": "20"}
    writer.push()
    assert writer.waits == [20.0, 20.0]


def test_nothing_is_tried_past_the_time_of_the_next_push(server: Server) -> None:
    writer = Writer(server, telemetry(), every="10s")
    server.status, server.headers = 503, {"Retry-After": "3600"}
    assert not writer.push()
    assert writer.waits == []
    assert list(writer.outcomes()) == ["given_up"]


def test_it_is_told_once_that_it_fails_and_once_that_it_works_again(
    server: Server, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("URL", f"{server.url}/kumquat/write")
    writer = Writer(server, telemetry(), url={"env": "URL"})
    server.status, server.answer = 400, b"out of order sample\nforged line /kumquat/write"
    with caplog.at_level(logging.INFO, "driftline.push"):
        writer.push()
        writer.push()
        server.status, server.answer = 200, b""
        writer.push()
    assert [record.message for record in caplog.records if record.name == "driftline.push"] == [
        "measurements are not taken by metrics.remote_write: answered 400: out of order sample forged line ***",
        "measurements are taken again by metrics.remote_write",
    ]


def test_a_fault_of_ours_does_not_end_the_thread(
    server: Server, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise MemoryError

    writer = Writer(server, telemetry())
    with monkeypatch.context() as patched:
        patched.setattr(module, "post", fails)
        assert not writer.push()
    assert "MemoryError on the way" in caplog.text
    assert writer.push()


def test_many_series_are_sent_in_batches_and_described_once(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BATCH", 7)
    measured = Telemetry()
    many = measured.counter("driftline_many", "Many.", ["number"])
    many.add_all({(str(number),): number for number in range(30)})
    Writer(server, measured).push()
    batches = [sent(server, at) for at in range(len(server.requests))]
    assert all(len(batch) == 7 for batch in batches[:-1])
    assert {one.value for batch in batches for one in named(batch, "driftline_many_total")} == set(range(30))
    described = [len(WriteRequest.FromString(unpacked(body)).metadata) for *_, body in server.requests]
    assert described == [3] + [0] * (len(batches) - 1)


def test_two_pushes_never_have_the_same_moment(server: Server) -> None:
    writer = Writer(server, Telemetry())
    writer.ours.push()
    writer.ours.push()
    assert [sent(server, at)[0].at_ms for at in (0, 1)] == [NOW_MS, NOW_MS + 1]


def test_without_a_receiver_nothing_is_started() -> None:
    measured = Telemetry()
    writer = RemoteWriter(None, measured)
    writer.start()
    writer.stop(for_good=True)
    assert measured.counter("driftline_remote_write_samples", "", ["outcome"]).values() == {}


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"labels": {"__name__": "x"}}, "labels.__name__"),
        ({"labels": {"a-b": "x"}}, "labels.a-b"),
        ({"labels": {"a": ""}}, "at least 1 character"),
        ({"url": "ftp://x"}, "not an http:// or https:// address"),
        ({"every": "10ms"}, "every"),
        ({"headers": {"Authorization": "Bearer plain"}}, "a secret is given as"),
    ],
)
def test_a_wrong_setting_is_told(server: Server, changed: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError) as caught:
        config(server, **changed)
    assert told in str(caught.value)


def test_what_is_not_installed_is_told_with_how_to_install_it(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    absent: Callable[[str], None] = lambda name: None  # noqa: E731
    monkeypatch.setattr(module.importlib.util, "find_spec", absent)
    with pytest.raises(ValidationError, match=r"pip install 'driftline\[compression\]'"):
        config(server)
