"""Pydantic AI: the OpenTelemetry conventions with its own names for tools in older versions.

Format version 5 (Pydantic AI 2.68) and version 2. Usage summed over an agent's run is under other keys
(`gen_ai.aggregated_usage.*`), which are not read.
"""

from dataclasses import replace

from collector.dialects.conversations import Messages
from collector.dialects.otel import KNOWN, OTEL, TOOL
from collector.dialects.sources import Json, within

PYDANTIC_AI = replace(
    OTEL,
    name="pydantic-ai",
    scopes=("pydantic-ai",),
    markers=("model_request_parameters", "pydantic_ai.all_messages"),
    history=(Messages("pydantic_ai.all_messages"), Messages("all_messages_events")),
    tool_definitions=(*OTEL.tool_definitions, *within("model_request_parameters", "function_tools")),
    output_schema=(*within("model_request_parameters", "output_object.json_schema"), *OTEL.output_schema),
    tool={
        **TOOL,
        "arguments": (*TOOL["arguments"], "tool_arguments"),
        "result": (*TOOL["result"], "tool_response"),
    },
    agent_name=("gen_ai.agent.name", "agent_name"),
    step_input=(),
    step_output=(Json("final_result"),),
    known=(
        *KNOWN,
        *("gen_ai.aggregated_usage.*", "gen_ai.agent.call.id", "gen_ai.usage.details.*", "model_name"),
        *("pydantic_ai.tool.retry.*", "pydantic_ai.new_message_index"),
    ),
)
