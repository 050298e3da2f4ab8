"""Vectors are kept in order, the newest only where so many are wanted, and are the same after a restart."""

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drift.vectors.memory import CHUNK, Vectors


def saved(vectors: Vectors, state: dict[str, bytes], everything: bool = False) -> dict[str, bytes]:
    for name, data in vectors.take_state("k", everything).items():
        part = name.removeprefix("k/")
        if data is None:
            state.pop(part, None)
        else:
            state[part] = data
    return state


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 300), min_size=1, max_size=8), st.sampled_from([None, 1, 3]))
def test_state_that_was_merged_over_time_is_all_of_it(steps: list[int], most: int | None) -> None:
    vectors, state, number = Vectors("v", most), dict[str, bytes](), 0
    for step in steps:
        for _ in range(step):
            vectors.add(number.to_bytes(4), 1.0 + number)
            number += 1
        saved(vectors, state)
    twin = Vectors("v", most)
    twin.load(state)
    kept = list(vectors)
    assert list(twin) == kept
    assert twin.total == vectors.total == len(kept)
    assert kept[-1][0] == (number - 1).to_bytes(4)
    assert len(kept) == number if most is None else len(kept) <= (most + 1) * CHUNK
    assert saved(twin, {}, everything=True) == state


def test_clearing_deletes_what_was_saved() -> None:
    vectors, state = Vectors("v"), dict[str, bytes]()
    for number in range(300):
        vectors.add(number.to_bytes(4), 1.0)
    saved(vectors, state)
    vectors.clear()
    saved(vectors, state)
    twin = Vectors("v")
    twin.load(state)
    assert list(twin) == []
    assert len(state) == 1


def test_how_many_were_let_go_is_told() -> None:
    vectors = Vectors("v", 1)
    assert sum(vectors.add(b"ab", 1.0) for _ in range(5 * CHUNK)) == 5 * CHUNK - vectors.total


@pytest.mark.parametrize(
    "parts",
    [
        {},
        {"v/0": orjson.dumps([]), "v/2": orjson.dumps([])},
        {"v/0": orjson.dumps([["AAAA", 1.0]]), "v/1": orjson.dumps([])},
        {"v/0": orjson.dumps([["AAAA", 0.0]])},
        {"v/0": orjson.dumps([["AAAA", 1]])},
        {"v/0": orjson.dumps([["%%%", 1.0]])},
        {"v/0": orjson.dumps([["AAAA", 1.0], ["AAA=", 1.0]])},
        {"v/0": b"{"},
    ],
)
def test_what_is_no_state_is_refused(parts: dict[str, bytes]) -> None:
    with pytest.raises(ValueError):
        Vectors("v").load(parts)
