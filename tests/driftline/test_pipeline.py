"""The pipeline as a whole: live equals replay, restarts change nothing, late spans correct, our events are no input."""

import random
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import orjson
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.core.clock import FakeClock
from collector.core.engine import CHANGES, DEAD_LETTERS, EVENTS_KIND, SPANS, TICK_KIND, TRACES_KIND, Record
from collector.engines.sqlite_reader import read_log
from driftline.build import build
from driftline.commands.replay import offline
from driftline.config import DEFAULT_SCORERS, Config
from driftline.demo.player import Player
from driftline.demo.recordings import shipped_sample
from driftline.demo.traffic import Traffic
from driftline.service import Service
from driftline.stages.ticks import END_OF_INPUT
from tests.real.parts.process import wait_until

SECOND = 1_000_000_000
END_NS = 1_790_000_000 * SECOND
DEADLINE_SECONDS = 60
MONITORS = [
    {"watch": "groundedness", "by": ["service", "version"], "warmup": 50},
    {"watch": "refusal", "by": ["service"], "warmup": 50},
]


LIMITED = [*(name for name in DEFAULT_SCORERS if name != "secrets"), {"use": "secrets", "limit": "30 per hour"}]


def configuration(folder: Path, **more: object) -> Config:
    base = {
        "scorers": LIMITED,
        "store": {"path": folder / "store.db"},
        "monitors": MONITORS,
        "false_pages": "1 per day",
        "alerts": {"log": False},
    }
    return Config.model_validate(base | more)


@pytest.fixture(scope="module")
def traffic() -> Traffic:
    return Traffic(shipped_sample(), end_ns=END_NS, traces=700, seed=3)


@pytest.fixture(scope="module")
def records(traffic: Traffic) -> list[Record]:
    return [Record(request.body, kind=request.kind) for request in traffic.requests()]


@pytest.fixture(scope="module")
def undisturbed(records: list[Record], tmp_path_factory: pytest.TempPathFactory) -> "Outcome":
    folder = tmp_path_factory.mktemp("undisturbed")
    service = build(offline(configuration(folder), folder))
    feed(service, [*records, Record(END_OF_INPUT, kind=TICK_KIND)])
    outcome = Outcome(service)
    service.stop()
    return outcome


class Outcome:
    """What became of the traffic: every sheet, the funnel, and every change."""

    def __init__(self, service: Service) -> None:
        view = service.view
        self.sheets = {sheet["trace_id"]: sheet for sheet in view.recent(100_000)}
        self.funnel = view.funnel()
        self.changes = [orjson.loads(change) for change in view.changes()]

    def assert_equals(self, other: "Outcome") -> None:
        assert self.sheets == other.sheets
        assert self.funnel == other.funnel
        assert self.changes == other.changes


def feed(service: Service, records: Sequence[Record]) -> None:
    service.engine.append(SPANS, records).result()
    service.drain()


def test_the_regression_is_found(undisturbed: Outcome, traffic: Traffic) -> None:
    paged = [change for change in undisturbed.changes if change["paged"]]
    assert paged
    assert {change["slice"]["service"] for change in paged} == {traffic.truth.service}
    assert all(change["detected_ns"] >= traffic.truth.onset_ns for change in paged)


def test_a_page_tells_what_was_released_then_and_traces_of_it(undisturbed: Outcome, traffic: Traffic) -> None:
    truth = traffic.truth
    paged = [change for change in undisturbed.changes if change["paged"] and "version" not in change["slice"]]
    assert paged
    for change in paged:
        told = {(one["kind"], one["how"]): one for one in change["coincidences"]}
        assert told["version", "new"]["value"] == truth.version_after
        assert told["version", "gone"]["value"] == truth.version_before
        assert told["prompt", "new"]["value"].endswith(truth.prompt_after)
        low, high = change["onset_low_ns"], change["onset_high_ns"]
        assert low - 1800 * SECOND <= told["version", "new"]["at_ns"] <= high + 1800 * SECOND
        assert {one["kind"] for one in change["coincidences"][:2]} <= {"version", "prompt"}
        sheets = undisturbed.sheets
        for name, version in (("traces", truth.version_after), ("typical_traces", truth.version_after)):
            assert [sheets[trace]["slices"]["version"] for trace in change[name]] == [version] * len(change[name]), name
        assert change["typical_traces"]
        assert all(sheets[trace]["event_ns"] <= high for trace in change["contrast_traces"])


def test_all_changes_are_told_however_many_they_are(tmp_path: Path, undisturbed: Outcome) -> None:
    (change, *_) = undisturbed.changes
    service = build(offline(configuration(tmp_path), tmp_path))
    told = [orjson.dumps({**change, "id": f"{number:020x}"}) for number in range(1500)]
    service.engine.append(CHANGES, [Record(one) for one in told]).result()
    service.drain()
    assert len(service.changes()) == 1500
    service.stop()


def test_a_limit_is_kept_in_each_hour(undisturbed: Outcome) -> None:
    by_decision: dict[str, list[int]] = {}
    for sheet in undisturbed.sheets.values():
        (decision,) = [one for one in sheet["decisions"] if one["scorer"] == "secrets"]
        by_decision.setdefault(decision["decision"], []).append(sheet["event_ns"] // (3600 * SECOND))
    assert len(by_decision["throttled"]) > 100
    hours = Counter(by_decision["scored"])
    # An hour of event time, not of ends of traces: those of one hour may be evaluated in the next.
    assert sum(hours.values()) <= 30 * (len(hours) + 1)
    assert all(count <= 40 for count in hours.values())


def test_live_over_real_sockets_gives_what_a_replay_gives(
    tmp_path: Path, traffic: Traffic, undisturbed: Outcome
) -> None:
    listen = {"otlp_http": "127.0.0.1:0", "otlp_grpc": "127.0.0.1:0", "web": None}
    service = build(configuration(tmp_path, listen=listen))
    service.start()
    try:
        addresses = service.addresses
        player = Player(addresses["otlp_http"], addresses["otlp_grpc"], stopped=lambda: False, wait=time.sleep)
        player.play(traffic.requests(), lambda progress: None)
        service.engine.append(SPANS, [Record(END_OF_INPUT, kind=TICK_KIND)]).result()
        everything = len(undisturbed.sheets)
        wait_until(lambda: service.view.trace_count() >= everything and settled(service), "all evaluated", 60)
        Outcome(service).assert_equals(undisturbed)
    finally:
        service.stop()


def settled(service: Service) -> bool:
    """True once no stage has anything left: all saw an empty log, twice in a row in the order of the flow."""
    for _ in range(2):
        for stage in service.stages:
            stage.idle.clear()
            if not stage.idle.wait(DEADLINE_SECONDS):
                return False
    return True


@pytest.mark.parametrize("stops", [(1,), (100, 101, 350), (500,)])
def test_restarts_change_nothing(
    tmp_path: Path, records: list[Record], undisturbed: Outcome, stops: tuple[int, ...]
) -> None:
    begin = 0
    for end in (*stops, len(records)):
        service = build(offline(configuration(tmp_path), tmp_path))
        feed(service, records[begin:end])
        begin = end
        if end < len(records):
            service.stop()
    feed(service, [Record(END_OF_INPUT, kind=TICK_KIND)])
    Outcome(service).assert_equals(undisturbed)
    service.stop()


def test_the_view_is_rebuilt_from_the_logs(tmp_path: Path, records: list[Record], undisturbed: Outcome) -> None:
    service = build(offline(configuration(tmp_path), tmp_path))
    feed(service, [*records, Record(END_OF_INPUT, kind=TICK_KIND)])
    path = service.view.path
    service.stop()
    path.unlink()
    again = build(offline(configuration(tmp_path), tmp_path))
    again.drain()
    Outcome(again).assert_equals(undisturbed)
    again.stop()


def test_scorers_are_told_to_people_with_their_passing_expression(tmp_path: Path) -> None:
    service = build(offline(configuration(tmp_path), tmp_path))
    passing = {facts.name: facts.passing for facts in service.scorers}
    assert (passing["groundedness"], passing["tokens"]) == (">= 0.5", "")
    service.stop()


def test_every_candidate_has_one_current_decision(undisturbed: Outcome) -> None:
    totals: dict[str, int] = {}
    for scorer, _, _, count in undisturbed.funnel:
        totals[scorer] = totals.get(scorer, 0) + count
    assert set(totals.values()) == {len(undisturbed.sheets)}


# --- late spans, and what is no part of a trace -------------------------------------------------------------------


def chat(trace: int, number: int, at_ns: int, root: bool, failed: bool = False) -> Record:
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    name = group.resource.attributes.add()
    name.key, name.value.string_value = "service.name", "shop"
    span = group.scope_spans.add().spans.add()
    span.trace_id, span.span_id = trace.to_bytes(16, "big"), number.to_bytes(8, "big")
    span.parent_span_id = b"" if root else (1).to_bytes(8, "big")
    span.name, span.start_time_unix_nano, span.end_time_unix_nano = "chat gpt", at_ns, at_ns + SECOND
    span.status.code = 2 if failed else 0
    return Record(request.SerializeToString(), kind=TRACES_KIND)


def own_event(trace: int, at_ns: int) -> Record:
    request = ExportLogsServiceRequest()
    record = request.resource_logs.add().scope_logs.add().log_records.add()
    record.trace_id, record.span_id = trace.to_bytes(16, "big"), (1).to_bytes(8, "big")
    record.time_unix_nano, record.event_name = at_ns, "gen_ai.evaluation.result"
    return Record(request.SerializeToString(), kind=EVENTS_KIND)


def test_a_late_span_supersedes_the_scores_and_counts_as_a_correction(tmp_path: Path) -> None:
    service = build(offline(configuration(tmp_path), tmp_path))
    feed(service, [chat(1, 1, END_NS, root=True), chat(2, 1, END_NS + 60 * SECOND, root=True)])
    before = service.view.sheet(f"{1:032x}")
    feed(service, [chat(1, 2, END_NS, root=False, failed=True)])
    after = service.view.sheet(f"{1:032x}")
    assert before is not None
    assert after is not None
    assert (before["revision"], after["revision"]) == (0, 1)
    assert (before["error"], after["error"]) == (False, True)
    errors = service.view.scores("error", 0, 10)
    assert [row["value"] for row in errors if row["trace_id"] == f"{1:032x}"] == [1.0]
    late = service.telemetry.counter("driftline_late_spans", "", ["outcome"]).values()
    assert late == {("revised",): 1}
    service.stop()


def content(trace: int, at_ns: int) -> Record:
    """The prompt and the answer of a chat, as log records that trail its span."""
    request = ExportLogsServiceRequest()
    logs = request.resource_logs.add().scope_logs.add()
    for name, said in (("gen_ai.user.message", "How late is it?"), ("gen_ai.choice", "I cannot help with that.")):
        record = logs.log_records.add()
        record.trace_id, record.span_id = trace.to_bytes(16, "big"), (1).to_bytes(8, "big")
        record.time_unix_nano, record.event_name = at_ns, name
        body = record.body.kvlist_value.values.add()
        body.key, body.value.string_value = "content", said
    return Record(request.SerializeToString(), kind=EVENTS_KIND)


def genai_chat(trace: int, at_ns: int) -> Record:
    request = ExportTraceServiceRequest.FromString(chat(trace, 1, at_ns, root=True).value)
    attribute = request.resource_spans[0].scope_spans[0].spans[0].attributes.add()
    attribute.key, attribute.value.string_value = "gen_ai.operation.name", "chat"
    return Record(request.SerializeToString(), kind=TRACES_KIND)


@pytest.mark.parametrize("restart", [False, True])
def test_a_first_score_that_comes_with_a_revision_is_watched_and_a_corrected_one_is_not(
    tmp_path: Path, restart: bool
) -> None:
    monitors = [{"watch": name, "by": ["service"]} for name in ("refusal", "error")]
    service = build(offline(configuration(tmp_path, monitors=monitors), tmp_path))
    feed(service, [genai_chat(1, END_NS), chat(2, 1, END_NS + 60 * SECOND, root=True)])
    before = service.telemetry.counter("driftline_points", "", ("metric", "outcome")).values()
    assert before[("error", "watched")] == 1
    assert ("refusal", "watched") not in before
    if restart:
        service.stop()
        service = build(offline(configuration(tmp_path, monitors=monitors), tmp_path))
    feed(service, [content(1, END_NS)])
    feed(service, [chat(1, 2, END_NS, root=False)])
    points = service.telemetry.counter("driftline_points", "", ("metric", "outcome")).values()
    assert points[("refusal", "watched")] == 1
    assert points[("refusal", "revised")] == 1
    assert points[("error", "revised")] == 2
    assert points.get(("error", "watched"), 0) == (0 if restart else 1)
    service.stop()


def test_evaluation_results_that_come_back_to_us_do_not_revise(tmp_path: Path) -> None:
    service = build(offline(configuration(tmp_path), tmp_path))
    feed(service, [chat(1, 1, END_NS, root=True), chat(2, 1, END_NS + 60 * SECOND, root=True)])
    feed(service, [own_event(1, END_NS + 2 * SECOND)])
    found = service.view.sheet(f"{1:032x}")
    assert found is not None
    assert found["revision"] == 0
    service.stop()


def test_an_unreadable_record_does_not_stop_the_others(tmp_path: Path) -> None:
    service = build(offline(configuration(tmp_path), tmp_path))
    broken = [Record(b"\xff\xff\xff", kind=TRACES_KIND), Record(b"\x0a\xff", kind=EVENTS_KIND)]
    feed(service, [*broken, chat(1, 1, END_NS, root=True), Record(END_OF_INPUT, kind=TICK_KIND)])
    assert service.view.trace_count() == 1
    assert service.telemetry.counter("driftline_unreadable_records", "", ["reason"]).total() == 2
    dead = list(read_log(tmp_path / "replay.db", DEAD_LETTERS))
    assert [(letter.value, letter.kind) for letter in dead] == [(one.value, "malformed") for one in broken]
    assert [letter.key for letter in dead] == [b"spans/0/1", b"spans/0/2"]
    service.stop()


def test_what_the_id_alone_leaves_out_is_counted_and_never_evaluated(tmp_path: Path) -> None:
    service = build(offline(configuration(tmp_path, sample={"rate": 0.2}), tmp_path))
    traces = [chat(number, 1, END_NS, root=True) for number in range(1, 201)]
    feed(service, [*traces, Record(END_OF_INPUT, kind=TICK_KIND)])
    kept = service.view.trace_count()
    left_out = service.telemetry.counter("driftline_sampled_out_spans", "", ["rule"]).total()
    assert kept + left_out == 200
    assert 20 <= kept <= 60
    assert {sheet["decisions"][-1]["probability"] for sheet in service.view.recent(200)} == {0.2}
    service.stop()


@pytest.mark.parametrize("restart", [False, True])
def test_clocks_that_jump_lose_nothing_and_do_nothing_twice(tmp_path: Path, restart: bool) -> None:
    """Senders a year ahead and in 1970, and the machine's own clock set back and forth."""
    draw = random.Random(7)
    jumps = (0, 0, 0, 365 * 86400 * SECOND, -END_NS + SECOND, -7200 * SECOND)
    times = [END_NS + number * SECOND + draw.choice(jumps) for number in range(400)]
    records = [chat(number, 1, at_ns, root=True) for number, at_ns in enumerate(times, 1)]
    clock = FakeClock()
    service = build(offline(configuration(tmp_path), tmp_path), clock)
    for first in range(0, 400, 20):
        feed(service, records[first : first + 20])
        clock.set_wall(END_NS + draw.choice((-86400, 0, 86400)) * SECOND)
        if restart and first == 200:
            service.stop()
            service = build(offline(configuration(tmp_path), tmp_path), clock)
    feed(service, [Record(END_OF_INPUT, kind=TICK_KIND)])
    decided = Counter(sheet["revision"] for sheet in service.view.recent(1000))
    assert decided == {0: 400}
    assert {count for _, _, _, count in service.view.funnel()} == {400}
    service.stop()
