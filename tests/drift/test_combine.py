"""Regressions of a combination of attributes, and of nothing else."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import orjson
import pytest

from collector.core.errors import UserError
from collector.core.telemetry import Telemetry
from drift.base import Change, Metric, Point
from drift.monitor import MonitorConfig, Watcher

pytestmark = pytest.mark.long

SECOND = 10**9
START = 1_790_000_000 * SECOND
RULE: dict[str, Any] = {"watch": "grounded", "by": ["service", "model", "language", "tool"], "combinations": 2}
SHARES = {
    "model": {"a": 0.5, "b": 0.3, "c": 0.2},
    "language": {"en": 0.6, "fr": 0.25, "de": 0.15},
    "tool": {"search": 0.6, "sql": 0.4},
}
PAIR = {"model": "c", "language": "de"}  # 3% of the traffic


def watcher(rule: dict[str, Any] = RULE, false_pages: str = "1 per week", **more: Any) -> Watcher:
    metrics = {name: Metric(name, 0.0, 1.0, "higher") for name in ("grounded", "model")}
    metrics["tokens"] = Metric("tokens", 0.0, None, "lower")
    return Watcher([MonitorConfig(**{**rule, **more})], false_pages, metrics, Telemetry())


def traffic(
    count: int, seed: int, bad: dict[str, str] | None = None, rate: float = 0.6, good: float = 0.95, begin: int = 0
) -> list[Point]:
    """A trace a second; those with all values of `bad` pass at `rate`."""
    rng, points = Random(seed), []
    for number in range(begin, begin + count):
        slices = {"service": "shop"}
        for name, shares in SHARES.items():
            slices[name] = rng.choices(list(shares), list(shares.values()))[0]
        ill = bad is not None and all(slices[name] == value for name, value in bad.items())
        passed = rng.random() < (rate if ill else good)
        at, trace = START + number * SECOND, f"{seed}-{number}"
        points.append(Point("grounded", trace, "", at, float(passed), passed, 1.0, slices, "e"))
    return points


def feed(watch: Watcher, points: list[Point]) -> list[Change]:
    return [change for point in points for change in watch.update(point)]


def opened(changes: list[Change]) -> list[Change]:
    return [change for change in changes if change.sequence == 0]


def saved(watch: Watcher) -> dict[str, bytes]:
    return {key: value for key, value in watch.take_state().items() if value is not None}


def test_a_regression_of_a_pair_is_one_page_that_names_the_pair() -> None:
    changes = feed(watcher(), traffic(12_000, 1) + traffic(6000, 2, PAIR, begin=12_000))
    pages = [change for change in opened(changes) if change.paged]
    assert [change.slice for change in pages] == [{"service": "shop", **PAIR}]
    assert pages[0].onset_low_ns <= START + 12_000 * SECOND <= pages[0].onset_high_ns + 300 * SECOND
    assert len(opened(changes)) == 1, "slices that hold it, or overlap, tell nothing of their own"


def test_a_regression_of_one_attribute_is_told_of_that() -> None:
    changes = feed(watcher(), traffic(12_000, 3) + traffic(4000, 4, {"model": "c"}, 0.8, begin=12_000))
    pages = [change for change in opened(changes) if change.paged]
    assert [change.slice for change in pages] == [{"service": "shop", "model": "c"}]
    assert {change.related for change in opened(changes)} <= {"", pages[0].id}


def test_a_regression_of_everything_is_told_of_the_service() -> None:
    changes = feed(watcher(), traffic(12_000, 5) + traffic(3000, 6, {}, 0.8, begin=12_000))
    pages = [change for change in opened(changes) if change.paged]
    assert [change.slice for change in pages] == [{"service": "shop"}]
    assert len(opened(changes)) <= 3, "of 33 series that fell with it"


def test_a_regression_of_a_triple_is_found_with_triples() -> None:
    triple = {**PAIR, "tool": "sql"}
    changes = feed(
        watcher(combinations=3, warmup=100), traffic(12_000, 7) + traffic(12_000, 8, triple, 0.4, begin=12_000)
    )
    pages = [change for change in opened(changes) if change.paged]
    assert [change.slice for change in pages] == [{"service": "shop", **triple}]


def test_two_regressions_at_once_are_two_pages() -> None:
    ill = traffic(8000, 10, PAIR, begin=12_000)
    other = {"model": "b", "language": "fr"}
    rng = Random(11)
    for place, point in enumerate(ill):
        if other.items() <= point.slices.items():
            passed = rng.random() < 0.7
            ill[place] = replace(point, passed=passed, value=float(passed))
    pages = [change for change in opened(feed(watcher(), traffic(12_000, 9) + ill)) if change.paged]
    found = [change.slice for change in pages]
    assert {"service": "shop", **PAIR} in found
    assert {"service": "shop", **other} in found
    assert len(found) <= 3


def test_a_pair_recovers_and_can_change_again() -> None:
    points = traffic(12_000, 12)
    for seed, bad in ((13, PAIR), (14, None), (15, PAIR)):
        points += traffic(6000, seed, bad, 0.5, begin=len(points))
    changes = feed(watcher(), points)
    ended = [change for change in changes if change.status == "resolved"]
    assert [change.reason for change in ended] == ["recovered"]
    pages = [change for change in opened(changes) if change.paged]
    assert [change.slice for change in pages] == [{"service": "shop", **PAIR}] * 2
    assert len({change.id for change in pages}) == 2


@pytest.mark.parametrize("most", [2, 3])
def test_false_alarms_of_all_combinations_together_stay_within_the_budget(most: int) -> None:
    """Nothing changes; 12 a hour are allowed, some 50 in all, so with a standard error of 7."""
    watch, alarms, points = watcher(false_pages="12 per hour", min_effect=0, combinations=most), 0, 15_000
    alarms = len(opened(feed(watch, traffic(points, 20 + most, good=0.9))))
    assert 1 <= alarms <= points * 12 / 3600 + 2 * 7


def test_what_all_combinations_stake_is_what_one_slice_does() -> None:
    watch = watcher()
    feed(watch, traffic(6000, 30))
    monitor = watch._monitors["grounded"]
    stakes = Counter(len(series.slices) for series in monitor.series.values() for _ in [0])
    assert stakes == {1: 1, 2: 8, 3: 9 + 6 + 6}
    route = monitor.route(next(iter(monitor.routes)))
    assert sum(series.stake for series in route if len(series.slices) > 2) == pytest.approx(1.0)
    assert [series.stake for series in route if len(series.slices) <= 2] == [1.0] * 4


def test_a_watcher_restored_again_and_again_tells_the_same() -> None:
    points = traffic(8000, 1) + traffic(2000, 2, PAIR, 0.3, begin=8000) + traffic(2000, 3, {}, 0.7, begin=10_000)
    expected = watcher(warmup=150)
    whole = feed(expected, points)
    assert {len(change.slice) for change in opened(whole)} >= {1, 3}
    told: list[Change] = []
    state: dict[str, bytes] = {}
    stops = [0, 1500, 5125, 8060, 8300, 8700, 9500, 10_030, 10_080, 10_200, 11_000, 12_000]
    for begin, end in pairwise(stops):
        watch = watcher(warmup=150)
        watch.restore(state)
        told += feed(watch, points[begin:end])
        for key, value in watch.take_state().items():
            state.pop(key, None)
            state.update({} if value is None else {key: value})
    assert told == whole
    assert watch.status() == expected.status()


def test_a_pair_moves_to_another_watcher_with_its_change() -> None:
    points = traffic(12_000, 1) + traffic(6000, 2, PAIR, 0.3, begin=12_000)
    first, second = watcher(), watcher()
    told = feed(first, points[:14_000])
    assert opened(told)
    for _, slices, packed in first.move_out(lambda metric, slices: True):
        assert slices["service"] == "shop"
        assert second.adopt(packed) == []
    assert first.status() == []
    later = feed(second, points[14_000:])
    assert opened(later) == []
    assert {change.id for change in later} <= {opened(told)[0].id}
    assert [one.status for one in second.status() if one.slice == {"service": "shop", **PAIR}] == ["changed"]


def test_a_million_new_combinations_take_no_room_from_those_with_traffic() -> None:
    watch = watcher(max_series=60, max_combinations=30)
    points = traffic(8000, 40)
    for number, point in enumerate(points):
        watch.update(point)
        strange = {**point.slices, "language": f"l{number}", "tool": f"t{number}"}
        watch.update(replace(point, slices=strange))
    monitor = watch._monitors["grounded"]
    pairs = [one.slice for one in watch.status() if len(one.slice) > 2]
    assert 15 <= len(pairs) <= 30
    assert {"service": "shop", "model": "a", "language": "en"} in pairs
    assert not [one for one in pairs if one.get("tool", "")[1:].isdigit()]
    assert len(monitor.series) <= 60 + 4 + 30
    kept = orjson.loads(saved(watch)["monitor/grounded"])
    assert len(kept["met"]["counts"]) <= 256


def test_combinations_with_more_traffic_take_the_places_of_others() -> None:
    watch = watcher(max_combinations=4)
    feed(watch, traffic(4000, 50))
    before = [one.slice for one in watch.status() if len(one.slice) > 2]
    assert len(before) == 4
    moved = traffic(16_000, 51, begin=4000)
    for point in moved:
        point.slices = {**point.slices, "model": {"a": "c", "b": "b", "c": "a"}[point.slices["model"]]}
        point.slices["language"] = {"en": "de", "fr": "fr", "de": "en"}[point.slices["language"]]
    feed(watch, moved)
    after = [one.slice for one in watch.status() if len(one.slice) > 2]
    assert len(after) == 4
    assert {"service": "shop", "model": "c", "language": "de"} in after
    gone = [key for key, value in watch.take_state().items() if value is None]
    assert gone, "what made room leaves no state"


def test_a_combination_that_comes_later_learns_from_what_holds_it() -> None:
    watch = watcher(warmup=100)
    feed(watch, traffic(2100, 60))
    pairs = [one for one in watch.status() if len(one.slice) > 2]
    assert pairs
    assert {one.status for one in pairs if one.points >= 100} == {"watching"}
    assert max(one.points for one in pairs) > 600


def test_a_metric_without_a_range_is_compared_on_one_scale() -> None:
    rule = {**RULE, "watch": "tokens", "statistic": "typical"}
    rng = Random(70)
    points = traffic(12_000, 71) + traffic(6000, 72, PAIR, begin=12_000)
    for place, point in enumerate(points):
        times = 4.0 if place >= 12_000 and PAIR.items() <= point.slices.items() else 1.0
        value = 400 * times * rng.lognormvariate(0.0, 0.8)
        points[place] = replace(point, metric="tokens", value=value, passed=None)
    changes = feed(watcher(rule), points)
    (page,) = (change for change in opened(changes) if change.paged)
    assert page.slice.items() <= {"service": "shop", **PAIR}.items(), "here bets are too bounded to tell the two apart"
    pair = next(change for change in opened(changes) if len(change.slice) == 3)
    assert (pair.slice, pair.related) == ({"service": "shop", **PAIR}, "" if pair is page else page.id)
    assert pair.before.value == pytest.approx(400, rel=0.25)


def held(folder: Path, named: bool = True) -> Watcher:
    """Against 20,000 good scores, that name their slices or not."""
    rows = (
        {
            "scorer": "grounded",
            "slices": point.slices if named else {},
            "value": point.value,
            "trace_id": point.trace_id,
        }
        for point in traffic(20_000, 90)
    )
    (folder / "good.jsonl").write_bytes(b"\n".join(orjson.dumps(row) for row in rows))
    config = MonitorConfig.model_validate({**RULE, "baseline": {"file": "good.jsonl"}})
    return Watcher([config], "1 per week", {"grounded": Metric("grounded", 0.0, 1.0, "higher")}, Telemetry(), folder)


LARGE = {"model": "a", "language": "en"}  # 30% of the traffic: more of the reference than a series remembers


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize(("bad", "rate"), [(LARGE, 0.6), (PAIR, 0.5)])
def test_with_a_reference_a_pair_that_is_bad_from_its_first_trace_is_told(
    tmp_path: Path, bad: dict[str, str], rate: float, named: bool
) -> None:
    """Of a large one first an attribute: pairs begin when 1,024 scores have come."""
    changes = opened(feed(held(tmp_path, named), traffic(6000, 91, bad, rate)))
    (page,) = (change for change in changes if change.paged)
    assert page.slice.items() <= {"service": "shop", **bad}.items()
    assert len(page.slice) >= 2
    (pair,) = (change for change in changes if len(change.slice) == 3)
    assert (pair.slice, pair.related) == ({"service": "shop", **bad}, "" if pair is page else page.id)
    assert pair.before.value == pytest.approx(0.95, abs=0.03)


def test_with_a_reference_nothing_is_told_where_all_is_as_usual_and_a_restart_is_no_matter(tmp_path: Path) -> None:
    first, second = held(tmp_path), held(tmp_path)
    points = traffic(6000, 92) + traffic(4000, 93, LARGE, 0.8, begin=6000)
    assert feed(first, points[:6000]) == []
    second.restore(saved(first))
    changes = feed(second, points[6000:])
    assert changes == feed(first, points[6000:])
    assert {"service": "shop", **LARGE} in [change.slice for change in opened(changes)]


def test_points_without_attributes_or_with_strange_ones_do_no_harm() -> None:
    watch, points = watcher(), traffic(6000, 80)
    strange = [{}, {"service": ""}, {"model": "a"}, {"service": "shop", "tool": "\u0000" * 100}, {"language": "en"}]
    for number, point in enumerate(points):
        watch.update(point)
        watch.update(replace(point, slices=dict(strange[number % 5])))
        watch.update(replace(point, value=float("nan")))
        watch.update(replace(point, at_ns=-1))
    assert {"service": "unknown", "model": "a"} in [one.slice for one in watch.status()]
    again = watcher()
    again.restore(saved(watch))
    assert again.status() == watch.status()


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"combinations": 4}, r"monitors\[0\].combinations: 4 of .* 3 attributes to combine"),
        ({"by": []}, r"monitors\[0\].combinations: 2 of \[\]"),
        ({"by": ["service", "model"]}, r"monitors\[0\].combinations: 2 of"),
        (
            {"watch": "model", "by": ["service", "a", "b"], "statistic": "share"},
            r"combinations: 2: not of shares",
        ),
        ({"detector": "adwin"}, r"monitors\[0\].combinations: .*'adwin' are not paid for"),
    ],
)
def test_a_wrong_rule_is_named_with_its_path(wrong: dict[str, Any], named: str) -> None:
    with pytest.raises(UserError, match=named):
        watcher({**RULE, **wrong})


@pytest.mark.parametrize(
    "wrong",
    [
        b"",
        b"[]",
        b"{}",
        b'{"v":1}',
        b'{"v":2,"fingerprint":"","met":{},"holds":{}}',
        b'{"v":1,"fingerprint":FINGERPRINT,"met":{},"holds":{}}',
        b'{"v":1,"fingerprint":FINGERPRINT,"met":{"added":1,"counts":[]},"holds":{"a":[1]}}',
        b'{"v":1,"fingerprint":FINGERPRINT,"met":{"added":1,"counts":[]},"holds":{"a":[1,-1,0]}}',
        b'{"v":1,"fingerprint":FINGERPRINT,"met":{"added":1,"counts":[]},"holds":[]}',
    ],
)
def test_corrupt_state_is_refused_and_nothing_taken_over(wrong: bytes) -> None:
    first, second = watcher(), watcher()
    feed(first, traffic(500, 90))
    state = saved(first)
    fingerprint = orjson.dumps(orjson.loads(state["monitor/grounded"])["fingerprint"])
    with pytest.raises(UserError, match="monitor/grounded"):
        second.restore({**state, "monitor/grounded": wrong.replace(b"FINGERPRINT", fingerprint)})
    assert second.status() == []


def test_what_a_monitor_kept_goes_with_it() -> None:
    first = watcher()
    feed(first, traffic(3000, 91))
    plain = watcher({**RULE, "combinations": 1})
    plain.restore(saved(first))
    assert plain.status() == []
    assert plain.take_state()["monitor/grounded"] is None
