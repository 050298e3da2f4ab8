"""Text that others wrote, as it may stand in a log or on a terminal: it forges no line and steers nothing."""


def printable(text: str, keep: str = "") -> str:
    r"""The text with every character spelled out that is not printable, but those of `keep`.

    >>> printable("a\nb\x1b[2J\u202e")
    'a\\nb\\x1b[2J\\u202e'
    """
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() or one in keep else ascii(one)[1:-1] for one in text)


def entry(text: str) -> str:
    r"""The text as one entry among others: its further lines are indented.

    >>> print(entry("failed: a\n2026-01-01 INFO forged\x1b[2J"))
    failed: a
        2026-01-01 INFO forged\x1b[2J
    """
    return printable(text, "\n\t").replace("\n", "\n    ")
