"""Carriers of a change: shares that add up, and values that tell something."""

from random import Random

import pytest

from drift.attribute import carriers, contrast, worst
from drift.base import Carrier
from drift.recent import Mix, Record


def record(number: int, x: float, w: float = 1.0, **slices: str) -> Record:
    return (number, x, w, f"t{number}", tuple(slices.items()))


def find(before: list[Record], after: list[Record], *fixed: str) -> dict[tuple[str, str], Carrier]:
    found = carriers(Mix().add_all(before), Mix().add_all(after), fixed, lambda x: x)
    return {(c.attribute, c.value): c for c in found}


def rows(count: int, level: float, start: int = 0, **slices: str) -> list[Record]:
    return [record(start + i, 1.0 if (i % 100) < level * 100 else 0.0, **slices) for i in range(count)]


def test_a_new_version_that_fails_carries_all_and_the_replaced_one_nothing() -> None:
    found = find(rows(200, 0.9, version="1"), rows(200, 0.5, version="2"))
    assert found.keys() == {("version", "2")}
    assert found["version", "2"].share == pytest.approx(1.0)
    assert found["version", "2"].is_new
    assert found["version", "2"].before is None


def test_a_canary_that_fails_carries_all() -> None:
    found = find(rows(400, 0.9, version="1"), rows(300, 0.9, version="1") + rows(100, 0.3, version="2"))
    assert found.keys() == {("version", "2")}
    assert found["version", "2"].share == pytest.approx(1.0)
    assert found["version", "2"].traffic == pytest.approx(0.25)


def test_a_model_that_got_worse_is_told_from_traffic_that_moved() -> None:
    before = rows(200, 0.9, model="a") + rows(200, 0.5, model="b")
    within = find(before, rows(200, 0.9, model="a") + rows(200, 0.1, model="b"))["model", "b"]
    assert (within.within, within.mix) == (pytest.approx(1.0), pytest.approx(0.0))
    moved = find(before, rows(100, 0.9, model="a") + rows(700, 0.5, model="b"))["model", "b"]
    assert moved.mix == pytest.approx(moved.share)
    assert moved.within == pytest.approx(0.0)


def test_an_attribute_that_says_nothing_is_left_out() -> None:
    rng = Random(3)
    noise = [
        record(i, float(rng.random() < (0.9 if i < 1000 else 0.5)), tenant=rng.choice("abcd")) for i in range(2000)
    ]
    assert find(noise[:1000], noise[1000:]) == {}
    assert find(rows(100, 0.9, region="eu"), rows(100, 0.5, region="eu")) == {}


def test_what_defines_the_series_is_no_carrier() -> None:
    assert find(rows(100, 0.9, service="a"), rows(100, 0.5, service="b"), "service") == {}


def test_attributes_and_values_are_bounded() -> None:
    mix = Mix()
    for number in range(5000):
        mix.add(record(number, 1.0, **{f"a{number % 200}": f"v{number}"}))
    assert len(mix.values) <= 64
    assert all(len(values) <= 65 for values in mix.values.values())
    after = [record(number, 0.0, a1=f"w{number}") for number in range(3000)]
    assert len(carriers(mix, Mix().add_all(after), (), lambda x: x)) <= 8


def test_the_worst_traces_are_of_the_carrier_and_the_contrast_is_as_usual() -> None:
    good = [record(i, 1.0 if i % 10 else 0.0, version="1") for i in range(50)]
    bad = [record(100 + i, 0.0, version="2" if i % 2 else "1") for i in range(40)]
    top = [Carrier("version", "2", 1.0, None, 0.0, True)]
    assert worst(bad, "down", top) == ["t139", "t137", "t135", "t133", "t131"]
    assert contrast(good, "down", 0.9) == ["t49", "t48", "t47", "t46", "t45"]
    assert worst(good, "up", []) == ["t49", "t48", "t47", "t46", "t45"]
