import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.core.model import Trace
from scorers.base import Score
from scorers.builtin.language import language, language_match, languages
from scorers.loading import ScorerConfig, load_scorer

MOON = {
    "en": "The moon is about as far from the Earth as thirty Earths in a row.",
    "de": "Der Mond ist ungefähr so weit von der Erde entfernt wie dreißig Erden in einer Reihe.",
    "fr": "La Lune est à peu près à la distance de trente Terres mises côte à côte.",
    "es": "La Luna está aproximadamente a treinta veces el diámetro de la Tierra.",
    "ja": "月は地球からおよそ三十八万キロメートル離れています。",
    "ru": "Луна находится от Земли примерно на расстоянии тридцати диаметров Земли.",
    "ar": "يبعد القمر عن الأرض حوالي ثلاثمئة وأربعة وثمانين ألف كيلومتر.",
    "el": "Η Σελήνη απέχει από τη Γη περίπου τριάντα διαμέτρους της Γης.",
    "ko": "달은 지구에서 약 삼십팔만 킬로미터 떨어져 있습니다.",
    "sv": "Månen är ungefär trettio gånger så långt bort från jorden som jorden är bred.",
}


def score(found: object) -> Score | None:
    assert found is None or isinstance(found, Score)
    return found


def match(question: str, answer: str) -> Score | None:
    return score(language_match(Trace("t", question=question, answer=answer)))


@pytest.mark.parametrize("code", MOON)
def test_a_sentence_is_known_by_its_language(code: str) -> None:
    found = score(language(Trace("t", answer=MOON[code])))
    assert found is not None
    assert found.label == code
    assert found.value is not None
    assert 0.5 < found.value <= 1


def test_nothing_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise AssertionError("a connection was asked for")

    monkeypatch.setattr(socket, "getaddrinfo", refused)
    monkeypatch.setattr(socket.socket, "connect", refused)
    languages.cache_clear()
    assert languages(MOON["fr"])[0][0] == "fr"


@pytest.mark.parametrize(
    "text", ["", "42", "  \n", "1,200 + 3 = ?", "```python\nprint(1)\n```", "https://example.org/a"]
)
def test_a_text_without_prose_has_no_language(text: str) -> None:
    assert language(Trace("t", answer=text)) is None


def test_code_and_addresses_do_not_hide_the_prose() -> None:
    code = "```python\nfor line in open('the file of the people'):\n    print('this is the line and that is it')\n```\n"
    assert languages(code + MOON["de"] + " https://example.org/this-is-what-they-have-said")[0][0] == "de"


def test_capitals_make_no_other_language() -> None:
    assert languages(MOON["es"].upper())[0][0] == "es"


def test_the_languages_that_are_right_can_be_configured() -> None:
    one = load_scorer(ScorerConfig(use="language", passing="in en, de"))
    assert one.passing is not None
    assert one.passing.judge(0.9, "de")
    assert not one.passing.judge(0.9, "fr")


@pytest.mark.parametrize("asked", MOON)
def test_an_answer_in_another_language_does_not_pass(asked: str) -> None:
    for said, answer in MOON.items():
        found = match(MOON[asked], answer)
        assert found is not None
        assert found.value is not None
        assert language_match.passing is not None
        assert language_match.passing.judge(found.value, None) is (asked == said), (asked, said)
        assert found.explanation == f"question {asked}, answer {said}"


def test_close_kin_are_one_language() -> None:
    danish = "Månen er omkring tredive gange så langt væk fra Jorden, som Jorden er bred, og det ved jeg fra min skole."
    norwegian = "Månen er omtrent tretti jorddiametre unna jorden, og det har jeg lært på skolen hjemme."
    found = match(norwegian, danish)
    assert found is not None
    assert found.label == "same"


@pytest.mark.parametrize(
    "question",
    ["Please translate this sentence about the moon for me.", "How do I say that the moon is far away in German?"],
)
def test_who_asks_for_another_language_gets_no_verdict_on_it(question: str) -> None:
    assert match(question, MOON["de"]) is None
    kept = match(question, MOON["en"])
    assert kept is not None
    assert kept.label == "same"


@pytest.mark.parametrize("answer", ["Paris.", "Disha Vakani", "384,400 km", "東京"])
def test_a_short_answer_is_not_judged(answer: str) -> None:
    assert match(MOON["en"], answer) is None


@given(st.text(max_size=300), st.text(max_size=300))
def test_any_two_texts_give_a_share_or_nothing(question: str, answer: str) -> None:
    for found in (match(question, answer), score(language(Trace("t", answer=answer)))):
        assert found is None or (found.value is not None and 0 <= found.value <= 1)
