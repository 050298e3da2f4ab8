"""Monitors with a frozen reference: what is read, what is refused, and what becomes of a series with one."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from collector.core.errors import UserError
from collector.core.telemetry import Telemetry
from drift.base import Change
from drift.monitor import MonitorConfig, Watcher
from drift.reference import parse_span
from tests.drift.test_monitor import METRICS, feed, opened, traffic

DAY = "2026-03-0{}T12:00:00Z"


def row(value: float | None, passed: bool | None = True, day: int = 1, **more: Any) -> dict[str, Any]:
    base = {"form": "driftline.score/1", "scorer": "grounded", "event_time": DAY.format(day), "trace_id": "a" * 32}
    return {**base, "slices": {"service": "shop"}, "value": value, "passed": passed, "probability": 1.0, **more}


def good(count: int, level: float = 0.95, seed: int = 3, **more: Any) -> list[dict[str, Any]]:
    rng = Random(seed)
    return [row(float(rng.random() < level), **more) for _ in range(count)]


def written(folder: Path, rows: Sequence[Any]) -> Path:
    path = folder / "good.jsonl"
    path.write_text("\n".join(one if isinstance(one, str) else json.dumps(one) for one in rows) + "\n")
    return path


def watcher(path: Path, period: str | None = None, false_pages: str = "1 per week", **rule: Any) -> Watcher:
    baseline = {"file": path.name, **({"period": period} if period else {})}
    config = MonitorConfig.model_validate({"watch": "grounded", "by": ("service",), "baseline": baseline, **rule})
    return Watcher([config], false_pages, METRICS, Telemetry(), path.parent)


def test_a_stream_that_is_bad_from_its_first_point_is_found(tmp_path: Path) -> None:
    path = written(tmp_path, good(1_000))
    (first, *_) = opened(feed(watcher(path), traffic([(400, 0.8)])))
    assert first.direction == "down"
    assert first.paged
    assert first.before.value == pytest.approx(0.95, abs=0.02)
    assert first.after.value == pytest.approx(0.8, abs=0.1)
    unheld = Watcher(
        [MonitorConfig(watch="grounded", by=("service",))], "1 per week", METRICS, Telemetry()
    )  # learns that bad is usual
    assert opened(feed(unheld, traffic([(400, 0.8)]))) == []


def test_what_is_as_good_as_the_reference_is_no_change(tmp_path: Path) -> None:
    assert feed(watcher(written(tmp_path, good(1_000))), traffic([(6_000, 0.95)])) == []


def test_a_change_that_recovers_is_held_against_the_reference_again(tmp_path: Path) -> None:
    """After the way back a slow slide follows, which a growing baseline would go along with."""
    slide = [(400, 0.95 - 0.005 * step) for step in range(24)]
    changes = feed(watcher(written(tmp_path, good(2_000))), traffic([(300, 0.95), (600, 0.7), (2_500, 0.95), *slide]))
    begun = opened(changes)
    assert len(begun) >= 2
    assert any(one.reason == "recovered" for one in changes)


def test_a_slice_without_enough_of_a_reference_learns_from_its_stream(tmp_path: Path) -> None:
    watch = watcher(written(tmp_path, good(1_000)))
    assert feed(watch, traffic([(250, 0.5)], service="bank")) == []
    (series,) = watch.status()
    assert (series.slice, series.status) == ({"service": "bank"}, "warming")


def test_scores_without_slices_belong_to_every_series(tmp_path: Path) -> None:
    path = written(tmp_path, good(1_000, slices={}))
    assert opened(feed(watcher(path), traffic([(400, 0.7)], service="bank")))


def test_a_mean_is_read_in_the_unit_of_its_scorer_and_rows_of_a_data_set_will_do(tmp_path: Path) -> None:
    rng = Random(1)
    rows = [{"id": str(at), "score": 1 + 4 * rng.betavariate(8, 2), "passed": True} for at in range(500)]
    worse = [replace(one, value=1 + 4 * rng.betavariate(5, 5)) for one in traffic([(200, 0.5)], metric="rating")]
    (first, *_) = opened(feed(watcher(written(tmp_path, rows), watch="rating"), worse))
    assert first.before.value == pytest.approx(4.2, abs=0.1)
    assert first.after.value == pytest.approx(3.0, abs=0.3)


def test_only_scores_of_the_period_count(tmp_path: Path) -> None:
    path = written(tmp_path, [*good(400, 0.5, day=1), *good(400, 0.95, day=3)])
    (first, *_) = opened(feed(watcher(path, "2026-03-02..2026-03-04"), traffic([(600, 0.75)])))
    assert first.before.value == pytest.approx(0.95, abs=0.03)


def test_a_watcher_goes_on_after_a_restart_as_if_nothing_had_been(tmp_path: Path) -> None:
    path = written(tmp_path, good(1_000))
    points = list(traffic([(500, 0.95), (500, 0.8)]))
    whole = feed(watcher(path), points)
    first = watcher(path)
    told: list[Change] = feed(first, points[:300])
    second = watcher(path)
    second.restore({key: value for key, value in first.take_state().items() if value is not None})
    assert told + feed(second, points[300:]) == whole
    assert whole


def test_another_reference_is_another_monitor(tmp_path: Path) -> None:
    watch = watcher(written(tmp_path, good(1_000)))
    feed(watch, traffic([(100, 0.95)]))
    state = {key: value for key, value in watch.take_state().items() if value is not None}
    other = watcher(written(tmp_path, good(1_000, seed=4)))
    other.restore(state)
    assert list(other.status()) == []


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (good(12), "has 12 values of 'grounded'; 300 are needed (warmup)"),
        (good(400, scorer="refusal"), "has 0 values of 'grounded'; 300 are needed (warmup); it has scores of refusal"),
        ([], "has 0 values of 'grounded'; 300 are needed (warmup)"),
        (["{"], "line 1: is not JSON"),
        (["[1]"], "line 1: is not an object"),
        ([row(0.5), row(1.5)], "line 2: value is 1.5; the scorer's range is 0 to 1"),
        ([row("high")], "line 1: value is 'high'"),  # type: ignore[arg-type]
        ([row(0.5, probability=0)], "line 1: probability is 0; it must be more than 0 and at most 1"),
        ([row(0.5, slices=["shop"])], "line 1: slices is ['shop']; it must be an object of texts"),
        ([row(0.5, event_time="yesterday")], "line 1: Invalid isoformat string: 'yesterday'"),
    ],
)
def test_a_reference_that_is_none_is_refused_with_its_field_file_and_line(
    tmp_path: Path, rows: Sequence[Any], told: str
) -> None:
    with pytest.raises(UserError) as caught:
        watcher(written(tmp_path, rows))
    assert caught.value.problems[0].startswith(f"monitors[0].baseline.file: {tmp_path / 'good.jsonl'}")
    assert told in caught.value.problems[0]


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"monitors\[0\]\.baseline\.file: .*none\.jsonl cannot be read: No such file"):
        watcher(tmp_path / "none.jsonl")


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ({"detector": "rank"}, r"monitors\[0\]\.baseline: the detector is 'rank'; only 'mean' takes a reference"),
        ({"watch": "tokens", "statistic": "typical"}, "the statistic is typical; only mean and pass_rate take a"),
        ({"watch": "model", "statistic": "share"}, "the statistic is share; only mean and pass_rate take a reference"),
        ({"options": {"season": "auto"}}, r"monitors\[0\]\.options: .*season"),
    ],
)
def test_what_cannot_be_held_against_a_reference_says_what_can(tmp_path: Path, rule: Any, told: str) -> None:
    path = written(tmp_path, good(400))
    with pytest.raises(UserError, match=told):
        watcher(path, **rule)


@pytest.mark.parametrize("text", ["", "2026-03-01", "2026-03-02..2026-03-01", "a..b", "2026-03-01..", "1..2"])
def test_a_period_is_two_moments(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not FROM\.\.TO"):
        parse_span(text)
