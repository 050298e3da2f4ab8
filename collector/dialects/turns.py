"""A message while it is read, and the tool calls in it."""

from dataclasses import dataclass, field

from collector.core.model import JSON, FinishReason, Media, Message, RequestedCall, Role
from collector.dialects.values import as_text, parsed, structured, word

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
    "chatbot": "assistant",
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
    media: list[Media] = field(default_factory=list)
    refusal: str | None = None
    reasoning: list[str] = field(default_factory=list)
    finish: FinishReason | None = None

    def message(self) -> Message:
        return Message(self.role, self.text, self.tool_calls, self.tool_call_id, self.has_image, self.media)

    @property
    def has_image(self) -> bool:
        return bool(self.media) and any(item.kind == "image" for item in self.media)

    @property
    def text(self) -> str | None:
        return "\n".join(self.texts) if self.texts else None

    @property
    def empty(self) -> bool:
        return not (self.texts or self.tool_calls or self.media or self.refusal or self.reasoning)


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
    return RequestedCall(
        name, call_arguments(arguments), first_word(value, "call_id", "toolCallId", "toolUseId", "id", "ref")
    )


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
    if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        said = [item["text"] if "text" in item else as_text(item.get("json")) for item in value]
        if None not in said:
            return "\n".join(str(one) for one in said)
    return as_text(value)


def first_word(value: dict[str, JSON], *keys: str) -> str | None:
    """The first of these keys that holds a word."""
    for key in keys:
        found = word(value.get(key))
        if found is not None:
            return found
    return None
