"""Names and moments as they may stand in a message."""

from datetime import UTC, datetime

_TEXT_RUNES = 120


def clean(value: object, runes: int = _TEXT_RUNES) -> str:
    """A name as it may stand in a message: one line, valid Unicode, not too long.

    >>> clean("shop\\nservice"), clean("x" * 200, runes=5)
    ('shop service', 'xxxx…')
    """
    text = str(value).encode("utf-8", "replace").decode()
    text = "".join(character if character.isprintable() else " " for character in text)
    return text if len(text) <= runes else text[: runes - 1] + "…"


def minute(at_ns: int) -> str:
    """A moment in UTC, to the minute.

    >>> minute(1_700_000_000_000_000_000)
    '2023-11-14 22:13 UTC'
    """
    try:
        return datetime.fromtimestamp(at_ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (OverflowError, ValueError, OSError):
        return "an unknown time"
