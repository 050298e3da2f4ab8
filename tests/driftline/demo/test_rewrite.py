"""Texts are replaced wherever they stand, and nothing else moves."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline.demo.rewrite import Finder, escaped

RECORDED = 'At most 3 g,\n"never" more than 60 mg/kg – see §4 (µg)'
words = st.text(st.characters(codec="utf-8"), max_size=40)
layers = st.lists(st.tuples(st.booleans(), st.sampled_from(["list", "dict", "bare"])), max_size=4)


def wrapped(text: str, layers: list[tuple[bool, str]], before: str = "", after: str = "") -> str:
    """`text` inside as many JSON documents, the first the innermost."""
    value = before + text + after
    for ascii_only, shape in layers:
        document = {"list": [1, value, None], "dict": {"role": "assistant", "content": value}, "bare": value}[shape]
        value = json.dumps(document, ensure_ascii=ascii_only)
    return value


@given(layers, words)
def test_a_text_is_replaced_at_any_depth_of_json_in_json(layers: list[tuple[bool, str]], new: str) -> None:
    pattern = Finder({RECORDED: "answer"}).find(wrapped(RECORDED, layers, "so: ", "."))
    assert pattern is not None
    assert pattern.fill({"answer": new}) == wrapped(new, layers, "so: ", ".")


@given(layers, words, words)
def test_the_recorded_text_in_its_own_place_gives_the_recorded_value(
    layers: list[tuple[bool, str]], before: str, after: str
) -> None:
    value = wrapped(RECORDED, layers, before, after)
    pattern = Finder({RECORDED: "answer"}).find(value)
    assert pattern is not None
    assert pattern.fill({"answer": RECORDED}) == value


@given(layers, words)
def test_a_value_without_the_text_is_left_alone(layers: list[tuple[bool, str]], other: str) -> None:
    assert Finder({RECORDED: "answer"}).find(wrapped(other, layers)) is None


@pytest.mark.parametrize("style", [{}, {"separators": (",", ":")}, {"indent": 2}, {"indent": 4}])
def test_the_library_s_spaces_are_kept(style: dict[str, object]) -> None:
    value = json.dumps({"messages": [{"content": RECORDED}], "n": 1.5}, **style)  # type: ignore[arg-type]
    pattern = Finder({RECORDED: "answer"}).find(value)
    assert pattern is not None
    assert pattern.fill({"answer": "x"}) == json.dumps({"messages": [{"content": "x"}], "n": 1.5}, **style)  # type: ignore[arg-type]


def test_a_document_in_an_unknown_style_keeps_its_meaning() -> None:
    pattern = Finder({RECORDED: "answer"}).find('{ "a":1e2 ,"content" : ' + json.dumps(RECORDED) + "}")
    assert pattern is not None
    assert json.loads(pattern.fill({"answer": 'new "text"'})) == {"a": 100.0, "content": 'new "text"'}


def test_several_texts_each_go_to_their_own_place() -> None:
    finder = Finder({"chatcmpl-1": "id", "sess-9": "session", RECORDED: "answer"})
    value = json.dumps({"id": "chatcmpl-1", "session": "sess-9", "message": json.dumps({"content": RECORDED})})
    pattern = finder.find(value)
    assert pattern is not None
    assert pattern.names == {"id", "session", "answer"}
    filled = json.loads(pattern.fill({"id": "A", "session": "B", "answer": "C"}))
    assert filled == {"id": "A", "session": "B", "message": '{"content": "C"}'}


def test_the_longer_of_two_texts_is_found_where_one_holds_the_other() -> None:
    pattern = Finder({"user-1": "short", "user-12": "long"}).find("user-12 user-1")
    assert pattern is not None
    assert pattern.fill({"short": "s", "long": "l"}) == "l s"


def test_an_answer_that_is_a_document_itself_is_replaced_whole() -> None:
    answer = '{"category": "billing"}'
    pattern = Finder({answer: "answer"}).find(json.dumps([{"content": answer}]))
    assert pattern is not None
    assert json.loads(pattern.fill({"answer": "sorry"})) == [{"content": "sorry"}]


@pytest.mark.parametrize("value", ["[" * 100_000, "{" + RECORDED, '"unclosed ' + RECORDED, "[" + "1" * 5000 + "]"])
def test_what_only_looks_like_json_is_plain_text(value: str) -> None:
    pattern = Finder({RECORDED: "answer"}).find(value)
    assert (pattern is None) == (RECORDED not in value)
    if pattern is not None:
        assert pattern.fill({"answer": "x"}) == value.replace(RECORDED, "x")


def test_empty_texts_are_found_nowhere() -> None:
    assert Finder({"": "answer"}).find("anything") is None
    assert Finder({}).find("anything") is None


@given(words, st.lists(st.booleans(), max_size=4))
def test_escaping_is_undone_by_reading(text: str, escapes: list[bool]) -> None:
    value = escaped(text, tuple(escapes))
    for _ in escapes:
        value = json.loads(f'"{value}"')
    assert value == text
