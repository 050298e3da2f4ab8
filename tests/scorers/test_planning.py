import pytest

from collector.core.model import LLMCall, ToolCall, Trace
from scorers.base import Score
from scorers.builtin.planning import plan_adherence

PLAN = "My plan:\n1. Search the flights to Oslo\n2. Compare prices of carriers\n3) Book the cheapest seat\n"


def judge(plan: str, *runs: tuple[str, object], **options: float) -> Score | None:
    trace = Trace(
        "t",
        llm_calls=[LLMCall(None, 0, output_text=plan)],
        tool_executions=[ToolCall(None, at, name=name, arguments=told) for at, (name, told) in enumerate(runs, 1)],  # type: ignore[arg-type]
    )
    found = plan_adherence(trace, **options)
    assert found is None or isinstance(found, Score)
    return found


def test_items_that_a_later_step_takes_up_are_counted_and_the_others_named() -> None:
    found = judge(PLAN, ("search_flights", {"to": "Oslo"}), ("book_seat", {"fare": "cheapest"}))
    assert found is not None
    assert found.value == pytest.approx(2 / 3, abs=1e-6)
    assert found.explanation == "2 of 3 items of the plan in step 0 are taken up, not item 2"


def test_how_much_of_an_item_a_step_must_have_is_an_option() -> None:
    assert judge(PLAN, ("search_flights", {}), share=0.5).value == pytest.approx(1 / 3, abs=1e-6)  # type: ignore[union-attr]
    assert judge(PLAN, ("search_flights", {}), share=1.0).value == 0  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "text",
    [
        "I will search the flights.",  # no list
        "Colours:\n- red\n- blue\n",  # a list, and no plan
        "My plan:\n- search the flights\n",  # one item
        "",
    ],
)
def test_where_no_plan_is_stated_nothing_is_said(text: str) -> None:
    assert judge(text, ("search_flights", {})) is None


def test_a_plan_that_nothing_is_done_after_is_an_answer() -> None:
    assert judge(PLAN) is None
