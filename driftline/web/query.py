"""What a request asks for, checked: every mistake is answered with the field, its value and what is allowed."""

import re
from collections.abc import Iterable, Mapping

from starlette.requests import Request

_TRACE_ID = re.compile(r"[0-9a-f]{32}")
_SHOWN_RUNES = 80
LAST_NS = 2**63 - 1


class Refused(Exception):
    """A request that cannot be answered as asked; the message is for the person who asked."""

    def __init__(self, message: str, status_code: int = 400) -> None:
        super().__init__(message)
        self.status_code = status_code


def parameters(request: Request, *allowed: str) -> Mapping[str, str]:
    """The query parameters, each at most once and none that is unknown.

    Raises:
        Refused: one that is not allowed, or given twice.
    """
    found: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name not in allowed:
            listed = ", ".join(allowed) or "none"
            raise Refused(f"parameter {shown(name)} is unknown; allowed: {listed}")
        if name in found:
            raise Refused(f"{name} is given twice; once is allowed")
        found[name] = value
    return found


def whole(given: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    """A whole number between `low` and `high`.

    >>> whole({"limit": "5"}, "limit", 20, 1, 100), whole({}, "limit", 20, 1, 100)
    (5, 20)

    Raises:
        Refused: it is none, or out of range.
    """
    text = given.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 20 and low <= int(text) <= high):
        raise Refused(f"{name} is {shown(text)}; allowed: a whole number from {low} to {high}")
    return int(text)


def one_of(given: Mapping[str, str], name: str, allowed: Iterable[str]) -> str | None:
    """One of the allowed words, None if nothing was asked for.

    Raises:
        Refused: another word.
    """
    text = given.get(name)
    words = list(allowed)
    if text is None or text in words:
        return text
    raise Refused(f"{name} is {shown(text)}; allowed: {', '.join(words) or 'none'}")


def trace_id(text: str) -> str:
    """A trace id in lower case.

    >>> trace_id(" 4BF92F3577B34DA6A3CE929D0E0E4736")
    '4bf92f3577b34da6a3ce929d0e0e4736'

    Raises:
        Refused: it is none.
    """
    lower = text.strip().lower()
    if not _TRACE_ID.fullmatch(lower):
        raise Refused(f"trace_id is {shown(text)}; allowed: 32 hexadecimal digits")
    return lower


def shown(text: str) -> str:
    """A value as an error repeats it: quoted, on one line, not too long."""
    return repr(text if len(text) <= _SHOWN_RUNES else text[:_SHOWN_RUNES] + "…")
