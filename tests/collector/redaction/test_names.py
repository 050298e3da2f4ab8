"""Names of people: what is found by the model that ships, and what holds of any."""

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.redaction.names import FILE, NameModel, Reading, _likeliest, find_names


def found(text: str) -> list[str]:
    return [text[start:end] for start, end in find_names(text)]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Your order was signed for by Maria Gonzales at noon.", ["Maria Gonzales"]),
        ("Dear Mr. Okafor,\nthank you for your patience.", ["Okafor"]),
        ("Please ask Sarah J. Whitfield or her colleague Tom.", ["Sarah J. Whitfield", "Tom"]),
        ("my name is peter novak and i want a refund", ["peter novak"]),
        ("The account belongs to Anna-Lena Schmidt.", ["Anna-Lena Schmidt"]),
        (r'{"text": "Best regards,\nDavid Miller"}', ["David Miller"]),  # as JSON escapes it
        ("Best regards,\nDavid Miller\nCustomer Service", ["David Miller"]),
    ],
)
def test_names_are_found_whole_and_without_titles(text: str, names: list[str]) -> None:
    assert found(text) == names


@pytest.mark.parametrize(
    "text",
    [
        "",
        "The parcel arrives on Monday, 3 June, between 9 and 12.",
        "You can reset your password under Settings, then Security.",
        "Will the shop in Paris open in May? I do not know.",
        "Microsoft Word and Excel are part of Microsoft Office.",
        "IMPORTANT: DO NOT SHARE THIS CODE.",
        "Berlin is the capital of Germany and has 3.7 million inhabitants.",
    ],
)
def test_what_only_has_capitals_is_left_alone(text: str) -> None:
    assert found(text) == []


@pytest.mark.parametrize("text", ["Kennedy Airport is closed.", "He reads the Hemingway novel."])
def test_known_to_be_wrong_on_some_places_and_works(text: str) -> None:
    """One of the two is a place, the other a person as an adjective; what is said of them may change with the model."""
    assert len(found(text)) <= 1


@given(st.text(alphabet=st.sampled_from("AaBbéÉ .,'’-\n1\ud800ßİ<>:"), max_size=80))
def test_spans_are_in_order_inside_the_text_and_do_not_overlap(text: str) -> None:
    end = 0
    for start, stop in find_names(text):
        assert end <= start < stop <= len(text)
        end = stop


@given(
    st.lists(
        st.tuples(st.floats(-3, 3), st.booleans()),
        max_size=6,
    )
)
def test_the_labels_are_those_of_the_greatest_sum(words: list[tuple[float, bool]]) -> None:
    odds = [odd for odd, _ in words]
    linked = [at > 0 and link for at, (_, link) in enumerate(words)]

    def total(flags: tuple[bool, ...] | list[bool]) -> float:
        told_apart = sum(linked[at] and flags[at] != flags[at - 1] for at in range(1, len(flags)))
        return sum(odd for odd, flag in zip(odds, flags, strict=True) if flag) - told_apart

    best = max(map(total, itertools.product((False, True), repeat=len(odds))))
    assert total(_likeliest(odds, linked)) == pytest.approx(best)


def test_only_words_that_may_be_names_are_looked_at() -> None:
    model = NameModel({"anna": "F", "will": "Fc", "and": "c", "kim": "FL"}, 0.0, {})

    def looked_at(text: str) -> list[str]:
        seen = Reading(text, model.kind)
        return [seen.words[at] for at in seen.candidates]

    assert looked_at("anna and will met Zoltan, kim x smithers") == ["Zoltan"]
    assert looked_at("anna and will met zoltan, kim x smithers and I") == ["anna", "kim", "x", "smithers", "I"]


def test_a_run_goes_over_blanks_and_initials_and_not_over_lines_and_marks() -> None:
    seen = Reading("Ann B. Cole\nDan, Eve", NameModel({}, 0.0, {}).kind)
    assert [(run, place) for run, place in seen.runs.values()] == [
        ([0, 1, 3], 0),
        ([0, 1, 3], 1),
        ([0, 1, 3], 2),
        ([5], 0),
        ([7], 0),
    ]


def test_a_word_with_a_hyphen_is_in_the_lists_of_its_parts() -> None:
    model = NameModel({"anna": "F", "meier": "L"}, 0.0, {})
    assert [model.kind(word) for word in ("Anna-Meier", "Anna-X", "X-Y", "anna")] == ["FL", "F", "-", "F"]


def test_a_long_run_takes_time_in_proportion() -> None:
    assert len(find_names("Ann Cole " * 20_000)) == 1
    assert find_names("and anna" + " 1 xyzzy" * 40_000) == [(4, 8)]
    assert len(find_names("a" * 200_000 + " Ann" * 20_000)) == 1


def test_the_model_is_small_and_tells_whose_its_lists_are() -> None:
    assert FILE.stat().st_size < 1_000_000
    assert "Permission is hereby granted" in FILE.read_text(encoding="utf-8")


@pytest.mark.parametrize("content", ["[]", "{}", '{"kinds": [], "intercept": 0, "weights": {}}'])
def test_what_is_no_model_is_told(tmp_path: Path, content: str) -> None:
    (tmp_path / "names.json").write_text(content)
    with pytest.raises(ValueError, match="not a model of names"):
        NameModel.load(tmp_path / "names.json")
