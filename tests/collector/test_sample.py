"""Sampling: nested, equal everywhere, exact at its ends, honest about probability."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from collector.sample import SampleConfig, Sampler, hashed_unit, upstream_probability

IDS = [number.to_bytes(16, "big") for number in range(20_000)]


def sampler(**settings: object) -> Sampler:
    return Sampler(SampleConfig.model_validate(settings))


def test_units_are_uniform_over_ids_that_are_not() -> None:
    units = sorted(sampler().unit(trace_id) for trace_id in IDS)
    distance = max(abs(unit - rank / len(units)) for rank, unit in enumerate(units))
    assert distance < 1.63 / math.sqrt(len(units)), "Kolmogorov-Smirnov at 1%"


@given(st.binary(min_size=16, max_size=16), st.floats(0, 1), st.floats(0, 1))
def test_what_a_lower_rate_admits_a_higher_rate_admits(trace_id: bytes, one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert sampler(rate=high).admit(trace_id, False, {}, "").includes() or not (
        sampler(rate=low).admit(trace_id, False, {}, "").includes()
    )


def test_rate_zero_admits_nothing_and_rate_one_everything() -> None:
    assert not any(sampler(rate=0).admit(i, False, {}, "").includes() for i in IDS)
    assert all(sampler(rate=1).admit(i, False, {}, "").includes() for i in IDS)
    assert all(sampler(rate=0).never(i) for i in IDS[:100])
    assert not any(sampler(rate=1).never(i) for i in IDS[:100])


def test_never_agrees_with_admit() -> None:
    under = sampler(rate=0.1, keep=[{"when": "error", "rate": 0.5}])
    for trace_id in IDS[:2000]:
        kept = under.admit(trace_id, True, {}, "").includes()
        assert under.never(trace_id) is not kept


def test_keep_rules_raise_the_rate_of_their_class_and_say_which_rule_it_was() -> None:
    under = sampler(rate=0.1, keep=[{"when": "error"}, {"when": "service == shop", "rate": 0.5}])
    assert (under.admit(IDS[1], True, {}, "").rate, under.admit(IDS[1], True, {}, "").rule) == (1.0, "sample.keep[0]")
    shop = under.admit(IDS[1], False, {"service": "shop"}, "")
    assert (shop.rate, shop.rule) == (0.5, "sample.keep[1]")
    assert under.admit(IDS[1], False, {"service": "desk"}, "").rule == "sample.rate"


def test_the_probability_is_the_product_of_upstream_ours_and_the_scorers() -> None:
    admission = sampler(rate=0.5).admit(IDS[1], False, {}, "ot=th:8")
    assert admission.probability(0.2) == pytest.approx(0.5 * 0.5 * 0.2)


def test_the_weighted_count_estimates_the_true_count() -> None:
    under = sampler(rate=0.2, keep=[{"when": "error", "rate": 0.8}])
    total = 0.0
    for number, trace_id in enumerate(IDS):
        admission = under.admit(trace_id, number % 10 == 0, {}, "")
        total += admission.includes(0.5) / admission.probability(0.5)
    deviation = math.sqrt(len(IDS) * (0.9 * (1 / 0.1 - 1) + 0.1 * (1 / 0.4 - 1)))
    assert abs(total - len(IDS)) < 4 * deviation


def test_another_salt_chooses_independently() -> None:
    one, other = sampler(rate=0.5, salt="a"), sampler(rate=0.5, salt="b")
    both = sum(one.admit(i, False, {}, "").includes() and other.admit(i, False, {}, "").includes() for i in IDS)
    assert abs(both / len(IDS) - 0.25) < 4 * math.sqrt(0.25 * 0.75 / len(IDS))


@pytest.mark.parametrize(
    ("trace_state", "probability"),
    [
        ("", 1.0),
        ("ot=th:0", 1.0),
        ("ot=th:8", 0.5),
        ("rojo=1,ot=rv:1234;th:c", 0.25),
        ("ot=th:ffffffffffffff", 2**-56),
        ("ot=th:fffffffffffffff", 1.0),
        ("ot=th:xyz", 1.0),
        ("ot=th:", 1.0),
        ("ot", 1.0),
        (",,;=;ot=;th", 1.0),
    ],
)
def test_the_threshold_of_tracestate_is_read_and_nonsense_is_no_threshold(trace_state: str, probability: float) -> None:
    assert upstream_probability(trace_state) == probability


def tracestate(drawn: int | None = None, probability: float = 1.0) -> str:
    threshold = round((1 - probability) * 2**56)
    parts = [f"th:{threshold:014x}", *([] if drawn is None else [f"rv:{drawn:014x}"])]
    return f"other=1,ot={';'.join(parts)}"


@given(st.integers(0, 2**56 - 1), st.integers(0, 64), st.integers(0, 64))
def test_with_otels_randomness_our_sample_and_theirs_lie_within_one_another(drawn: int, ours: int, theirs: int) -> None:
    """Kept by a sampler of probability p is what has R >= (1 - p) * 2**56, ours as theirs."""
    admission = sampler(rate=ours / 64, chance="otel").admit(bytes(16), False, {}, tracestate(drawn, theirs / 64 or 1))
    assert admission.includes() == (drawn >= 2**56 - ours * 2**50)
    assert admission.probability() == min(ours / 64, theirs / 64 or 1)


@given(st.binary(min_size=16, max_size=16))
def test_without_rv_otels_randomness_is_the_end_of_the_id(trace_id: bytes) -> None:
    by_id = sampler(chance="otel").admit(trace_id, False, {}, tracestate())
    by_rv = sampler(chance="otel").admit(bytes(16), False, {}, tracestate(int.from_bytes(trace_id[9:], "big")))
    assert by_id.unit == by_rv.unit


@pytest.mark.parametrize("rv", ["", "8", "8" * 13, "8" * 15, "zz345678901234", "ABCDEFABCDEFAB"])
def test_an_rv_that_is_not_14_digits_is_none(rv: str) -> None:
    under = sampler(chance="otel")
    assert under.unit(IDS[5], f"ot=rv:{rv}") == under.unit(IDS[5], "")


def test_of_what_upstream_kept_a_tenth_the_same_tenth_is_kept_and_counts_are_right() -> None:
    chance, under = random.Random(7), sampler(rate=0.1, chance="otel")
    total = found = 0.0
    for _ in range(20_000):
        drawn = chance.getrandbits(56)
        if drawn < 2**56 - 2**56 // 10:
            continue  # the application's sampler left it out
        admission = under.admit(bytes(16), False, {}, tracestate(drawn, 0.1))
        found += 1
        total += admission.includes() / admission.probability()
    assert abs(total - 20_000) < 4 * math.sqrt(20_000 * 9)
    assert abs(total - found * 10) < 20  # hardly one is lost, where a hash would have left a tenth of them


def test_with_otels_randomness_the_id_alone_says_nothing() -> None:
    assert not any(sampler(rate=0.001, chance="otel").never(trace_id) for trace_id in IDS[:100])


def test_a_scorer_with_a_salt_chooses_on_its_own_among_what_is_admitted() -> None:
    under = sampler(rate=0.5)
    both = own = 0
    for trace_id in IDS:
        admission, unit = under.admit(trace_id, False, {}, "ot=th:8"), hashed_unit(trace_id, b"mine")
        own += admission.includes(0.5, unit)
        both += admission.includes(0.5) and admission.includes(0.5, unit)
    assert admission.probability(0.5, unit) == 0.125
    assert abs(own / len(IDS) - 0.25) < 4 * math.sqrt(0.25 * 0.75 / len(IDS))
    assert abs(both / len(IDS) - 0.125) < 4 * math.sqrt(0.125 * 0.875 / len(IDS))


@pytest.mark.parametrize("settings", [{"rate": 1.1}, {"rate": -0.1}, {"keep": [{"when": "sometimes"}]}, {"rates": 1}])
def test_a_wrong_setting_is_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        SampleConfig.model_validate(settings)
