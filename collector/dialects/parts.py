"""The parts of a message's content: text, tool calls and results, reasoning, refusals, images."""

from typing import Any

from collector.core.model import JSON
from collector.dialects.media import read_media
from collector.dialects.turns import Turn, first_word, requested_call, result_text
from collector.dialects.values import as_text, mapping, text


def is_part(item: JSON) -> bool:
    """Whether a value is a part of a message: it says its type, or its only key does (Bedrock, Gemini)."""
    if not isinstance(item, dict):
        return False
    said = item.get("type")
    if isinstance(said, str):
        return said in _KINDS
    return len(item) == 1 and (next(iter(item)) in _UNTYPED or isinstance(item.get("text"), str))


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
    **dict.fromkeys(("image-url", "audio-url", "video-url", "document-url", "binary", "document"), "media"),
    **dict.fromkeys(("audio", "video", "input_audio", "input_file", "output_audio"), "media"),
}

_UNTYPED: dict[str, str] = {  # Haystack, Gemini and Bedrock name the kind by the only key
    "tool_call": "call",
    "toolCall": "call",
    "function_call": "call",
    "functionCall": "call",
    "toolUse": "call",
    "toolRequest": "call",
    "tool_call_result": "result",
    "function_response": "result",
    "functionResponse": "result",
    "toolResult": "result",
    "toolResponse": "result",
    "inline_data": "media",
    "inlineData": "media",
    "image": "media",
    "image_url": "media",
    "file_data": "media",
    "fileData": "media",
    "media": "media",
    "reasoning": "reasoning",
    "reasoningContent": "reasoning",
}


def read_part(turn: Turn, answers: list[Turn], part: JSON) -> None:
    if not isinstance(part, dict):
        if isinstance(part, str) and part:
            turn.texts.append(part)
        return
    said = part.get("type")
    kind = _KINDS.get(said) if isinstance(said, str) else None
    if kind == "text":  # nearly always
        _text_part(turn, answers, part)
        return
    if kind is None or (kind == "call" and isinstance(part.get(said), dict)):
        for key, value in part.items():
            if key in _UNTYPED and isinstance(value, (dict, str)) and value:
                kind = _UNTYPED[key]
                if kind != "media":  # whose key tells what it is
                    part = value if isinstance(value, dict) else {"text": value}
                break
    _PART_READERS.get(kind or "text", _text_part)(turn, answers, part)


def _text_part(turn: Turn, answers: list[Turn], part: dict[str, Any]) -> None:
    said = part.get("content")
    if not (isinstance(said, str) and said):
        said = part.get("text")
    if said is None and "json" in part:  # Bedrock: a tool's result
        said = as_text(part["json"])
    if isinstance(said, str) and said:
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


_RESULT_IDS = ("id", "tool_call_id", "tool_use_id", "toolCallId", "toolUseId", "call_id", "ref")


def _media_part(turn: Turn, answers: list[Turn], part: dict[str, Any]) -> None:
    turn.media.append(read_media(part))


_PART_READERS = {
    "text": _text_part,
    "refusal": _refusal_part,
    "reasoning": _reasoning_part,
    "call": _call_part,
    "result": _result_part,
    "media": _media_part,
}
