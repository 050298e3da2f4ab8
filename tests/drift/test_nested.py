"""Of slices that hold one another, which one a change is of."""

from random import Random

import pytest

from drift.base import Shift
from drift.estimate import Sums
from drift.nested import compatible, falls_outside, inside, parted, stronger_than_rest
from drift.recent import Recent, Record


def sums(count: int, mean: float, weight: float = 1.0) -> Sums:
    found = Sums()
    for number in range(count):
        found.add(float(number < count * mean), weight)
    return found


def both(one: Sums, other: Sums) -> Sums:
    whole = one.copy()
    whole.include(other)
    return whole


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(("rest_after", "stronger"), [(0.9, True), (0.6, False), (0.3, False)])
def test_a_slice_is_stronger_only_if_the_rest_did_not_move_as_far(rest_after: float, stronger: bool, sign: int) -> None:
    turn = (lambda mean: mean) if sign == 1 else (lambda mean: 1.0 - mean)
    direction: Shift = "down" if sign == 1 else "up"
    own = sums(500, turn(0.9)), sums(100, turn(0.6))
    whole = both(own[0], sums(2000, turn(0.9))), both(own[1], sums(400, turn(rest_after)))
    assert stronger_than_rest(own, whole, direction) == stronger
    assert not stronger_than_rest(own, whole, "up" if direction == "down" else "down") or not stronger


def test_a_slice_that_is_the_whole_is_not_stronger_than_it() -> None:
    own = sums(500, 0.9), sums(100, 0.1)
    assert not stronger_than_rest(own, own, "down")
    assert not stronger_than_rest(own, (both(own[0], sums(9, 0.9)), both(own[1], sums(4, 1.0))), "down")


def test_points_that_repeat_one_another_say_less() -> None:
    own = sums(500, 0.9), sums(60, 0.6)
    whole = both(own[0], sums(2000, 0.9)), both(own[1], sums(240, 0.9))
    assert stronger_than_rest(own, whole, "down", 1.0)
    assert not stronger_than_rest(own, whole, "down", 10.0)


def test_chance_alone_is_seldom_stronger() -> None:
    """Three standard errors, one side: .00135; of 2,000 trials 2.7, with a standard error of 1.6."""
    rng, found = Random(3), 0

    def drawn(count: int) -> Sums:
        made = Sums()
        for _ in range(count):
            made.add(float(rng.random() < 0.7), 1.0)
        return made

    for _ in range(2000):
        own = drawn(100), drawn(40)
        found += stronger_than_rest(own, (both(own[0], drawn(200)), both(own[1], drawn(80))), "down")
    assert found <= 2.7 + 3 * 1.6


def records(count: int, mean: float, *pairs: tuple[str, str]) -> list[Record]:
    return [(number, float(number < count * mean), 1.0, "", pairs) for number in range(count)]


def test_what_fell_only_inside_of_what_is_told_is_explained() -> None:
    fell, well = records(50, 0.5, ("model", "x"), ("tool", "y")), records(200, 0.9, ("model", "x"), ("tool", "z"))
    told = [(("tool", "y"),)]
    assert not falls_outside(sums(1000, 0.9), fell + well, told, "down")
    assert falls_outside(sums(1000, 0.9), fell + records(200, 0.7, ("model", "x")), told, "down")
    assert falls_outside(sums(1000, 0.9), fell + well, [], "up") is False
    assert not falls_outside(sums(1000, 0.9), fell, told, "down"), "nothing is outside"
    assert not falls_outside(sums(1000, 0.9), fell + well, [*told, (("tool", "z"),)], "down")


def test_a_trace_may_be_in_two_slices_unless_an_attribute_differs() -> None:
    assert compatible({"a": "1"}, {"b": "2"})
    assert compatible({"a": "1", "b": "2"}, {"a": "1"})
    assert not compatible({"a": "1", "b": "2"}, {"a": "1", "b": "3"})
    record = (0, 1.0, 1.0, "", (("a", "1"), ("b", "2")))
    assert inside((("b", "2"),), record)
    assert inside((), record)
    assert not inside((("b", "2"), ("c", "3")), record)


def test_what_is_remembered_is_parted_by_time() -> None:
    recent = Recent()
    for number in range(3000):
        recent.append((number, 1.0, 1.0, "", ()))
    before, after = parted(recent, 2500)
    assert (before.n, after.n) == (2500, 500)
    assert parted(recent, 0)[1].n == 3000


def test_a_part_is_taken_away_and_nothing_falls_below_none() -> None:
    whole, part = sums(100, 0.9), sums(40, 0.5)
    assert both(whole.without(part), part) == whole
    assert part.without(whole).n == 0
    assert min(part.without(whole).to_json()) == 0
