"""The watcher: from points to changes, under the budget, across restarts."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from random import Random
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.core.errors import UserError
from collector.core.telemetry import Telemetry
from drift.base import Change, Metric, Point, decode_change, encode_change
from drift.monitor import MonitorConfig, Watcher

SECOND = 10**9
START = 1_700_000_000 * SECOND
METRICS = {
    "grounded": Metric("grounded", 0.0, 1.0, "higher"),
    "refusal": Metric("refusal", 0.0, 1.0, "lower"),
    "rating": Metric("rating", 1.0, 5.0, "higher"),
    "tokens": Metric("tokens", 0.0, None, "lower"),
    "model": Metric("model"),
}


def watcher(*monitors: dict[str, Any], false_pages: str = "1 per week", telemetry: Telemetry | None = None) -> Watcher:
    rules = monitors or ({"watch": "grounded", "by": ("service", "version")},)
    configs = [MonitorConfig.model_validate(rule) for rule in rules]
    return Watcher(configs, false_pages, METRICS, telemetry or Telemetry())


def traffic(
    rates: Sequence[tuple[int, float]], seed: int = 1, metric: str = "grounded", gap_seconds: float = 10, **slices: str
) -> Iterator[Point]:
    """Points whose pass rate changes: (number of points, rate) after (number, rate)."""
    rng, at, number = Random(seed), START, 0
    for count, rate in rates:
        for _ in range(count):
            at += round(rng.expovariate(1 / gap_seconds) * SECOND) + 1
            good = rng.random() < rate
            named = {"service": "shop", **slices}
            yield Point(metric, f"{seed:016x}{number:016x}", "", at, float(good), good, 1.0, named, "e")
            number += 1


def feed(watch: Watcher, points: Iterator[Point] | Sequence[Point]) -> list[Change]:
    return [change for point in points for change in watch.update(point)]


def opened(changes: Sequence[Change]) -> list[Change]:
    return [change for change in changes if change.sequence == 0]


def test_a_drop_is_found_with_onset_size_carrier_and_traces() -> None:
    points = list(traffic([(3000, 0.95), (400, 0.75)]))
    points[3000:] = [replace(point, slices={**point.slices, "version": "2"}) for point in points[3000:]]
    points[:3000] = [replace(point, slices={**point.slices, "version": "1"}) for point in points[:3000]]
    changes = feed(watcher(), points)
    first, last = opened(changes)[0], changes[-1]
    assert len(opened(changes)) == 1
    assert first.slice == {"service": "shop"}
    assert first.direction == "down"
    assert first.paged
    assert first.onset_low_ns <= points[3000].at_ns <= first.onset_high_ns
    assert last.size.lower <= -0.2 <= last.size.upper < 0
    assert last.before.value == pytest.approx(0.95, abs=0.02)
    assert (last.carriers[0].attribute, last.carriers[0].value, last.carriers[0].is_new) == ("version", "2", True)
    assert last.carriers[0].share > 0.8
    failed = {point.trace_id for point in points[3000:] if not point.passed}
    assert set(last.traces) <= failed
    assert len(last.traces) == 5
    assert set(first.contrast_traces) <= {point.trace_id for point in points[:3000] if point.passed}
    assert all(decode_change(encode_change(change)) == change for change in changes)


def test_a_change_tells_what_its_series_had_of_the_budget_since_the_last() -> None:
    """Of 1 a day, all that event time earned went to this one series, but for what is still to be handed out."""
    watch, points = watcher({"watch": "grounded"}, false_pages="1 per day"), list(traffic([(2000, 0.95), (100, 0.5)]))
    warm = points[300].at_ns
    restored = watcher({"watch": "grounded"}, false_pages="1 per day")
    feed(watch, points[:1000])
    restored.restore({key: value for key, value in watch.take_state().items() if value is not None})
    (first,) = opened(feed(restored, points[1000:]))
    assert first.staked == pytest.approx((first.detected_ns - warm) / (86_400 * SECOND), rel=0.25)


def test_an_improvement_is_no_change() -> None:
    assert feed(watcher(), traffic([(2000, 0.7), (2000, 0.95)])) == []


def test_a_metric_of_which_less_is_better_is_watched_for_rises() -> None:
    changes = feed(watcher({"watch": "refusal"}), traffic([(2000, 0.05), (500, 0.25)], metric="refusal"))
    assert opened(changes)[0].direction == "up"
    assert feed(watcher({"watch": "refusal"}), traffic([(2000, 0.25), (500, 0.02)], 2, "refusal")) == []


def test_levels_and_sizes_are_in_the_unit_of_the_metric() -> None:
    points = [replace(p, value=1.0 + 4.0 * p.value) for p in traffic([(2000, 0.9), (300, 0.6)], metric="rating")]
    last = feed(watcher({"watch": "rating"}), points)[-1]
    assert last.before.value == pytest.approx(4.6, abs=0.1)
    assert last.after.value == pytest.approx(3.4, abs=0.3)
    assert last.size.lower < -1.2 < last.size.upper


def counts(stretches: Sequence[tuple[int, float]], seed: int = 1) -> list[Point]:
    """Token counts with a heavy tail (log-normal, 1.1 of the logarithm), of these medians."""
    rng, points = Random(seed), []
    for number, median in enumerate(m for count, m in stretches for _ in range(count)):
        value = median * rng.lognormvariate(0.0, 1.1)
        at = START + 10 * number * SECOND
        points.append(Point("tokens", f"{number:032x}", "", at, value, None, 1.0, {"service": "shop"}, "e"))
    return points


TYPICAL = {"watch": "tokens", "statistic": "typical", "by": ("service",)}


def test_a_metric_without_a_range_is_watched_by_its_typical_value() -> None:
    telemetry = Telemetry()
    watch = watcher(TYPICAL, telemetry=telemetry)
    changes = feed(watch, counts([(2000, 400.0), (400, 700.0)]))
    first, last = opened(changes)[0], changes[-1]
    assert len(opened(changes)) == 1
    assert (first.statistic, first.direction, first.paged) == ("typical", "up", True)
    assert first.onset_low_ns <= START + 20_000 * SECOND <= first.onset_high_ns
    assert last.before.value == pytest.approx(400, rel=0.1)
    assert last.after.value == pytest.approx(700, rel=0.15)
    assert last.size.lower <= 300 <= last.size.upper
    assert decode_change(encode_change(last)) == last
    watch.take_state()
    shown = {item.name: item.values() for item in telemetry.instruments()}  # type: ignore[attr-defined]
    labels = ("tokens", "tokens", "service=shop")
    assert shown["driftline_change_size_ratio"][labels] == pytest.approx(last.size.value / last.before.value)
    assert 600 < shown["driftline_typical_value"][labels] < 800
    assert labels not in shown.get("driftline_estimate_ratio", {})
    levels = [shown[f"driftline_typical_value{part}"][labels] for part in ("_lower", "", "_upper")]
    assert levels == sorted(levels)


def test_a_rise_below_the_least_effect_is_recorded_and_not_paged() -> None:
    rule = {**TYPICAL, "min_effect": 2.0}
    assert [c.paged for c in opened(feed(watcher(rule), counts([(2000, 400.0), (400, 700.0)])))] == [False]


def test_extreme_values_of_a_metric_without_a_range_are_no_change() -> None:
    points = counts([(4000, 400.0)])
    points[1000::400] = [replace(point, value=1e300) for point in points[1000::400]]
    points[1200::400] = [replace(point, value=-1e300) for point in points[1200::400]]
    assert feed(watcher(TYPICAL), points) == []


@pytest.mark.parametrize("stop", [100, 299, 300, 2100, 2390])
def test_a_series_with_a_scale_of_its_own_goes_on_wherever_it_was_stopped_or_moved(stop: int) -> None:
    points = counts([(2000, 400.0), (400, 900.0), (1500, 400.0)])
    expected = feed(watcher(TYPICAL), points)
    assert [change.reason for change in expected if change.status == "resolved"] == ["recovered"]
    first, second = watcher(TYPICAL), watcher(TYPICAL)
    told = feed(first, points[:stop])
    second.restore({key: value for key, value in first.take_state().items() if value is not None})
    assert told + feed(second, points[stop:]) == expected
    here, there = watcher(TYPICAL), watcher(TYPICAL)
    told = feed(here, points[:stop]) + feed(there, points[stop : stop + 5])
    for _, _, packed in here.move_out(lambda *_: True):
        told += there.adopt(packed)
    told += feed(there, points[stop + 5 :])
    assert [change.id for change in opened(told)] == [change.id for change in opened(expected)]


def labels(stretches: Sequence[tuple[int, dict[str, float]]], seed: int = 1, gap_seconds: float = 10) -> list[Point]:
    """Points that have only a label, drawn with these probabilities."""
    rng, points = Random(seed), []
    for count, mix in stretches:
        for label in rng.choices(list(mix), list(mix.values()), k=count):
            number = len(points)
            at = START + round(gap_seconds * number * SECOND)
            points.append(
                Point("model", f"{number:032x}", "", at, None, None, 1.0, {"service": "shop"}, "e", label=label)
            )
    return points


SHARES = {"watch": "model", "statistic": "share", "by": ("service",)}


def test_a_label_that_is_new_is_one_page_though_others_lose_what_it_has() -> None:
    before, after = {"big": 0.7, "small": 0.3}, {"big": 0.35, "small": 0.3, "newest": 0.35}
    points = labels([(2000, before), (600, after)])
    changes = feed(watcher(SHARES), points)
    paged = [change for change in opened(changes) if change.paged]
    assert [(c.slice, c.direction) for c in paged] == [({"service": "shop", "model": "newest"}, "up")]
    first = paged[0]
    assert (first.statistic, first.metric) == ("share", "model")
    assert first.before.upper < 0.01
    assert first.onset_low_ns <= points[2000].at_ns <= first.onset_high_ns + 20 * 10 * SECOND
    found = {change.slice["model"]: change for change in changes}
    assert found.keys() == {"newest", "big"}
    assert found["big"].related == first.id
    assert found["newest"].after.value == pytest.approx(0.35, abs=0.06)
    assert set(first.traces) <= {point.trace_id for point in points if point.label == "newest"}


def test_a_mix_that_stays_is_no_change_however_rare_its_labels_are() -> None:
    """8 streams of 4,000 points with a tail of rare labels, five weeks in all: at one a week, five may be false."""
    mix = {f"l{rank}": 1 / rank**1.5 for rank in range(1, 40)}
    rule = {**SHARES, "min_effect": 0, "max_labels": 5}
    alarms = sum(len(opened(feed(watcher(rule), labels([(4000, mix)], seed, 100)))) for seed in range(8))
    assert alarms <= 8 * 4000 * 100 / 604_800


def test_more_labels_than_are_watched_are_one() -> None:
    watch = watcher({**SHARES, "max_labels": 3})
    feed(watch, labels([(600, {f"l{rank}": 1.0 for rank in range(30)})]))
    shown = {status.slice["model"]: status.level for status in watch.status()}
    assert len(shown) == 4
    assert shown["other"].value == pytest.approx(0.9, abs=0.05)
    assert sum(level.value for level in shown.values()) == pytest.approx(1.0)


@pytest.mark.parametrize("stop", [1, 150, 300, 2003, 2050])
def test_shares_go_on_wherever_they_were_stopped_or_moved(stop: int) -> None:
    points = labels([(2000, {"big": 0.7, "small": 0.3}), (600, {"big": 0.3, "small": 0.3, "newest": 0.4})])
    expected = feed(watcher(SHARES), points)
    first, second = watcher(SHARES), watcher(SHARES)
    told = feed(first, points[:stop])
    second.restore({key: value for key, value in first.take_state().items() if value is not None})
    assert told + feed(second, points[stop:]) == expected
    here, there = watcher(SHARES), watcher(SHARES)
    told = feed(here, points[:stop])
    for _, _, packed in here.move_out(lambda *_: True):
        told += there.adopt(packed)
    assert [c.id for c in opened(told + feed(there, points[stop:]))] == [c.id for c in opened(expected)]


def test_shares_without_points_are_forgotten_whole() -> None:
    watch = watcher({**SHARES, "forget_after": "1h", "adopt_after": "1h"}, {"watch": "grounded"})
    feed(watch, labels([(400, {"a": 0.5, "b": 0.5})]))
    assert len(watch.status()) == 3
    later = [replace(p, at_ns=p.at_ns + 90_000 * SECOND) for p in traffic([(2000, 0.9)], gap_seconds=60)]
    feed(watch, later)
    assert [status.metric for status in watch.status()] == ["grounded"]
    feed(watch, [replace(p, at_ns=later[-1].at_ns + 1) for p in labels([(1, {"c": 1.0})])])
    assert len(watch.status()) == 3


def test_a_small_change_is_recorded_but_not_paged_until_it_grows() -> None:
    rule = {"watch": "grounded", "min_effect": 0.4, "min_points": 40}
    changes = feed(watcher(rule), traffic([(2000, 0.95), (1500, 0.8), (600, 0.4)]))
    assert not opened(changes)[0].paged
    assert changes[-1].paged


@pytest.mark.parametrize("detector", ["adwin", "page_hinkley"])
def test_river_detectors_can_be_selected(detector: str) -> None:
    options = {"threshold": 5.0} if detector == "page_hinkley" else {}
    rule = {"watch": "grounded", "detector": detector, "options": options}
    changes = opened(feed(watcher(rule), traffic([(2000, 0.95), (1000, 0.6)])))
    assert [change.detector for change in changes] == [detector]


def test_null_streams_stay_within_the_budget() -> None:
    """Ten series, 80,000 points, 28 pages allowed: a standard error of 5."""
    rng, at, pages = Random(11), START, 0
    watch = watcher({"watch": "grounded", "by": ("service",), "min_effect": 0}, false_pages="0.25 per hour")
    for number in range(80_000):
        at += round(rng.expovariate(1 / 5) * SECOND)
        good = rng.random() < 0.9
        slices = {"service": f"s{rng.randrange(10)}"}
        changes = watch.update(Point("grounded", f"{number}", "", at, float(good), good, 1.0, slices, "e"))
        pages += sum(change.sequence == 0 and change.paged for change in changes)
    allowed = 0.25 * (at - START) / (3600 * SECOND)
    assert 20 < allowed < 35
    assert 3 <= pages <= allowed + 2 * allowed**0.5


@settings(max_examples=12, deadline=None)
@given(st.lists(st.integers(1, 4500), min_size=1, max_size=4), st.sampled_from(["mean", "adwin", "page_hinkley"]))
def test_a_watcher_restored_anywhere_tells_the_same(stops: list[int], detector: str) -> None:
    rules = ({"watch": "grounded", "by": ("service", "version"), "detector": detector, "warmup": 100},)
    points = [
        replace(point, probability=1.0 if number % 3 else 0.25)
        for number, point in enumerate(traffic([(2600, 0.9), (600, 0.6), (1300, 0.9)], version="1"))
    ]
    whole = watcher(*rules)
    expected = feed(whole, points)
    watch, saved, told = watcher(*rules), {}, []
    for number, point in enumerate(points):
        told += watch.update(point)
        if number in stops or number % 500 == 0:
            for key, value in watch.take_state().items():
                if value is None:
                    saved.pop(key, None)
                else:
                    saved[key] = value
        if number in stops:
            watch = watcher(*rules)
            watch.restore(dict(sorted(saved.items(), reverse=number % 2 == 0)))
    assert told == expected
    assert watch.status() == whole.status()


def test_state_stays_small_per_checkpoint() -> None:
    watch = watcher()
    feed(watch, traffic([(5000, 0.95)], version="1"))
    watch.take_state()
    feed(watch, traffic([(10, 0.95)], version="1", seed=2))
    taken = watch.take_state()
    assert sum(len(value or b"") for value in taken.values()) < 100_000
    assert watch.take_state().keys() == {"watcher"}


def test_a_monitor_that_is_gone_ends_its_changes_and_leaves_no_state() -> None:
    first = watcher()
    feed(first, traffic([(2000, 0.95), (300, 0.6)]))
    saved = {key: value for key, value in first.take_state().items() if value is not None}
    second = watcher({"watch": "refusal"})
    second.restore(saved)
    assert not any(value is None for value in second.take_state().values())  # not before it is told
    told = second.update(next(traffic([(1, 1.0)], metric="refusal")))
    assert [(change.status, change.reason) for change in told] == [("resolved", "reconfigured")]
    gone = {key for key, value in second.take_state().items() if value is None}
    assert gone == {key for key in saved if key.startswith("series/")}


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_corrupt_state_is_refused_whole_or_read(data: st.DataObject) -> None:
    key = data.draw(st.sampled_from(sorted(SAVED)))
    at, byte = data.draw(st.integers(0, len(SAVED[key]) - 1)), data.draw(st.integers(0, 255))
    cut = data.draw(st.booleans())
    broken = SAVED[key][:at] if cut else SAVED[key][:at] + bytes([byte]) + SAVED[key][at + 1 :]
    watch = watcher()
    refusal = ""
    try:
        watch.restore({**SAVED, key: broken})
    except UserError as error:
        refusal = str(error)
    if refusal:
        assert key.split("/")[0] in refusal
        assert watch.status() == []
    else:
        feed(watch, traffic([(20, 0.9)], seed=5))


def _saved() -> dict[str, bytes]:
    watch = watcher()
    feed(watch, traffic([(700, 0.95), (200, 0.6)]))
    return {key: value for key, value in watch.take_state().items() if value is not None}


SAVED = _saved()


@pytest.mark.parametrize("missing", ["past", "chunk/0", "head"])
def test_state_with_a_part_missing_is_refused(missing: str) -> None:
    watch = watcher()
    with pytest.raises(UserError, match="corrupt"):
        watch.restore({key: value for key, value in SAVED.items() if not key.endswith(missing)})


def test_state_of_another_version_is_refused() -> None:
    for key in (key for key in SAVED if key == "watcher" or key.endswith("/head")):
        newer = orjson.dumps({**orjson.loads(SAVED[key]), "v": 2})
        with pytest.raises(UserError, match="version 2"):
            watcher().restore({**SAVED, key: newer})


HOSTILE = [
    {"value": float("nan")}, {"value": float("inf")}, {"value": 1.5}, {"value": -0.1}, {"probability": 0.0},
    {"probability": float("nan")}, {"probability": 1.5}, {"probability": -1.0}, {"at_ns": -1}, {"at_ns": 2**63},
]  # fmt: skip


@pytest.mark.parametrize("wrong", HOSTILE, ids=str)
def test_a_point_out_of_range_is_counted_and_harms_nothing(wrong: dict[str, Any]) -> None:
    telemetry = Telemetry()
    watch = watcher(telemetry=telemetry)
    point = next(traffic([(1, 1.0)]))
    assert watch.update(replace(point, **wrong)) == []
    watch.take_state()
    points = telemetry.counter("driftline_points", "", ("metric", "outcome"))
    assert points.values() == {("grounded", "invalid"): 1}
    assert watch.status() == []


def test_revised_scores_are_counted_but_not_watched() -> None:
    telemetry = Telemetry()
    watch = watcher(telemetry=telemetry)
    points = list(traffic([(500, 0.9)]))
    feed(watch, points)
    before = watch.status()
    assert feed(watch, [replace(point, corrects=True, value=0.0, passed=False) for point in points]) == []
    assert watch.status() == before
    watch.take_state()
    assert telemetry.counter("driftline_revised_points", "", ("metric",)).total() == 500


def test_a_point_without_a_verdict_is_no_failure() -> None:
    telemetry = Telemetry()
    watch = watcher({"watch": "tokens"}, telemetry=telemetry)
    feed(watch, [replace(point, passed=None, metric="tokens") for point in traffic([(50, 0.0)])])
    assert watch.status() == []
    watch.take_state()
    assert telemetry.counter("driftline_points", "", ("metric", "outcome")).values() == {("tokens", "no_verdict"): 50}


def test_a_million_slices_are_watched_as_other() -> None:
    watch = watcher({"watch": "grounded", "by": ("service",), "max_series": 20})
    for number, point in enumerate(traffic([(3000, 0.9)])):
        watch.update(replace(point, slices={"service": f"s{number}"}))
    found = watch.status()
    assert len(found) == 21
    assert {"service": "other"} in [series.slice for series in found]
    assert sum(series.points for series in found) == 3000


def test_series_without_points_are_forgotten_and_their_changes_end() -> None:
    watch = watcher({"watch": "grounded", "by": ("service",), "adopt_after": "1h", "forget_after": "2h"})
    feed(watch, traffic([(2000, 0.95), (200, 0.5)]))
    assert watch.status()[0].status == "changed"
    end = START + 30_000 * SECOND
    late = [replace(p, at_ns=p.at_ns - START + end, slices={"service": "x"}) for p in traffic([(2100, 0.9)], seed=3)]
    changes = feed(watch, late)
    assert [change.reason for change in changes if change.status == "resolved"] == ["no_data"]
    assert [series.slice for series in watch.status()] == [{"service": "x"}]
    assert any(value is None for value in watch.take_state().values())


def test_a_trace_without_the_attribute_is_watched_as_unknown() -> None:
    watch = watcher()
    feed(watch, [replace(point, slices={}) for point in traffic([(5, 0.9)])])
    assert [series.slice for series in watch.status()] == [{"service": "unknown"}]


def test_gauges_show_the_change_and_forget_it_when_it_is_over() -> None:
    telemetry = Telemetry()
    watch = watcher({"watch": "grounded"}, telemetry=telemetry)
    points = list(traffic([(2000, 0.95), (500, 0.6), (1500, 0.95)]))
    labels = ("grounded", "grounded", "")
    gauges = {item.name: item for item in telemetry.instruments()}
    feed(watch, points[:2300])
    watch.take_state()
    assert gauges["driftline_change_active"].values()[labels] == 1.0  # type: ignore[attr-defined]
    assert gauges["driftline_change_paged"].values()[labels] == 1.0  # type: ignore[attr-defined]
    assert gauges["driftline_change_size_ratio"].values()[labels] < -0.2  # type: ignore[attr-defined]
    assert gauges["driftline_change_evidence_ratio"].values()[labels] >= 1.0  # type: ignore[attr-defined]
    low, level, high = (
        gauges[f"driftline_estimate{part}_ratio"].values()[labels]  # type: ignore[attr-defined]
        for part in ("_lower", "", "_upper")
    )
    assert 0 <= low < level < high <= 1
    feed(watch, points[2300:])
    watch.take_state()
    assert gauges["driftline_change_active"].values()[labels] == 0.0  # type: ignore[attr-defined]
    assert gauges["driftline_change_paged"].values()[labels] == 0.0  # type: ignore[attr-defined]
    assert gauges["driftline_change_onset_timestamp_seconds"].values() == {}  # type: ignore[attr-defined]


def test_a_series_that_went_silent_shows_no_level() -> None:
    telemetry = Telemetry()
    watch = watcher({"watch": "grounded", "by": ("service",)}, telemetry=telemetry)
    silent = list(traffic([(500, 0.95)], service="a"))
    gauges = {item.name: item for item in telemetry.instruments()}

    def shown() -> set[str]:
        found = gauges["driftline_estimate_ratio"].values()  # type: ignore[attr-defined]
        assert found.keys() == gauges["driftline_estimate_lower_ratio"].values().keys()  # type: ignore[attr-defined]
        return {labels[-1] for labels in found}

    feed(watch, silent)
    for point in traffic([(800, 0.95)], seed=2, service="b"):
        watch.update(replace(point, at_ns=point.at_ns + silent[-1].at_ns - START))
        watch.take_state()
        if point.at_ns - START < 3500 * SECOND:
            assert "service=a" in shown()
    assert shown() == {"service=b"}
    watch.update(replace(silent[0], at_ns=silent[-1].at_ns + 8000 * SECOND))
    watch.take_state()
    assert shown() == {"service=a", "service=b"}


def test_every_instrument_ends_with_its_unit() -> None:
    telemetry = Telemetry()
    watcher(telemetry=telemetry)
    for instrument in telemetry.instruments():
        assert instrument.name.startswith("driftline_")
        assert instrument.help
        if instrument.unit:
            assert instrument.name.endswith("_" + instrument.unit)


@pytest.mark.parametrize(
    ("rules", "named"),
    [
        ([{"watch": "nothing"}], r"monitors\[0\].watch: 'nothing'"),
        ([{"watch": "tokens", "statistic": "mean"}], r"monitors\[0\].statistic"),
        ([{"watch": "grounded"}, {"watch": "grounded"}], r"monitors\[1\].name"),
        ([{"watch": "grounded", "detector": "magic"}], r"monitors\[0\].detector"),
        ([{"watch": "grounded", "options": {"speed": 2}}], r"monitors\[0\].options"),
        ([{"watch": "grounded", "options": {"arl": 2}}], r"monitors\[0\].options.arl"),
        ([{"watch": "grounded", "options": {"direction": "up"}}], r"monitors\[0\].options.direction"),
        ([{"watch": "grounded", "by": ["a", "a"]}], r"monitors\[0\].by"),
    ],
)
def test_every_wrong_rule_is_named_with_its_path(rules: list[dict[str, Any]], named: str) -> None:
    with pytest.raises(UserError, match=named):
        watcher(*rules)


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(UserError) as caught:
        watcher({"watch": "a"}, {"watch": "b"}, {"watch": "grounded", "detector": "magic"})
    assert len(caught.value.problems) == 3
    with pytest.raises(UserError, match="false_pages"):
        watcher(false_pages="never")


# --- several watchers ---


def moved(watch: Watcher, other: Watcher) -> list[Change]:
    """Hand every series of `watch` over to `other`; what there is to tell of changes by then."""
    return [change for _, _, packed in watch.move_out(lambda metric, slices: True) for change in other.adopt(packed)]


@pytest.mark.parametrize("at", [100, 1500, 3100])
def test_a_series_that_moves_goes_on_with_all_it_knew(at: int) -> None:
    rule = {"watch": "grounded", "by": ("service",), "detector": "adwin"}
    points = list(traffic([(3000, 0.95), (1500, 0.6)]))
    expected = feed(watcher(rule), points)
    assert opened(expected)

    first, second = watcher(rule), watcher(rule)
    feed(second, points[:1])  # its clock has begun, and so has a series of that name
    changes = feed(first, points[1:at])
    changes += moved(first, second)
    assert first.status() == []
    third = watcher(rule)
    third.restore({key: value for key, value in second.take_state().items() if value is not None})
    changes += feed(third, points[at:])
    found, wanted = opened(changes)[0], opened(expected)[0]
    assert (found.id, found.onset_ns, found.slice) == (wanted.id, wanted.onset_ns, wanted.slice)
    assert abs(found.detected_ns - wanted.detected_ns) < 200 * SECOND


def test_what_came_before_a_moved_series_arrived_is_counted_after_it() -> None:
    points = list(traffic([(1000, 0.95)]))
    first, second = watcher(), watcher()
    feed(first, points[:900])
    feed(second, points[900:])
    moved(first, second)
    assert [one.points for one in second.status()] == [1000]
    state = first.take_state()
    assert [key for key, value in state.items() if value is not None] == ["watcher"]


def test_a_series_of_a_monitor_that_is_gone_ends_its_change() -> None:
    first, second = watcher(), watcher({"watch": "grounded", "by": ("service",), "min_effect": 0.2, "name": "other"})
    assert opened(feed(first, traffic([(3000, 0.95), (400, 0.6)])))
    (ended,) = moved(first, second)
    assert (ended.status, ended.reason) == ("resolved", "reconfigured")
    with pytest.raises(UserError, match="moved series"):
        second.adopt(b"{}")


def test_watchers_with_a_share_each_spend_no_more_than_the_whole_together() -> None:
    rule = {"watch": "grounded", "by": ("service",), "warmup": 50}
    telemetry = Telemetry()
    budget = telemetry.gauge("driftline_false_page_budget_spent", "")
    shared = [watcher(rule, false_pages="1 per hour", telemetry=telemetry) for _ in range(4)]
    whole = watcher(rule, false_pages="1 per hour")
    for number, one in enumerate(shared):
        one.share(1 / 4)
        feed(one, traffic([(2000, 0.9)], seed=number, service=f"s{number}"))
        one.take_state()
    feed(whole, traffic([(2000, 0.9)]))
    hours = 2000 * 10 / 3600
    assert 0.8 * hours < budget.values()[()] < 1.1 * hours
    for one in shared:
        one.leave()
    assert budget.values()[()] == pytest.approx(0, abs=1e-9)
