"""Sampling: nested, equal everywhere, exact at its ends, honest about probability."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from collector.sample import SampleConfig, Sampler, upstream_probability

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


@pytest.mark.parametrize("settings", [{"rate": 1.1}, {"rate": -0.1}, {"keep": [{"when": "sometimes"}]}, {"rates": 1}])
def test_a_wrong_setting_is_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        SampleConfig.model_validate(settings)
