"""LiveKit Agents: the OpenTelemetry conventions for the request, `lk.*` for what the agent did around it.

Read from livekit-agents 1.8 (`lk.pii.*` for content) and its earlier names (`lk.*`). `llm_node` wraps the request
that `llm_request` tells; a tool's run is told by `function_tool`.
"""

from dataclasses import replace

from collector.core.model import JSON
from collector.dialects.conversations import Messages, ToolCalls
from collector.dialects.mapping import Dialect, Kind
from collector.dialects.otel import KNOWN, LLM, OTEL, TOOL
from collector.dialects.sources import Instant, within
from collector.dialects.view import View

_CALLS = ("lk.pii.response.function_calls", "lk.response.function_calls")
_TEXTS = ("lk.pii.response.text", "lk.response.text")
_RESULTS = ("lk.pii.function_tool.output", "lk.function_tool.output")


def by_what_it_tells(view: View) -> Kind | None:
    """A tool's run or the node around a request to a model, by their own attributes"""
    attributes = view.attributes
    if "lk.function_tool.name" in attributes:
        return "tool"
    return "llm" if "lk.pii.chat_ctx" in attributes or "lk.chat_ctx" in attributes else None


def failed(view: View) -> bool:
    return view.attributes.get("lk.function_tool.is_error") is True


def result(view: View) -> JSON:
    """What the tool returned, unless that is its error's text"""
    return None if failed(view) else next((view.attributes[key] for key in _RESULTS if key in view.attributes), None)


LIVEKIT: Dialect = replace(
    OTEL,
    name="livekit",
    scopes=("livekit-agents",),
    markers=("lk.speech_id", "lk.pii.chat_ctx", "lk.chat_ctx", "lk.function_tool.name"),
    kinds=(by_what_it_tells, *OTEL.kinds),
    llm={
        **LLM,
        "first_token_seconds": (
            *LLM["first_token_seconds"],
            "lk.response.ttft",
            *within("lk.llm_metrics", "ttft"),
            Instant("langfuse.observation.completion_start_time"),
        ),
    },
    input=(*OTEL.input, Messages("lk.pii.chat_ctx", ("items",)), Messages("lk.chat_ctx", ("items",))),
    output=(*OTEL.output, ToolCalls(_TEXTS, _CALLS)),
    tool={
        "name": ("lk.function_tool.name", *TOOL["name"]),
        "id": ("lk.function_tool.id", *TOOL["id"]),
        "arguments": ("lk.pii.function_tool.arguments", "lk.function_tool.arguments", "lk.function_tool.args")
        + TOOL["arguments"],
        "result": (*TOOL["result"], result),
    },
    agent_name=("gen_ai.agent.name", "lk.agent_name", "lk.agent_label"),
    step_input=("lk.pii.user_input", "lk.user_input"),
    step_output=_TEXTS,
    failed=failed,
    known=(
        *KNOWN,
        *("lk.function_tools", "lk.provider_tools", "lk.tool_sets", "lk.retry_count", "lk.interrupted"),
        *("lk.new_state", "lk.old_state", "lk.generation_*", "lk.parent_generation_id", "lk.speech.*", "lk.close*"),
    ),
    certain=False,
)
