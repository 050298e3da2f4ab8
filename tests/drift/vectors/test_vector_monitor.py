"""Vectors are watched as shares: what is new is found and told, what always was is not, wherever it is stopped."""

from typing import Any

import numpy as np
import pytest

from collector.core.errors import UserError
from collector.core.telemetry import Telemetry
from drift.base import Change, Metric, decode_points, encode_points
from drift.monitor import MonitorConfig, Watcher
from drift.plan import plans
from drift.vectors.atlas import UNLIKE
from drift.vectors.monitor import VectorMonitor
from drift.vectors.series import AtlasSeries
from tests.drift.vectors.streams import METRICS, feed, mixed, point, topics, watcher

BEFORE = 1000
TERMS = ("voucher", "gift")


def told(changes: list[Change]) -> list[Change]:
    return [change for change in changes if change.sequence == 0]


def pages(changes: list[Change]) -> list[Change]:
    return [change for change in told(changes) if change.paged]


def usual(rng: Any, count: int) -> list[bytes]:
    return topics(rng, rng.integers(0, 16, count))


@pytest.mark.parametrize(("part", "within"), [(0.1, 500), (0.2, 250)])
def test_a_new_topic_is_found(part: float, within: int) -> None:
    rng, watched = np.random.default_rng(1), watcher("1 per week")
    assert told(feed(watched, usual(rng, BEFORE))) == []
    (first, *_) = told(feed(watched, topics(rng, mixed(rng, within, part)), BEFORE))
    assert first.paged
    assert first.direction == "up"
    assert first.statistic == "share"
    assert first.slice["embedding"] == UNLIKE or first.slice["embedding"].startswith("new cluster")


def test_a_known_topic_that_grows_is_found_by_its_cluster() -> None:
    rng, watched = np.random.default_rng(2), watcher(clusters=16)
    feed(watched, usual(rng, BEFORE))
    changes = told(feed(watched, topics(rng, mixed(rng, 600, 0.2, new=3)), BEFORE))
    assert changes
    assert changes[0].slice["embedding"].startswith("cluster")


def test_where_nothing_changes_false_pages_stay_within_the_budget() -> None:
    """Allowed is the start mass handed out. At so many, three of its roots more come by chance once in 700 times."""
    found, allowed = 0, 0.0
    for seed in range(6):
        rng, watched = np.random.default_rng(100 + seed), watcher("1 per hour", warmup=100)
        found += len(pages(feed(watched, topics(rng, rng.integers(0, 24, 1200)))))
        allowed += next(iter(watched._budget.to_json()[1:]))
    assert allowed > 10
    assert found <= allowed + 3 * allowed**0.5


def test_a_change_tells_the_words_and_the_traces_of_what_is_new() -> None:
    rng, watched = np.random.default_rng(3), watcher(warmup=300)
    feed(watched, usual(rng, BEFORE), terms=("order", "parcel"))
    chosen, changes = mixed(rng, 600, 0.2), []
    for number, (topic, vector) in enumerate(zip(chosen, topics(rng, chosen), strict=True), BEFORE):
        terms = TERMS if topic == 60 else ("order", "parcel")
        changes += watched.update(point(number, vector, terms=terms))
    change = [one for one in changes if one.slice["embedding"] == UNLIKE or "new" in one.slice["embedding"]][-1]
    named = {carrier.value: carrier for carrier in change.carriers if carrier.attribute == "term"}
    assert named.keys() == set(TERMS)
    assert all(carrier.before == 0.0 and carrier.share > 0.5 for carrier in named.values())
    fresh = [int(trace, 16) - BEFORE for trace in change.typical_traces]
    assert len(fresh) >= 3
    assert all(chosen[number] == 60 for number in fresh)
    assert change.moved == ""


@pytest.mark.parametrize("stop_at", [150, 450, 1100, 1300])
def test_it_goes_on_bit_for_bit_after_a_restart(stop_at: int) -> None:
    rng = np.random.default_rng(4)
    vectors = [*usual(rng, BEFORE), *topics(rng, mixed(rng, 500, 0.2))]
    through, state = watcher(), dict[str, bytes]()
    expected = feed(through, vectors)
    first, changes = watcher(), []
    for number, vector in enumerate(vectors[:stop_at]):
        changes += first.update(point(number, vector))
        if number % 100 == 99 or number == stop_at - 1:
            for name, data in first.take_state().items():
                state.pop(name, None) if data is None else state.update({name: data})
    second = watcher()
    second.restore(state)
    changes += feed(second, vectors[stop_at:], stop_at)
    assert told(expected)
    assert changes == expected
    assert second.status() == through.status()


def test_vectors_of_another_model_are_learned_anew_and_are_no_change() -> None:
    rng, watched = np.random.default_rng(5), watcher()
    feed(watched, usual(rng, 600), terms=("order",))
    other = [vector[::-1] + vector[:16] for vector in usual(rng, 600)]  # of another length, and unlike in every way
    changes = feed(watched, other, 600, evaluator_id="e2", terms=("order",))
    assert told(changes) == []
    (monitor,) = watched._monitors.values()
    assert monitor.series[(UNLIKE,)].examples.to_json()["usual"] == {"order": 200}  # type: ignore[attr-defined]
    assert {status.points for status in watched.status()} == {400}
    assert watched.status()[0].status == "watching"


def test_while_two_models_answer_in_turns_the_first_is_watched() -> None:
    rng, watched = np.random.default_rng(6), watcher()
    feed(watched, usual(rng, 600))
    for number, vector in enumerate(usual(rng, 600), 600):
        watched.update(point(number, vector, evaluator_id=("e1", "e2")[number % 2]))
    assert {status.points for status in watched.status()} == {700}


def test_a_vector_of_another_length_is_invalid_and_counted() -> None:
    telemetry = Telemetry()
    watched = Watcher([MonitorConfig(watch="embedding")], "1 per week", METRICS, telemetry)
    for vector in (b"\x01\x02\x03", b"\x01\x02", b"\x01", b"\x01\x02\x04"):
        watched.update(point(1, vector))
    watched.update(point(1, b""))
    watched.take_state()
    shown = {item.name: item.values() for item in telemetry.instruments()}  # type: ignore[attr-defined]
    counted = {labels[1]: count for labels, count in shown["driftline_points"].items()}
    assert counted == {"watched": 2.0, "invalid": 2.0, "no_verdict": 1.0}


def test_slices_have_clusters_of_their_own_and_too_many_share_them() -> None:
    rng = np.random.default_rng(7)
    watched = watcher(by=["service"], max_series=40, warmup=20, clusters=8)
    for number, vector in enumerate(usual(rng, 400)):
        watched.update(point(number, vector, slices={"service": f"s{number % 4}"}))
    services = {status.slice["service"] for status in watched.status()}
    assert "other" in services
    assert len(services) < 5
    assert len(watched.status()) <= 40


def test_it_moves_to_another_watcher_whole() -> None:
    rng = np.random.default_rng(8)
    vectors = [*usual(rng, BEFORE), *topics(rng, mixed(rng, 400, 0.2))]
    stayed, left, took = watcher(by=["service"]), watcher(by=["service"]), watcher(by=["service"])
    expected = told(feed(stayed, vectors))
    feed(left, vectors[:BEFORE])
    moved = left.move_out(lambda metric, slices: True)
    assert left.status() == []
    for _, _, packed in moved:
        assert took.adopt(packed) == []
    changes = told(feed(took, vectors[BEFORE:], BEFORE))
    assert expected
    assert [one.slice for one in changes][:1] == [one.slice for one in expected][:1]


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ({"statistic": "mean"}, "monitors[0].statistic: 'mean', but 'embedding' tells vectors"),
        ({"statistic": "pass_rate"}, "monitors[0].statistic: 'pass_rate', but 'embedding' tells vectors"),
        ({"by": ["embedding"]}, "monitors[0].by: 'embedding' is what the shares are of"),
        ({"detector": "none"}, "monitors[0].detector: "),
        (
            {"baseline": {"file": "good.jsonl"}},
            "monitors[0].baseline: 'embedding' tells vectors, which no file of scores has; leave it out",
        ),
        ({"by": ["service", "a", "b"], "combinations": 2}, "monitors[0].combinations: "),
    ],
)
def test_what_cannot_be_watched_of_vectors_is_told(config: dict[str, Any], problem: str) -> None:
    with pytest.raises(UserError) as refused:
        plans([MonitorConfig.model_validate({"watch": "embedding", **config})], METRICS)
    assert problem in str(refused.value)


def test_the_warm_up_of_vectors_is_longer_unless_it_is_set() -> None:
    (left_out,) = plans([MonitorConfig(watch="embedding")], METRICS)
    (given,) = plans([MonitorConfig(watch="embedding", warmup=300)], METRICS)
    (of_values,) = plans([MonitorConfig(watch="score")], {"score": Metric("score", 0, 1)})
    assert (left_out.warmup, given.warmup, of_values.warmup) == (1000, 300, 300)
    assert (left_out.clusters, of_values.clusters) == (16, 0)


def test_a_corrupt_atlas_is_refused() -> None:
    rng, watched = np.random.default_rng(9), watcher(warmup=50)
    feed(watched, usual(rng, 200))
    good = {name: data for name, data in watched.take_state().items() if data is not None}
    watcher(warmup=50).restore(good)
    for part in (name for name in good if "/vectors/" in name):
        for bad in (b"", b"{}", b"[1]", good[part][:-3], b'{"v": 9}'):
            with pytest.raises(UserError, match="cannot be read"):
                watcher(warmup=50).restore({**good, part: bad})


def test_vectors_and_terms_travel_with_points() -> None:
    given = [point(1, b"\x01\xff\x00", terms=("gift", "voucher")), point(1, b"")]
    assert decode_points(encode_points(given)) == given
    for wrong in (b'"AQ="', b"5", b'"%"'):
        with pytest.raises(ValueError, match="vector"):
            decode_points(encode_points(given).replace(b'"Af8A"', wrong))
    with pytest.raises(ValueError, match="terms"):
        decode_points(encode_points(given).replace(b'["gift","voucher"]', b'["gift",5]'))


def test_a_region_that_was_told_of_gives_its_place_and_is_not_told_again() -> None:
    rng, watched = np.random.default_rng(10), watcher(warmup=300, adopt_after="1h")
    feed(watched, usual(rng, BEFORE))
    first = told(feed(watched, topics(rng, mixed(rng, 1000, 0.2)), BEFORE))
    (name,) = {one.slice["embedding"] for one in first if "new" in one.slice["embedding"]}
    (monitor,) = watched._monitors.values()
    assert isinstance(monitor, VectorMonitor)
    atlas = monitor.families[()][UNLIKE]
    assert isinstance(atlas, AtlasSeries)
    assert atlas.is_region(name)
    watched._end(monitor, [(name,)], [])
    again = told(feed(watched, topics(rng, mixed(rng, 1200, 0.2)), BEFORE + 1000))
    assert atlas.atlas is not None
    assert [region.name for region in atlas.atlas.settled] == [name]
    assert not atlas.is_region(name)
    assert all(one.direction == "down" or "new" not in one.slice["embedding"] for one in again)


def test_what_was_unlike_any_and_becomes_a_cluster_is_one_page() -> None:
    rng, watched = np.random.default_rng(11), watcher(warmup=300)
    feed(watched, usual(rng, BEFORE))
    changes = feed(watched, topics(rng, mixed(rng, 1500, 0.2)), BEFORE)
    found = [one for one in told(changes) if one.direction == "up"]
    assert any("new" in one.slice["embedding"] for one in found)
    assert len([one for one in found if one.paged]) == 1
