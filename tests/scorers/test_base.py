import pytest

from collector.core.model import Trace
from scorers.base import Score, Scorer, scorer


@scorer(name="words", needs=("output",), range=(0, 100), passing="<= 50", better="lower", unit="words")
def words(trace: Trace, *, least: int = 0, separator: str | None = None) -> float:
    """Number of words of the answer.

    More is never better here.
    """
    return float(max(least, len((trace.answer or "").split(separator))))


def test_a_decorated_function_stays_callable() -> None:
    assert words(Trace("t", answer="one two")) == 2.0


def test_output_is_another_word_for_answer() -> None:
    assert words.needs == ("answer",)


def test_the_doc_is_the_first_paragraph() -> None:
    assert words.doc == "Number of words of the answer."


def test_options_are_given_to_the_function() -> None:
    assert words.configured(options={"least": 7})(Trace("t", answer="one")) == 7.0


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"most": 3}, "options.most: not an option; allowed are least, separator"),
        ({"least": "many"}, "options.least: .*got 'many'"),
    ],
)
def test_a_wrong_option_is_named(options: dict[str, object], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        words.configured(options=options)


def test_an_unknown_need_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"needs: 'anser' is not one of .*answer"):
        scorer(name="x", needs=("anser",))


@pytest.mark.parametrize("bounds", [(1, 0), (1, 1), (0, float("nan"))])
def test_an_empty_range_is_refused(bounds: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="low < high"):
        scorer(name="x", range=bounds)(lambda trace: 1.0)


def test_the_evaluator_id_changes_with_what_can_change_a_score() -> None:
    ids = {
        words.evaluator_id,
        words.configured(passing="<= 40").evaluator_id,
        words.configured(options={"least": 1}).evaluator_id,
        Scorer("words", words.function, version="2", passing=words.passing).evaluator_id,
        words.configured(name="other").evaluator_id,
    }
    assert len(ids) == 5


def test_the_evaluator_id_does_not_change_with_the_sampling_rate() -> None:
    assert words.configured(rate=0.1, timeout_seconds=1).evaluator_id == words.configured().evaluator_id


def test_a_rate_of_zero_is_a_value() -> None:
    assert words.configured(rate=0).rate == 0


def test_a_score_has_no_verdict_unless_given() -> None:
    assert Score(0.0).passed is None
