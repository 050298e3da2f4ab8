from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.core.errors import UserError
from collector.core.model import Trace
from scorers.base import Score
from scorers.builtin.wording import answer_length, format_rules, readability
from scorers.loading import ScorerConfig, load_scorer


def score(found: object) -> Score | None:
    assert found is None or isinstance(found, Score)
    return found


def keeps(answer: str, **rules: Any) -> Score | None:
    return score(format_rules.configured(options=rules)(Trace("t", answer=answer)))


@pytest.mark.parametrize(("answer", "words"), [("", 0), ("It's 1,200 km.", 4), ("東京は日本", 4)])
def test_length_is_in_words(answer: str, words: int) -> None:
    found = score(answer_length(Trace("t", answer=answer)))
    assert found is not None
    assert found.value == words


def test_readability_is_words_a_sentence_and_percent_of_long_words() -> None:
    answer = "The small dog ran to the old tree today. " * 4 + "Yesterday elephants wandered everywhere."
    found = score(readability(Trace("t", answer=answer)))
    assert found is not None
    assert found.value == pytest.approx(40 / 5 + 100 * 4 / 40)


def test_a_few_words_have_no_readability() -> None:
    assert readability(Trace("t", answer="The small dog ran to the old tree.")) is None


def test_without_rules_there_is_nothing_to_score() -> None:
    assert keeps("Anything.") is None


@pytest.mark.parametrize(
    ("rules", "good", "bad"),
    [
        ({"starts_with": ["Dear", "Hello"]}, " hello Jo,", "Oh, hello."),
        ({"ends_with": ["Regards, Ada"]}, "It came. Regards, Ada\n", "Regards, Ada. PS: it came."),
        ({"contains": ["Source:"]}, "It is 3. Source: list.", "It is 3."),
        ({"lacks": ["guarantee"]}, "It may rise.", "We Guarantee that."),
        ({"matches": [r"\bORD-[0-9]{4}\b"]}, "It is ORD-1234.", "It is ORD-12."),
        ({"lacks_matches": ["(?i)as an ai"]}, "It is 3.", "As an AI, I say 3."),
        ({"markdown": True}, "# Title\nText", "Title. Text"),
        ({"markdown": False}, "3 * 4 - 1 = 11", "It is **11**."),
        ({"valid_json": True}, '{"a": [1]}', '```json\n{"a": 1}\n```'),
        ({"valid_json": False}, "It is 3.", "[3]"),
        ({"least_words": 3}, "one two three", "one two"),
        ({"most_words": 2}, "one two", "one two three"),
    ],
)
def test_a_rule_is_kept_or_broken(rules: dict[str, Any], good: str, bad: str) -> None:
    for answer, value in ((good, 1.0), (bad, 0.0)):
        found = keeps(answer, **rules)
        assert found is not None
        assert found.value == value
    (name,) = rules
    assert found.explanation is not None
    assert found.explanation.startswith(f"broken: {name}")


def test_the_value_is_the_share_of_rules_that_are_kept() -> None:
    found = keeps("It is 3.", contains=["it", "four"], most_words=3, valid_json=True)
    assert found is not None
    assert (found.value, found.explanation) == (0.5, "broken: contains[1], valid_json")


def test_the_end_of_a_long_answer_is_its_end() -> None:
    found = keeps("word " * 20_000 + "Regards", ends_with=["regards"])
    assert found is not None
    assert found.value == 1.0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"matches": ["fine", "a(?=b)"]}, "'a(?=b)' is not a regular expression that RE2 knows"),
        ({"most_words": -1}, "options.most_words: Input should be greater than or equal to 0, got -1"),
        ({"endswith": ["a"]}, "options.endswith: not an option"),
    ],
)
def test_a_rule_that_cannot_be_is_refused_when_it_is_configured(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError) as refused:
        load_scorer(ScorerConfig(use="scorers.builtin.wording:format_rules", options=options))
    assert said in str(refused.value)


def test_a_pattern_that_backtracking_engines_die_of_costs_nothing() -> None:
    found = keeps("a" * 30_000 + "!", matches=["(a+)+$"])
    assert found is not None
    assert found.value == 0.0


@given(st.text(), st.text(min_size=1, max_size=5))
def test_any_text_keeps_or_breaks_any_rule(answer: str, part: str) -> None:
    found = keeps(
        answer, contains=[part], lacks=[part], ends_with=[part], markdown=True, valid_json=True, least_words=1
    )
    assert found is not None
    assert found.value is not None
    assert 0 < found.value < 1 or found.value in (0.0, 1.0)
    both = keeps(answer, contains=[part], lacks=[part])
    assert both is not None
    assert both.value == 0.5
