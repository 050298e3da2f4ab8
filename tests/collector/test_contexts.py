"""The narrow heuristic that finds pasted passages in prompts."""

import pytest

from collector.contexts import Pasted, pasted
from collector.core.model import Message


def user(text: str) -> list[Message]:
    return [Message("user", text)]


@pytest.mark.parametrize(
    "heading",
    ["Context:", "## Context:", "**Context:**", "Retrieved documents:", "Sources:", "Search results:", "context :"],
)
def test_a_heading_opens_a_context_and_a_question_ends_it(heading: str) -> None:
    found = pasted(user(f"Answer from this.\n\n{heading}\nTea is hot.\n\nIce is cold.\n\nQuestion: Is tea hot?"))
    assert found == Pasted(("Tea is hot.", "Ice is cold."), "Is tea hot?")


def test_a_context_between_rulers_ends_at_the_second() -> None:
    said = (
        "Context information is below.\n-------\nTea is hot.\n-------\nGiven the context, answer.\nQuery: Hot?\nAnswer:"
    )
    assert pasted(user(said)).passages == ("Tea is hot.",)


def test_a_context_in_tags_is_what_is_within() -> None:
    assert pasted(user("<context>\nTea is hot.\n</context>\nIs it?")).passages == ("Tea is hot.",)


def test_lines_that_begin_with_an_id_are_passages_of_their_own() -> None:
    assert pasted(user("Context: [a] Tea is\nhot.\n[b] Ice is cold.")).passages == (
        "[a] Tea is\nhot.",
        "[b] Ice is cold.",
    )


def test_the_system_message_may_hold_the_context() -> None:
    found = pasted([Message("system", "Be exact.\n\nContext:\nTea is hot."), Message("user", "Is tea hot?")])
    assert found == Pasted(("Tea is hot.",), None)


def test_only_the_last_user_message_counts() -> None:
    earlier = [Message("user", "Context:\nOld."), Message("assistant", "ok"), Message("user", "And now?")]
    assert pasted(earlier).passages == ()


@pytest.mark.parametrize(
    "said",
    [
        "What is the context of this poem?",
        "In this context: no.",
        "The documents are late. Why?",
        "I read the sources and the references.",
        "",
    ],
)
def test_without_a_heading_there_is_no_context(said: str) -> None:
    assert pasted(user(said)) == Pasted((), None)


def test_a_huge_prompt_is_searched_only_so_far() -> None:
    assert pasted(user("x" * 500_000 + "\nContext:\nTea.")).passages == ()
