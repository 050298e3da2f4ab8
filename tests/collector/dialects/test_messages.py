"""Conversations as libraries write them, one case a shape, also shapes that no recording has."""

from typing import Any

import pytest

from collector.core.model import Media, Message, RequestedCall
from collector.dialects.messages import read_turns

CALL = [RequestedCall("f", {"n": 1}, "c1")]
SHAPES: dict[str, tuple[Any, list[Message]]] = {
    "otel parts": (
        [{"role": "user", "parts": [{"type": "text", "content": "a"}, {"type": "text", "content": "b"}]}],
        [Message("user", "a\nb")],
    ),
    "otel tool call and response": (
        [
            {"role": "assistant", "parts": [{"type": "tool_call", "id": "c1", "name": "f", "arguments": '{"n": 1}'}]},
            {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": {"ok": True}}]},
        ],
        [Message("assistant", None, CALL), Message("tool", '{"ok":true}', [], "c1")],
    ),
    "otel response under the older key": (
        [{"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "result": "warm"}]}],
        [Message("tool", "warm", [], "c1")],
    ),
    "openai chat": (
        [
            {"role": "developer", "content": "be kind"},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "c1", "function": {"name": "f", "arguments": '{"n":1}'}}],
            },
            {"role": "tool", "tool_call_id": "c1", "content": "ok"},
        ],
        [Message("system", "be kind"), Message("assistant", None, CALL), Message("tool", "ok", [], "c1")],
    ),
    "openai old function call": (
        [{"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": '{"n": 1}'}}],
        [Message("assistant", None, [RequestedCall("f", {"n": 1})])],
    ),
    "openai image": (
        [
            {
                "role": "user",
                "content": [{"type": "text", "text": "see"}, {"type": "image_url", "image_url": {"url": "data:"}}],
            }
        ],
        [Message("user", "see", has_image=True, media=[Media("image")])],
    ),
    "openai responses items": (
        [
            {"role": "user", "content": "q"},
            {"type": "function_call", "call_id": "c1", "name": "f", "arguments": '{"n": 1}'},
            {"type": "function_call_output", "call_id": "c1", "output": "ok"},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "done"}]},
        ],
        [
            Message("user", "q"),
            Message("assistant", None, CALL),
            Message("tool", "ok", [], "c1"),
            Message("assistant", "done"),
        ],
    ),
    "anthropic blocks": (
        [
            {"role": "assistant", "content": [{"type": "tool_use", "id": "c1", "name": "f", "input": {"n": 1}}]},
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": "c1", "content": [{"type": "text", "text": "ok"}]}],
            },
        ],
        [Message("assistant", None, CALL), Message("tool", "ok", [], "c1")],
    ),
    "bedrock": (
        [
            {"role": "assistant", "content": [{"toolUse": {"toolUseId": "c1", "name": "f", "input": {"n": 1}}}]},
            {"role": "user", "content": [{"toolResult": {"toolUseId": "c1", "content": [{"text": "ok"}]}}]},
        ],
        [Message("assistant", None, CALL), Message("tool", "ok", [], "c1")],
    ),
    "gemini": (
        [
            {"role": "model", "parts": [{"function_call": {"name": "f", "args": {"n": 1}, "id": "c1"}}]},
            {"role": "user", "parts": [{"function_response": {"name": "f", "response": {"ok": 1}, "id": "c1"}}]},
            {"role": "user", "parts": [{"text": "see"}, {"inline_data": {"mime_type": "image/png"}}]},
        ],
        [
            Message("assistant", None, CALL),
            Message("tool", '{"ok":1}', [], "c1"),
            Message("user", "see", has_image=True, media=[Media("image", "image/png")]),
        ],
    ),
    "langchain constructors in a batch": (
        {
            "messages": [
                [
                    {"lc": 1, "type": "constructor", "id": ["x", "HumanMessage"], "kwargs": {"content": "q"}},
                    {
                        "lc": 1,
                        "type": "constructor",
                        "id": ["x", "AIMessage"],
                        "kwargs": {"content": "", "tool_calls": [{"name": "f", "args": {"n": 1}, "id": "c1"}]},
                    },
                ]
            ]
        },
        [Message("user", "q"), Message("assistant", None, CALL)],
    ),
    "langchain dictionaries": (
        [{"type": "human", "data": {"content": "q"}}, {"type": "ai", "content": "a"}],
        [Message("user", "q"), Message("assistant", "a")],
    ),
    "langchain pairs": ([["system", "s"], ["user", "q"]], [Message("system", "s"), Message("user", "q")]),
    "vercel": (
        [
            {
                "role": "assistant",
                "content": [{"type": "tool-call", "toolCallId": "c1", "toolName": "f", "input": {"n": 1}}],
            },
            {
                "role": "tool",
                "content": [{"type": "tool-result", "toolCallId": "c1", "output": {"type": "text", "value": "ok"}}],
            },
        ],
        [Message("assistant", None, CALL), Message("tool", "ok", [], "c1")],
    ),
    "haystack": (
        [
            {"role": "assistant", "content": [{"tool_call": {"tool_name": "f", "arguments": {"n": 1}, "id": "c1"}}]},
            {"role": "tool", "content": [{"tool_call_result": {"result": "ok", "origin": {"id": "c1"}}}]},
        ],
        [Message("assistant", None, CALL), Message("tool", "ok", [], "c1")],
    ),
    "system and messages": (
        {"system": "s", "messages": [{"role": "user", "content": "q"}]},
        [Message("system", "s"), Message("user", "q")],
    ),
    "plain text": ("q", [Message("user", "q")]),
    "list of texts": (
        ["one", "two", "three"],
        [Message("user", "one"), Message("user", "two"), Message("user", "three")],
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_shape_is_read(shape: str) -> None:
    value, expected = SHAPES[shape]
    assert [turn.message() for turn in read_turns(value)] == expected


def test_json_text_reads_as_what_it_says() -> None:
    assert read_turns('[{"role": "user", "content": "q"}]')[0].message() == Message("user", "q")


def test_text_that_only_looks_like_json_stays_text() -> None:
    assert read_turns([{"role": "user", "content": '["a", "b"]'}])[0].text == '["a", "b"]'


def test_what_only_a_model_says_is_kept_apart_from_its_text() -> None:
    (turn,) = read_turns(
        [
            {
                "role": "assistant",
                "finish_reason": "length",
                "parts": [
                    {"type": "thinking", "content": "hm"},
                    {"type": "refusal", "content": "no"},
                    {"type": "text", "content": "yes"},
                ],
            }
        ]
    )
    assert (turn.text, turn.refusal, turn.reasoning, turn.finish) == ("yes", "no", ["hm"], "length")


def test_arguments_that_are_no_json_stay_as_they_are() -> None:
    (turn,) = read_turns([{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "{broken"}}]}])
    assert turn.tool_calls == [RequestedCall("f", "{broken")]


def test_a_sound_file_is_no_image() -> None:
    (turn,) = read_turns([{"role": "user", "parts": [{"type": "blob", "mime_type": "audio/wav", "content": "UklG"}]}])
    assert not turn.has_image


DEEP: Any = ["deep"]
for _ in range(20):
    DEEP = [DEEP]


@pytest.mark.parametrize("value", [None, 5, True, {}, [], [[[[[[[[[[["deep"]]]]]]]]]]], {"role": 5}, [None, 1.5, [2]]])
def test_what_is_no_message_reads_as_none_with_content(value: Any) -> None:
    assert all(turn.empty for turn in read_turns(value))
