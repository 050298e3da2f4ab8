# ruff: noqa: E501 - a pattern is read as one line
"""Dates of birth: a date alone says nothing, a date behind a word for birth does. The group is the date."""

_WORDS = (
    r"born|dob|d\.o\.b\.?|birth(?:day|date)?|date of birth|geboren|geb\.|geburts(?:tag|datum)|née?|naissance|nacid[oa]|nacimiento|"
    r"nat[oa] il|nascita|nascimento|geboortedatum"
)
_MONTHS = (
    r"jan(?:uary|uar)?|feb(?:ruary|ruar)?|mar(?:ch)?|märz|apr(?:il)?|may|mai|june?|juni|july?|juli|aug(?:ust)?|sep(?:t|tember)?|"
    r"oct(?:ober)?|okt(?:ober)?|nov(?:ember)?|dec(?:ember)?|dez(?:ember)?"
)
_DATE = (
    r"\d{1,2}[./-] ?\d{1,2}[./-] ?(?:\d{4}|\d{2})|\d{4}[./-]\d{1,2}[./-]\d{1,2}|"
    rf"\d{{1,2}}(?:st|nd|rd|th|\.)?(?: of)? (?:{_MONTHS})\.?,? \d{{4}}|(?:{_MONTHS})\.? \d{{1,2}}(?:st|nd|rd|th)?,? \d{{4}}"
)
PATTERN = rf"(?:\b(?:{_WORDS})|geb\.|d\.o\.b\.)[^\n\d]{{0,24}}?\b({_DATE})\b"


def may_tell_birth(text: str) -> bool:
    """Whether a month may be written as a word behind a word for birth; for numbers there are other signs."""
    return (  # not a loop: this is asked of every text
        "orn" in text
        or "irth" in text
        or "oren " in text
        or "eb. " in text
        or "né" in text
        or "naci" in text
        or "nasc" in text
        or "naiss" in text
        or "dob" in text
        or "DOB" in text
        or "ORN" in text
        or "IRTH" in text
    )
