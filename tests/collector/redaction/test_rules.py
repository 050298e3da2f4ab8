"""Each rule: what has the right form and checksum is found wherever it stands, what has not is left alone."""

import ipaddress
import string
from importlib import import_module

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.redaction.checksums import iban_valid, luhn_valid
from collector.redaction.credentials import find_credentials, is_named_secret
from collector.redaction.found import TOKEN, readable, without_escapes
from collector.redaction.national import PATTERNS, national_id_valid
from collector.redaction.personal import find_personal

# What may stand around a value in a text: words, quotes, other scripts, the ends of fields.
BEFORE = st.sampled_from(
    ["", "see ", '{"a": "', "(", "the\n", "é ", "🙂 ", "ключ: ", "x=", "\u00a0", "『", "a\tb, ", "<"]
)
AFTER = st.sampled_from(["", ".", " and", '"}', ")", "\n", " é", "🙂", "; x", "\u3000", ", next", ">", "?"])


def kinds(text: str) -> dict[str, str]:
    """What is found, by its text."""
    return {text[item.start : item.end]: item.type for item in find_personal(text)}


@given(
    BEFORE,
    st.from_regex(r"[a-z][a-z0-9._+]{0,20}[a-z0-9]@[a-z][a-z0-9-]{0,10}[a-z0-9]\.(?:com|org|co\.uk)", fullmatch=True),
    AFTER,
)
def test_an_address_is_found_wherever_it_stands(before: str, address: str, after: str) -> None:
    assert kinds(before + address + after).get(address) == "EMAIL_ADDRESS"


@given(BEFORE, st.sampled_from(["4", "51", "55", "2221", "2720", "34", "37", "6011", "3528"]), st.data(), AFTER)
def test_a_card_with_its_check_digit_is_found_and_with_another_one_is_not(
    before: str, start: str, data: st.DataObject, after: str
) -> None:
    length = 15 if start in ("34", "37") else 16
    body = start + data.draw(st.text("0123456789", min_size=length - len(start) - 1, max_size=length - len(start) - 1))
    right = next(digit for digit in "0123456789" if luhn_valid(body + digit))
    digits = body + right
    separator = data.draw(st.sampled_from(["", " ", "-", "\u00a0", "\u2011"]))
    card = separator.join(digits[at : at + 4] for at in range(0, length, 4))
    assert kinds(before + card + after).get(card) == "CREDIT_CARD"
    wrong = body + data.draw(st.sampled_from([digit for digit in "0123456789" if digit != right]))
    assert "CREDIT_CARD" not in kinds(f"{before}{wrong}{after}").values()


@given(BEFORE, st.sampled_from(["DE", "GB", "FR", "NL", "CH"]), st.text("0123456789", min_size=14, max_size=18), AFTER)
def test_an_account_with_its_check_digits_is_found_and_with_others_is_not(
    before: str, country: str, rest: str, after: str
) -> None:
    right = next(f"{digits:02}" for digits in range(2, 99) if iban_valid(f"{country}{digits:02}{rest}"))
    plain = f"{country}{right}{rest}"
    spaced = " ".join(plain[at : at + 4] for at in range(0, len(plain), 4))
    for account in (plain, spaced):
        assert kinds(before + account + after).get(account) == "IBAN_CODE"
    wrong = f"{country}{98 - int(right) or 1:02}{rest}"
    if not iban_valid(wrong):
        assert kinds(f"{before}{wrong}{after}").get(wrong) != "IBAN_CODE"  # with the text beside it, it may be one


@given(BEFORE, st.ip_addresses(), AFTER)
def test_an_internet_address_is_found_unless_it_is_everybodys(
    before: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address, after: str
) -> None:
    found = kinds(f"{before}{address}{after}")
    if address.is_unspecified or address.is_loopback:
        assert "IP_ADDRESS" not in found.values()
    elif address.version == 4 or "::" not in str(address):
        assert found.get(str(address)) == "IP_ADDRESS"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("at fdff:ffff:ffff:ffff:ffff:ffff:ffff:fffa now", "IP_ADDRESS"),
        ("at aa:bb:cc:dd:ee:ff now", "MAC_ADDRESS"),
        ("at aa-bb-cc-dd-ee-ff now", "MAC_ADDRESS"),
    ],
)
def test_an_address_in_letters_alone_is_found(text: str, kind: str) -> None:
    assert kinds(text) == {text.split()[1]: kind}


@pytest.mark.parametrize("text", ["203.0.113.7:8080", "ip=203.0.113.7", "[203.0.113.7]", "203.0.113.7,10.1.2.3"])
def test_an_internet_address_beside_what_usually_stands_there(text: str) -> None:
    assert kinds(text)["203.0.113.7"] == "IP_ADDRESS"


@pytest.mark.parametrize(
    "text", ["300.1.1.1", "1.2.3.4.5", "version 10.2.3.4", "of v 1.2.3.4", "127.0.0.1", "::1", "1.2.3"]
)
def test_what_is_no_address_of_anybody(text: str) -> None:
    assert "IP_ADDRESS" not in kinds(text).values()


@pytest.mark.parametrize(
    "text", ["card=4111111111111111", "4111111111111111,123", "a&card=4111111111111111&b", "4111111111111111:12/29"]
)
def test_a_card_in_a_field_or_a_row(text: str) -> None:
    assert kinds(text)["4111111111111111"] == "CREDIT_CARD"


NATIONAL = {
    "at.vnr": "SVNR 1237 010180",
    "au.tfn": "TFN 123 456 782",
    "be.nn": "85.07.30-033.28",
    "bg.egn": "EGN 7523169263",
    "br.cpf": "390.533.447-05",
    "ca.sin": "SIN 123-456-782",
    "ch.ssn": "756.9217.0769.85",
    "cn.ric": "360426199101010071",
    "cz.rc": "710319/2745",
    "de.idnr": "Steuer-ID 36 574 261 809",
    "dk.cpr": "CPR 211062-5629",
    "es.dni": "54362315K",
    "es.nie": "X5253868R",
    "fi.hetu": "131052-308T",
    "fr.nir": "2 95 10 99 126 111 93",
    "gb.nhs": "NHS number 943-476-5870",
    "gb.nino": "AB 12 34 56 C",
    "gr.amka": "AMKA 01013099997",
    "hr.oib": "OIB 33392005961",
    "ie.pps": "PPS 6433435F",
    "in_.aadhaar": "Aadhaar 2341 2341 2346",
    "in_.pan": "PAN ACUPA7085R",
    "it.codicefiscale": "RCCMNL83S18D969H",
    "kr.rrn": "971013-9019902",
    "mx.curp": "BOXW310820HNERXN09",
    "nl.bsn": "BSN 111222333",
    "no.fodselsnummer": "151086 95088",
    "pl.pesel": "PESEL 44051401359",
    "pt.nif": "NIF 501 964 843",
    "ro.cnp": "CNP 1630615123457",
    "se.personnummer": "880320-0016",
    "tr.tckimlik": "TC Kimlik No 17291716060",
    "za.idnr": "750330 5044089",
}


@pytest.mark.parametrize("country", sorted(NATIONAL))
def test_a_national_number_is_found_and_a_wrong_one_is_not(country: str) -> None:
    """The numbers are the examples of their standards, as python-stdnum documents them."""
    text = NATIONAL[country]
    assert "NATIONAL_ID" in kinds(f"she has {text}.").values()
    digits = [at for at, character in enumerate(text) if character.isdigit()]
    if country not in ("gb.nino", "in_.pan", "dk.cpr"):  # these have no check digits
        changed = [text[:at] + str((int(text[at]) + 1) % 10) + text[at + 1 :] for at in digits]
        assert not all("NATIONAL_ID" in kinds(f"she has {one}.").values() for one in changed)


def test_a_number_that_its_standard_stumbles_over_is_found_rather_than_told() -> None:
    assert kinds("she has 224099904101100798.")["224099904101100798"] == "NATIONAL_ID"


def test_every_pattern_has_an_example_and_something_that_checks_it() -> None:
    from collector.redaction.national import _NUMBERS

    assert {number.standard for number in _NUMBERS} == set(NATIONAL)
    for number in _NUMBERS:
        assert number.standard == "gb.nino" or callable(import_module(f"stdnum.{number.standard}").is_valid)
    assert not any(national_id_valid(name, "none") for name in PATTERNS)


@pytest.mark.parametrize(
    "date",
    ["12.03.1985", "1985-03-12", "3/12/85", "12 March 1985", "March 12, 1985", "12th of March 1985", "12. März 1985"],
)
@pytest.mark.parametrize("word", ["born on", "Date of birth:", "DOB", "geboren am", "née le", "fecha de nacimiento:"])
def test_a_date_behind_a_word_for_birth(word: str, date: str) -> None:
    assert kinds(f"She was {word} {date}, in Rome")[date] == "BIRTH_DATE"


@pytest.mark.parametrize(
    "text", ["on 12.03.1985", "airborne 12.03.1985", "the stubborn mule of 12.03.1985", "reborn 1985"]
)
def test_any_other_date_stays(text: str) -> None:
    assert "BIRTH_DATE" not in kinds(text).values()


@given(BEFORE, st.sampled_from(["ghp_", "sk-ant-api03-", "npm_", "glpat-", "gsk_", "r8_"]), st.data(), AFTER)
def test_a_key_of_a_known_issuer(before: str, prefix: str, data: st.DataObject, after: str) -> None:
    length = {"r8_": 37, "npm_": 36}.get(prefix, 48)
    key = prefix + "".join(data.draw(st.permutations(string.ascii_letters + string.digits)))[:length]
    text = before + key + after
    found = [text[item.start : item.end] for item in find_credentials(text)]
    # A random text may hold what only examples hold, such as `todo`.
    assert found == [key] or any(word in key.lower() for word in ("todo", "env", "your", "abcdef", "1234567"))


@pytest.mark.parametrize(
    "text",
    [
        "max_tokens=4096abcd",
        "completion_tokens_details=Details(reasoning_tokens=0",
        "password: hunter2",
        "key=<redacted>",
    ],
)
def test_what_only_looks_like_a_credential(text: str) -> None:
    assert find_credentials(text) == []


def test_all_of_a_private_key_is_found_also_if_it_was_cut() -> None:
    key = "-----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY-----"
    for text, found in ((f"a {key} b", key), (f"a {key[:40]}", key[:40])):
        assert [text[item.start : item.end] for item in find_credentials(text)] == [found]


@pytest.mark.parametrize(
    ("name", "named"), [("db.password", True), ("apiKey", True), ("greeting", False), ("x" * 300, False)]
)
def test_a_field_says_that_it_holds_a_credential(name: str, named: bool) -> None:
    assert is_named_secret(name, "v9#Lq2!xWz") is named


@settings(max_examples=200)
@given(st.text("0123456789 -.+()@:/\\nabcdefxIBANDE<>\ud800é٣４\u00a0", max_size=120))
def test_places_are_in_order_inside_the_text_and_do_not_overlap(text: str) -> None:
    for find in (find_personal, find_credentials):
        end = 0
        for found in find(text):
            assert end <= found.start < found.end <= len(text)
            end = found.end


@given(st.text(max_size=60))
def test_other_readings_of_a_text_are_as_long_as_it_is(text: str) -> None:
    assert len(readable(text)) == len(without_escapes(text)) == len(text)


@pytest.mark.parametrize(
    "number", ["４１１１ １１１１ １１１１ １１１１", "٤١١١١١١١١١١١١١١١", "4111\u20111111\u20111111\u20111111"]
)
def test_digits_and_hyphens_of_other_scripts_are_digits_and_hyphens(number: str) -> None:
    assert kinds(f"pay {number} now")[number] == "CREDIT_CARD"


def test_a_token_is_never_taken_for_a_value() -> None:
    for rule in ("secret", "phone", "credit_card", "iban", "api_key"):
        text = f"password: <{rule}:a123456789012345> tel <{rule}:a123456789012345>"
        assert TOKEN.search(text)
        assert find_personal(text) == find_credentials(text) == []
