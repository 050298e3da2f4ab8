"""The keys met most, in a table of fixed size."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drift.heavy import HeavyHitters


@given(st.lists(st.sampled_from("abcdefghij"), max_size=300), st.integers(5, 9))
def test_counts_are_too_low_by_no_more_than_promised_and_never_too_high(letters: list[str], size: int) -> None:
    table, true = HeavyHitters(size), Counter(letters)
    for letter in letters:
        table.add((letter,))
    assert len(table.most(1)) <= size
    for letter, count in true.items():
        assert count - len(letters) / (size + 1) <= table.count((letter,)) <= count


def test_a_million_keys_leave_the_frequent_one() -> None:
    table = HeavyHitters(50)
    for number in range(1_000_000):
        table.add((f"k{number}",))
        if number % 10 == 0:
            table.add(("often",))
    assert table.most(32)[0][0] == ("often",)
    assert len(table.most(1)) <= 50


def test_what_was_met_long_ago_makes_room() -> None:
    table = HeavyHitters(4)
    for key in ["old"] * 100 + ["new"] * 1000:
        table.add((key,))
    assert table.count(("old",)) < 10 < table.count(("new",)) < 500


def test_a_table_goes_on_as_it_was() -> None:
    table, twin = HeavyHitters(3), HeavyHitters(3)
    for number in range(500):
        table.add((f"k{number % 5}", "x"))
    twin.load_json(table.to_json())
    for one in (table, twin):
        for number in range(300):
            one.add((f"k{number % 7}", "x"))
    assert table.to_json() == twin.to_json()


def test_a_smaller_table_takes_over_those_met_most() -> None:
    table, twin = HeavyHitters(4), HeavyHitters(2)
    for letter in "aaabbcdaab":
        table.add((letter,))
    twin.load_json(table.to_json())
    assert [key for key, _ in twin.most(1)] == [("a",), ("b",)]


@pytest.mark.parametrize(
    "raw",
    [
        None,
        {},
        [],
        {"added": -1, "counts": []},
        {"added": 1.0, "counts": []},
        {"added": 1, "counts": {}},
        {"added": 1, "counts": [["a", 1]]},
        {"added": 1, "counts": [[["a"], 0]]},
        {"added": 1, "counts": [[["a"], "1"]]},
        {"added": 1, "counts": [[[1], 1]]},
        {"added": 1, "counts": [1]},
    ],
)
def test_a_corrupt_table_is_refused(raw: Any) -> None:
    table = HeavyHitters(3)
    table.add(("a",))
    with pytest.raises((ValueError, TypeError, KeyError)):
        table.load_json(raw)
    assert table.count(("a",)) == 1
