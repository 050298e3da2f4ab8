"""What made the traces, bounded: each value its place, a flood in `other`, and the same after a restart."""

from random import Random

import pytest

from drift.provenance import MOST_SERVICES, MOST_VALUES, TOLD, Provenance, as_text

HOUR = 3_600_000_000_000


def values(provenance: Provenance, value: str, at_ns: int = 0, service: str = "shop") -> tuple[tuple[str, str], ...]:
    return provenance.pairs(service, as_text((("prompt", value),)), at_ns)


def test_what_is_told_is_held_and_what_is_not_told_is_nothing() -> None:
    made_by = Provenance()
    text = as_text((("model", "gpt 4"), ("tool", "a"), ("tool", "b")))
    assert made_by.pairs("shop", text, 0) == (
        TOLD,
        ("provenance.model", "gpt 4"),
        ("provenance.tool", "a"),
        ("provenance.tool", "b"),
    )
    assert made_by.pairs("shop", "", 0) == ()


def test_hundreds_of_thousands_of_values_take_no_more_room_than_their_places_and_are_counted() -> None:
    made_by = Provenance()
    for number in range(300_000):
        values(made_by, f"v{number}", number * 1000)
    state = made_by.take_state()
    assert state is not None
    assert len(state) < 2000
    assert made_by.folded[("prompt",)] == 300_000 - MOST_VALUES
    assert values(made_by, "v3") == (TOLD, ("provenance.prompt", "v3"))  # the first keep their places
    assert values(made_by, "one more") == (TOLD, ("provenance.prompt", "other"))


def test_a_place_that_is_idle_for_hours_goes_to_what_comes_then_and_one_in_use_does_not() -> None:
    made_by = Provenance()
    for number in range(MOST_VALUES):
        values(made_by, f"v{number}")
    for hour in range(1, 4):
        values(made_by, "v0", hour * HOUR)
    assert values(made_by, "new", 3 * HOUR)[1] == ("provenance.prompt", "new")
    assert values(made_by, "v0", 3 * HOUR)[1] == ("provenance.prompt", "v0")
    assert values(made_by, "v1", 3 * HOUR)[1] == ("provenance.prompt", "v1")  # came back: another idle place is its own


def test_services_have_places_of_their_own_as_long_as_they_are_not_too_many() -> None:
    made_by = Provenance()
    for number in range(2 * MOST_SERVICES):
        values(made_by, "1", service=f"s{number}")
    state = made_by.take_state()
    assert state is not None
    assert state.count(b"prompt") == MOST_SERVICES + 1


@pytest.mark.parametrize("seed", range(5))
def test_it_goes_on_after_a_restart_as_it_would_have(seed: int) -> None:
    rng = Random(seed)
    steps = [(f"v{int(rng.expovariate(0.02))}", i * HOUR // 40) for i in range(1500)]
    whole, parts = Provenance(), Provenance()
    stored = Provenance.NOTHING
    for number, (value, at_ns) in enumerate(steps):
        if number % 97 == 0:
            stored = parts.take_state() or stored
            parts = Provenance()
            parts.load(stored)
        assert values(parts, value, at_ns) == values(whole, value, at_ns)


@pytest.mark.parametrize(
    "wrong",
    [
        b"[]", b"{}", b'{"v":2,"services":{}}', b'{"v":1,"services":[]}', b'{"v":1,"services":{"s":{"k":{"x":-1}}}}',
        b'{"v":1,"services":{"s":{"k":{"x":"1"}}}}', b'{"v":1,"services":{"s":1}}',
        b'{"v":1,"services":{"s":{"k":{' + b",".join(b'"%d":1' % i for i in range(99)) + b"}}}}",
    ],
)  # fmt: skip
def test_what_it_never_wrote_is_refused(wrong: bytes) -> None:
    with pytest.raises((ValueError, TypeError)):
        Provenance().load(wrong)
