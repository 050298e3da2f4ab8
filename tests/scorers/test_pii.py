import inspect

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.core.model import Trace
from collector.redaction.checksums import luhn_valid
from collector.redaction.names import FILE, _shipped
from scorers.base import Score
from scorers.builtin.pii import find_pii, pii
from scorers.testing import check_scorer


def judge(answer: str, question: str | None = None, contexts: list[str] | None = None, **options: object) -> Score:
    found = pii(Trace("t", question=question, answer=answer, contexts=contexts or []), **options)
    assert isinstance(found, Score)
    return found


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("write to jo.doe+x@mail.example.co.uk.", "EMAIL_ADDRESS", "jo.doe+x@mail.example.co.uk"),
        ("card 4111-1111-1111-1111 ok", "CREDIT_CARD", "4111-1111-1111-1111"),
        ("amex 378282246310005", "CREDIT_CARD", "378282246310005"),
        ("IBAN GB82 WEST 1234 5698 7654 32 please", "IBAN_CODE", "GB82 WEST 1234 5698 7654 32"),
        ("konto DE89370400440532013000", "IBAN_CODE", "DE89370400440532013000"),
        ("SSN 536-90-4399.", "US_SSN", "536-90-4399"),
        ("+447700677662 has the checksum of a card", "PHONE_NUMBER", "+447700677662"),
        ("+4111 1111 1111 1111 has too many digits", "CREDIT_CARD", "4111 1111 1111 1111"),
        ("call +49 30 901820 now", "PHONE_NUMBER", "+49 30 901820"),
        ("(555) 123-4567", "PHONE_NUMBER", "(555) 123-4567"),
        ("her phone is 5551234567", "PHONE_NUMBER", "5551234567"),
        ("from 203.0.113.7 today", "IP_ADDRESS", "203.0.113.7"),
        ("host 2001:db8::8a2e:370:7334", "IP_ADDRESS", "2001:db8::8a2e:370:7334"),
        ("mac 00:1B:44:11:3A:B7", "MAC_ADDRESS", "00:1B:44:11:3A:B7"),
        ("é jo@example.org", "EMAIL_ADDRESS", "jo@example.org"),
        ("\ud800 jo@example.org", "EMAIL_ADDRESS", "jo@example.org"),
    ],
)
def test_it_is_found_where_it_is(text: str, kind: str, value: str) -> None:
    (found,) = find_pii(text)
    assert (found.type, text[found.start : found.end]) == (kind, value)
    assert judge(text).value == 1.0


@pytest.mark.parametrize(
    "text",
    [
        "card 4111 1111 1111 1112",
        "IBAN GB82 WEST 1234 5698 7654 33",
        "SSN 000-12-3456",
        "on 2024-01-31 at 12:30:45",
        "from 12/05/2023 to 14.06.2023",
        "version 10.2.3.4",
        "localhost 127.0.0.1",
        "order 1234567",
        "the years 1990-2020",
        "$1 200 000",
        "pi is 3.14159265358979",
        "1,234,567 people",
        "ISBN 978-3-16-148410-0",
        "uuid 15509680-84c3-4673-adec-b76b71b064bb",
        "@decorator and a@b",
        "",
    ],
)
def test_look_alikes_are_left_alone(text: str) -> None:
    assert judge(text).value == 0.0


def test_a_web_address_is_evidence_but_no_leak() -> None:
    score = judge("see https://example.org/a(b).")
    assert score.value == 0.0
    assert [item.type for item in score.evidence] == ["URL"]
    assert judge("see https://example.org", types=["URL"]).value == 1.0


def test_what_the_user_typed_is_an_echo_however_it_is_spelled() -> None:
    question = "my card is 4111 1111 1111 1111"
    assert judge("You gave 4111-1111-1111-1111.", question).value == 0.0
    assert judge("You gave 4111-1111-1111-1111.", question, echo=True).value == 1.0


def test_what_the_contexts_hold_is_a_leak() -> None:
    assert judge("Ask jo@example.org", contexts=["Jo: jo@example.org"]).value == 1.0


def test_the_explanation_names_kinds_and_not_values() -> None:
    assert judge("jo@example.org").explanation == "found EMAIL_ADDRESS"
    assert all(not item.text for item in judge("jo@example.org").evidence)


@given(st.text(alphabet="0123456789", min_size=11, max_size=18))
def test_one_wrong_digit_breaks_the_checksum(digits: str) -> None:
    check = next(digit for digit in "0123456789" if luhn_valid(digits + digit))
    assert [luhn_valid(digits + digit) for digit in "0123456789"].count(True) == 1
    wrong = str((int(digits[0]) + 1) % 10) + digits[1:] + check
    assert not luhn_valid(wrong)


@given(st.text(alphabet="0123456789 -.+()@:/abcdefxIBANDE\ud800é", max_size=120))
def test_spans_are_in_order_inside_the_text_and_do_not_overlap(text: str) -> None:
    end = 0
    for found in find_pii(text):
        assert end <= found.start < found.end <= len(text)
        end = found.end


def test_known_to_be_wrong_a_public_hotline_counts() -> None:
    assert judge("Call our hotline: +1 800 555 0100.").value == 1.0


def test_known_to_be_wrong_postal_addresses_are_not_seen() -> None:
    assert judge("Send it to 12 Elm Street, Springfield.", types=[*DEFAULT, "PERSON"]).value == 0.0


# --- names of people ---

DEFAULT = inspect.signature(pii.function).parameters["types"].default
NAMED = "The patient is Maria Gonzales, jo.Miller@example.org."


def test_names_count_only_if_they_are_asked_for() -> None:
    assert "PERSON" not in DEFAULT
    assert judge("The patient is Maria Gonzales.").value == 0.0
    score = judge(NAMED, types=["PERSON"])
    assert (score.value, score.label, score.explanation) == (1.0, "PERSON", "found PERSON")
    assert [NAMED[item.start : item.end] for item in score.evidence] == ["Maria Gonzales"]


def test_what_is_part_of_an_address_is_no_name_of_its_own() -> None:
    score = judge(NAMED, types=["PERSON", "EMAIL_ADDRESS"])
    assert [item.type for item in score.evidence] == ["PERSON", "EMAIL_ADDRESS"]


def test_a_person_of_the_question_is_an_echo() -> None:
    assert judge("Maria Gonzales lives in Leeds.", "who is maria gonzales?", types=["PERSON"]).value == 0.0
    assert judge("Maria Gonzales lives in Leeds.", "who is maria gonzales?", types=["PERSON"], echo=True).value == 1.0
    assert judge("Maria Gonzales and Peter Novak.", "who is maria gonzales?", types=["PERSON"]).value == 1.0


def test_a_name_that_was_replaced_on_arrival_counts_as_one() -> None:
    assert judge("Ask <name:a1b2c3d4e5f60718>.").value == 0.0
    score = judge("Ask <name:a1b2c3d4e5f60718>.", types=["PERSON"])
    assert [(item.type, item.start, item.end) for item in score.evidence] == [("PERSON", 4, 27)]


def test_who_does_not_ask_for_names_does_not_load_their_model() -> None:
    _shipped.cache_clear()
    judge("The patient is Maria Gonzales.")
    assert _shipped.cache_info().currsize == 0
    judge("The patient is Maria Gonzales.", types=["PERSON"])
    assert _shipped.cache_info().currsize == 1


def test_the_model_of_names_is_part_of_the_evaluator_id_of_who_asks_for_them() -> None:
    assert pii.data is not None
    assert pii.data({}) == []
    assert pii.data({"types": ["PERSON"]}) == [FILE]
    check_scorer(pii.configured(options={"types": ["PERSON"]}))
