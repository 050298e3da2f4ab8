import pytest

from scorers.passing import parse_passing


@pytest.mark.parametrize(
    ("expression", "value", "passes"),
    [
        (">= 0.5", 0.5, True),
        (">= 0.5", 0.49, False),
        ("<= 10", 10, True),
        ("> 0", 0, False),
        ("<0", -1, True),
        ("== 1", 1, True),
        ("!= 0", 0, False),
        (">=-0.5", -0.5, True),
        ("<= 1e3", 1000, True),
    ],
)
def test_a_comparison_holds_at_its_bound_as_written(expression: str, value: float, passes: bool) -> None:
    assert parse_passing(expression).judge(value, None) is passes


def test_labels_pass_by_being_listed() -> None:
    passing = parse_passing("in calm, friendly")
    assert passing.judge(None, "calm") is True
    assert passing.judge(0.9, "rude") is False
    assert passing.judge(0.9, None) is None


def test_a_comparison_leaves_a_score_without_value_unjudged() -> None:
    assert parse_passing(">= 0.5").judge(None, "calm") is None


@pytest.mark.parametrize("wrong", ["", "0.5", "=> 0.5", ">= half", ">= nan", "<= inf", "between 1 and 2", "in", "in ,"])
def test_what_is_no_expression_is_refused_with_an_example(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"such as '>= 0\.5'") as refused:
        parse_passing(wrong)
    assert repr(wrong) in str(refused.value)
