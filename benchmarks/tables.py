"""Tables that a benchmark prints as it goes, and writes into the documentation under the same heading."""

import re
from collections.abc import Iterable


def printed(lines: Iterable[str]) -> list[str]:
    """The lines, each printed as soon as it is there."""
    kept = []
    for line in lines:
        print(line, flush=True)
        kept.append(line)
    print(flush=True)
    return kept


def replaced(document: str, lines: list[str]) -> str:
    """The Markdown document with these lines, of which the first is a heading, instead of what it has under it.

    Raises:
        ValueError: it has no such heading, or more than one.
    """
    heading = lines[0].strip()
    parts = re.split(rf"(?m)^{re.escape(heading)}$", document)
    if len(parts) != 2:
        raise ValueError(f"{heading!r} is there {len(parts) - 1} times; it must be once")
    after = re.search(r"(?m)^#{1,3} ", parts[1])
    rest = "\n" + parts[1][after.start() :] if after else ""
    return parts[0] + "\n".join(line.rstrip("\n") + "\n" * line.endswith("\n") for line in lines).rstrip() + "\n" + rest
