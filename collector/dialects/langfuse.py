"""Langfuse SDK 3 to 5: `langfuse.observation.*`, with input and output as plain text or JSON.

It exports neither provider nor finish reason; the usage has the provider's names or Langfuse's own.
"""

from collector.dialects.conversations import Messages
from collector.dialects.mapping import Dialect, KindBy
from collector.dialects.sources import Documents, Instant, Json, SpanName, within
from collector.dialects.values import mapping, real
from collector.dialects.view import View

_INPUT, _OUTPUT, _USAGE = (
    "langfuse.observation.input",
    "langfuse.observation.output",
    "langfuse.observation.usage_details",
)


def failed(view: View) -> bool:
    return view.attributes.get("langfuse.observation.level") == "ERROR"


def cost(view: View) -> float | None:
    """`langfuse.observation.cost_details` → `total`, or the sum of what is there"""
    details = mapping(view.json("langfuse.observation.cost_details"))
    total = real(details.get("total"))
    parts = [number for value in details.values() if (number := real(value)) is not None]
    return total if total is not None else sum(parts) if parts else None


LANGFUSE = Dialect(
    name="langfuse",
    scopes=("langfuse-sdk",),
    markers=("langfuse.observation.type",),
    kinds=(
        KindBy(
            "langfuse.observation.type",
            {
                "generation": "llm",
                "tool": "tool",
                "retriever": "retrieval",
                "embedding": "embedding",
                "agent": "agent",
                "chain": "step",
                "span": "step",
                "event": "step",
                "guardrail": "step",
                "evaluator": "step",
            },
        ),
    ),
    llm={
        "provider": ("gen_ai.provider.name", "gen_ai.system"),
        "request_model": ("langfuse.observation.model.name",),
        "response_model": ("langfuse.observation.model.name",),
        "response_id": within(_OUTPUT, "id"),
        "finish_reason": (
            *within(_OUTPUT, "finish_reason", "choices.0.finish_reason"),
            "langfuse.observation.metadata.finish_reason",
        ),
        "input_tokens": within(_USAGE, "prompt_tokens", "input_tokens", "input"),
        "output_tokens": within(_USAGE, "completion_tokens", "output_tokens", "output"),
        "cached_input_tokens": within(
            _USAGE,
            "prompt_tokens_details.cached_tokens",
            "input_tokens_details.cached_tokens",
            "input_cached_tokens",
            "input_cache_read",
            "cache_read_input_tokens",
        ),
        "reasoning_tokens": within(
            _USAGE,
            "completion_tokens_details.reasoning_tokens",
            "output_tokens_details.reasoning_tokens",
            "output_reasoning_tokens",
            "output_reasoning",
        ),
        "cache_write_input_tokens": within(_USAGE, "cache_creation_input_tokens", "input_cache_creation"),
        "first_token_seconds": (Instant("langfuse.observation.completion_start_time"),),
        "cost_usd": (cost,),
    },
    input=(Messages(_INPUT),),
    output=(Messages(_OUTPUT, ("choices", 0, "message"), "assistant"), Messages(_OUTPUT, role="assistant")),
    tool_definitions=within(_INPUT, "tools"),
    output_schema=(
        *within("langfuse.observation.model.parameters", "response_format"),
        *within(_INPUT, "response_format"),
    ),
    tool={
        "name": ("gen_ai.tool.name", SpanName()),
        "id": ("gen_ai.tool.call.id",),
        "arguments": (_INPUT,),
        "result": (_OUTPUT,),
    },
    query=(Json(_INPUT),),
    documents=(Documents(_OUTPUT),),
    embedding={
        "model": ("langfuse.observation.model.name",),
        "input_tokens": within(_USAGE, "input", "prompt_tokens", "input_tokens", "total_tokens", "total"),
    },
    agent_name=(SpanName(),),
    step_input=(_INPUT, "langfuse.trace.input"),
    step_output=(_OUTPUT, "langfuse.trace.output"),
    error_type=("error.type",),
    failed=failed,
    known=(
        *("langfuse.environment", "langfuse.release", "langfuse.version", "langfuse.internal.*"),
        *("langfuse.trace.metadata.*", "langfuse.trace.tags", "langfuse.trace.name", "langfuse.trace.public"),
        *("langfuse.observation.metadata.*", "langfuse.observation.status_message"),
    ),
    certain=True,
)
