"""A series has all its scores in one partition, however many there are."""

from hypothesis import given
from hypothesis import strategies as st

from drift.base import Point, decode_points
from drift.plan import MonitorConfig
from driftline.score_route import ScoreRoute

MONITORS = [
    MonitorConfig(watch="groundedness", by=("service", "version")),
    MonitorConfig(watch="refusal", by=("model",)),
    MonitorConfig(watch="error", by=("service",)),
    MonitorConfig(watch="error", name="all errors"),
]
METRICS = ("groundedness", "refusal", "error", "latency")


def point(metric: str, service: str, version: str, number: int) -> Point:
    slices = {"service": service, "version": version, "model": f"m{number % 3}"}
    return Point(metric, f"{number:032x}", "", number, 0.5, True, 1.0, slices, "e", False)


def route(partitions: int) -> ScoreRoute:
    return ScoreRoute(MONITORS, lambda: partitions)


@given(
    st.lists(st.tuples(st.sampled_from(METRICS), st.text(max_size=5), st.sampled_from("12")), min_size=1, max_size=30),
    st.integers(1, 50),
)
def test_every_point_is_sent_once_to_where_its_series_lives(what: list[tuple[str, str, str]], partitions: int) -> None:
    points = [point(*one, number=number) for number, one in enumerate(what)]
    found: list[str] = []
    for one in points:
        for record in route(partitions).records([one]):
            home = route(partitions).partition(one.metric, one.slices, partitions)
            assert (record.partition or 0) == home
            assert decode_points(record.value) == [one]
            found.append(one.trace_id)
    assert found == [one.trace_id for one in points]


def test_a_series_of_a_service_may_live_apart_from_those_of_another() -> None:
    homes = {route(16).partition("groundedness", {"service": f"s{n}", "version": "1"}, 16) for n in range(100)}
    assert len(homes) == 16
    one = {route(16).partition("groundedness", {"service": "s", "version": f"{n}"}, 16) for n in range(100)}
    assert len(one) == 1


def test_where_a_monitor_looks_across_services_the_metric_stays_together() -> None:
    for metric in ("refusal", "error"):
        assert len({route(16).partition(metric, {"service": f"s{n}"}, 16) for n in range(100)}) == 1


def test_the_points_of_an_evaluation_are_a_record_for_each_partition() -> None:
    points = [point(metric, "shop", "1", 7) for metric in METRICS]
    records = route(16).records(points)
    assert len({record.partition for record in records}) == len(records) > 1
    assert sorted(p.metric for record in records for p in decode_points(record.value)) == sorted(METRICS)
    assert len(route(1).records(points)) == 1
    assert route(16).records([]) == route(1).records([]) == []
