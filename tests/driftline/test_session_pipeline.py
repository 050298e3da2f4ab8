"""Sessions through the pipeline: ledger, scores and view, late turns, restarts, sampling, and several partitions."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.core.clock import FakeClock
from collector.core.engine import DECISIONS, MOVED_KIND, SPANS, STRAY_KIND, TICK_KIND, TURNS, Record
from collector.sample import SampleConfig, Sampler, hashed_unit
from collector.turns import session_key
from collector.wire.route import partition_of
from driftline.build import build
from driftline.commands import why
from driftline.commands.replay import offline
from driftline.service import Service
from driftline.stages.ticks import END_OF_INPUT
from tests.driftline.partitioned import Cluster, Worker, turn_all
from tests.driftline.test_pipeline import END_NS, SECOND, chat, configuration, feed

SCORERS = ["session_turns", "repeated_questions", "error"]
END = Record(END_OF_INPUT, kind=TICK_KIND)


def turn(trace: int, session: str, at_ns: int, asked: str = "Where is my parcel?", failed: bool = False) -> Record:
    request = ExportTraceServiceRequest.FromString(chat(trace, 1, at_ns, root=True, failed=failed).value)
    span = request.resource_spans[0].scope_spans[0].spans[0]
    messages = [{"role": "user", "parts": [{"type": "text", "content": asked}]}]
    answered = [{"role": "assistant", "parts": [{"type": "text", "content": "There."}], "finish_reason": "stop"}]
    for key, value in (
        ("gen_ai.operation.name", "chat"),
        ("gen_ai.conversation.id", session),
        ("gen_ai.input.messages", orjson.dumps(messages).decode()),
        ("gen_ai.output.messages", orjson.dumps(answered).decode()),
    ):
        attribute = span.attributes.add()
        attribute.key, attribute.value.string_value = key, value
    return Record(request.SerializeToString(), kind="traces")


def conversations(sessions: int, turns: int) -> list[Record]:
    """Every session asks the same each time; a turn of each a minute."""
    return [
        turn(1 + session + sessions * number, f"s{session}", END_NS + (60 * number + session) * SECOND)
        for number in range(turns)
        for session in range(sessions)
    ]


def service(folder: Path, **more: Any) -> Service:
    assemble = {"quiet": "1s", "session_idle": "10m", "lateness": "0s"}
    config = configuration(folder, **{"scorers": SCORERS, "assemble": assemble, "monitors": [], **more})
    return build(offline(config, folder))


def sheets(under: Service, session: str) -> list[dict[str, Any]]:
    return [sheet for one in under.view.sessions(session) if (sheet := under.view.sheet(one)) is not None]


def decided(sheet: dict[str, Any]) -> dict[str, float | None]:
    return {one["scorer"]: (one.get("score") or {}).get("value") for one in sheet["decisions"]}


def test_a_session_has_its_decisions_its_scores_and_its_place_in_the_funnel(tmp_path: Path) -> None:
    under = service(tmp_path)
    feed(under, [*conversations(3, 4), END])
    for session in ("s0", "s1", "s2"):
        (sheet,) = sheets(under, session)
        assert (sheet["target"], sheet["session_id"], sheet["counts"]["turns"]) == ("session", session, 4)
        assert decided(sheet) == {"session_turns": 4.0, "repeated_questions": 0.75}
        assert [decided(under.view.sheet(turn) or {}) for turn in sheet["turns"]] == [{"error": 0.0}] * 4
    assert {(scorer, count) for scorer, _, _, count in under.view.funnel()} == {
        ("session_turns", 3),
        ("repeated_questions", 3),
        ("error", 12),
    }
    assert len(under.view.scores("repeated_questions", 0, 100)) == 3
    assert under.telemetry.counter("driftline_sessions", "", ["outcome"]).values() == {("evaluated",): 3}
    under.stop()


def test_why_tells_of_a_session_and_of_its_turns(tmp_path: Path) -> None:
    under = service(tmp_path)
    feed(under, [*conversations(1, 2), END])
    under.stop()
    path = tmp_path / "config.yaml"
    path.write_bytes(orjson.dumps({"store": {"path": str(tmp_path / "replay.db")}}))
    shown = CliRunner().invoke(why.command, ["--session", "s0", "-c", str(path)])
    assert shown.exit_code == 0
    assert shown.output.startswith("session s0, recorded as ")
    assert f"  turn 2: trace {2:032x}" in shown.output
    assert "repeated_questions   scored 0.5, did not pass" in shown.output
    assert "  of session s0" in CliRunner().invoke(why.command, [f"{1:032x}", "-c", str(path)]).output
    unknown = CliRunner().invoke(why.command, ["--session", "nobody", "-c", str(path)])
    assert unknown.exit_code == 1
    assert unknown.output.startswith("nothing is known of session nobody: ")


def test_a_turn_that_comes_later_supersedes_and_counts_as_a_correction(tmp_path: Path) -> None:
    monitors = [{"watch": "session_turns", "by": ["service"]}]
    under = service(tmp_path, monitors=monitors)
    other = turn(90, "other", END_NS + 1000 * SECOND)
    feed(under, [turn(1, "s", END_NS), other, turn(91, "other", END_NS + 1010 * SECOND)])
    (before,) = sheets(under, "s")
    feed(under, [turn(2, "s", END_NS + 1020 * SECOND), END])
    (after,) = sheets(under, "s")
    assert (before["trace_id"], before["revision"], decided(before)["session_turns"]) == (after["trace_id"], 0, 1.0)
    assert (after["revision"], decided(after)["session_turns"]) == (1, 2.0)
    points = under.telemetry.counter("driftline_points", "", ("metric", "outcome")).values()
    assert points[("session_turns", "revised")] == 1
    under.stop()


def test_without_a_scorer_of_sessions_nothing_of_a_turn_is_kept(tmp_path: Path) -> None:
    under = service(tmp_path, scorers=["error"])
    assert "session" not in [stage.name for stage in under.stages]
    feed(under, [*conversations(2, 2), END])
    assert under.view.sessions("s0") == []
    subscribed = under.engine.subscribe("test", TURNS, _Nobody())
    assert subscribed.poll(0, 10) == []
    under.stop()


class _Nobody:
    def assigned(self, partition: object) -> None: ...

    def revoked(self, partition: object) -> None: ...


@pytest.mark.parametrize("stops", [(3,), (1, 4, 5, 9), tuple(range(1, 13))])
def test_restarts_change_nothing(tmp_path: Path, stops: Sequence[int]) -> None:
    records = conversations(2, 6)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    undisturbed = service(tmp_path / "a")
    feed(undisturbed, [*records, END])
    begin = 0
    for end in (*stops, len(records)):
        under = service(tmp_path / "b")
        feed(under, records[begin:end])
        begin = end
        if end < len(records):
            under.stop()
    feed(under, [END])
    assert [sheets(under, s) for s in ("s0", "s1")] == [sheets(undisturbed, s) for s in ("s0", "s1")]
    assert under.view.funnel() == undisturbed.view.funnel()
    under.stop()
    undisturbed.stop()


@pytest.mark.parametrize("rate", [0.0, 0.4])
def test_a_session_is_scored_whole_or_not_at_all_by_a_hash_of_its_id(tmp_path: Path, rate: float) -> None:
    under = service(tmp_path, sample={"rate": rate})
    feed(under, [*conversations(40, 3), END])
    sampler = Sampler(SampleConfig(rate=rate))
    for number in range(40):
        found = sheets(under, f"s{number}")
        if hashed_unit(session_key("shop", f"s{number}"), b"") < rate:
            assert [(decided(sheet)["session_turns"], sheet["rate"]) for sheet in found] == [(3.0, rate)]
        else:
            assert found == [], "its id alone leaves it out: no turn of it is kept"
    traces = [one for one in under.view.recent(1000) if one.get("target") != "session"]
    wanted = [trace for trace in range(1, 121) if sampler.unit(trace.to_bytes(16, "big")) < rate]
    assert sorted(int(one["trace_id"], 16) for one in traces) == wanted, "traces are sampled by their own ids as before"
    under.stop()


def test_where_traces_go_by_otel_randomness_sessions_go_by_their_id_all_the_same(tmp_path: Path) -> None:
    under = service(tmp_path, sample={"rate": 0.4, "chance": "otel"})
    feed(under, [*conversations(40, 2), END])
    wanted = [number for number in range(40) if hashed_unit(session_key("shop", f"s{number}"), b"") < 0.4]
    assert [number for number in range(40) if sheets(under, f"s{number}")] == wanted
    under.stop()


def test_a_keep_rule_for_errors_keeps_a_session_with_a_failed_trace_whole(tmp_path: Path) -> None:
    under = service(tmp_path, sample={"rate": 0, "keep": [{"when": "error"}]})
    records = [turn(number, "bad", END_NS + number * SECOND, failed=number == 2) for number in (1, 2, 3)]
    feed(under, [*records, turn(9, "good", END_NS), END])
    (bad,), (good,) = sheets(under, "bad"), sheets(under, "good")
    assert (decided(bad)["session_turns"], bad["rate_rule"]) == (3.0, "sample.keep[0]")
    assert {one["decision"] for one in good["decisions"]} == {"not_sampled"}
    under.stop()


# --- several partitions ---


def put(cluster: Cluster, records: Sequence[Record], partitions: int) -> None:
    for record in records:
        span = ExportTraceServiceRequest.FromString(record.value).resource_spans[0].scope_spans[0].spans[0]
        home = partition_of(span.trace_id, partitions)
        cluster.put(SPANS, Record(record.value, kind=record.kind, partition=home))


def recorded(cluster: Cluster) -> Iterator[dict[str, Any]]:
    for place in cluster.logs[DECISIONS]:
        for record in place:
            sheet = orjson.loads(record.value)
            if sheet.get("target") == "session":
                yield sheet


def close(cluster: Cluster, seconds: float) -> None:
    for log in (SPANS, TURNS):
        for number in range(len(cluster.logs[log])):
            at_ns = END_NS + round(seconds * SECOND)
            cluster.put(log, Record(str(at_ns).encode(), kind=TICK_KIND, partition=number))


@pytest.mark.parametrize("grow", [False, True])
def test_each_session_is_gathered_in_one_partition_also_while_there_are_more_of_them(grow: bool) -> None:
    cluster = Cluster(spans=3, turns=2)
    records = conversations(20, 6)
    idle = {"session_idle": "30m", "scorers": SCORERS}
    workers = [Worker(cluster, [0, 1], **idle), Worker(cluster, [2], **idle)]
    for part in range(6):
        put(cluster, records[part * 20 : part * 20 + 20], 3)
        turn_all(workers, times=3)
        turn_all(workers, "sessions", times=2)
        if part == 2:
            workers = [Worker(cluster, [0], **idle), Worker(cluster, [1, 2], **idle)]  # all begin again
        if part == 3 and grow:
            cluster.grow(TURNS, 5)
            workers = [
                Worker(cluster, [0], **idle, known={TURNS: 2}),  # sends turns by the old count
                Worker(cluster, [1, 2, 3, 4], **idle),
            ]
    for worker in workers:
        worker.engine.known = {}
    cluster.tick(1000)
    turn_all(workers, times=3)
    turn_all(workers, "sessions", times=6)
    close(cluster, 10_000)
    turn_all(workers, times=3)
    turn_all(workers, "sessions", times=6)
    kinds = {record.kind for place in cluster.logs[TURNS] for record in place}
    assert ({STRAY_KIND, MOVED_KIND} <= kinds) == grow, "turns went after their sessions, and sessions moved"
    found = list(recorded(cluster))
    assert sorted((sheet["session_id"], sheet["counts"]["turns"], sheet["revision"]) for sheet in found) == sorted(
        (f"s{number}", 6, 0) for number in range(20)
    )


def test_what_is_no_turn_is_a_dead_letter_and_the_others_go_on() -> None:
    cluster = Cluster(spans=1)
    for record in (Record(b"x"), Record(b"x", kind="moved"), Record(b"x", kind="new"), Record(b"x", kind=TICK_KIND)):
        cluster.put(TURNS, record)
    worker = Worker(cluster, [0], scorers=SCORERS)
    put(cluster, conversations(1, 2), 1)
    cluster.tick(200)
    turn_all([worker])
    turn_all([worker], "sessions")
    assert [(one.key, one.kind) for one in cluster.logs["dead_letters"][0]] == [
        (b"turns/0/0", "malformed"),
        (b"turns/0/1", "malformed"),
        (b"turns/0/2", "unknown_kind"),
        (b"turns/0/3", "malformed"),
    ]
    close(cluster, 10_000)
    turn_all([worker], "sessions")
    assert [sheet["counts"]["turns"] for sheet in recorded(cluster)] == [2]


def test_a_limit_on_a_scorer_of_sessions_is_kept_and_a_revision_is_decided_as_the_session_was(tmp_path: Path) -> None:
    limited = [{"use": "session_turns", "limit": "5 per hour"}, "error"]
    under = service(tmp_path, scorers=limited)
    feed(under, [*conversations(40, 1), tick(1200)])
    under.engine.append(TURNS, [tick(1200)]).result()
    under.drain()
    first = of_session_turns(under)
    under.stop()
    under = service(tmp_path, scorers=limited)  # what was spent outlives a restart
    late = [turn(1000 + n, f"s{n}", END_NS + (1201 + n) * SECOND) for n in range(40)]
    feed(under, [*late, tick(1950)])
    under.engine.append(TURNS, [tick(1950)]).result()
    under.drain()
    second = of_session_turns(under)
    under.stop()
    for decisions in (first, second):
        assert Counter(decisions.values()).total() == 40
        assert 1 <= Counter(decisions.values())["scored"] <= 5
    assert {name for name, one in first.items() if one == "throttled"} == {
        name for name, one in second.items() if one == "throttled"
    }


def of_session_turns(under: Service) -> dict[str, str]:
    """The current decision on each session."""
    found = [sheet for n in range(40) for sheet in sheets(under, f"s{n}")]
    return {sheet["session_id"]: sheet["decisions"][0]["decision"] for sheet in found}


def tick(seconds: float) -> Record:
    return Record(str(END_NS + round(seconds * SECOND)).encode(), kind=TICK_KIND)


COSTLY = '''
from scorers.base import scorer

@scorer(name="judged", target="session", tier=2)
def judged(session):
    """Costs much."""
    return 1.0
'''


@pytest.mark.parametrize(("waited_seconds", "decision"), [(59, "scored"), (61, "shed")])
def test_costly_scorers_of_sessions_are_shed_when_turns_wait_too_long(
    tmp_path: Path, waited_seconds: float, decision: str
) -> None:
    (tmp_path / "mine.py").write_text(COSTLY, encoding="utf-8")
    scorers = ["session_turns", {"use": str(tmp_path / "mine.py:judged"), "limit": "100 per hour"}, "error"]
    assemble = {"quiet": "1s", "session_idle": "10m", "lateness": "0s"}
    listen = {"otlp_http": None, "otlp_grpc": None, "web": None}
    clock = FakeClock(END_NS)
    config = configuration(tmp_path, scorers=scorers, assemble=assemble, monitors=[], listen=listen)
    under = build(config, clock)
    under.engine.append(SPANS, [*conversations(1, 2), END]).result()
    by_name = {stage.name: stage for stage in under.stages}
    by_name["score"].drain()
    clock.advance(waited_seconds)
    under.drain()
    (sheet,) = sheets(under, "s0")
    told = {one["scorer"]: one for one in sheet["decisions"]}
    assert told["session_turns"]["decision"] == "scored", "what costs nothing is never left out"
    assert told["judged"]["decision"] == decision
    assert under.telemetry.gauge("driftline_session_behind_seconds", "", unit="seconds").values() == {
        (): pytest.approx(waited_seconds)
    }
    if decision == "shed":
        assert (told["judged"]["reason"], told["judged"]["detail"]) == ("behind", "by 61 s")
        assert told["judged"]["rule"] == "shed.after"
    counted = {row[:3]: row[3] for row in under.view.funnel()}
    assert counted["judged", decision, "ok" if decision == "scored" else "behind"] == 1
    under.stop()
