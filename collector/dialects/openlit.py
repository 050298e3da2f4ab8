"""OpenLIT: the OpenTelemetry conventions; its older versions write a conversation as lines `role: text`.

Read from 1.45 (message JSON, scopes `openlit.instrumentation.*`) and 1.34 (scope `openlit.otel.tracing`; frameworks'
operations carry a name, `workflow RunnableSequence`; a failed call has nothing but the span's name).
"""

from dataclasses import replace

from collector.core.model import JSON
from collector.dialects.conversations import Messages, SpokenLines
from collector.dialects.mapping import Kind
from collector.dialects.otel import KNOWN, LLM, OPERATIONS, OTEL, by_shape
from collector.dialects.sources import SeparatedTexts
from collector.dialects.values import count, real, word
from collector.dialects.view import View

_STEPS = ("workflow", "framework", "vectordb", "task", "agent", "graph", "create", "configure")


def _operation(view: View) -> tuple[str, str]:
    named = word(view.attributes.get("gen_ai.operation.name")) or view.span.name
    operation, _, rest = named.partition(" ")
    return operation, rest


def by_operation(view: View) -> Kind | None:
    """By the first word of `gen_ai.operation.name`, or of the span's name"""
    operation, _ = _operation(view)
    return "step" if operation in _STEPS else OPERATIONS.get(operation)


def named_model(view: View) -> JSON:
    """The model in the span's name, `chat gpt-4o`"""
    operation, _, model = view.span.name.partition(" ")
    return model if OPERATIONS.get(operation) in ("llm", "embedding") else None


def all_input_tokens(view: View) -> JSON:
    """`gen_ai.usage.input_tokens`; of Anthropic's models, with the cached tokens, which are told apart"""
    told = count(view.attributes.get("gen_ai.usage.input_tokens"))
    if told is None or word(view.attributes.get("gen_ai.provider.name")) != "anthropic":
        return told
    parts = (f"gen_ai.usage.cache_{kind}.input_tokens" for kind in ("read", "creation"))
    return told + sum(count(view.attributes.get(part)) or 0 for part in parts)


def first_token(view: View) -> JSON:
    """`gen_ai.server.time_to_first_token` of a streamed call; of others it tells the whole time"""
    attributes = view.attributes
    streamed = attributes.get("gen_ai.request.stream", attributes.get("gen_ai.request.is_stream"))
    return None if streamed is False else attributes.get("gen_ai.server.time_to_first_token")


def told_cost(view: View) -> JSON:
    """`gen_ai.usage.cost` unless 0, which it tells of every model without a known price"""
    return real(view.attributes.get("gen_ai.usage.cost")) or None


OPENLIT = replace(
    OTEL,
    name="openlit",
    scopes=("openlit.",),
    markers=("gen_ai.sdk.version", "gen_ai.request.is_stream"),
    kinds=(by_operation, by_shape),
    llm={
        **LLM,
        "request_model": (*LLM["request_model"], named_model),
        "input_tokens": (all_input_tokens, *LLM["input_tokens"]),
        "cached_input_tokens": (
            *LLM["cached_input_tokens"],
            "gen_ai.usage.prompt_tokens_details.cached_tokens",
            "gen_ai.usage.prompt_tokens_details.cache_read",
        ),
        "reasoning_tokens": (
            *LLM["reasoning_tokens"],
            "gen_ai.usage.completion_tokens_details.reasoning_tokens",
            "gen_ai.usage.completion_tokens_details.reasoning",
        ),
        "first_token_seconds": (first_token,),
        "cost_usd": (told_cost,),
    },
    input=(
        Messages("gen_ai.input.messages"),
        SpokenLines("gen_ai.prompt"),
        SpokenLines("gen_ai.prompt", event="gen_ai.content.prompt"),
        *OTEL.input,
    ),
    embedding={**OTEL.embedding, "cost_usd": (told_cost,)},
    documents=(
        *OTEL.documents,
        SeparatedTexts("gen_ai.retrieval.documents", "; "),
    ),
    step_input=(*OTEL.step_input, "gen_ai.workflow.input"),
    step_output=(*OTEL.step_output, "gen_ai.workflow.output"),
    known=(
        *KNOWN,
        *("gen_ai.client.token.usage", "gen_ai.server.time_per_output_token", "gen_ai.application_name"),
        *("gen_ai.environment", "gen_ai.request.service_tier", "gen_ai.response.system_fingerprint", "openlit.*"),
        *("gen_ai.agent.tools", "gen_ai.execution.mode", "gen_ai.framework.*", "gen_ai.graph.*", "gen_ai.tool.args"),
        "gen_ai.retrieval.document_count",
    ),
)
