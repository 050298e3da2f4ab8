"""What stands where something was: a token that is the same wherever the same value was, a mark, or nothing."""

import hmac
import re
from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias

Action: TypeAlias = Literal["hash", "mask", "drop", "keep"]

_PUNCTUATION = re.compile(r"[^0-9a-z]+")
_DIGITS = re.compile("[^0-9]+")
_DIGEST_CHARACTERS = 15


def token(key: bytes, rule: str, value: str) -> str:
    """A keyed hash (HMAC-SHA-256, RFC 2104, cut to 62 bits) of the normalised value.

    Without the key nobody can tell which value it was by trying all, which for a phone number takes a moment.

    >>> token(b"k", "credit_card", "4111-1111 1111 1111") == token(b"k", "credit_card", "4111111111111111")
    True
    """
    said = normalised(rule, value).encode("utf-8", "surrogatepass")
    digest = hmac.digest(key, rule.encode() + b"\0" + said, "sha256")
    return f"<{rule}:{'abcdef'[digest[-1] % 6]}{digest.hex()[:_DIGEST_CHARACTERS]}>"


def normalised(rule: str, value: str) -> str:
    """The value without what is only a way to write it.

    >>> normalised("email", "Jo.Doe@Example.ORG"), normalised("phone", "+44 (20) 7946-0958")
    ('jo.doe@example.org', '442079460958')
    """
    if rule == "phone":
        return _DIGITS.sub("", value).removeprefix("00")
    how = _NORMAL_FORMS.get(rule)
    return value if how is None else how(value)


def _squeezed(value: str) -> str:
    return _PUNCTUATION.sub("", value.lower())


_NORMAL_FORMS: Mapping[str, Callable[[str], str]] = {
    "email": str.lower,
    "ip_address": str.lower,
    "name": lambda value: " ".join(value.casefold().split()),
    **dict.fromkeys(("credit_card", "iban", "national_id", "mac_address"), _squeezed),
}


def mark(rule: str) -> str:
    """
    >>> mark("credit_card")
    '[CREDIT_CARD]'
    """
    return f"[{rule.upper()}]"
