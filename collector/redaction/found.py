"""Places in a text, and which of them are taken: the first rule that claims a character has it."""

import re
from collections.abc import Iterator
from typing import NamedTuple

TOKEN = re.compile(r"<([a-z][a-z0-9_]{0,39}):[a-f][0-9a-f]{15}>")
"""What stands where a value was (see `replace`). It begins with a letter, so that none is a number in disguise."""

_ESCAPES = re.compile(r"\\(?:u[0-9a-fA-F]{4}|[nrtbfv])")
_SAME_AS = str.maketrans(
    {
        **dict.fromkeys(map(ord, "\u00a0\u2002\u2003\u2007\u2009\u202f\u3000"), " "),  # spaces that typesetters use
        **dict.fromkeys(map(ord, "\u2010\u2011\u2012\u2013\u2212\uff0d"), "-"),
        **{0xFF10 + digit: str(digit) for digit in range(10)},  # full width, as East Asian keyboards write
        **{0x0660 + digit: str(digit) for digit in range(10)},  # Arabic
        **{0x06F0 + digit: str(digit) for digit in range(10)},  # Persian
        **{0x0966 + digit: str(digit) for digit in range(10)},  # Devanagari
        0xFF0B: "+",
        0xFF20: "@",
        0xFF0E: ".",
    }
)
_OTHERS = re.compile(f"[{''.join(map(chr, _SAME_AS))}]")


class Found(NamedTuple):
    """Characters `start` to `end` of a text are of `type`."""

    start: int
    end: int
    type: str


class Taken:
    """Which characters of a text are claimed; each question costs no more than the place is long."""

    def __init__(self, text: str) -> None:
        self._taken = bytearray(len(text))
        for start, end, _ in tokens(text):
            self.take(start, end)

    def free(self, start: int, end: int) -> bool:
        return self._taken.find(1, start, end) < 0

    def take(self, start: int, end: int) -> None:
        self._taken[start:end] = b"\1" * (end - start)


def tokens(text: str) -> Iterator[Found]:
    """The tokens in a text, each with the name of the rule that put it there.

    >>> [(item.type, item.start) for item in tokens("to <email:a1b2c3d4e5f60718>")]
    [('email', 3)]
    """
    if "<" in text:
        for match in TOKEN.finditer(text):
            yield Found(match.start(), match.end(), match[1])


def readable(text: str) -> str:
    """The text with the digits, spaces and hyphens of other scripts as ASCII has them; as many characters as before."""
    return text.translate(_SAME_AS) if not text.isascii() and _OTHERS.search(text) else text


def without_escapes(text: str) -> str:
    r"""The text with spaces for the escapes of JSON that hide where a word begins; as many characters as before.

    >>> without_escapes(r"a\njo@example.org")
    'a  jo@example.org'
    """
    return _ESCAPES.sub(lambda match: " " * len(match[0]), text) if "\\" in text else text
