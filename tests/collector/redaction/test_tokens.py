"""Tokens: the same for the same value wherever it is, whoever made them, and never taken for values themselves."""

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.redaction.own import OwnRule, OwnRules
from collector.redaction.redactor import FAILED, Redactor
from collector.redaction.replace import token

KEY = b"a key of sixteen or more"
VALUES = st.sampled_from(
    [
        *("jo@example.org", "4111 1111 1111 1111", "+44 20 7946 0958", 'password = "v9#Lq2!xWz"', "756.9217.0769.85"),
        *("https://a.example/?m=b@c.de", "203.0.113.9", "GB82 WEST 1234 5698 7654 32", "born 12.03.1985", "EMP-123456"),
        *(" ", "\n", ", ", "word", "1", "é", "🙂", "\\n", "\\u0040", '"', "{", "<", ">", ":", "call ", "token: "),
    ]
)
TEXTS = st.lists(VALUES, max_size=14).map("".join)
OWN = OwnRules([OwnRule(name="employee", pattern=r"EMP-\d{6}")])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Jo@Example.org", "jo@example.org"),
        ("4111-1111-1111-1111", "4111 1111 1111 1111"),
        ("GB82WEST12345698765432", "GB82 WEST 1234 5698 7654 32"),
        ("+44 (20) 7946-0958", "+44 20 79460958"),
        ("756.9217.0769.85", "7569217076985"),
    ],
)
def test_two_ways_to_write_a_value_have_one_token(one: str, other: str) -> None:
    first, second = Redactor(KEY).text(f"a {one}"), Redactor(KEY).text(f"a {other}")
    assert first == second != f"a {one}"
    assert Redactor(b"another key of theirs").text(f"a {one}") != first


def test_two_rules_have_two_tokens_for_one_value() -> None:
    assert token(KEY, "email", "x")[7:] != token(KEY, "iban", "x")[6:]


@settings(max_examples=150, deadline=None)
@given(TEXTS)
def test_what_was_redacted_stays_as_it_is(text: str) -> None:
    redactor = Redactor(KEY, own=OWN)
    once = redactor.text(text)
    before = redactor.count
    assert redactor.text(once) == once == Redactor(KEY, own=OWN).text(text)
    assert redactor.count == before


@settings(max_examples=150, deadline=None)
@given(
    st.recursive(
        TEXTS | st.none() | st.integers(-(2**63), 2**63),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
        max_leaves=8,
    )
)
def test_json_stays_json_and_hides_nothing(value: Any) -> None:
    text = orjson.dumps(value).decode().replace("@", "\\u0040")
    redacted = Redactor(KEY, own=OWN).json_text(text)
    if text[:1] in "{[":
        said = orjson.dumps(orjson.loads(redacted)).decode()
        assert "jo@example.org" not in said
        assert "b@c.de" not in said
        assert "EMP-123456" not in said


def test_a_value_in_escapes_that_nobody_can_parse() -> None:
    cut = '{"a": "first\\njo@example.org\\n4111 1111 1111 1111 and'
    redacted = Redactor(KEY).json_text(cut)
    assert "jo@" not in redacted
    assert "4111" not in redacted


@pytest.mark.parametrize(
    ("action", "left"),
    [("hash", "to <email:"), ("mask", "to [EMAIL] now"), ("drop", "to  now"), ("keep", "to jo@example.org now")],
)
def test_what_is_done_by_a_rule(action: Any, left: str) -> None:
    assert Redactor(KEY, {"email": action}).text("to jo@example.org now").startswith(left)


def test_all_of_a_text_has_a_token_and_a_token_has_none() -> None:
    redactor = Redactor(KEY)
    once = redactor.whole("anything at all")
    assert once.startswith("<denied:")
    assert redactor.whole(once) == once
    assert redactor.whole("") == ""


def test_overlapping_rules_leave_nothing_of_either() -> None:
    own = OwnRules(
        [OwnRule(name="user", pattern=r"jo@example"), OwnRule(name="tail", pattern=r"example\.org", ignore_case=True)]
    )
    assert Redactor(None, own=own).text("jo@example.org") == "[EMAIL]"
    assert Redactor(None, {"email": "keep"}, own=own).text("jo@example.org") == "[USER].org"
    assert Redactor(None, {"email": "keep", "user": "keep"}, own=own).text("at EXAMPLE.org") == "at [TAIL]"


def test_only_the_group_of_a_rule_is_replaced() -> None:
    own = OwnRules([OwnRule(name="patient", pattern=r"patient (\w+)")])
    assert Redactor(None, own=own).text("patient P12 slept") == "patient [PATIENT] slept"


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ({"name": "email", "pattern": "x"}, "'email' is a rule already"),
        ({"name": "A b", "pattern": "x"}, "is not a small letter and up to 39"),
        ({"name": "x", "pattern": "("}, "is not a regular expression that RE2 knows"),
        ({"name": "x", "pattern": r"(?=a)b"}, "is not a regular expression that RE2 knows"),
        ({"name": "x", "pattern": "a*"}, "it must match something"),
        ({"name": "x", "pattern": "a" * 1001}, "1000 are allowed"),
    ],
)
def test_a_wrong_rule_is_told(rule: dict[str, str], told: str) -> None:
    with pytest.raises(ValueError, match=r".") as refused:
        OwnRule.model_validate(rule)
    assert told in str(refused.value)


def test_a_rule_that_would_backtrack_for_ever_elsewhere_is_done_at_once() -> None:
    own = OwnRules([OwnRule(name="slow", pattern=r"(?:a+)+$|(?:a|aa)+b")])
    assert Redactor(None, own=own).text("a" * 50_000 + "c") == "a" * 50_000 + "c"


def test_names_that_a_function_finds_and_one_that_fails() -> None:
    named = Redactor(KEY, names=lambda text: [(0, 3), (1, 2), (-4, 99), (5, 5)] if text.startswith("Ann") else [])
    assert named.text("Ann said").endswith("> said")
    assert named.text("Ann said") == named.text("ANN said".replace("NN", "nn"))

    def broken(text: str) -> list[tuple[int, int]]:
        raise RuntimeError(text)

    failing = Redactor(KEY, names=broken)
    assert failing.text("Ann said") == FAILED
    assert failing.counts["failed"] > 0


def test_what_is_replaced_is_told_by_rule() -> None:
    told: list[dict[tuple[str, ...], float]] = []
    redactor = Redactor(KEY, tell=lambda counts: told.append(dict(counts)))
    for _ in range(2):  # the second time it is remembered, and counted all the same
        redactor.text("jo@example.org and ab@example.org from 203.0.113.9")
    redactor.text("nothing")
    assert told == [{("email",): 2, ("ip_address",): 1}] * 2


def test_values_of_any_depth_end() -> None:
    value: Any = "jo@example.org"
    for _ in range(200):
        value = {"a": [value]}
    assert "jo@" not in str(Redactor(KEY).value(value))
    nested = '"jo@example.org"'
    for _ in range(12):
        nested = orjson.dumps([nested]).decode()
    assert "jo@" not in Redactor(KEY).json_text(nested)
