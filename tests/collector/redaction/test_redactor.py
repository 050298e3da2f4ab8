"""What is known by its form leaves as a mark, wherever it stands; everything else leaves as it is."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.redaction.credentials import find_credentials
from collector.redaction.personal import find_personal
from collector.redaction.redactor import Redactor

KEY = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nQ2FzZQ\n-----END RSA PRIVATE KEY-----"


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("nothing here, 42 times", "nothing here, 42 times"),
        ("ask jo@example.org, or +44 20 7946 0958", "ask [EMAIL], or [PHONE]"),
        ("card 4111 1111 1111 1111, not 4111 1111 1111 1112", "card [CREDIT_CARD], not 4111 1111 1111 1112"),
        ("from 203.0.113.9 to GB82 WEST 1234 5698 7654 32", "from [IP_ADDRESS] to [IBAN]"),
        ("see https://shop.example/a?mail=jo@example.org&x=1.", "see https://shop.example/a?mail=[EMAIL]&x=1."),
        ("see https://shop.example/help", "see https://shop.example/help"),
        ('{"api_key": "v9#Lq2!xWz"}', '{"api_key": "[SECRET]"}'),
        (f"a {KEY} z", "a [SECRET] z"),
        (KEY[:60], "[SECRET]"),
        (f"{KEY} and {KEY}", "[SECRET] and [SECRET]"),
        ("ключ: jo@example.org 🙂 jo@example.org", "ключ: [EMAIL] 🙂 [EMAIL]"),
    ],
)
def test_texts(text: str, redacted: str) -> None:
    assert Redactor().text(text) == redacted


def test_there_may_be_many_of_them_and_many_that_only_look_like_them() -> None:
    redactor = Redactor()
    text = "\n".join(
        [*(f"{number:016}," for number in range(500)), *(f"u{number}@example.org" for number in range(300))]
    )
    assert "@" not in redactor.text(text)
    assert redactor.count == 300


def test_values_of_every_depth_and_names_of_fields() -> None:
    redactor = Redactor()
    value: Any = {"to": ["jo@example.org", 7, None, {"jo@example.org": True}], "password": "v9#Lq2!xWz", "n": 1.5}
    assert redactor.value(value) == {"to": ["[EMAIL]", 7, None, {"[EMAIL]": True}], "password": "[SECRET]", "n": 1.5}
    assert redactor.count == 3


def test_numbers_that_nobody_quoted_and_fields_that_become_the_same() -> None:
    value = {"card": 4111111111111111, "at": 1_700_000_000_000_000_000, "a@b.de": 1, "c@d.de": 2}
    told = {"card": "[CREDIT_CARD]", "at": 1_700_000_000_000_000_000, "[EMAIL]": 1, "[EMAIL] 2": 2}
    assert Redactor().value(value) == told


def test_personal_data_may_stay_where_only_credentials_matter() -> None:
    value = {"brokers": ["10.0.0.5:9092"], "password": "v9#Lq2!xWz"}
    only_secrets = Redactor(actions={"secret": "mask"}, otherwise="keep")
    assert only_secrets.value(value) == {
        "brokers": ["10.0.0.5:9092"],
        "password": "[SECRET]",
    }


PIECES = st.sampled_from(
    [
        *("jo@example.org", "4111 1111 1111 1111", "+44 20 7946 0958", 'password = "v9#Lq2!xWz"'),
        *("https://a.example/?m=b@c.de", " ", "\n", ", ", "word", "1", "é", "🙂", KEY),
    ]
)


@settings(deadline=None, max_examples=60)
@given(st.lists(PIECES, max_size=12).map("".join))
def test_nothing_is_found_any_more(text: str) -> None:
    redacted = Redactor().text(text)
    assert {redacted[item.start : item.end] for item in find_credentials(redacted)} <= {"[SECRET]"}
    assert [item for item in find_personal(redacted) if item.type != "URL"] == []
    again = Redactor()
    assert (again.text(redacted), again.count) == (redacted, 0)
