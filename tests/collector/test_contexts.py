"""The narrow heuristic that finds pasted passages in prompts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector import contexts
from collector.contexts import Pasted, asked_below, pasted
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


PIECES = st.sampled_from(
    [
        "Context:",
        "Question:",
        "## Question: ",
        "query : ",
        "context",
        "tea",
        "\n",
        "\n\n",
        " ",
        "\t",
        ".",
        "-----",
        "[a] ",
        "**QUESTION**:",
        "the task:",
        "<context>",
        "</context>",
        "\r\n",
        "\u2028",
        ":",
        "# ",
    ]
)


@given(st.lists(PIECES, max_size=12).map("".join))
def test_line_by_line_finds_what_the_plain_search_finds(said: str) -> None:
    for pattern in (contexts._HEADING, contexts._QUESTION):
        found, plain = contexts._first_line(pattern, said), pattern.search(said)
        assert (found and found.span()) == (plain and plain.span())
    every = list(contexts._QUESTION.finditer(said))
    below = said[every[-1].end() :].strip().split("\n\n", 1)[0].strip() if every else ""
    assert contexts._question(said) == (below or None)


@given(st.lists(PIECES, max_size=12).map("".join))
def test_the_question_alone_is_that_of_the_whole(said: str) -> None:
    assert asked_below(said) == pasted(user(said)).question
