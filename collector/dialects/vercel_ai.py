"""Vercel AI SDK, versions 4 to 6 (`ai.*`) and 7 (`@ai-sdk/otel`, which follows the OpenTelemetry conventions).

Up to 6, an outer span (`ai.generateText`) repeats text and sums usage of the provider calls inside it
(`ai.generateText.doGenerate`).
"""

from dataclasses import replace

from collector.dialects.conversations import Messages, ToolCalls
from collector.dialects.mapping import Dialect, Kind, KindBy
from collector.dialects.otel import COST, LLM, OPERATIONS, OTEL, REQUEST_PARAMETERS
from collector.dialects.sources import EventTime, Json, Milliseconds, within
from collector.dialects.view import View

_CALLS = ("ai.response.toolCalls", "ai.result.toolCalls")


def by_operation(view: View) -> Kind | None:
    """`ai.<function>.do<Action>` is the provider call, `ai.<function>` what the application called."""
    operation = view.attributes.get("ai.operationId")
    if not isinstance(operation, str):
        return None
    if operation == "ai.toolCall":
        return "tool"
    action = operation.rpartition(".")[2]
    if action == "doEmbed":
        return "embedding"
    return "llm" if action in ("doGenerate", "doStream") else "step"


VERCEL_AI = Dialect(
    name="vercel-ai",
    markers=("ai.operationId",),
    kinds=(by_operation,),
    llm={
        "provider": ("gen_ai.system", "ai.model.provider"),
        "request_model": ("gen_ai.request.model", "ai.model.id"),
        "response_model": ("ai.response.model", "gen_ai.response.model"),
        "response_id": ("ai.response.id", "gen_ai.response.id"),
        "reasoning": ("ai.response.reasoning",),
        "finish_reason": ("ai.response.finishReason", "ai.finishReason", "gen_ai.response.finish_reasons"),
        "input_tokens": ("ai.usage.inputTokens", "gen_ai.usage.input_tokens", "ai.usage.promptTokens"),
        "output_tokens": ("ai.usage.outputTokens", "gen_ai.usage.output_tokens", "ai.usage.completionTokens"),
        "cached_input_tokens": ("ai.usage.cachedInputTokens", "ai.usage.inputTokenDetails.cacheReadTokens"),
        "reasoning_tokens": ("ai.usage.reasoningTokens", "ai.usage.outputTokenDetails.reasoningTokens"),
        "cache_write_input_tokens": ("ai.usage.inputTokenDetails.cacheWriteTokens",),
        "first_token_seconds": (
            Milliseconds("ai.response.msToFirstChunk"),
            Milliseconds("ai.stream.msToFirstChunk"),
            EventTime(("ai.stream.firstChunk",)),
        ),
        "cost_usd": COST,
    },
    input=(Messages("ai.prompt.messages"), Messages("ai.prompt")),
    output=(ToolCalls(("ai.response.text", "ai.response.object", "ai.result.text", "ai.result.object"), _CALLS),),
    tool_definitions=("ai.prompt.tools",),
    output_schema=("ai.schema",),
    tool={
        "name": ("ai.toolCall.name",),
        "id": ("ai.toolCall.id",),
        "arguments": ("ai.toolCall.args", "ai.toolCall.input"),
        "result": ("ai.toolCall.result", "ai.toolCall.output"),
    },
    embedding={
        "model": ("ai.model.id",),
        "input_tokens": ("ai.usage.tokens", "gen_ai.usage.input_tokens"),
        "provider": ("ai.model.provider",),
    },
    step_input=(*within("ai.prompt", "prompt", "messages"), Json("ai.prompt")),
    step_output=("ai.response.text", "ai.response.object"),
    known=(
        *REQUEST_PARAMETERS,
        *("ai.telemetry.functionId", "operation.name", "resource.name", "ai.settings.*", "ai.request.headers.*"),
        *("ai.response.providerMetadata", "ai.response.timestamp", "ai.prompt.toolChoice", "ai.usage.totalTokens"),
        *("ai.usage.inputTokenDetails.noCacheTokens", "ai.usage.outputTokenDetails.textTokens"),
        *("ai.response.avgOutputTokensPerSecond", "ai.response.msToFinish"),
    ),
    certain=True,
)

VERCEL_AI_7 = replace(
    OTEL,
    name="vercel-ai-7",
    scopes=("gen_ai",),
    markers=(),
    kinds=(KindBy("gen_ai.operation.name", {**OPERATIONS, "agent_step": "step"}),),
    llm=LLM,
)
