import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.core.model import ToolCall, Trace
from scorers.base import Score
from scorers.builtin.cycles import cycles


def judge(calls: str, **options: bool) -> Score:
    """A letter is a call: `a` and `A` are of one tool with other arguments, `-` is one whose arguments are unknown."""
    runs = [ToolCall(None, at, name=one.lower(), arguments=None if one == "-" else one) for at, one in enumerate(calls)]
    found = cycles(Trace("t", tool_executions=runs), **options)
    assert isinstance(found, Score)
    return found


@pytest.mark.parametrize(
    ("calls", "again"),
    [
        ("abab", 2),
        ("ababab", 4),
        ("xabcabcy", 3),
        ("ababa", 2),  # the third round was broken off
        ("abcbabcb", 4),
        ("aaaa", 0),  # repeated, but no round
        ("abcd", 0),
        ("abxab", 0),  # not directly after each other
        ("abAb", 0),
        ("----", 0),
        ("", 0),
    ],
)
def test_rounds_that_are_gone_through_again_are_counted(calls: str, again: int) -> None:
    found = judge(calls)
    assert found.value == pytest.approx(again / len(calls) if calls else 0, abs=1e-6)
    assert found.label == ("cycle" if again else "none")


def test_tools_alone_make_a_round_if_arguments_are_left_out() -> None:
    assert judge("abAB").value == 0
    assert judge("abAB", arguments=False).value == 0.5


def test_the_explanation_has_the_length_of_the_shortest_round() -> None:
    assert judge("abababab").explanation == "6 of 8 runs go through a round again, in rounds of 2 calls"


@given(st.text("ab", max_size=40))
def test_whether_there_is_a_cycle_is_what_trying_every_place_says(calls: str) -> None:
    places = (
        (start, length)
        for length in range(2, 11)
        for start in range(len(calls) - 2 * length + 1)
        if len(set(calls[start : start + length])) > 1
    )
    there = any(calls[start : start + n] == calls[start + n : start + 2 * n] for start, n in places)
    assert (judge(calls).label == "cycle") is there
