"""The dialects as tables for people: `docs/dialects.md` is made of this, so that it cannot be out of date.

python -m collector.dialects.table > docs/dialects.md
"""

from collections.abc import Iterable, Mapping
from typing import Any

from collector.dialects.mapping import Dialect
from collector.dialects.registry import DIALECTS
from collector.facts import FACTS
from collector.gist import PROMPT_CONTEXT
from collector.unmapped import AI_NAMESPACES, OTHER_MATTERS
from collector.unmapped_counter import FIRST_TRACES, ONE_IN

_INTRODUCTION = """\
# Dialects

<!-- Made by `python -m collector.dialects.table > docs/dialects.md`; do not edit by hand. -->

A *dialect* is a convention for what AI libraries write on spans. Driftline recognises it **for each span on its own**:
first by the span's instrumentation scope, then by an attribute that gives it away. One trace may mix several.
`driftline inspect FILE...` shows what was understood.

## How a trace is put together

- **Content may come in three places**: attributes of the span, events of the span, and log records with the
  span's trace and span id (in any order of arrival).
- **One provider call is one call.** A wrapper and what it wraps, two scopes with the same answer id, a
  streamed call and the log that ends it: they are merged, and tokens count once. Where accounts of the usage
  differ, the provider's own SDK is believed. A wrapper around several calls repeats their sums and is left
  out. Model-call spans without any sign of a call (no content, usage, answer id or error) are left out too.
- **Tool runs without a span** are found in the next prompt: what the model asked for, with the result that
  came back.
- **`question`** is what the outermost step was given, if that is plain text, otherwise the last user message
  of the first call. **`answer`** is the text of the call whose text the outermost step returned, otherwise of
  the last call that asks for no more tools; calls made inside a tool do not count.
- **`contexts`** are the texts of retrieved documents. Where no retrieval tells its texts, they are looked for
  in the prompt: a part in tags such as `<context>`, or under a heading such as `Context:` or `Retrieved
  documents:`. Without such a heading there is no context, and nothing is guessed.
- Session, user and prompt are taken from [any span or log record](#on-any-span) of the trace.
- A value that cannot be read (wrong type, broken JSON, too deep) is left out; the rest of the span still
  counts.

To teach Driftline another dialect, add one file beside `collector/dialects/otel.py` with a table like those below, and
name it in `registry.py`.
"""

_UNMAPPED = """
## What is not understood

`driftline inspect --unmapped FILE...` lists the attributes of AI spans, of their events and log records that no mapping
reads: for each dialect the key (numbers as `N`), where it is, on how many spans, type and size. With `--full` it shows
the beginning of a value. The service counts them in `driftline_unmapped_attributes_total{{dialect,key}}`;
`key` is the first three parts of the key, or `other` for keys outside the namespaces below; it looks at the first
{first} traces of a process and then at one of {one_in}. Which keys a mapping reads is found by asking its readers, so
this list and the tables above are the same. Of keys in a numbered list (`llm.input_messages.N...`) all count as read.

Left out are attributes that are *known* (last row of a dialect's table) and those of other matters: {others}.

A span of no dialect is looked at if one of its attributes begins with {namespaces}. Its dialect is then `none`.
"""

_FIELDS = (
    ("messages in", "input"),
    ("instructions", "system"),
    ("messages out", "output"),
    ("tool definitions", "tool_definitions"),
    ("output schema", "output_schema"),
    ("conversation of an agent", "history"),
    ("instructions of an agent", "agent_system"),
    ("retrieval: query", "query"),
    ("retrieval: documents", "documents"),
    ("agent: name", "agent_name"),
    ("step: input", "step_input"),
    ("step: output", "step_output"),
    ("error: type", "error_type"),
)


def markdown() -> str:
    """The whole page."""
    overview = "\n".join(
        f"| [{dialect.name}](#{dialect.name}) | {_list(dialect.scopes)} | {_list(dialect.markers)} |"
        for dialect in DIALECTS
    )
    heads = "## Recognised by\n\n| dialect | scope name begins with | or an attribute |\n|---|---|---|\n" + overview
    sections = [_section(dialect) for dialect in DIALECTS]
    return "\n".join([_INTRODUCTION, heads, *sections, _anywhere(), _unmapped()])


def _anywhere() -> str:
    rows = "\n".join(f"| {name.replace('_', ' ')} | {_list(keys)} |" for name, keys in FACTS)
    head = "\n## On any span\n\nOf several, the first here counts, then the earliest span.\n\n"
    head += "| fact | read from |\n|---|---|\n"
    context = f"\n| context, where nothing was retrieved | `{PROMPT_CONTEXT}`, on the span of the call that answers |"
    failure = "\n| why a span failed | its status message, and its span event `exception` |"
    return head + rows + context + failure


def _unmapped() -> str:
    return _UNMAPPED.format(
        first=FIRST_TRACES, one_in=ONE_IN, others=_list(OTHER_MATTERS), namespaces=_list(AI_NAMESPACES)
    )


def _section(dialect: Dialect) -> str:
    rows = [("kind of span", _list(dialect.kinds))]
    rows += [(f"model call: {name.replace('_', ' ')}", _list(sources)) for name, sources in dialect.llm.items()]
    rows += [(title, _list(getattr(dialect, name))) for title, name in _FIELDS]
    rows += _prefixed("tool", dialect.tool) + _prefixed("embedding", dialect.embedding)
    rows.append(("known, not needed", _list(dialect.known)))
    table = "\n".join(f"| {title} | {cell} |" for title, cell in rows if cell)
    return f"\n## {dialect.name}\n\n| fact | read from, in this order |\n|---|---|\n{table}"


def _prefixed(kind: str, table: Mapping[str, Iterable[Any]]) -> list[tuple[str, str]]:
    return [(f"{kind}: {name.replace('_', ' ')}", _list(sources)) for name, sources in table.items()]


def _list(sources: Iterable[Any]) -> str:
    return ", ".join(_cell(source) for source in sources)


def _cell(source: Any) -> str:
    """An attribute's name, a reader's own words, or the first line of what a function says of itself."""
    if isinstance(source, str):
        return f"`{source}`"
    if hasattr(source, "__name__"):
        said = str(source.__doc__ or source.__name__.replace("_", " "))
        return said.strip().splitlines()[0].rstrip(".")
    return str(source)


if __name__ == "__main__":
    print(markdown(), end="")
