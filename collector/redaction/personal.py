# ruff: noqa: E501 - a pattern is read as one line
"""Personal data, by formats with checksums where the format has one."""

import ipaddress
import re
from collections.abc import Callable

from collector.patterns import Hit, PatternSet
from collector.redaction.birth import PATTERN as _BIRTH_DATE
from collector.redaction.birth import may_tell_birth
from collector.redaction.checksums import iban_valid, luhn_valid
from collector.redaction.found import Found, Taken, readable
from collector.redaction.national import PATTERNS as _NATIONAL
from collector.redaction.national import PREFIX as _NATIONAL_PREFIX
from collector.redaction.national import national_id_valid
from collector.redaction.phone import inside_number, phone_span

Span = tuple[int, int]

_PATTERNS = PatternSet(
    {  # in the order in which they claim what they find
        "URL": r"\bhttps?://[^\s<>\"'\x60|\\^{}]+",
        "EMAIL_ADDRESS": r"\b[a-z0-9][a-z0-9._%+-]{0,63}@(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,24}",
        "IBAN_CODE": r"\b[a-z]{2}\d{2}(?: ?[a-z0-9]{4}){2,7}(?: ?[a-z0-9]{1,4})?\b",
        "CREDIT_CARD": r"\b\d(?:[ -]?\d){11,18}\b",
        "US_SSN": r"\b(\d{3})([- ])(\d{2})([- ])(\d{4})\b",
        "BIRTH_DATE": _BIRTH_DATE,
        **_NATIONAL,
        "MAC_ADDRESS": r"\b[0-9a-f]{2}(?:[:-][0-9a-f]{2}){5}\b",
        "IP_ADDRESS": r"\b(?:\d{1,3}\.){3}\d{1,3}\b|(?:[0-9a-f]{0,4}:){2,7}[0-9a-f]{1,4}\b",
        "PHONE_NUMBER": r"(?:\+|\b00|\()?\b?\(?\d{1,4}\)?(?:[ ./-]{0,2}\(?\d{1,5}\)?){1,6}\b",
    }
)
_PHONE = ("PHONE_NUMBER",)
_ONLY_THAT = frozenset(
    {"IBAN_CODE", "US_SSN"}
)  # written so, it is that or nothing: a wrong checksum makes no phone of it
_LONGEST_PHONE = 15  # digits behind the `+` (E.164)
_DIGIT = re.compile("[0-9]")
_COLONS = re.compile("[:][0-9a-fA-F]{0,4}:")  # what an IPv6 or MAC address has
_TRAILING = ".,;:!?)]}'\""
# What every format has a part of that holds neither `@` nor two `:` nor five hyphens: an IP address, six digits that only
# separators part, or an IBAN's beginning. Each begins with a digit, so that the search skips all else.
_NUMBER_PART = re.compile(r"[0-9](?:\.[0-9]|(?:[ ./()-]{0,4}[0-9]){5})")
_PHONE_PART = re.compile(r"[0-9](?:[ ./()-]{0,4}[0-9]){6}")
_CHECK_DIGITS = re.compile(r"[0-9][0-9](?<=[A-Za-z]{2}[0-9]{2})")


def find_personal(text: str, most: int = 100) -> list[Found]:
    """All of it in a text, in order, without overlaps; looks at no more than `most` candidates of each type.

    >>> [tuple(item) for item in find_personal("Pay 4111 1111 1111 1111 or ask jo@example.org")]
    [(4, 23, 'CREDIT_CARD'), (31, 45, 'EMAIL_ADDRESS')]
    """
    text = readable(text)
    if not _may_hold_any(text):
        return []
    found: list[Found] = []
    taken: Taken | None = None
    for hit in _PATTERNS.hits(text, most, () if _PHONE_PART.search(text) else _PHONE):
        taken = taken or Taken(text)
        span = _CHECKS[hit.name](text, hit)
        if span is None:
            if hit.name in _ONLY_THAT:
                taken.take(hit.start, hit.end)
        elif taken.free(*span):
            taken.take(*span)
            found.append(Found(*span, "NATIONAL_ID" if hit.name.startswith(_NATIONAL_PREFIX) else hit.name))
    return sorted(found)


def _may_hold_any(text: str) -> bool:
    """A cheap necessary condition: most answers hold nothing of the kind, and a few small numbers."""
    if "@" in text or "://" in text:
        return True
    if (":" in text and _COLONS.search(text)) or text.count("-") >= 5:  # hexadecimal, perhaps without a digit below ten
        return True
    if _DIGIT.search(text) is None:
        return False
    if may_tell_birth(text):
        return True
    return _NUMBER_PART.search(text) is not None or _CHECK_DIGITS.search(text) is not None


def _as_it_is(text: str, hit: Hit) -> Span | None:
    return hit.start, hit.end


def _url(text: str, hit: Hit) -> Span | None:
    found = text[hit.start : hit.end]
    return hit.start, hit.start + len(found.rstrip(_TRAILING))


def _card(text: str, hit: Hit) -> Span | None:
    digits = "".join(filter(str.isdigit, text[hit.start : hit.end]))
    known = digits[0] in "3456" or digits[:2] in {"18", "21"} or "2221" <= digits[:4] <= "2720"
    dialled = text[hit.start - 1 : hit.start] == "+" and len(digits) <= _LONGEST_PHONE
    good = known and len(set(digits)) > 1 and luhn_valid(digits) and not inside_number(text, hit, checked=True)
    return (hit.start, hit.end) if good and not dialled else None


def _iban(text: str, hit: Hit) -> Span | None:
    found = text[hit.start : hit.end]
    # The last group may be the next word of the sentence.
    for end in sorted({len(found), *(at for at, character in enumerate(found) if character == " ")}, reverse=True):
        if iban_valid(found[:end].replace(" ", "")):
            return hit.start, hit.start + end
    return None


def _ssn(text: str, hit: Hit) -> Span | None:
    area, first, group, second, serial = hit.groups
    good = (
        first == second
        and area not in {"000", "666"}
        and (area or "9")[0] != "9"
        and group != "00"
        and serial != "0000"
    )
    return (hit.start, hit.end) if good and not inside_number(text, hit, checked=True) else None


def _address(text: str, hit: Hit) -> Span | None:
    try:
        address = ipaddress.ip_address(text[hit.start : hit.end])
    except ValueError:
        return None
    if address.version == 4 and text[max(0, hit.start - 10) : hit.start].lower().rstrip(" :").endswith(
        ("version", " v")
    ):
        return None
    telling = not (address.is_unspecified or address.is_loopback) and not inside_number(text, hit, checked=True)
    return (hit.start, hit.end) if telling else None


def _group(text: str, hit: Hit) -> Span | None:
    return hit.group_spans[0] if hit.group_spans else (hit.start, hit.end)


def _national(text: str, hit: Hit) -> Span | None:
    start, end = hit.group_spans[0] if hit.group_spans else (hit.start, hit.end)
    return (
        (start, end)
        if national_id_valid(hit.name, text[start:end]) and not inside_number(text, hit, checked=True)
        else None
    )


_CHECKS: dict[str, Callable[[str, Hit], Span | None]] = {
    "URL": _url,
    "EMAIL_ADDRESS": _as_it_is,
    "CREDIT_CARD": _card,
    "IBAN_CODE": _iban,
    "US_SSN": _ssn,
    "BIRTH_DATE": _group,
    **dict.fromkeys(_NATIONAL, _national),
    "MAC_ADDRESS": _as_it_is,
    "IP_ADDRESS": _address,
    "PHONE_NUMBER": phone_span,
}
