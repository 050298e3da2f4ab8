"""Strands Agents: the OpenTelemetry conventions with all content in span events, in Bedrock's form.

`gen_ai.{system,user,assistant,tool}.message` and `gen_ai.choice`, or, with OTEL_SEMCONV_STABILITY_OPT_IN, one event
`gen_ai.client.inference.operation.details` for each attribute. The framework names itself as the provider. Read from
versions 1.62 and 0.2 (where only the agent's span has the instructions, and a failing tool's span is OK).
"""

from dataclasses import replace

from collector.core.model import JSON
from collector.dialects.conversations import Messages
from collector.dialects.mapping import KindBy
from collector.dialects.otel import KNOWN, LLM, OPERATIONS, OTEL, TOOL
from collector.dialects.sources import EventField, Milliseconds
from collector.dialects.values import word
from collector.dialects.view import View

_ITSELF = "strands-agents"


def provider(view: View) -> JSON:
    """`gen_ai.provider.name` or `gen_ai.system`, unless it is the framework's own name"""
    for key in ("gen_ai.provider.name", "gen_ai.system"):
        told = word(view.attributes.get(key))
        if told and told != _ITSELF:
            return told
    return None


def failed(view: View) -> bool:
    attributes = view.attributes
    return attributes.get("tool.status") == "error" or attributes.get("gen_ai.tool.status") == "error"


STRANDS = replace(
    OTEL,
    name="strands",
    scopes=("strands.telemetry",),
    markers=("event_loop.cycle_id", "gen_ai.event.start_time"),
    kinds=(
        KindBy(
            "gen_ai.operation.name",
            {**OPERATIONS, "execute_event_loop_cycle": "step", "invoke_swarm": "step", "invoke_graph": "step"},
        ),
    ),
    llm={
        **LLM,
        "provider": (provider,),
        "first_token_seconds": (Milliseconds("gen_ai.server.time_to_first_token"),),  # by the conventions, seconds
    },
    agent_system=(Messages("system_prompt", role="system"),),
    tool={
        **TOOL,
        "arguments": (*TOOL["arguments"], EventField("gen_ai.tool.message", "content")),
        "result": (*TOOL["result"], EventField("gen_ai.choice", "message")),
    },
    step_input=(*OTEL.step_input, EventField("gen_ai.user.message", "content")),
    step_output=(*OTEL.step_output, EventField("gen_ai.choice", "message")),
    failed=failed,
    known=(
        *KNOWN,
        *("gen_ai.event.start_time", "gen_ai.event.end_time", "gen_ai.tool.json_schema", "gen_ai.agent.tools"),
        "event_loop.parent_cycle_id",
    ),
)
