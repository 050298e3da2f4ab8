"""The ways in which dialects write a conversation.

Each is a small object that is called with a `View`, returns messages, and prints as the cell of a table.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from collector.core.model import JSON, RequestedCall, Role
from collector.dialects.media import media_at
from collector.dialects.messages import is_json_answer, read_content, read_turns
from collector.dialects.reprs import is_part, spelled_out
from collector.dialects.sources import cell
from collector.dialects.turns import ROLES, Turn, call_arguments, requested_call, result_text
from collector.dialects.values import as_text, at, mapping, parsed, structured, text, word
from collector.dialects.view import View, grouped


@dataclass(frozen=True, slots=True)
class Messages:
    """Messages as JSON in any shape; `path` leads to them, `role` is for text that stands alone."""

    key: str
    path: tuple[str | int, ...] = ()
    role: Role = "user"

    def __call__(self, view: View) -> list[Turn]:
        if self.key not in view.attributes:
            return []
        value = view.json(self.key)
        if self.path:
            return read_turns(at(value, *self.path), self.role)
        if self.role == "assistant" and is_json_answer(value):
            value = view.attributes[self.key]  # as it was written
        return read_turns(value, self.role)

    def __str__(self) -> str:
        return cell(self.key, self.path)


@dataclass(frozen=True, slots=True)
class FlatMessages:
    """OpenLLMetry's older form: `prefix.N.role`, `.content`, `.tool_calls.M.name`, ..."""

    prefix: str
    role: Role

    def __call__(self, view: View) -> list[Turn]:
        return [
            spelled_out(turn)
            for item in view.indexed(self.prefix)
            for turn in read_turns(self._message(item), self.role)
        ]

    def _message(self, item: dict[str, JSON]) -> JSON:
        message = {"role": self.role, **{key: value for key, value in item.items() if "." not in key}}
        calls = grouped(item.items(), "tool_calls.")
        if calls:
            message["tool_calls"] = calls
        said = message.get("content")
        if isinstance(said, str) and said[:2] in ('["', "[{"):
            parts = parsed(said)
            if isinstance(parts, list) and all(isinstance(part, dict) and "role" in part for part in parts):
                return parts  # the whole conversation as the text of one message
            if isinstance(parts, list) and all(isinstance(part, str) and is_part(part) for part in parts):
                message["content"] = parts
        if said == '""':
            del message["content"]  # an empty text, JSON-encoded
        return message

    def __str__(self) -> str:
        return f"`{self.prefix}.N.*`"


@dataclass(frozen=True, slots=True)
class FlatCalls:
    """Messages as JSON that leave out the calls; those stand in flat keys `prefix.N.function_call.*`."""

    key: str
    prefix: str

    def __call__(self, view: View) -> list[Turn]:
        turns = read_turns(view.json(self.key), "assistant") if self.key in view.attributes else []
        if turns and not any(turn.tool_calls for turn in turns):
            for item in view.indexed(self.prefix):
                name = word(item.get("function_call.name"))
                if name:
                    turns[0].tool_calls.append(RequestedCall(name, call_arguments(item.get("function_call.arguments"))))
        return turns

    def __str__(self) -> str:
        return f"`{self.key}` with `{self.prefix}.N.function_call.*`"


@dataclass(frozen=True, slots=True)
class OpenInferenceMessages:
    """`prefix.N.message.role`, `.content`, `.contents.M.message_content.*`, `.tool_calls.M.tool_call.*`.

    Text stands in `content`, in `contents`, or in both (then it is the same).
    """

    prefix: str
    role: Role

    def __call__(self, view: View) -> list[Turn]:
        turns = []
        for item in view.indexed(self.prefix):
            role = item.get("message.role")
            turn = Turn(ROLES.get(role.lower(), self.role) if isinstance(role, str) else self.role)
            self._parts(turn, item)
            turn.tool_call_id = word(item.get("message.tool_call_id"))
            if turn.tool_call_id and turn.role == "user":
                turn.role = "tool"  # Anthropic's form: the user hands over what the tool returned
            answers: list[Turn] = []
            said = item.get("message.content")
            if said and not turn.texts:
                self._content(turn, answers, said)
            turn.tool_calls.extend(_calls(item))
            if "thought" in item:  # AutoGen
                self._thought(turn, text(item["thought"]))
            turns.extend(answers)
            if not answers or not turn.empty:
                turns.append(turn)
        return turns

    def _thought(self, turn: Turn, said: str | None) -> None:
        """What the model said with its tool calls, or thought before it answered in words."""
        if said:
            (turn.texts if turn.tool_calls and not turn.texts else turn.reasoning).append(said)

    def _content(self, turn: Turn, answers: list[Turn], said: JSON) -> None:
        """Mostly text; some instrumentations write the list of parts: as it is, as JSON text, or as its `repr`."""
        if isinstance(said, str) and said[:1] != "[":
            turn.texts.append(said)
        elif turn.role == "tool":
            found = structured(said) if isinstance(said, str) and '"text"' in said.replace("'", '"') else said
            turn.texts.extend(one for one in [result_text(found)] if one)
        else:
            read_content(turn, answers, said)

    def _parts(self, turn: Turn, item: dict[str, JSON]) -> None:
        if len(item) <= 2 and "message.content" in item:
            return  # nearly always: role and content
        for part in grouped(item.items(), "message.contents."):
            said = text(part.get("message_content.text"))
            kind = part.get("message_content.type")
            if kind == "reasoning" and said:
                turn.reasoning.append(said)
            elif kind == "refusal" and said:
                turn.refusal = said
            elif said:
                turn.texts.append(said)
            if kind == "image" or "message_content.image.image.url" in part:
                turn.media.append(media_at(part.get("message_content.image.image.url")))

    def __str__(self) -> str:
        return f"`{self.prefix}.N.message.*`"


def _calls(item: dict[str, JSON]) -> Iterable[RequestedCall]:
    for call in grouped(item.items(), "message.tool_calls."):
        name = word(call.get("tool_call.function.name"))
        if name:
            arguments = call_arguments(call.get("tool_call.function.arguments"))
            yield RequestedCall(name, arguments, word(call.get("tool_call.id")))
    name = word(item.get("message.function_call_name"))
    if name:
        yield RequestedCall(name, call_arguments(item.get("message.function_call_arguments_json")))


@dataclass(frozen=True, slots=True)
class ToolCalls:
    """One answer in two attributes: its text (the first of these that is there) and its tool calls."""

    texts: tuple[str, ...]
    calls: tuple[str, ...]

    def __call__(self, view: View) -> list[Turn]:
        turn = Turn("assistant")
        said = next((found for key in self.texts if (found := as_text(view.attributes.get(key)))), None)
        if said:
            turn.texts.append(said)
        for key in self.calls:
            asked = view.json(key)
            if isinstance(asked, list):
                turn.tool_calls = [call for item in asked if (call := requested_call(item)) is not None]
                break
        return [turn]

    def __str__(self) -> str:
        return ", ".join(f"`{key}`" for key in (*self.texts, *self.calls))


_EVENT_ROLES: dict[str, Role] = {
    "gen_ai.system.message": "system",
    "gen_ai.user.message": "user",
    "gen_ai.assistant.message": "assistant",
    "gen_ai.tool.message": "tool",
    "gen_ai.choice": "assistant",
}


@dataclass(frozen=True, slots=True)
class EventMessages:
    """Messages that came one by one as log records, or as span events: the role is in the event's name."""

    outputs: bool  # the model's choices, or what it was given

    @property
    def event_names(self) -> tuple[str, ...]:
        return tuple(name for name in _EVENT_ROLES if (name == "gen_ai.choice") == self.outputs)

    def __call__(self, view: View) -> list[Turn]:
        turns: list[Turn] = []
        answered: set[str] = set()  # by the messages since the model last spoke
        for name, body in _message_events(view):
            if (name == "gen_ai.choice") != self.outputs:
                continue
            for turn in read_turns(_event_message(name, body)):
                if turn.role == "assistant":
                    answered.clear()
                elif turn.role == "tool" and turn.tool_call_id:
                    if turn.tool_call_id in answered:
                        continue  # Bedrock: once as the tool's message, once more as the user's that holds it
                    answered.add(turn.tool_call_id)
                turns.append(turn)
        return turns

    def __str__(self) -> str:
        return "events `gen_ai.choice`" if self.outputs else "events `gen_ai.{system,user,assistant,tool}.message`"


def _message_events(view: View) -> Iterable[tuple[str, dict[str, JSON]]]:
    logs = [event for event in view.events if event.event_name in _EVENT_ROLES]
    if logs:
        for log in sorted(logs, key=lambda log: log.time_ns):
            yield log.event_name, _body(log.body)
        return
    for event in view.span.events:
        if event.name in _EVENT_ROLES:
            yield event.name, mapping(event.attributes.get("gen_ai.event.content")) or event.attributes


def _body(body: JSON) -> dict[str, JSON]:
    """An event's body: a map, or that map as JSON text (events written through a logger), or the text alone."""
    if isinstance(body, dict):
        return body
    found = mapping(body)
    return {"content": body} if _MESSAGE_KEYS.isdisjoint(found) else found


_MESSAGE_KEYS = frozenset({"role", "content", "message", "tool_calls"})


def _event_message(name: str, body: dict[str, JSON]) -> dict[str, JSON]:
    inner = parsed(body.get("message"))
    message = {"role": _EVENT_ROLES[name], **body, **(inner if isinstance(inner, dict) else {})}
    if inner is not None and not isinstance(inner, dict) and "content" not in body:
        message["content"] = inner  # the content itself, or its list of parts
    if not isinstance(message["role"], str):
        message["role"] = _EVENT_ROLES[name]
    return message


@dataclass(frozen=True, slots=True)
class ListedEvents:
    """The same events as a JSON list in one attribute; each says its name as `event.name`."""

    key: str
    outputs: bool

    def __call__(self, view: View) -> list[Turn]:
        listed = view.json(self.key) if self.key in view.attributes else None
        return [
            turn
            for body in (listed if isinstance(listed, list) else ())
            if isinstance(body, dict)
            and isinstance(name := body.get("event.name"), str)
            and name in _EVENT_ROLES
            and (name == "gen_ai.choice") == self.outputs
            for turn in read_turns(_event_message(name, body))
        ]

    def __str__(self) -> str:
        return f"`{self.key}`, the {'choices' if self.outputs else 'messages'}"


_SPOKEN = re.compile(r"^(system|developer|user|human|assistant|ai|tool|function): ?", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class SpokenLines:
    """A conversation as text: each message begins a line with its role and a colon."""

    key: str
    event: str = ""  # of a span event of this name, or of the span

    @property
    def event_names(self) -> tuple[str, ...]:
        return (self.event,) if self.event else ()

    def __call__(self, view: View) -> list[Turn]:
        said = view.attributes.get(self.key) if not self.event else self._told(view)
        if not isinstance(said, str) or _SPOKEN.match(said) is None:
            return []
        parts = _SPOKEN.split(said)
        return [
            Turn(ROLES[role], [text.removesuffix("\n")]) for role, text in zip(parts[1::2], parts[2::2], strict=True)
        ]

    def _told(self, view: View) -> JSON:
        return next((e.attributes.get(self.key) for e in view.span.events if e.name == self.event), None)

    def __str__(self) -> str:
        where = f"span event `{self.event}` → " if self.event else ""
        return f"{where}`{self.key}`, lines `role: text`"


@dataclass(frozen=True, slots=True)
class SpanEventMessages:
    """Messages in an attribute of a span event, such as `gen_ai.content.prompt`."""

    event: str
    key: str
    role: Role

    @property
    def event_names(self) -> tuple[str, ...]:
        return (self.event,)

    def __call__(self, view: View) -> list[Turn]:
        found = [event.attributes.get(self.key) for event in view.span.events if event.name == self.event]
        return [turn for value in found for turn in read_turns(value, self.role)]

    def __str__(self) -> str:
        return f"span event `{self.event}` → `{self.key}`"
