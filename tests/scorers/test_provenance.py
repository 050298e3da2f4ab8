import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.core.model import JSON, LLMCall, Message, RequestedCall, ToolCall, Trace
from scorers.base import Score
from scorers.builtin import provenance
from scorers.builtin.provenance import argument_provenance

BOOK = {
    "name": "book",
    "parameters": {
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "cabin": {"type": "string", "enum": ["economy", "business"]},
            "limit": {"type": "integer", "description": "How many. Default is 20."},
        },
    },
}


def judge(question: str, arguments: JSON, *messages: Message, **fields: object) -> Score | None:
    call = LLMCall(
        None,
        10,
        20,
        input_messages=[Message("user", question), *messages],
        tool_calls=[RequestedCall("book", arguments)],
        tool_definitions=[BOOK],
    )
    found = argument_provenance(Trace("t", question=question, llm_calls=[call], **fields))  # type: ignore[arg-type]
    assert found is None or isinstance(found, Score)
    return found


def value(question: str, argument: JSON) -> float | None:
    found = judge(question, {"city": argument})
    return None if found is None else found.value


@pytest.mark.parametrize(
    ("question", "argument"),
    [
        ("A flight to Oslo", "Oslo"),
        ("A flight to Oslo", "OSLO, Norway"),
        ("Five burgers", 5),
        ("A dozen eggs", 12),
        ("Two dozen eggs", 24),
        ("A rate of 5%", 0.05),
        ("8.5 million square kilometres", 8_500_000),
        ("$1.2M in sales", 1_200_000),
        ("I am 180 cm tall", 1.8),
        ("On May 5, 2023", "2023-05-05"),
        ("on 12/03/2024 16:00", "2024-03-12T16:00:00"),
        ("my id is mia_li_3668", "mia_li_3668"),
        ("查找红星科技公司的工单", "红星科技"),
        ("the six-month precipitation", "six_months"),
    ],
)
def test_what_was_said_is_traced_however_it_is_spelled(question: str, argument: JSON) -> None:
    assert value(question, argument) == 1


@pytest.mark.parametrize(
    ("question", "argument"),
    [
        ("A flight to Oslo", "Lisbon"),
        ("A flight for 12 people", 43),
        ("A rate of 5%", 0.07),
        ("my id is mia_li_3668", "mia_li_9999"),
        ("the ticket HAT069", "HAT070"),
        ("On May 5, 2023", "2019-08-14"),
        ("查找红星科技公司的工单", "天海集团"),
    ],
)
def test_what_nobody_said_is_found(question: str, argument: JSON) -> None:
    assert value(question, argument) == 0


@pytest.mark.parametrize("argument", [None, True, "", "n/a", 0, 1, 3, "AAPL", "en-US", [], {}, float("nan")])
def test_values_that_need_no_source_are_not_judged_against_the_call(argument: JSON) -> None:
    assert value("A flight to Oslo", argument) in (None, 1.0)


def test_a_date_is_not_judged_where_the_request_is_relative_to_today() -> None:
    assert value("A flight to Oslo tomorrow", "2031-08-14") is None
    assert value("A flight to Oslo", "2031-08-14") == 0


def test_what_the_parameter_declares_is_a_source() -> None:
    assert judge("A flight", {"cabin": "business", "limit": 20}).value == 1  # type: ignore[union-attr]
    assert judge("A flight", {"city": "business", "limit": 21}).value == 0  # type: ignore[union-attr]


def test_the_share_counts_every_value_and_names_the_parameter_but_no_value() -> None:
    found = judge("A flight to Oslo", {"city": ["Oslo", "Atlantis"], "secret": "Xanadu"})
    assert found is not None
    assert found.value == pytest.approx(1 / 3, abs=1e-6)
    assert found.label == "ungrounded"
    assert found.explanation == "2 of 3 argument values cannot be traced: book.city, book"


def test_what_the_assistant_said_counts_once_the_user_has_answered() -> None:
    said = Message("assistant", "Shall I book the Grand Plaza?")
    assert judge("A hotel", {"city": "Grand Plaza"}, said).value == 0  # type: ignore[union-attr]
    assert judge("A hotel", {"city": "Grand Plaza"}, said, Message("user", "Yes")).value == 1  # type: ignore[union-attr]


def test_results_of_earlier_tools_are_sources_and_those_of_later_ones_are_not() -> None:
    for end_ns, expected in ((9, 1), (30, 0)):
        run = ToolCall(None, 5, end_ns, None, "search", {}, {"hotels": [{"name": "Miramar"}]})
        assert judge("A hotel", {"city": "Miramar"}, tool_executions=[run]).value == expected  # type: ignore[union-attr]


def test_arguments_may_be_json_in_a_string_and_broken_ones_are_left_to_others() -> None:
    assert judge("A flight to Oslo", '{"city": "Lisbon"}').value == 0  # type: ignore[union-attr]
    assert judge("A flight to Oslo", '{"city": ') is None


def test_of_a_trace_that_was_cut_it_says_that_a_source_may_be_missing() -> None:
    found = judge("A flight", {"city": "Lisbon"}, truncated=True)
    assert found is not None
    assert "was cut" in (found.explanation or "")


def test_a_conversation_told_again_by_each_of_its_calls_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[int] = []
    learn = provenance._Sources._learn
    monkeypatch.setattr(provenance._Sources, "_learn", lambda self, text: (reads.append(1), learn(self, text)))
    messages = [Message("user", f"message {at}") for at in range(50)]
    calls = [
        LLMCall(
            None, at, at, input_messages=messages[: at + 1], tool_calls=[RequestedCall("f", {"a": f"message {at}"})]
        )
        for at in range(50)
    ]
    found = argument_provenance(Trace("t", question="message 0", llm_calls=calls))
    assert isinstance(found, Score)
    assert found.value == 1
    assert len(reads) == 50


_SAID = st.lists(
    st.sampled_from(["the report of may", "5% or a dozen", "by tomorrow", "1,200 euros", "spain", "7"]), max_size=4
)
_ASKED = st.sampled_from(["reports", "2024-05-12", 0.05, 24, "spanish wine", "1200", 1200.0, "euro 8", 84, 9, "may"])


@given(_SAID, st.lists(_ASKED, min_size=1, max_size=4))
def test_what_is_learned_only_when_it_is_needed_is_as_good_as_learned_at_once(
    said: list[str], asked: list[JSON]
) -> None:
    lazy, eager = provenance._Sources(), provenance._Sources()
    for text in said:
        lazy.add(text)
        eager.add(text)
        eager.learn_all()
    for value in asked:
        assert provenance._traced(value, lazy, None) == provenance._traced(value, eager, None)
