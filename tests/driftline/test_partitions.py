"""Partitions that grow, and workers that know it late: no trace is decided on twice, no series is stranded."""

from collections.abc import Sequence

import orjson
import pytest

from collector.core.engine import DEAD_LETTERS, DECISIONS, MOVED_KIND, SCORES, SPANS, TICK_KIND, Record
from collector.wire.route import partition_of
from drift.base import Point, encode_points
from driftline.pipeline import Stopped
from driftline.score_route import ScoreRoute
from tests.driftline.partitioned import Cluster, Worker, turn_all
from tests.driftline.test_pipeline import END_NS, SECOND, chat


def send(cluster: Cluster, traces: range, partitions: int) -> None:
    """A trace each second, in the partition where it lives."""
    for number in traces:
        record = chat(number, 1, END_NS + number * SECOND, root=True)
        home = partition_of(number.to_bytes(16, "big"), partitions)
        cluster.put(SPANS, Record(record.value, kind=record.kind, partition=home))


def assert_once(cluster: Cluster, traces: int) -> None:
    assert cluster.revisions() == {(f"{number:032x}", 0): 1 for number in range(1, traces + 1)}
    assert set(cluster.first_points().values()) == {1}


def test_a_worker_that_notices_late_takes_what_is_moved_to_it(cluster_of_two: Cluster) -> None:
    cluster = cluster_of_two
    late = Worker(cluster, [1], known={SPANS: 2})
    workers = [Worker(cluster, [0]), late]
    cluster.grow(SPANS, 3)
    workers.append(Worker(cluster, [2]))
    turn_all(workers)
    late.engine.known = {}
    turn_all(workers)
    cluster.tick(400)
    turn_all(workers)
    assert_once(cluster, 100)


def test_partitions_that_grow_twice_in_a_row_move_traces_twice(cluster_of_two: Cluster) -> None:
    cluster = cluster_of_two
    workers = [Worker(cluster, [0]), Worker(cluster, [1])]
    cluster.grow(SPANS, 4)
    turn_all(workers, times=1)
    cluster.grow(SPANS, 8)
    workers += [Worker(cluster, [number]) for number in range(2, 8)]
    turn_all(workers)
    cluster.tick(600)
    turn_all(workers)
    assert_once(cluster, 100)
    cluster.put(SPANS, late_span(7, 8))
    cluster.tick(700)
    turn_all(workers)
    assert cluster.revisions()[f"{7:032x}", 1] == 1


def late_span(trace: int, partitions: int) -> Record:
    record = chat(trace, 2, END_NS + trace * SECOND, root=False)
    return Record(record.value, kind=record.kind, partition=partition_of(trace.to_bytes(16, "big"), partitions))


@pytest.fixture
def cluster_of_two() -> Cluster:
    """Two partitions of spans, with a hundred traces that were evaluated and may still be revised."""
    cluster = Cluster(spans=2)
    send(cluster, range(1, 101), 2)
    cluster.tick(200)
    turn_all([Worker(cluster, [0, 1])])
    assert_once(cluster, 100)
    return cluster


@pytest.mark.parametrize("first", ["growth", "poison"])
def test_a_commit_before_anything_was_read_leaves_the_offset_where_it_was(first: str) -> None:
    cluster = Cluster(spans=1)
    send(cluster, range(1, 6), 1)
    cluster.tick(200)
    turn_all([Worker(cluster, [0], revision_window="0s")])
    if first == "growth":
        cluster.grow(SPANS, 2)
    else:
        cluster.put(SPANS, Record(b"\xff\xff", partition=0))
    for _ in range(2):
        turn_all([Worker(cluster, range(len(cluster.logs[SPANS])), revision_window="0s")], times=2)
    cluster.tick(300)
    turn_all([Worker(cluster, range(len(cluster.logs[SPANS])), revision_window="0s")])
    assert_once(cluster, 5)


def test_a_stage_that_is_stopped_before_it_could_commit_goes_no_further() -> None:
    cluster = Cluster(spans=1)
    send(cluster, range(1, 2001), 1)
    cluster.put(SPANS, Record(str(END_NS + 10_000 * SECOND).encode(), kind=TICK_KIND, partition=0))
    worker = Worker(cluster, [0], revision_window="0s")
    worker.turn(worker.score, 0)
    worker.score._stopping.set()
    cluster.failing = 1
    with pytest.raises(Stopped):
        worker.turn(worker.score, 10)
    turn_all([Worker(cluster, [0], revision_window="0s")], times=12)
    assert_once(cluster, 2000)


def test_records_of_no_known_form_are_dead_letters_and_the_others_go_on() -> None:
    cluster = Cluster(spans=1, scores=2)
    bad = [Record(b"x", kind="of the future"), Record(b"soon", kind=TICK_KIND), Record(b"", kind=MOVED_KIND)]
    for record in bad:
        cluster.put(SPANS, Record(record.value, kind=record.kind, partition=0))
    cluster.put(SCORES, Record(b"no series", kind=MOVED_KIND, partition=0))
    send(cluster, range(1, 4), 1)
    cluster.tick(100)
    worker = Worker(cluster, [0])
    turn_all([worker])
    turn_all([worker], "watch")
    assert_once(cluster, 3)
    dead = [(record.key, record.kind) for record in cluster.logs[DEAD_LETTERS][0]]
    spans = [(b"spans/0/0", "unknown_kind"), (b"spans/0/1", "malformed"), (b"spans/0/2", "malformed")]
    assert dead == [*spans, (b"scores/0/0", "malformed")]


def test_a_worker_that_takes_over_has_no_more_memory_than_it_may() -> None:
    cluster = Cluster(spans=4)
    send(cluster, range(1, 2001), 4)
    turn_all([Worker(cluster, [number], max_open="512KiB") for number in range(4)])
    alone = Worker(cluster, range(4), max_open="512KiB")
    held = alone.telemetry.gauge("driftline_held_bytes", "", unit="bytes")
    for _ in range(8):
        alone.turn(alone.score)
        assert held.values().get((), 0) <= 1.25 * 2**19


def series_of(workers: Sequence[Worker]) -> list[str]:
    return sorted(status.slice["service"] for worker in workers for status in worker.watch.series)


def test_a_partition_of_scores_that_is_taken_over_by_a_worker_with_an_old_view_keeps_its_series() -> None:
    cluster = Cluster(spans=1, scores=3)
    services = [f"s{number:02}" for number in range(40)]
    route = ScoreRoute([], lambda: 3)

    def score(at: int) -> None:
        for service in services:
            point = Point("refusal", f"{at:032x}", "", END_NS + at * SECOND, 0.5, True, 1.0, {"service": service}, "e")
            home = route.partition("refusal", {"service": service}, 3)
            cluster.put(SCORES, Record(encode_points([point]), partition=home))

    score(1)
    workers = [Worker(cluster, [number]) for number in range(3)]
    turn_all(workers, "watch")
    old = workers[0] = Worker(cluster, [0], known={SCORES: 2})
    turn_all(workers, "watch")
    old.engine.known = {}
    score(2)
    turn_all(workers, "watch")
    assert series_of(workers) == services


def test_series_of_growing_scores_move_and_go_on() -> None:
    cluster = Cluster(spans=1, scores=2)
    services = [f"s{number:02}" for number in range(40)]

    def score(at: int, partitions: int) -> None:
        route = ScoreRoute([], lambda: partitions)
        for service in services:
            point = Point("refusal", f"{at:032x}", "", END_NS + at * SECOND, 0.5, True, 1.0, {"service": service}, "e")
            home = route.partition("refusal", {"service": service}, partitions)
            cluster.put(SCORES, Record(encode_points([point]), partition=home))

    score(1, 2)
    workers = [Worker(cluster, [0]), Worker(cluster, [1])]
    turn_all(workers, "watch")
    cluster.grow(SCORES, 5)
    score(2, 2)  # a producer that does not know it yet
    workers += [Worker(cluster, [2, 3, 4])]
    turn_all(workers, "watch")
    score(3, 5)
    turn_all(workers, "watch")
    assert series_of(workers) == services
    assert {status.points for worker in workers for status in worker.watch.series} == {3}


def test_workers_keep_the_limit_of_a_scorer_together() -> None:
    """A hundred traces within two minutes, in three partitions with a worker each, that come back five times."""
    cluster = Cluster(spans=3)
    scorers = ["refusal", {"use": "latency", "limit": "10 per hour"}]
    for number in range(5):
        send(cluster, range(1 + 20 * number, 21 + 20 * number), 3)
        turn_all([Worker(cluster, [part], scorers=scorers) for part in range(3)])
    cluster.tick(200)
    turn_all([Worker(cluster, [part], scorers=scorers) for part in range(3)])
    assert_once(cluster, 100)
    decided = cluster.decisions("latency")
    assert decided.total() == 100
    assert 3 <= decided["scored"] <= 10
    assert set(decided) <= {"scored", "throttled", "over_budget"}


def test_workers_keep_a_quota_together_and_a_late_span_does_not_change_who_was_chosen() -> None:
    cluster = Cluster(spans=3)
    quota = {"by": ["service"], "at_most": "12 per hour"}

    def workers() -> list[Worker]:
        return [Worker(cluster, [part], sample={"quota": quota}) for part in range(3)]

    send(cluster, range(1, 101), 3)
    cluster.tick(200)
    turn_all(workers())
    chosen = cluster.scored("latency")
    assert 4 <= len(chosen) <= 12
    for number in range(1, 101):
        cluster.put(SPANS, late_span(number, 3))
    cluster.tick(400)
    turn_all(workers())
    assert set(cluster.revisions().values()) == {1}
    assert len(cluster.revisions()) == 200
    # What a worker had refused because its share was used up may be chosen later; the others stay as they were.
    assert {trace_id for trace_id, revision in cluster.scored("latency") if revision == 1} >= {one for one, _ in chosen}


def test_traces_of_tenants_stay_apart_and_are_revised_by_their_own_tenant_only_when_partitions_grow() -> None:
    cluster = Cluster(spans=2)
    for tenant in (b"acme", b"globex"):  # the same trace ids
        for number in range(1, 21):
            record = chat(number, 1, END_NS + number * SECOND, root=True)
            home = number % 2  # where another producer put it, which need not be where it lives
            cluster.put(SPANS, Record(record.value, key=tenant, kind=record.kind, partition=home))
    cluster.tick(200)
    workers = [Worker(cluster, [0]), Worker(cluster, [1])]
    turn_all(workers)
    cluster.tick(250)
    turn_all(workers)
    assert cluster.revisions() == {(f"{number:032x}", 0): 2 for number in range(1, 21)}
    cluster.grow(SPANS, 5)
    workers += [Worker(cluster, [number]) for number in range(2, 5)]
    turn_all(workers)
    for number in range(1, 21):
        late = late_span(number, 5)
        cluster.put(SPANS, Record(late.value, key=b"globex", kind=late.kind, partition=late.partition))
    cluster.tick(700)
    turn_all(workers)
    sheets = [orjson.loads(record.value) for place in cluster.logs[DECISIONS] for record in place]
    revised = [(sheet["trace_id"], sheet["tenant"]) for sheet in sheets if sheet["revision"] == 1]
    assert sorted(revised) == [(f"{number:032x}", "globex") for number in range(1, 21)]
    assert {sheet["counts"]["spans"] for sheet in sheets if sheet["revision"] == 1} == {2}
