import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scorers.linear import LinearModel, features, word_features

MODEL = LinearModel(20, -1.0, {"^ no": 2.0, "no": 1.0, "yes": -3.0})


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def test_the_sum_is_over_the_root_of_how_many_are_known() -> None:
    assert MODEL.probability("No way") == pytest.approx(sigmoid(-1.0 + 3.0 / math.sqrt(2)))


def test_a_text_without_a_known_word_has_the_intercept() -> None:
    assert MODEL.probability("") == MODEL.probability("perhaps") == pytest.approx(sigmoid(-1.0))


def test_how_often_a_word_occurs_and_what_comes_later_is_no_matter() -> None:
    assert MODEL.probability("no no no") == MODEL.probability("no" + " " * 30 + "yes")


def test_words_do_not_join_over_marks() -> None:
    assert features("No, way") == {"^", "^ no,", "no,", "no, way", "way"}


@given(st.text())
def test_a_probability_is_one_whatever_the_text(text: str) -> None:
    assert 0 < MODEL.probability(text) < 1


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"characters": 3, "intercept": 1}'])
def test_a_file_that_is_no_model_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "weights.json"
    path.write_text(content)
    with pytest.raises(ValueError):
        LinearModel.load(path)


def test_a_model_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "weights.json"
    path.write_text(json.dumps({"characters": 20, "intercept": -1.0, "weights": MODEL.weights}))
    assert LinearModel.load(path).probability("no") == MODEL.probability("no")


@given(st.lists(st.sampled_from(["no", "yes", "way", "^", "can't", "?"]), max_size=8), st.sampled_from(["", "?"]))
def test_pairs_of_words_weigh_what_they_weigh_when_spelled(words: list[str], more: str) -> None:
    weights = {"^": 0.5, "no": 1.0, "yes": -3.0, "?": 0.25, "^ no": 2.0, "no way": 0.1, "way no": 0.7, "yes ^": -0.3}
    known = {*word_features(words), *more} & weights.keys()
    expected = math.fsum(weights[name] for name in known) / math.sqrt(len(known)) - 1.0
    assert LinearModel(20, -1.0, weights).logit(words, more) == pytest.approx(expected, abs=1e-12)
