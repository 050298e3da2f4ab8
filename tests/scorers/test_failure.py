import pytest

from collector.core.model import Document, Failure, LLMCall, Message, Retrieval, ToolCall, Trace
from scorers.base import Score
from scorers.builtin.failure import failure_step
from scorers.offline import score_rows

FINE = "The order of the customer was found in the archive of the shop."
ASKED = "Which order of the customer is in the archive of the shop?"


def turn(at: int, text: str = FINE) -> LLMCall:
    return LLMCall(f"s{at}", at, output_text=text)


def run(at: int, failed: bool = False, result: object = "found") -> ToolCall:
    return ToolCall(None, at, error=Failure("E", "bad") if failed else None, name="f", result=result)  # type: ignore[arg-type]


def judge(*operations: LLMCall | ToolCall | Retrieval) -> Score:
    found = failure_step(
        Trace(
            "t",
            question=ASKED,
            llm_calls=[one for one in operations if isinstance(one, LLMCall)],
            tool_executions=[one for one in operations if isinstance(one, ToolCall)],
            retrievals=[one for one in operations if isinstance(one, Retrieval)],
        )
    )
    assert isinstance(found, Score)
    return found


def test_the_step_whose_tool_failed_is_the_one_to_look_at() -> None:
    found = judge(turn(0), run(1), turn(2), run(3), turn(4), run(5, failed=True), turn(6), run(7))
    assert (found.value, found.label) == (4, "tool")
    assert found.explanation == "step 4 of 8, span s4: failed"


def test_a_search_that_finds_nothing_is_a_failure_of_retrieval() -> None:
    found = judge(turn(0), run(1), turn(2), run(3), turn(4), Retrieval(None, 5, query="q"), turn(6))
    assert (found.value, found.label) == (4, "retrieval")
    fine = Retrieval(None, 5, query="q", documents=[Document("x")])
    assert judge(turn(0), run(1), turn(2), run(3), turn(4), fine, turn(6)).value != 4


def test_an_answer_that_assumes_is_a_failure_of_the_answer() -> None:
    found = judge(turn(0), run(1), turn(2), run(3), turn(4, "I assume the order was found in the archive of the shop."))
    assert (found.value, found.label) == (4, "answer")


def test_numbers_that_nobody_gave_speak_against_a_step() -> None:
    said = "The shop sold 417, 928 and 553 orders of the archive."
    assert judge(turn(0), run(1), turn(2), run(3), turn(4, said), run(5), turn(6)).value == 4
    known = judge(turn(0), run(1, result="417 928 553"), turn(2), run(3), turn(4, said), run(5), turn(6))
    assert known.value == 2


def test_an_opening_that_strays_from_the_question_is_a_failure_of_the_planner() -> None:
    astray = "Please repair the debugging of a language that the parser does not know. Then run it and report."
    found = judge(turn(0, astray), run(1), turn(2), run(3), turn(4))
    assert (found.value, found.label) == (0, "planner")
    assert "strays" in (found.explanation or "")


def test_messages_of_the_user_count_as_steps() -> None:
    calls = [
        LLMCall(None, 1, input_messages=[Message("user", ASKED)], output_text=FINE),
        LLMCall(None, 3, input_messages=[Message("user", ASKED), Message("user", "and?")], output_text=FINE),
    ]
    found = failure_step(Trace("t", question=ASKED, llm_calls=calls, tool_executions=[run(4, failed=True)]))
    assert isinstance(found, Score)
    assert found.value == 3


def test_closing_words_are_no_suspects() -> None:
    assert failure_step(Trace("t", llm_calls=[turn(0, "TERMINATE")])) is None


def test_the_explanation_holds_no_content() -> None:
    assert "Zanzibar" not in (judge(turn(0), turn(1, "I assume it is Zanzibar, simply."), turn(2)).explanation or "")


def test_entries_of_a_trajectory_keep_their_numbers_whoever_speaks() -> None:
    row = {
        "id": "r",
        "question": ASKED,
        "trajectory": [
            {"role": "human", "content": ASKED},
            {"role": "Orchestrator (thought)", "content": FINE},
            {"role": "user", "name": "Archive_Expert", "content": FINE},
            {"role": "assistant", "name": "Shop_Expert", "content": "```python\nlook()\n```" + FINE},
            {"role": "user", "name": "Computer_terminal", "content": "exitcode: 1 (execution failed)\nCode output: no"},
            {"role": "user", "name": "Archive_Expert", "content": "TERMINATE"},
        ],
    }
    (result,) = score_rows(failure_step, [row])
    assert result["error"] is None
    assert (result["score"], result["label"]) == (3, "tool")


@pytest.mark.parametrize("role", [None, "", 7])
def test_an_entry_without_a_role_is_refused_by_name(role: object) -> None:
    (result,) = score_rows(failure_step, [{"id": "r", "trajectory": [{"role": role, "content": "x"}]}])
    assert "role" in result["error"]
