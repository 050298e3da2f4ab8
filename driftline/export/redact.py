"""Personal data and credentials out of what leaves: found as the scorers `pii` and `secrets` find them.

What those do not know (names, postal addresses, passwords that are plain words) stays.
"""

import re
from collections.abc import Callable
from typing import Any

from scorers.base import Evidence
from scorers.builtin.pii import find_pii
from scorers.builtin.secrets import find_secrets

_MARKS = {
    "EMAIL_ADDRESS": "[EMAIL]",
    "CREDIT_CARD": "[CREDIT_CARD]",
    "IBAN_CODE": "[IBAN]",
    "US_SSN": "[SSN]",
    "PHONE_NUMBER": "[PHONE]",
    "IP_ADDRESS": "[IP_ADDRESS]",
    "MAC_ADDRESS": "[MAC_ADDRESS]",
}
_SECRET = "[SECRET]"  # noqa: S105 - what stands where one was
_PRIVATE_KEY_END = re.compile(r"-----END [A-Z0-9 ]{0,60}-----")
_SCHEME = re.compile(r"https?://", re.IGNORECASE)
_LEAST_LONG = 10**12  # a number of 13 digits
_MOST_PASSES = 20  # a pass finds what the one before had hidden, in text that is made to be confusing

Find = Callable[[str, int], list[Evidence]]


class Redactor:
    """Replaces, and counts.

    Args:
        personal: whether personal data is replaced too, and not only credentials.

    >>> redactor = Redactor()
    >>> redactor.text("Mail jo@example.org, or pay 4111 1111 1111 1111")
    'Mail [EMAIL], or pay [CREDIT_CARD]'
    >>> redactor.count
    2
    """

    def __init__(self, personal: bool = True) -> None:
        self.count = 0
        self._personal = personal

    def text(self, text: str) -> str:
        for _ in range(_MOST_PASSES):
            found = self._replace(text, find_secrets, _secret_span)
            if self._personal:
                found = self._replace(found, find_pii, _pii_span)
            if found == text:
                break
            text = found
        return text

    def value(self, value: Any) -> Any:
        """A JSON value with every text in it redacted, names of fields too."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list | tuple):
            return [self.value(item) for item in value]
        if isinstance(value, dict):
            return self._fields(value)
        if type(value) is int and abs(value) >= _LEAST_LONG:  # such as a card's, which somebody did not quote
            told = self.text(str(value))
            return value if told == str(value) else told
        return value

    def _fields(self, value: dict[Any, Any]) -> dict[str, Any]:
        told: dict[str, Any] = {}
        for name, item in value.items():
            mark = clean = self.text(str(name))
            number = 1
            while clean in told:  # two names that are both an address are still two fields
                number += 1
                clean = f"{mark} {number}"
            told[clean] = self._field(str(name), item)
        return told

    def _field(self, name: str, value: Any) -> Any:
        """A password is known by the name beside it, which may be that of its field."""
        if isinstance(value, str) and value and value != _SECRET:
            quoted = f'{name}="{value}"'
            if any(item.type == "named" and item.end == len(quoted) - 1 for item in find_secrets(quoted, len(quoted))):
                self.count += 1
                return _SECRET
        return self.value(value)

    def _replace(self, text: str, find: Find, span: Callable[[str, Evidence], tuple[int, int, str]]) -> str:
        parts: list[str] = []
        done = 0
        for item in find(text, len(text)):
            start, end, mark = span(text, item)
            if start < done or text[start:end] == mark:  # a mark beside the word "password" looks like a secret
                continue
            if item.type == "URL":
                mark = self._address(text[start:end])
            else:
                self.count += 1
            parts += (text[done:start], mark)
            done = end
        return "".join((*parts, text[done:])) if parts else text

    def _address(self, url: str) -> str:
        """A web address stays, but for what is in it."""
        scheme = _SCHEME.match(url)
        assert scheme is not None
        return scheme[0] + self._replace(url[scheme.end() :], find_pii, _pii_span)


def _pii_span(text: str, item: Evidence) -> tuple[int, int, str]:
    return item.start, item.end, _MARKS.get(item.type, "[PII]")


def _secret_span(text: str, item: Evidence) -> tuple[int, int, str]:
    """Of a private key the scorer finds the head; all of it must go, to the end of the text if it has no end."""
    if item.type != "private_key":
        return item.start, item.end, _SECRET
    end = _PRIVATE_KEY_END.search(text, item.end)
    return item.start, end.end() if end else len(text), _SECRET
