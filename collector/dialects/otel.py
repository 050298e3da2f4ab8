"""OpenTelemetry GenAI semantic conventions, in all their ages.

Versions 1.27 to 1.36 (`gen_ai.system`, content in one log record a message, or in span events), 1.37 to 1.41
(`gen_ai.provider.name`, `gen_ai.input.messages` on the span or on the event `...inference.operation.details`), and
semantic-conventions-genai 0.1.0 (`cache_write`). Also read for any library that writes `gen_ai.*` under a scope that
nobody else claims.
"""

from collector.dialects.conversations import EventMessages, FlatMessages, ListedEvents, Messages, SpanEventMessages
from collector.dialects.mapping import Dialect, Kind, KindBy, Sources
from collector.dialects.sources import Documents, EventTime
from collector.dialects.view import View

OPERATIONS: dict[str, Kind] = {
    "chat": "llm",
    "generate_content": "llm",
    "text_completion": "llm",
    "completion": "llm",
    "embeddings": "embedding",
    "retrieval": "retrieval",
    "execute_tool": "tool",
    "invoke_agent": "agent",
    "create_agent": "step",
    "invoke_workflow": "step",
    "plan": "step",
}

FIRST_TOKEN: Sources = (
    "gen_ai.response.time_to_first_chunk",
    "gen_ai.client.operation.time_to_first_chunk",
    "gen_ai.server.time_to_first_token",
    EventTime(("gen_ai.content.completion.chunk", "llm.content.completion.chunk", "First Token Stream Event")),
)
COST: Sources = ("operation.cost", "gen_ai.usage.cost", "gen_ai.cost.total_cost")

LLM: dict[str, Sources] = {
    "provider": ("gen_ai.provider.name", "gen_ai.system"),
    "request_model": ("gen_ai.request.model",),
    "response_model": ("gen_ai.response.model",),
    "response_id": ("gen_ai.response.id",),
    "finish_reason": ("gen_ai.response.finish_reasons", "gen_ai.response.finish_reason"),
    "input_tokens": ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens"),
    "output_tokens": ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens"),
    "cached_input_tokens": (
        "gen_ai.usage.cache_read.input_tokens",
        "gen_ai.usage.cache_read_input_tokens",
        "gen_ai.usage.input_tokens.cached",
        "gen_ai.usage.details.cache_read_tokens",
    ),
    "reasoning_tokens": (
        "gen_ai.usage.reasoning.output_tokens",
        "gen_ai.usage.reasoning_tokens",
        "gen_ai.usage.details.reasoning_tokens",
        "gen_ai.usage.thinking_tokens",  # AG2
    ),
    "cache_write_input_tokens": (
        "gen_ai.usage.cache_write.input_tokens",
        "gen_ai.usage.cache_creation.input_tokens",
        "gen_ai.usage.cache_creation_input_tokens",
        "gen_ai.usage.cache_write_input_tokens",  # Strands
        "gen_ai.usage.details.cache_write_tokens",
    ),
    "first_token_seconds": FIRST_TOKEN,
    "cost_usd": COST,
}

TOOL: dict[str, Sources] = {
    "name": ("gen_ai.tool.name",),
    "id": ("gen_ai.tool.call.id",),
    "arguments": ("gen_ai.tool.call.arguments",),
    "result": ("gen_ai.tool.call.result",),
}

REQUEST_PARAMETERS = tuple(
    "gen_ai.request." + name
    for name in (
        *("temperature", "top_p", "top_k", "max_tokens", "seed", "stop_sequences", "choice.count"),
        *("frequency_penalty", "presence_penalty", "stream", "encoding_formats"),
    )
)

KNOWN = (
    *REQUEST_PARAMETERS,
    *("gen_ai.agent.id", "gen_ai.agent.version", "gen_ai.agent.description", "gen_ai.workflow.name"),
    *("gen_ai.tool.type", "gen_ai.tool.description", "gen_ai.usage.total_tokens", "gen_ai.embeddings.dimension.count"),
    *("gen_ai.client.operation.duration", "gen_ai.client.operation.time_per_output_chunk", "gen_ai.execute_tool.*"),
    *("openai.api.type", "openai.request.service_tier", "openai.response.*", "gen_ai.openai.*"),
    *("logfire.json_schema", "logfire.msg", "logfire.level_num", "logfire.span_type", "logfire.msg_template"),
    *("CHAT_MESSAGE_INDEX", "agent_framework.function.invocation.duration"),
)


def not_the_merged_run(view: View) -> Kind | None:
    """Some frameworks add a span for several parallel tool runs together, beside one for each."""
    if "gen_ai.tool.name" not in view.attributes:
        return None
    name = view.attributes["gen_ai.tool.name"]
    return "step" if isinstance(name, str) and name.startswith("(merged") else None


def by_shape(view: View) -> Kind | None:
    """A span without a known operation's name that nevertheless names a tool, or a model and what was said."""
    attributes = view.attributes
    if "gen_ai.tool.name" in attributes and "gen_ai.request.model" not in attributes:
        return "tool" if "gen_ai.operation.name" not in attributes else None
    if "gen_ai.request.model" not in attributes:
        return None
    if "gen_ai.operation.name" not in attributes or not _SIGNS_OF_A_CALL.isdisjoint(attributes):
        return "llm"
    return None


_SIGNS_OF_A_CALL = frozenset(
    {
        "gen_ai.input.messages",
        "gen_ai.output.messages",
        "gen_ai.response.id",
        "gen_ai.response.finish_reasons",
        "gen_ai.prompt.0.content",
        "gen_ai.completion.0.content",
    }
)


OTEL = Dialect(
    name="otel-genai",
    scopes=(
        "opentelemetry.instrumentation.openai_v2",
        "opentelemetry.instrumentation.genai.",
        "opentelemetry.util.genai",
        "opentelemetry.instrumentation.google_genai",
        "opentelemetry.instrumentation.vertexai",
    ),
    markers=(
        "gen_ai.operation.name",
        "gen_ai.provider.name",
        "gen_ai.system",
        "gen_ai.request.model",
        "gen_ai.tool.name",
    ),
    kinds=(not_the_merged_run, KindBy("gen_ai.operation.name", OPERATIONS), by_shape),
    llm=LLM,
    input=(
        Messages("gen_ai.input.messages"),
        EventMessages(outputs=False),
        ListedEvents("events", outputs=False),
        SpanEventMessages("gen_ai.content.prompt", "gen_ai.prompt", "user"),
        Messages("gen_ai.prompt"),
        FlatMessages("gen_ai.prompt", "user"),
    ),
    system=(Messages("gen_ai.system_instructions", role="system"),),
    output=(
        Messages("gen_ai.output.messages", role="assistant"),
        EventMessages(outputs=True),
        ListedEvents("events", outputs=True),
        SpanEventMessages("gen_ai.content.completion", "gen_ai.completion", "assistant"),
        Messages("gen_ai.completion", role="assistant"),
        FlatMessages("gen_ai.completion", "assistant"),
    ),
    tool_definitions=("gen_ai.tool.definitions", "gen_ai.request.tools"),
    output_schema=("gen_ai.request.structured_output_schema", "gen_ai.output.schema", "gen_ai.output.type"),
    tool=TOOL,
    query=("gen_ai.retrieval.query.text", "gen_ai.retrieval.query"),
    documents=(Documents("gen_ai.retrieval.documents"),),
    embedding={
        "model": ("gen_ai.response.model", "gen_ai.request.model"),
        "input_tokens": ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens"),
        "provider": LLM["provider"],
        "cost_usd": COST,
    },
    agent_name=("gen_ai.agent.name",),
    step_input=("gen_ai.input.messages",),
    step_output=("gen_ai.output.messages",),
    known=KNOWN,
    certain=True,
)
