"""LangSmith's export by OpenTelemetry: `langsmith.span.kind`, with inputs and outputs whole in two attributes.

`gen_ai.prompt` and `gen_ai.completion` hold what the traced function was given and returned: requests and answers of
providers, LangChain's generations, or arguments and results under the key `output`. Read from langsmith 0.14.
"""

from collector.core.model import JSON
from collector.dialects.conversations import Messages
from collector.dialects.mapping import Dialect, KindBy
from collector.dialects.otel import KNOWN, LLM, OTEL, TOOL
from collector.dialects.sources import Documents, Json, Literal, SpanName, within
from collector.dialects.values import at
from collector.dialects.view import View

_IN, _OUT = "gen_ai.prompt", "gen_ai.completion"
_MESSAGE = "generations.0.0.message.kwargs."
_PARSED = ("generations", 0, 0, "message", "kwargs", "additional_kwargs", "parsed")


def parsed_answer(view: View) -> JSON:
    """JSON, where LangChain says that it read the answer as an object"""
    found = at(view.json(_OUT), *_PARSED)
    return "json" if found is not None else None


LANGSMITH = Dialect(
    name="langsmith",
    scopes=("langsmith",),
    markers=("langsmith.span.kind",),
    kinds=(
        KindBy(
            "langsmith.span.kind",
            {
                "llm": "llm",
                "tool": "tool",
                "retriever": "retrieval",
                "embedding": "embedding",
                "chain": "step",
                "prompt": "step",
                "parser": "step",
            },
        ),
    ),
    llm={
        **LLM,
        "provider": (*LLM["provider"], "langsmith.metadata.ls_provider"),
        "request_model": (*LLM["request_model"], "langsmith.metadata.ls_model_name"),
        "response_model": (
            *LLM["response_model"],
            *within(_OUT, "model", "llm_output.model_name", _MESSAGE + "response_metadata.model_name"),
        ),
        "response_id": (
            *LLM["response_id"],
            *within(_OUT, "id", "llm_output.id", _MESSAGE + "response_metadata.id"),
        ),
        "finish_reason": (
            *LLM["finish_reason"],
            *within(
                _OUT,
                "choices.0.finish_reason",
                "generations.0.0.generation_info.finish_reason",
                _MESSAGE + "response_metadata.finish_reason",
                "stop_reason",
                "status",
            ),
        ),
        "input_tokens": (*LLM["input_tokens"], *within("langsmith.metadata.usage_metadata", "input_tokens")),
        "output_tokens": (*LLM["output_tokens"], *within("langsmith.metadata.usage_metadata", "output_tokens")),
        "cached_input_tokens": (
            *LLM["cached_input_tokens"],
            Literal("gen_ai.usage.input_token_details", ("cache_read",)),
            *within(_OUT, _MESSAGE + "usage_metadata.input_token_details.cache_read"),
        ),
        "reasoning_tokens": (
            *LLM["reasoning_tokens"],
            Literal("gen_ai.usage.output_token_details", ("reasoning",)),
            *within(_OUT, _MESSAGE + "usage_metadata.output_token_details.reasoning"),
        ),
        "cache_write_input_tokens": (
            *LLM["cache_write_input_tokens"],
            Literal("gen_ai.usage.input_token_details", ("cache_creation",)),
            *within(_OUT, _MESSAGE + "usage_metadata.input_token_details.cache_creation"),
        ),
    },
    input=OTEL.input,
    output=(*OTEL.output, Messages(_OUT, role="assistant")),
    tool_definitions=(
        *OTEL.tool_definitions,
        *within(_IN, "tools"),
        *within("langsmith.metadata.ls_invocation_params", "tools"),
    ),
    output_schema=(
        *within(_IN, "response_format", "text.format"),
        *within("langsmith.metadata.ls_invocation_params", "response_format"),
        parsed_answer,
    ),
    tool={**TOOL, "name": (*TOOL["name"], SpanName()), "arguments": (_IN,), "result": (_OUT,)},
    query=(Json(_IN),),
    documents=(Documents(_OUT, ("output",)), Documents(_OUT)),
    embedding=OTEL.embedding,
    step_input=(_IN,),
    step_output=(_OUT,),
    known=(
        *KNOWN,
        *("gen_ai.operation.name", "gen_ai.serialized.*", "gen_ai.response.service_tier"),
        *("gen_ai.response.system_fingerprint", "langsmith.metadata.*", "langsmith.trace.*", "langsmith.span.tags"),
    ),
    certain=True,
)
