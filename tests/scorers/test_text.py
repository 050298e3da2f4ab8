from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scorers.text import _SPELLINGS, _TERMS, LIMIT_CHARACTERS, Text, _sentence, _sentence_spans, clipped_note, read


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("", []),
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("Dr. Lee met J. Smith at 5 p.m. on Monday.", ["Dr. Lee met J. Smith at 5 p.m. on Monday."]),
        ("Pi is 3.14 exactly. Yes", ["Pi is 3.14 exactly.", "Yes"]),
        ('He said "Go." Then left.', ['He said "Go."', "Then left."]),
        ("a\n\n- b\n- c", ["a", "- b", "- c"]),
        ("東京です。大阪です。", ["東京です。", "大阪です。"]),
        ("ما اسمك؟ أنا هنا.", ["ما اسمك؟", "أنا هنا."]),
    ],
)
def test_sentences(text: str, sentences: list[str]) -> None:
    assert [text[s.start : s.end] for s in read(text).sentences] == sentences


@given(st.text(max_size=400))
def test_sentences_are_in_order_and_lose_nothing_but_space(text: str) -> None:
    found = read(text).sentences
    assert all(a.end <= b.start for a, b in pairwise(found))
    kept = "".join(text[s.start : s.end] for s in found)
    assert "".join(kept.split()) == "".join(text.split())


def test_numbers_have_one_spelling() -> None:
    assert read("1,200 and 1200.0 and 007").numbers == {"1200", "7"}


def test_number_words_meet_digits() -> None:
    assert read("seven dwarfs").terms == read("7 dwarfs").terms


def test_text_without_spaces_is_read_as_pairs() -> None:
    assert {"東京", "京都"} <= read("東京都tower").terms
    assert "tower" in read("東京都tower").terms


def test_a_long_text_is_read_in_part_and_says_so() -> None:
    text = read("word " * LIMIT_CHARACTERS)
    assert len(text.text) == LIMIT_CHARACTERS
    assert str(LIMIT_CHARACTERS) in clipped_note(text)
    assert clipped_note(read("short")) == ""


def test_a_text_is_read_once() -> None:
    assert read("the same text") is read("the same text")


@given(
    st.text(alphabet=st.sampled_from([*"aBcΣσ 1.,!?\n'’;。！東京กไ-İß9"]), max_size=60) | st.text(max_size=60),
)
def test_what_a_text_has_is_what_its_sentences_have_together(text: str) -> None:
    split, whole = Text(text, clipped=False), Text(text, clipped=False)
    sentences = split.sentences
    assert whole.words == tuple(word for sentence in sentences for word in sentence.words) == split.words
    assert whole.terms == frozenset().union(*(sentence.terms for sentence in sentences)) == split.terms
    assert whole.numbers == frozenset().union(*(sentence.numbers for sentence in sentences)) == split.numbers
    assert whole.vocabulary == split.vocabulary


@given(
    st.text(alphabet=st.sampled_from([*"aBz019 .,!?;:\n\t\x1c'\"()-_"]), max_size=80)
    | st.lists(
        st.sampled_from(["Mr. Lee", "e.g. this", "3.14", "1,200.50", "don't", "''", "x_y", "a.m.", "...", "  ", "\n\n"])
    ).map(" ".join)
)
def test_a_text_in_ascii_is_split_as_any_other(text: str) -> None:
    one_by_one = tuple(_sentence(text, start, end) for start, end in _sentence_spans(text))
    assert Text(text, clipped=False).sentences == one_by_one


def test_a_word_too_long_for_one_and_a_number_are_read_and_not_remembered() -> None:
    before = len(_TERMS), len(_SPELLINGS)
    assert len(read("x" * 5_000 + " 77001").terms) == 2
    assert (len(_TERMS), len(_SPELLINGS)) == before


@pytest.mark.parametrize("mark", ["", "'", "’"])
def test_a_word_is_one_object_in_all_texts_that_have_it(mark: str) -> None:
    first, second = Text(f"Zanzibar's{mark} spice.", False), Text(f"Of {mark}zanzibar's spice.", False)
    assert second.sentences
    assert first.words[-1] == "spice"
    assert first.words[-1] is second.words[-1]
    assert first.words[0] is second.words[1]


def test_the_texts_of_traces_that_are_scored_together_are_read_once() -> None:
    texts = [f"part {part} of trace {trace}" for trace in range(32) for part in range(6)]
    first = [read(text) for text in texts]
    assert all(read(text) is one for text, one in zip(texts, first, strict=True))
