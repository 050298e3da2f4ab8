"""Conversations in any shape that a provider or library writes them, read by one tolerant reader.

Understood shapes, at any level as JSON text too: OpenTelemetry GenAI `{role, parts}`, OpenAI chat messages and
Responses API items, Anthropic content blocks, Bedrock and Gemini parts, LangChain messages (serialised constructors,
`{type, data}`, `[role, text]`), Vercel AI SDK model messages, Haystack chat messages.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from collector.core.model import JSON, FinishReason, Message, RequestedCall, Role
from collector.dialects.values import as_text, finish_reason, mapping, parsed, structured, text, word

_MAX_DEPTH = 8  # of messages within lists within wrappers

ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "systemmessage": "system",
    "user": "user",
    "human": "user",
    "humanmessage": "user",
    "humanmessagechunk": "user",
    "assistant": "assistant",
    "ai": "assistant",
    "aimessage": "assistant",
    "aimessagechunk": "assistant",
    "model": "assistant",
    "bot": "assistant",
    "tool-call": "assistant",
    "tool": "tool",
    "toolmessage": "tool",
    "function": "tool",
    "functionmessage": "tool",
    "tool-response": "user",  # smolagents: a step's observation, which the provider is sent as the user's
}


@dataclass(slots=True)
class Turn:
    """A message while it is read, with what only a model's own message has."""

    role: Role = "user"
    texts: list[str] = field(default_factory=list)
    tool_calls: list[RequestedCall] = field(default_factory=list)
    tool_call_id: str | None = None
    has_image: bool = False
    refusal: str | None = None
    reasoning: list[str] = field(default_factory=list)
    finish: FinishReason | None = None

    def message(self) -> Message:
        return Message(self.role, self.text, self.tool_calls, self.tool_call_id, self.has_image)

    @property
    def text(self) -> str | None:
        return "\n".join(self.texts) if self.texts else None

    @property
    def empty(self) -> bool:
        return not (self.texts or self.tool_calls or self.has_image or self.refusal or self.reasoning)


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
        _part(turn, answers, value)  # an item of the Responses API, or a part that stands alone
        if isinstance(said, str) and said in _ASSISTANT_ITEMS:
            turn.role = "assistant"
    else:
        _content(turn, answers, value.get("parts") if value.get("parts") is not None else value.get("content"))
        _extras(turn, value)
    yield from answers
    if not turn.empty or not answers:
        yield turn


_ASSISTANT_ITEMS = frozenset({"function_call", "reasoning", "tool_use", "custom_tool_call", "output_text"})


def _extras(turn: Turn, value: dict[str, JSON]) -> None:
    """What stands beside the content."""
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
        if not (isinstance(inner, list) and inner and all(_is_typed(item) for item in inner)):
            turn.texts.append(content)
            return
        content = inner  # the list of parts as JSON text
    if isinstance(content, list):
        for part in content:
            _part(turn, answers, part)
    elif isinstance(content, dict):
        _part(turn, answers, content)


def _is_typed(item: JSON) -> bool:
    return isinstance(item, dict) and isinstance(item.get("type"), str) and item["type"] in _KINDS


_KINDS: dict[str, str] = {
    **dict.fromkeys(("text", "input_text", "output_text"), "text"),
    "refusal": "refusal",
    **dict.fromkeys(("reasoning", "thinking", "summary_text", "reasoning_content"), "reasoning"),
    **dict.fromkeys(("tool_call", "tool_use", "tool-call", "function_call", "custom_tool_call"), "call"),
    **dict.fromkeys(
        ("tool_call_response", "tool_result", "tool-result", "function_call_output", "custom_tool_call_output"),
        "result",
    ),
    **dict.fromkeys(("image", "image_url", "input_image", "blob", "uri", "file", "media", "image-data"), "media"),
}

_UNTYPED: dict[str, str] = {  # Haystack, Gemini and Bedrock name the kind by the only key
    "tool_call": "call",
    "toolCall": "call",
    "function_call": "call",
    "functionCall": "call",
    "toolUse": "call",
    "tool_call_result": "result",
    "function_response": "result",
    "functionResponse": "result",
    "toolResult": "result",
    "inline_data": "media",
    "inlineData": "media",
    "image": "media",
    "image_url": "media",
    "reasoning": "reasoning",
    "reasoningContent": "reasoning",
}


def _part(turn: Turn, answers: list[Turn], part: JSON) -> None:
    if isinstance(part, str):
        if part:
            turn.texts.append(part)
        return
    if not isinstance(part, dict):
        return
    said = part.get("type")
    kind = _KINDS.get(said) if isinstance(said, str) else None
    if kind is None or (kind == "call" and isinstance(part.get(said), dict)):
        for key, meaning in _UNTYPED.items():
            if isinstance(part.get(key), dict | str) and part[key]:
                kind, part = meaning, part[key] if isinstance(part[key], dict) else {"text": part[key]}
                break
    _PART_READERS.get(kind or "text", _text_part)(turn, answers, part)


def _text_part(turn: Turn, answers: list[Turn], part: dict[str, Any]) -> None:
    said = text(part.get("content")) or text(part.get("text"))
    if said:
        turn.texts.append(said)


def _refusal_part(turn: Turn, answers: list[Turn], part: dict[str, Any]) -> None:
    turn.refusal = text(part.get("refusal")) or text(part.get("content")) or text(part.get("text"))


def _reasoning_part(turn: Turn, answers: list[Turn], part: dict[str, Any]) -> None:
    for key in ("content", "text", "thinking", "summary", "reasoningText", "reasoning_text"):
        value = part.get(key)
        if isinstance(value, list):
            turn.reasoning.extend(said for item in value if isinstance(item, dict) and (said := text(item.get("text"))))
        elif isinstance(value, dict):
            turn.reasoning.extend(said for said in [text(value.get("text"))] if said)
        elif text(value):
            turn.reasoning.append(str(value))
        else:
            continue
        return


def _call_part(turn: Turn, answers: list[Turn], part: dict[str, Any]) -> None:
    call = requested_call(part)
    if call is not None:
        turn.tool_calls.append(call)


def _result_part(turn: Turn, answers: list[Turn], part: dict[str, Any]) -> None:
    answer = Turn("tool")
    answer.tool_call_id = first_word(part, *_RESULT_IDS) or first_word(mapping(part.get("origin")), "id")
    for key in ("response", "result", "output", "content"):
        if part.get(key) is not None:
            said = result_text(part[key])
            if said:
                answer.texts.append(said)
            break
    answers.append(answer)


_RESULT_IDS = ("id", "tool_call_id", "tool_use_id", "toolCallId", "toolUseId", "call_id")


def _media_part(turn: Turn, answers: list[Turn], part: dict[str, Any]) -> None:
    said = str(part.get("type"))
    kinds = (part.get("modality"), part.get("mime_type"), part.get("mimeType"), part.get("mediaType"), said)
    stated = [str(kind) for kind in kinds if isinstance(kind, str)]
    if said in ("blob", "uri", "file", "media") and not any("image" in kind for kind in stated):
        return
    turn.has_image = True


_PART_READERS = {
    "text": _text_part,
    "refusal": _refusal_part,
    "reasoning": _reasoning_part,
    "call": _call_part,
    "result": _result_part,
    "media": _media_part,
}


def requested_call(value: JSON) -> RequestedCall | None:
    """A tool call as any provider writes it."""
    value = parsed(value)
    if not isinstance(value, dict):
        return None
    if isinstance(value.get("tool_call"), dict):
        value = value["tool_call"]
    function = value.get("function")
    inner = function if isinstance(function, dict) else value
    name = first_word(inner, "name", "toolName", "tool_name") or (function if isinstance(function, str) else None)
    if not name:
        return None
    arguments = next((inner[key] for key in ("arguments", "args", "input", "parameters") if key in inner), None)
    return RequestedCall(name, call_arguments(arguments), first_word(value, "call_id", "toolCallId", "toolUseId", "id"))


def call_arguments(value: JSON) -> JSON:
    """Arguments as a JSON value where they can be read as one, otherwise the text as it is."""
    if isinstance(value, str):
        found = structured(value)
        return value if found is None else found
    return value


def result_text(value: JSON) -> str | None:
    """A tool's result as text: text parts are joined, other values become JSON text."""
    if isinstance(value, dict) and value.get("type") in ("text", "error-text", "json", "error-json", "content"):
        inner = value.get("value", value.get("text", value.get("content")))  # Vercel AI SDK wraps outputs so
        return result_text(inner) if inner is not value else None
    if isinstance(value, list) and value and all(isinstance(item, dict) and "text" in item for item in value):
        return "\n".join(str(item["text"]) for item in value)
    return as_text(value)


def first_word(value: dict[str, JSON], *keys: str) -> str | None:
    """The first of these keys that holds a word."""
    for key in keys:
        found = word(value.get(key))
        if found is not None:
            return found
    return None
