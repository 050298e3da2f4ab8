"""Places of a listener: whoever comes and goes, no client has more than its part, and none is lost."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from collector.receivers.places import Places


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=60), st.integers(1, 12), st.integers(1, 12))
def test_a_client_has_at_most_its_part_and_all_together_the_whole(
    steps: list[tuple[str, bool]], most: int, most_of_one: int
) -> None:
    places, held = Places(most, most_of_one), Counter[str]()
    for client, comes in steps:
        if not comes and held[client]:
            places.give_back(client)
            held[client] -= 1
        elif comes:
            refused = places.take(client)
            whole, part = held.total() >= most, held[client] >= most_of_one
            assert refused == ("connections" if whole else "address_connections" if part else "")
            held[client] += not refused


@given(st.integers(1, 100_000))
def test_by_default_one_address_leaves_a_tenth_to_others_and_loses_hardly_any(most: int) -> None:
    assert 0.9 * most <= Places(most).most_of_one < 0.9 * most + 1
