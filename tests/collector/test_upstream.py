"""Traces whose spans do not say the same of the application's samplers."""

import pytest

from collector.core.model import Origin, SpanSlice
from collector.sample import Admission
from collector.upstream import chances_of, trace_state_of

ORIGIN = Origin(b"", b"")


def span(number: int, trace_state: str, parent: int = 0) -> SpanSlice:
    parent_id = parent.to_bytes(8, "big") if parent else b""
    return SpanSlice(bytes(16), number.to_bytes(8, "big"), parent_id, 1, 2, 0, trace_state, b"", ORIGIN)


@pytest.mark.parametrize(
    ("states", "told"),
    [
        (("ot=th:8", "ot=th:c"), "ot=th:8"),  # the first is the root
        (("", "ot=th:c", "ot=th:8"), "ot=th:c"),
        (("vendor=1", "ot=th:c"), "ot=th:c"),  # the root has a tracestate, and no sampler's word in it
        (("ot=th:nonsense", "ot=rv:12345678901234"), "ot=rv:12345678901234"),
        (("vendor=1", ""), ""),
    ],
)
def test_the_root_speaks_for_the_trace_else_who_comes_first(states: tuple[str, ...], told: str) -> None:
    assert trace_state_of([span(number, state, number > 1) for number, state in enumerate(states, start=1)]) == told


def test_the_root_speaks_wherever_it_stands() -> None:
    assert trace_state_of([span(2, "ot=th:c", 1), span(1, "ot=th:8")]) == "ot=th:8"


def test_spans_that_say_the_same_or_nothing_are_not_apart() -> None:
    assert chances_of([span(1, "ot=th:8"), span(2, "", 1), span(3, "vendor=1,ot=th:80", 1)], "ot=th:8") is None


def test_a_span_that_says_another_probability_is_told_with_it() -> None:
    spans = [span(1, "ot=th:8"), span(2, "ot=th:c", 1), span(3, "ot=th:0", 1), span(4, "", 1), span(5, "ot=rv:1", 1)]
    assert chances_of(spans, "ot=th:8") == {f"{2:016x}": 0.25, f"{3:016x}": 1.0}


def test_what_several_spans_tell_is_as_rare_as_the_rarest_of_them() -> None:
    one = Admission(0.0, 0.5, 0.5, "sample.rate", apart={"a": 0.25, "b": 1.0})
    assert one.told_by(["b", "c", None]).probability() == 0.25
    assert one.told_by(["a", "b"]).probability() == 0.125
    assert one.told_by(["b"]).probability() == 0.5
    assert one.told_by([]).probability() == 0.25
