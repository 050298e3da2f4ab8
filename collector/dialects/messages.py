"""Conversations in any shape that a provider or library writes them, read by one tolerant reader.

Understood shapes, at any level as JSON text too: OpenTelemetry GenAI `{role, parts}`, OpenAI chat messages and
Responses API items, Anthropic content blocks, Bedrock and Gemini parts, LangChain messages (serialised constructors,
`{type, data}`, `[role, text]`), Vercel AI SDK model messages, Haystack chat messages.
"""

from collections.abc import Iterator

from collector.core.model import JSON, Role
from collector.dialects.parts import is_typed, read_part
from collector.dialects.turns import ROLES, Turn, first_word, requested_call
from collector.dialects.values import finish_reason, parsed, text

_MAX_DEPTH = 8  # of messages within lists within wrappers


def read_turns(value: JSON, role: Role = "user") -> list[Turn]:
    """The messages in a value; `role` is for text that stands alone.

    >>> [(turn.role, turn.text) for turn in read_turns('[{"role": "user", "content": [{"text": "hi"}]}]')]
    [('user', 'hi')]
    """
    return list(_turns(value, role, 0))


def _turns(value: JSON, role: Role, depth: int) -> Iterator[Turn]:
    value = parsed(value)
    if isinstance(value, str):
        if value:
            yield Turn(role, [value])
    elif isinstance(value, dict):
        yield from _wrapped(value, role, depth)
    elif isinstance(value, list) and depth < _MAX_DEPTH:
        if _is_pair(value):
            yield Turn(ROLES[value[0].lower()], [value[1]])
            return
        for item in value:
            yield from _turns(item, role, depth + 1)


def _is_pair(value: list[JSON]) -> bool:
    """LangChain also takes messages as `["user", "text"]`."""
    return len(value) == 2 and all(isinstance(item, str) for item in value) and value[0].lower() in ROLES


def _wrapped(value: dict[str, JSON], role: Role, depth: int) -> Iterator[Turn]:
    if "role" in value or "parts" in value:
        yield from _message(value, role)
        return
    constructed = value.get("kwargs") if value.get("type") == "constructor" else value.get("data")
    if isinstance(constructed, dict):
        kind = value.get("id") if value.get("type") == "constructor" else value.get("type")
        name = kind[-1] if isinstance(kind, list) and kind else kind
        if isinstance(name, str) and name.lower() in ROLES:
            yield from _message({**constructed, "role": name}, role)
            return
    if "messages" in value and depth < _MAX_DEPTH:
        for key in ("system", "instructions"):
            if value.get(key):
                yield from _turns(value[key], "system", depth + 1)
        yield from _turns(value["messages"], role, depth + 1)
        return
    yield from _message(value, role)


def _message(value: dict[str, JSON], role: Role) -> Iterator[Turn]:
    name = value.get("role")
    said = value.get("type")
    if name is None and isinstance(said, str) and said.lower() in ROLES:
        name = said
    turn = Turn(ROLES.get(name.lower(), role) if isinstance(name, str) else role)
    answers: list[Turn] = []
    if name is None and not ("content" in value and said in (None, "message")) and "parts" not in value:
        read_part(turn, answers, value)  # an item of the Responses API, or a part that stands alone
        if isinstance(said, str) and said in _ASSISTANT_ITEMS:
            turn.role = "assistant"
    else:
        _content(turn, answers, value.get("parts") if value.get("parts") is not None else value.get("content"))
        _extras(turn, value)
    yield from answers
    if not turn.empty or not answers:
        yield turn


_ASSISTANT_ITEMS = frozenset({"function_call", "reasoning", "tool_use", "custom_tool_call", "output_text"})


_PLAIN_KEYS = frozenset({"role", "parts", "content", "finish_reason"})


def _extras(turn: Turn, value: dict[str, JSON]) -> None:
    """What stands beside the content."""
    if value.keys() <= _PLAIN_KEYS:  # nearly always
        turn.finish = finish_reason(value.get("finish_reason"))
        return
    for key in ("tool_calls", "toolCalls"):
        calls = parsed(value.get(key))
        if isinstance(calls, list):
            known = {call.id for call in turn.tool_calls if call.id}
            found = (requested_call(call) for call in calls)
            turn.tool_calls.extend(call for call in found if call is not None and call.id not in known)
    old_call = value.get("function_call")
    if isinstance(old_call, dict):
        call = requested_call(old_call)
        if call is not None:
            turn.tool_calls.append(call)
    if turn.role == "tool":
        turn.tool_call_id = turn.tool_call_id or first_word(value, "tool_call_id", "toolCallId", "id")
    turn.refusal = turn.refusal or text(value.get("refusal"))
    reasoning = text(value.get("reasoning_content")) or text(value.get("reasoning"))
    if reasoning and not turn.reasoning:
        turn.reasoning.append(reasoning)
    turn.finish = finish_reason(value.get("finish_reason") or value.get("finishReason") or value.get("stop_reason"))


def _content(turn: Turn, answers: list[Turn], content: JSON) -> None:
    if isinstance(content, str) and content:
        inner = parsed(content) if content[0] == "[" else content
        if not (isinstance(inner, list) and inner and all(is_typed(item) for item in inner)):
            turn.texts.append(content)
            return
        content = inner  # the list of parts as JSON text
    if isinstance(content, list):
        for part in content:
            read_part(turn, answers, part)
    elif isinstance(content, dict):
        read_part(turn, answers, content)
