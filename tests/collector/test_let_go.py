"""The ids of traces that were let go: a bounded set that survives a restart."""

from hypothesis import given, settings
from hypothesis import strategies as st

from collector.let_go import LetGo


def ids(numbers: range) -> list[bytes]:
    return [number.to_bytes(16, "big") for number in numbers]


def test_the_last_ids_are_known_and_the_oldest_are_dropped_a_table_at_a_time() -> None:
    under = LetGo(800)
    for one in ids(range(2000)):
        under.add(one)
    known = [one in under for one in ids(range(2000))]
    assert all(known[-800:])
    assert sum(known) <= 900
    assert not any(one in under for one in ids(range(5000, 9000)))


@given(st.integers(8, 400), st.lists(st.integers(0, 300), max_size=300), st.integers(1, 300))
@settings(max_examples=60, deadline=None)
def test_what_is_stored_and_loaded_is_the_same_set(most: int, added: list[int], every: int) -> None:
    under = LetGo(most)
    state: dict[str, bytes] = {}
    for number, one in enumerate(added):
        under.add(one.to_bytes(16, "big"))
        if number % every == 0 or number == len(added) - 1:
            for key, value in under.take_state().items():
                if value is None:
                    state.pop(key, None)
                else:
                    state[key] = value
    again = LetGo(most)
    again.restore([*state.items(), ("position", b"{}")])
    assert [one in again for one in ids(range(301))] == [one in under for one in ids(range(301))]
    under.add(b"x" * 16)
    again.add(b"x" * 16)
    assert under.take_state().keys() == again.take_state().keys()
