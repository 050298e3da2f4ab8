"""From a unit to [0, 1] and back."""

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from drift.base import Estimate
from drift.scale import Scale, learn_scale, scale_from_json

FINITE = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(FINITE, min_size=1, max_size=100), FINITE)
def test_whatever_the_warm_up_was_any_value_lies_on_the_scale(values: list[float], value: float) -> None:
    scale = learn_scale(values)
    assert 0.0 <= scale.to_unit(value) <= 1.0
    assert 0.0 < scale.span < math.inf
    assert math.isfinite(scale.level(0.5))
    assert scale_from_json(scale.to_json()) == scale


@given(st.lists(st.floats(0.1, 1e4), min_size=4, max_size=100), st.floats(0.05, 0.95))
def test_a_level_leads_back_to_where_it_lies(values: list[float], x: float) -> None:
    scale = learn_scale(values)
    assume(scale.level(x) > 1e-11)  # what is smaller counts as nothing
    assert scale.to_unit(scale.level(x)) == pytest.approx(x, abs=1e-6)


def test_the_middle_of_the_warm_up_is_one_half_and_four_deviations_reach_the_ends() -> None:
    values = [math.exp(2.0 + 0.5 * (k / 500 - 1)) for k in range(1001)]
    scale = learn_scale(values)
    assert scale.level(0.5) == pytest.approx(math.exp(2.0))
    assert scale.to_unit(1e9) == 1.0
    assert scale.to_unit(0.0) == 0.0


def test_values_below_zero_are_taken_as_they_are() -> None:
    scale = learn_scale([-2.0, -1.0, 0.0, 1.0, 2.0])
    assert scale.kind == "linear"
    assert scale.level(0.5) == 0.0
    assert scale.size_estimate(Estimate(0.25, 0.0, 0.5, 9.0), 0.5).value == pytest.approx(0.25 * scale.span)


def test_a_size_is_added_to_the_level_before() -> None:
    scale = learn_scale([1.0, 2.0, 4.0] * 50)
    up = (math.log(3.0) - scale.low) / scale.span - scale.to_unit(2.0)
    size = scale.size_estimate(Estimate(up, 0.0, up, 9.0), scale.to_unit(2.0))
    assert (size.value, size.lower, size.upper) == pytest.approx((1.0, 0.0, 1.0))
    assert scale.part(size.value, 2.0) == pytest.approx(0.5)
    assert Scale(1.0, 4.0).part(2.0, 3.0) == 0.5


@pytest.mark.parametrize(
    "raw",
    [
        None,
        [],
        [0.0, 1.0],
        [0.0, 0.0, "log"],
        [0.0, -1.0, "range"],
        [0.0, 1.0, "cubic"],
        [0.0, 1e9, "log"],
        [0, 1, "log"],
    ],
)
def test_a_foreign_scale_is_refused(raw: object) -> None:
    with pytest.raises(ValueError, match="a scale is"):
        scale_from_json(raw)
