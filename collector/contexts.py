"""A heuristic: the passages that an application pasted into its prompt.

Used only where no retrieval in the trace tells its texts. It looks, in the system message and the last user message of
a call, for a part that says of itself that it is the context:

- a block in tags: `<context> ... </context>`, also `documents`, `sources`, `passages`, `excerpts`;
- a heading that stands at the beginning of a line and ends in a colon, such as `Context:`, `## Retrieved documents:`,
  `Context information is below.`; the part ends at a heading of a question or at the end of the message, or at a
  ruler (`-----`) if it began with one.

It is deliberately narrow: no heading, no context. What it finds is split at blank lines, or where there are none
at lines that begin with `[id]`, and otherwise by line.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from collector.core.model import Message

_NOUNS = (
    r"(?:retrieved|relevant|provided|given|background|search|supporting|reference)?[ ]?"
    r"(?:context(?: information)?|documents?|docs|passages?|excerpts?|sources|snippets|knowledge(?: base)?|"
    r"search results|references|kontext|dokumente|quellen|contexte|contexto|documentos)"
)
_HEADING = re.compile(
    rf"^[ \t]*(?:\#+[ ]*|\*\*|\[)?{_NOUNS}(?: is)?(?: given| provided)?(?: below)?[\])]?(?:\*\*)?[ \t]*[:.](?:\*\*)?",
    re.IGNORECASE | re.MULTILINE,
)
_QUESTION = re.compile(
    r"^[ \t]*(?:\#+[ ]*|\*\*)?(?:user[ ]|the[ ])?(?:question|query|frage|pregunta|user input|user message|task|"
    r"question de l'utilisateur)(?:\*\*)?[ \t]*:(?:\*\*)?[ \t]*",
    re.IGNORECASE | re.MULTILINE,
)
_TAG = re.compile(r"<(context|documents?|sources|passages|excerpts|search_results|retrieved_documents)>", re.IGNORECASE)
_CUE = re.compile(r"\n[ \t]*(?:answer|response|antwort|respuesta)[ \t]*:[ \t]*\Z", re.IGNORECASE)  # for the model
_RULER = re.compile(r"^[ \t]*[-=_*]{5,}[ \t]*$", re.MULTILINE)
_MARKED_LINE = re.compile(r"\n(?=[ \t]*\[[^\]\n]{1,80}\])")
_LONGEST = 400_000  # characters searched; more is no prompt that a person would want scored


@dataclass(frozen=True, slots=True)
class Pasted:
    """What was pasted into a prompt. `question` is what stands under a heading of a question, if there is one."""

    passages: tuple[str, ...]
    question: str | None


def pasted(messages: Sequence[Message]) -> Pasted:
    """The passages in the system message and the last user message.

    >>> pasted([Message("user", "Context:\\n[a] Tea is hot.\\n[b] Ice is cold.\\n\\nQuestion: Is tea hot?")])
    Pasted(passages=('[a] Tea is hot.', '[b] Ice is cold.'), question='Is tea hot?')
    """
    last_user = _last_user(messages)
    sources = [message for message in messages if message.role == "system" and message.text]
    if last_user is not None:
        sources.append(last_user)
    passages: list[str] = []
    question: str | None = None
    for message in sources:
        said = (message.text or "")[:_LONGEST]
        block = _block(said)
        if block is not None:
            passages.extend(_split(block))
            if message is last_user:
                question = _question(said)
    return Pasted(tuple(dict.fromkeys(passages)), question)


def asked_below(said: str) -> str | None:
    """The question of `pasted` for a last user message with this text, without looking for the passages."""
    said = said[:_LONGEST]
    question = _question(said)
    if question is None or (_tagged(said) is None and _first_line(_HEADING, said) is None):
        return None
    return question


def _last_user(messages: Sequence[Message]) -> Message | None:
    return next((message for message in reversed(messages) if message.role == "user" and message.text), None)


def _first_line(pattern: re.Pattern[str], said: str) -> re.Match[str] | None:
    """What `pattern.search` finds, for a pattern that begins with a line: far quicker, as prompts have few lines."""
    start = 0
    while (found := pattern.match(said, start)) is None:
        start = said.find("\n", start) + 1
        if not start:
            return None
    return found


def _block(said: str) -> str | None:
    tagged = _tagged(said)
    if tagged is not None:
        return tagged
    heading = _first_line(_HEADING, said)
    if heading is None:
        return None
    rest = said[heading.end() :]
    ruler = _RULER.match(rest.lstrip("\n"))
    if ruler:
        inside = rest.lstrip("\n")[ruler.end() :]
        end = _RULER.search(inside)
        return inside[: end.start()] if end else inside
    question = _first_line(_QUESTION, rest)
    return rest[: question.start()] if question else rest


def _tagged(said: str) -> str | None:
    tag = _TAG.search(said) if "<" in said else None
    closing = said.find(f"</{tag[1]}>", tag.end()) if tag else -1
    return said[tag.end() : closing] if tag and closing >= 0 else None


def _question(said: str) -> str | None:
    """What stands under the last heading of a question."""
    colon = said.rfind(":")
    while colon >= 0:  # such a heading has a colon: no other line can be one
        start = said.rfind("\n", 0, colon) + 1
        heading = _QUESTION.match(said, start)
        if heading is not None:
            asked = said[heading.end() :].strip().split("\n\n", 1)[0]
            return _CUE.sub("", asked).strip() or None
        colon = said.rfind(":", 0, start)
    return None


def _split(block: str) -> list[str]:
    block = block.strip()
    parts = re.split(r"\n[ \t]*\n", block)
    if len(parts) == 1:
        parts = _MARKED_LINE.split("\n" + block)
    if len(parts) == 1 or (len(parts) == 2 and not parts[0].strip()):
        parts = block.split("\n")
    return [part.strip() for part in parts if part.strip()]
