"""How fast a client may ask, how many wrong tokens it may try, and that neither costs memory without bound."""

from hypothesis import given
from hypothesis import strategies as st

from collector.core.frequency import Frequency
from collector.receivers.throttle import Guesses, Throttle, network_of


def test_a_client_may_ask_so_often_at_once_and_then_at_the_pace_of_the_limit() -> None:
    throttle = Throttle(Frequency(3, 60))
    assert [throttle.wait_seconds("a", 100.0) for _ in range(4)] == [0, 0, 0, 20]
    assert throttle.wait_seconds("a", 119.0) == 1
    assert throttle.wait_seconds("a", 120.0) == 0
    assert throttle.wait_seconds("a", 120.0) == 20


def test_one_client_takes_nothing_from_another() -> None:
    throttle = Throttle(Frequency(1, 60))
    assert [throttle.wait_seconds(client, 0.0) for client in ("a", "b", "a")] == [0, 0, 60]


@given(st.lists(st.floats(0, 50), max_size=200), st.integers(1, 5))
def test_in_no_stretch_of_a_period_are_there_more_than_twice_the_limit(gaps: list[float], count: int) -> None:
    throttle, now, taken = Throttle(Frequency(count, 60)), 1000.0, []
    for gap in gaps:
        now += gap
        if throttle.wait_seconds("a", now) == 0:
            taken.append(now)
    for first in taken:
        assert sum(first <= at < first + 59.99 for at in taken) <= 2 * count


@given(st.floats(0, 1e6), st.integers(1, 50))
def test_who_waits_as_long_as_it_was_told_is_taken(now: float, count: int) -> None:
    throttle = Throttle(Frequency(count, 60))
    while (wait := throttle.wait_seconds("a", now)) == 0:
        pass
    assert throttle.wait_seconds("a", now + wait + 1e-6) == 0


def test_of_many_clients_those_that_asked_longest_ago_are_forgotten() -> None:
    throttle, guesses = Throttle(Frequency(1, 60), most_clients=10), Guesses(Frequency(1, 60), most_clients=10)
    for number in range(1000):
        throttle.wait_seconds(f"client {number}", 0.0)
        guesses.wrong(f"client {number}", b"guess", 0.0)
    assert (len(throttle._full_at), len(guesses._tried)) == (10, 10)
    assert throttle.wait_seconds("client 999", 1.0) > 0
    assert guesses.wait_seconds("client 999", 1.0) > 0
    assert guesses.wait_seconds("client 0", 1.0) == 0


def test_whoever_tries_different_tokens_is_not_listened_to_for_the_rest_of_the_period() -> None:
    guesses = Guesses(Frequency(3, 60))
    for at, guess in enumerate((b"a", b"b", b"c")):
        assert guesses.wait_seconds("somebody", at) == 0
        guesses.wrong("somebody", guess, at)
    assert guesses.wait_seconds("somebody", 10) == 50
    assert guesses.wait_seconds("another", 10) == 0
    assert guesses.wait_seconds("somebody", 60) == 0


def test_the_same_wrong_token_over_and_over_is_a_sender_with_an_old_one_and_shuts_nobody_out() -> None:
    guesses = Guesses(Frequency(2, 60))
    for at in range(1000):
        guesses.wrong("proxy", b"the old one", at / 100)
        assert guesses.wait_seconds("proxy", at / 100) == 0


def test_however_many_tokens_are_tried_few_are_remembered() -> None:
    guesses = Guesses(Frequency(5, 60))
    for number in range(1000):
        guesses.wrong("somebody", str(number).encode(), 0.0)
    assert len(guesses._tried["somebody"]) == 5


@given(st.text(max_size=60))
def test_any_text_in_place_of_an_address_is_a_client(address: str) -> None:
    assert network_of(address)
