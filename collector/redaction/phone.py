# ruff: noqa: E501 - a pattern is read as one line
"""Is a run of digits a phone number? By the way it is written, or by a word before it."""

import re

from collector.patterns import Hit

_PHONE_WORDS = re.compile(
    r"(?:phone|call|cell|mobile|tel|fax|dial|number is|contact|whats ?app|sms|text (?:me|us)|reach|ring|line|telefon|handy)"
    r"[^\n]{0,40}$",
    re.IGNORECASE,
)
_NOT_PHONE_BEFORE = re.compile(
    r"(?:[$€£#§%]|no\.?|nr\.?|isbn|id|order|invoice|version|v|page|pages|pp\.?|ticket|case|part|zip|code|ref\w*|account|acct)[ :#]*$",
    re.IGNORECASE,
)
_MOST_DIGITS = 15  # ITU-T E.164
_LAST_GROUP = re.compile(r"[ ./()-]+[0-9]+\)?$")
_DATE = re.compile(
    r"\d{1,2}([./-])\d{1,2}\1\d{2,4}|\d{4}([./-])\d{1,2}\2\d{1,2}(?: .*)?|\(?(?:1\d|20)\d\d ?[-/–] ?(?:1\d\d\d|20\d\d|\d\d)\)?"
)


def phone_span(text: str, hit: Hit) -> tuple[int, int] | None:
    """The part of what was found that is the number; None if it is none."""
    found = text[hit.start : hit.end].rstrip(" ./-(")
    digits, international = sum(map(str.isdigit, found)), found.startswith("+")
    while international and digits > _MOST_DIGITS and (last := _LAST_GROUP.search(found)):
        found = found[: last.start()]  # another number stands behind it
        digits = sum(map(str.isdigit, found))
    if not 7 <= digits <= _MOST_DIGITS or inside_number(text, hit, international) or _DATE.fullmatch(found):
        return None
    before = text[max(0, hit.start - 60) : hit.start]
    called = _PHONE_WORDS.search(before) is not None
    if not called and not international and _NOT_PHONE_BEFORE.search(before[-12:]):
        return None
    return (hit.start, hit.start + len(found)) if called or _written_as_phone(found, digits) else None


def _written_as_phone(found: str, digits: int) -> bool:
    """Whether the way it is written alone says phone: international, or groups of telling lengths."""
    if found.startswith(("+", "00")) and digits >= 8:
        return True
    groups = re.findall(r"\d+", found)
    if len(groups) < 2 or ("." in found and "-" not in found and "(" not in found and len(groups) < 3):
        return False
    if found.startswith("(") and digits >= 8:
        return True
    lengths = [len(group) for group in groups]
    separated = bool(re.fullmatch(r"\d+(?:-\d+)+|\d+(?:\.\d+)+|\d+(?: \d+)+", found))
    return (
        separated
        and max(lengths) <= 5
        and min(lengths) >= 2
        and (digits >= 9 or lengths == [3, 4] or lengths == [4, 4])
    )


def inside_number(text: str, hit: Hit, checked: bool = False) -> bool:
    """Whether digits are a part of something longer, such as a path, an identifier or a decimal number.

    Args:
        checked: their form is telling by itself, so that a field's name may stand before them (`card=`), and the next
            field behind them.
    """
    before = text[hit.start - 1 : hit.start] if hit.start else ""
    after = text[hit.end : hit.end + 2]
    return (
        before in ({".", "-", "/", "_"} if checked else {".", "-", "/", "_", "=", "&", "#"})
        or before.isalnum()
        or after[:1] in {"_", "="}
        or (after[:1] in ({".", "-"} if checked else {".", "-", ",", ":"}) and after[1:2].isdigit())
    )
