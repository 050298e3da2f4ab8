import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.core.model import LLMCall, RequestedCall, Trace
from scorers.base import Score
from scorers.builtin.form import _again, empty_answer, repetition, truncation

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"


def call(**told: object) -> LLMCall:
    return LLMCall(span_id="00f067aa0ba902b7", start_ns=1, end_ns=2, **told)  # type: ignore[arg-type]


def value(found: object) -> float | None:
    assert found is None or isinstance(found, Score)
    return None if found is None else found.value


@pytest.mark.parametrize(
    ("trace", "expected"),
    [
        (Trace(TRACE_ID, answer="Yes.", llm_calls=[call(output_text="Yes.")]), 0.0),
        (Trace(TRACE_ID, answer="  \n", llm_calls=[call(output_text="  \n")]), 1.0),
        (Trace(TRACE_ID, llm_calls=[call(tool_calls=[RequestedCall("look", {}, "1")])]), 1.0),
        (Trace(TRACE_ID, llm_calls=[call(output_tokens=0)]), 1.0),
        (Trace(TRACE_ID, llm_calls=[call(output_tokens=12)]), None),  # its content was not recorded
        (Trace(TRACE_ID, llm_calls=[call(refusal="I can't.")]), None),
        (Trace(TRACE_ID, error=True, llm_calls=[call(output_tokens=0)]), None),
    ],
)
def test_an_empty_answer_is_one_that_nobody_explains(trace: Trace, expected: float | None) -> None:
    assert value(empty_answer(trace)) == expected


@pytest.mark.parametrize(
    ("answer", "finish_reason", "label"),
    [
        ("The river is 12 km", "length", "length"),
        ("Here it is:\n```python\nprint(1)\n", "stop", "open_code"),
        ("Here it is:\n```python\nprint(1)\n```\nDone.", "stop", None),
        ("Use ``` for code.", "stop", None),
        ("Done", None, None),
    ],
)
def test_an_answer_that_was_cut_off_is_told(answer: str, finish_reason: str | None, label: str | None) -> None:
    found = truncation(
        Trace(TRACE_ID, answer=answer, llm_calls=[call(output_text=answer, finish_reason=finish_reason)])
    )
    assert isinstance(found, Score)
    assert (found.value, found.label) == (float(label is not None), label)
    for item in found.evidence:
        assert answer[item.start : item.end].startswith("```")


PROSE = "The river rises in the hills. It runs past the old mill. " * 4


@pytest.mark.parametrize(
    ("answer", "finish_reason", "cut"),
    [
        (PROSE + "After the mill it turns to the south and then", None, True),
        (PROSE + "\n\nAfter the mill it turns to the south, where meadows,  \n", None, True),
        (PROSE + "After the mill it turns to the south and then", "stop", False),  # its writer was done
        (PROSE + "After the mill it turns to the south and then ends.", None, False),
        (PROSE + "\n- after the mill it turns to the south and then", None, False),
        (PROSE + "\n2. After the mill it turns to the south and then", None, False),
        (PROSE + "\nYours, the people of the mill", None, False),
        (PROSE + "All of it is told in full and with maps on https://example.org/river", None, False),
        ("It runs past the mill. After the mill it turns to the south and then", None, False),
        ("the river rises in the hills and it runs past the old mill " * 6, None, False),
        ("แม่น้ำเกิดบนภูเขาและไหลผ่านโรงสีเก่า " * 12, None, False),
    ],
)
def test_prose_that_ends_within_a_sentence_was_cut_unless_the_model_says_it_stopped(
    answer: str, finish_reason: str | None, cut: bool
) -> None:
    found = truncation(Trace(TRACE_ID, answer=answer, llm_calls=[call(finish_reason=finish_reason)]))
    assert isinstance(found, Score)
    assert (found.value, found.label) == ((1.0, "open_sentence") if cut else (0.0, None))
    for item in found.evidence:
        assert answer[item.start : item.end] == answer.strip().rsplit("\n", 1)[-1]


@pytest.mark.parametrize(
    ("answer", "least", "most"),
    [
        ("I see. " + "The answer is not known. " * 20, 0.9, 1.0),
        ("A" + " very" * 40 + " long road.", 0.85, 1.0),
        ("The first part is fine and says something of use to whoever reads it. " + "\n- item" * 30, 0.5, 1.0),
        ("好的" * 5 + " 东 京" * 30, 0.5, 1.0),
        ("No, no, no. That is wrong, wrong, wrong.", 0.0, 0.0),
        ("| a | 1 |\n| b | 2 |\n| c | 3 |\n| d | 4 |\n| e | 5 |\n| f | 6 |", 0.0, 0.29),
        ("1. Go left. 2. Go right. 3. Go left. 4. Stop and look around you before you go on.", 0.0, 0.0),
        ("", 0.0, 0.0),
    ],
)
def test_going_round_in_circles_is_measured(answer: str, least: float, most: float) -> None:
    found = repetition(Trace(TRACE_ID, answer=answer))
    assert isinstance(found, Score)
    assert found.value is not None
    assert least <= found.value <= most
    assert bool(found.evidence) == (found.value > 0)


def test_the_evidence_of_a_circle_begins_with_its_second_round() -> None:
    answer = "Well! " + "Please wait a moment. " * 9
    found = repetition(Trace(TRACE_ID, answer=answer))
    assert isinstance(found, Score)
    (item,) = found.evidence
    assert item.start == len("Well! Please wait a moment. ")
    assert answer[item.start : item.end].endswith("moment.")


_PHRASE = st.lists(st.sampled_from("abc"), min_size=1, max_size=6)


@given(st.lists(st.tuples(_PHRASE, st.sampled_from([1, 2, 3, 9])), max_size=5))
def test_repeated_is_what_is_the_same_a_phrase_before_for_long_enough(told: list[tuple[list[str], int]]) -> None:
    tokens = [token for phrase, times in told for token in phrase * times]
    expected = bytearray(len(tokens))
    for period in range(1, min(64, len(tokens) // 3) + 1):
        for start in range(period, len(tokens)):
            for end in range(start + max(2 * period, 12), len(tokens) + 1):
                if tokens[start:end] == tokens[start - period : end - period]:
                    expected[start:end] = b"\1" * (end - start)
    assert _again(tokens) == expected
