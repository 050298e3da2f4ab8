"""Conversations in any shape that a provider or library writes them, read by one tolerant reader.

Understood shapes, at any level as JSON text too: OpenTelemetry GenAI `{role, parts}`, OpenAI chat messages and
Responses API items, Anthropic content blocks, Bedrock and Gemini parts, LangChain messages (serialised constructors,
`{type, data}`, `[role, text]`), Vercel AI SDK model messages, Haystack chat messages.
"""

from collector.core.model import JSON, Role
from collector.dialects.parts import is_part, read_part
from collector.dialects.turns import ROLES, Turn, first_word, requested_call
from collector.dialects.values import as_text, finish_reason, parsed, text

_MAX_DEPTH = 8  # of messages within lists within wrappers


def read_turns(value: JSON, role: Role = "user") -> list[Turn]:
    """The messages in a value; `role` is for text that stands alone.

    >>> [(turn.role, turn.text) for turn in read_turns('[{"role": "user", "content": [{"text": "hi"}]}]')]
    [('user', 'hi')]
    """
    found = parsed(value) if isinstance(value, str) else value
    if role == "assistant" and isinstance(found, dict) and is_json_answer(found):
        said = as_text(value)
        return [Turn(role, [said])] if said else []
    turns: list[Turn] = []
    _read(turns, found, role, 0)
    return turns


def is_json_answer(value: JSON) -> bool:
    """Whether a model's answer is JSON itself, rather than a message written as JSON."""
    return isinstance(value, dict) and bool(value) and _MESSAGE_KEYS.isdisjoint(value)


def _read(turns: list[Turn], value: JSON, role: Role, depth: int) -> None:
    if depth and isinstance(value, str):
        value = parsed(value)
    if isinstance(value, dict):
        if "role" in value or "parts" in value:
            _message(turns, value, role)
        else:
            _wrapped(turns, value, role, depth)
    elif isinstance(value, list) and depth < _MAX_DEPTH:
        if len(value) == 2 and _is_pair(value):
            turns.append(Turn(ROLES[value[0].lower()], [value[1]]))
            return
        for item in value:
            _read(turns, item, role, depth + 1)
    elif isinstance(value, str) and value:
        turns.append(Turn(role, [value]))


def _is_pair(value: list[JSON]) -> bool:
    """LangChain also takes messages as `["user", "text"]`."""
    return isinstance(value[0], str) and isinstance(value[1], str) and value[0].lower() in ROLES


def _wrapped(turns: list[Turn], value: dict[str, JSON], role: Role, depth: int) -> None:
    constructed = value.get("kwargs") if value.get("type") == "constructor" else value.get("data")
    if isinstance(constructed, dict):
        kind = value.get("id") if value.get("type") == "constructor" else value.get("type")
        name = kind[-1] if isinstance(kind, list) and kind else kind
        if isinstance(name, str) and name.lower() in ROLES:
            _message(turns, {**constructed, "role": name}, role)
            return
    if depth < _MAX_DEPTH and not _ANSWERS.isdisjoint(value) and _answered(turns, value, depth):
        return
    if "messages" in value and depth < _MAX_DEPTH:
        for key in ("system", "instructions"):
            if value.get(key):
                _read(turns, value[key], "system", depth + 1)
        _read(turns, value["messages"], role, depth + 1)
        return
    if role == "user" and not value.keys().isdisjoint(_REQUESTS):
        _request(turns, value, depth)
        return
    _message(turns, value, role)


_MESSAGE_KEYS = frozenset(
    {
        *("role", "content", "parts", "type", "text", "message", "messages", "refusal", "image"),
        *("tool_calls", "toolCalls", "tool_call", "toolUse", "toolCall", "function_call", "functionCall"),
        *("kwargs", "data", "reasoning", "reasoning_content", "output", "outputs"),
        *("generations", "choices", "candidates", "replies"),
    }
)


_ANSWERS = frozenset({"choices", "generations", "object", "input"})


def _answered(turns: list[Turn], value: dict[str, JSON], depth: int) -> bool:
    """A provider's whole answer, or a request of the Responses API: what was said is deeper inside."""
    choices, generations = parsed(value.get("choices")), parsed(value.get("generations"))
    if isinstance(choices, list) and choices and isinstance(choices[0], dict):
        said = choices[0].get("message") or choices[0].get("text")
    elif isinstance(generations, list) and generations:
        first = generations[0][0] if isinstance(generations[0], list) and generations[0] else generations[0]
        said = first.get("message") or first.get("text") if isinstance(first, dict) else None
    elif value.get("object") == "response":
        said = value.get("output")
    elif "input" in value and "model" in value:
        if value.get("instructions"):
            _read(turns, value["instructions"], "system", depth + 1)
        _read(turns, value["input"], "user", depth + 1)
        return True
    else:
        return False
    _read(turns, said, "assistant", depth + 1)
    return True


_REQUESTS = frozenset({"contents", "prompt", "inputText", "chat_history"})


def _request(turns: list[Turn], value: dict[str, JSON], depth: int) -> None:
    """The body of a request that has no `messages`: Gemini's, Cohere's first, or a prompt to be completed."""
    if depth >= _MAX_DEPTH:
        return
    for key in ("systemInstruction", "system_instruction", "preamble", "system", "system_prompt"):
        if value.get(key):
            _read(turns, value[key], "system", depth + 1)
    for key in ("chat_history", "contents", "prompt", "inputText", "message"):
        if value.get(key):
            _read(turns, value[key], "user", depth + 1)


def _message(turns: list[Turn], value: dict[str, JSON], role: Role) -> None:
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
        parts = value.get("parts")
        read_content(turn, answers, parts if parts is not None else value.get("content"))
        if value.keys() <= _PLAIN_KEYS:  # nearly always
            turn.finish = finish_reason(value["finish_reason"]) if "finish_reason" in value else None
        else:
            _extras(turn, value)
    turns.extend(answers)
    if not answers or not turn.empty:
        turns.append(turn)


_ASSISTANT_ITEMS = frozenset({"function_call", "reasoning", "tool_use", "custom_tool_call", "output_text"})


_PLAIN_KEYS = frozenset({"role", "parts", "content", "finish_reason"})


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


def read_content(turn: Turn, answers: list[Turn], content: JSON) -> None:
    """Add what a message says to `turn`; results of tools within it become messages of their own."""
    if isinstance(content, list):
        for part in content:
            read_part(turn, answers, part)
    elif isinstance(content, dict):
        read_part(turn, answers, content)
    elif isinstance(content, str) and content:
        if content[0] != "[":
            turn.texts.append(content)  # nearly always
            return
        inner = parsed(content)
        if not (isinstance(inner, list) and inner and all(is_part(item) for item in inner)):
            turn.texts.append(content)
            return
        for part in inner:  # the list of parts as JSON text
            read_part(turn, answers, part)
