"""Logfire's instrumentation of the OpenAI Agents SDK: the SDK's own records, one attribute a field.

The kind is in the template of the message. Responses come as `events`, a JSON list of the conventions' older events;
chat completions as `input` and `output`.
"""

from dataclasses import replace

from collector.dialects.conversations import ListedEvents, Messages
from collector.dialects.logfire import LOGFIRE
from collector.dialects.mapping import Kind
from collector.dialects.sources import Json, SpanName, within
from collector.dialects.view import View

_BEGINNINGS: tuple[tuple[str, Kind], ...] = (
    ("Responses API", "llm"),
    ("Chat completion", "llm"),
    ("Function:", "tool"),
    ("Agent run:", "agent"),
)


def by_template(view: View) -> Kind | None:
    """By the beginning of `logfire.msg_template`"""
    template = view.attributes.get("logfire.msg_template")
    if not isinstance(template, str):
        return None
    return next((kind for beginning, kind in _BEGINNINGS if template.startswith(beginning)), "step")


LOGFIRE_AGENTS = replace(
    LOGFIRE,
    name="logfire-agents",
    scopes=("logfire.openai_agents",),
    markers=(),
    kinds=(by_template,),
    llm={
        **LOGFIRE.llm,
        "response_id": ("gen_ai.response.id", "response_id"),
        "finish_reason": (*LOGFIRE.llm["finish_reason"], *within("response", "status")),
        "cached_input_tokens": (
            *LOGFIRE.llm["cached_input_tokens"],
            *within("usage", "input_tokens_details.cached_tokens"),
        ),
        "cache_write_input_tokens": (
            *LOGFIRE.llm["cache_write_input_tokens"],
            *within("usage", "input_tokens_details.cache_write_tokens"),
        ),
        "reasoning_tokens": (
            *LOGFIRE.llm["reasoning_tokens"],
            *within("usage", "output_tokens_details.reasoning_tokens"),
        ),
    },
    input=(Messages("input"), Messages("raw_input"), ListedEvents("events", outputs=False)),
    system=(Messages("response", ("instructions",), "system"),),
    output=(
        Messages("response", role="assistant"),
        Messages("output", role="assistant"),
        ListedEvents("events", outputs=True),
    ),
    tool_definitions=(*within("response", "tools"), *within("request_data", "tools"), *LOGFIRE.tool_definitions),
    output_schema=(*within("response", "text.format"), *LOGFIRE.output_schema),
    tool={"name": ("name", SpanName()), "arguments": ("input",), "result": ("output",)},
    agent_name=("name",),
    step_input=(),
    step_output=(),
    error_type=("error.type", Json("error", ("message",))),
    known=(
        *LOGFIRE.known,
        *("gen_ai.operation.name", "agent_trace_id", "group_id", "metadata", "model_settings", "model_config"),
        *("type", "sdk_span_type", "turn", "agent_name", "handoffs", "tools", "output_type", "mcp_data", "tracing"),
    ),
)
