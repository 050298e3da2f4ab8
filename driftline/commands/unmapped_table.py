"""What was not understood of recorded traces, as a table for people or as lines of JSON."""

from collections.abc import Sequence
from itertools import groupby

import orjson
from rich.console import Console
from rich.table import Table
from rich.text import Text

from collector.dialects.values import as_text
from collector.unmapped import NO_DIALECT, Finding

_EXAMPLE_CHARS = 60


def print_findings(findings: Sequence[Finding], full: bool, console: Console | None = None) -> None:
    """Print a table for each dialect; `full` adds the beginning of a value, which may be content."""
    console = console or Console(highlight=False)
    for dialect, group in groupby(findings, key=lambda finding: finding.dialect):
        title = "of no dialect" if dialect == NO_DIALECT else dialect
        table = Table("attribute", "where", "spans", "type and size", title=title, title_justify="left", box=None)
        table.columns[2].justify = "right"
        table.columns[0].overflow = "fold"
        if full:
            table.add_column("for example", overflow="fold")
        for one in group:
            example = [_example(one)] if full else []
            cells = (_key(one), one.where, str(one.spans), size_in_words(one), *example)
            table.add_row(*(Text(printable(cell)) for cell in cells))
        console.print(table)
    if findings:
        console.print(f"{len(findings)} attributes of AI spans that nobody reads")
    else:
        console.print("nothing: every attribute of the AI spans is read, or known and not needed")


def printable(said: str) -> str:
    """Text from a trace without control characters, with which it could command the terminal."""
    return "".join(char if char.isprintable() or char == "\n" else " " for char in said)


def _key(one: Finding) -> str:
    return f"{one.key} ({one.note})" if one.note else one.key


def size_in_words(one: Finding) -> str:
    """
    >>> one = Finding("otel-genai", "span", "gen_ai.new")
    >>> one.add("scope", "four"); one.add("scope", "a dozen of them")
    >>> size_in_words(one)
    'string, 4 to 15 characters'
    """
    types = " or ".join(sorted(one.types))
    if one.smallest is None:
        return types
    unit = "characters" if "string" in one.types else "items"
    same = one.smallest == one.largest
    return f"{types}, {one.smallest:,}{'' if same else f' to {one.largest:,}'} {unit}"


def _example(one: Finding) -> str:
    said = as_text(one.example) or ""
    return said if len(said) <= _EXAMPLE_CHARS else said[:_EXAMPLE_CHARS] + "…"


def finding_as_line(one: Finding, full: bool) -> bytes:
    """A finding as a line of JSON; `full` adds an example."""
    record = {
        "dialect": one.dialect,
        "where": one.where,
        "key": one.key,
        "note": one.note or None,
        "scopes": sorted(one.scopes),
        "spans": one.spans,
        "types": sorted(one.types),
        "smallest": one.smallest,
        "largest": one.largest,
    }
    if full:
        record["example"] = one.example
    return orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS, default=str)
